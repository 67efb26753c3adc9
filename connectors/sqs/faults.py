"""What went wrong between here and SQS, in the contract's words. Source: Amazon SQS API reference, common errors."""

from botocore import exceptions as boto
from botocore.exceptions import ClientError

from connectors.contract import ConnectorError, Failure

_CREDENTIALS = frozenset({
    "AuthFailure", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "InvalidAccessKeyId",
    "InvalidClientTokenId", "InvalidSecurity", "MissingAuthenticationToken", "OptInRequired", "RequestExpired",
    "SignatureDoesNotMatch", "UnrecognizedClientException",
})  # fmt: skip
_ABSENT = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "InvalidAddress"})
_FORBIDDEN = frozenset({"AccessDenied", "AccessDeniedException", "UnsupportedOperation", "KmsAccessDenied"})
_FULL = frozenset({"OverLimit", "BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong"})
_THROTTLED = frozenset({"RequestThrottled", "ThrottlingException", "Throttling", "KmsThrottled", "TooManyRequests"})
_NO_HANDLE = frozenset({"ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight",
                        "AWS.SimpleQueueService.MessageNotInflight"})  # fmt: skip
_NO_CREDENTIALS = (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError)
_NEVER_BEGUN = (
    boto.EndpointConnectionError,
    boto.ConnectTimeoutError,
    boto.ProxyConnectionError,
    boto.SSLError,
    *_NO_CREDENTIALS,
)
"""The request did not reach SQS."""


def unavailable() -> ConnectorError:
    return ConnectorError(Failure.UNAVAILABLE, retryable=True, retry_after_s=2)


def translated(error: Exception) -> ConnectorError:
    """Of a call that may be made again."""
    match error:
        case ConnectorError():
            return error
        case ClientError():
            return _answered(error)
        case boto.ReadTimeoutError():
            return ConnectorError(Failure.TIMEOUT, retryable=True, retry_after_s=2)
        case _:
            return unavailable()


def translated_send(error: Exception) -> ConnectorError:
    """Of SendMessage: without an answer that says no, the message may be in the queue."""
    match error:
        case ClientError() if _status(error) >= 500:
            return ConnectorError(Failure.OUTCOME_UNKNOWN)
        case ClientError() if code_of(error) in _NO_HANDLE and "size" in _text(error).lower():
            # InvalidParameterValue is also what a message above the queue's maximum is told.
            return ConnectorError(Failure.OUT_OF_RESOURCES)
        case ConnectorError() | ClientError():
            return translated(error)
        case _ if isinstance(error, _NEVER_BEGUN):
            return unavailable()
        case _:
            return ConnectorError(Failure.OUTCOME_UNKNOWN)


def throttled(error: Exception) -> bool:
    """SQS did nothing, and will if asked a little later."""
    return isinstance(error, ClientError) and code_of(error) in _THROTTLED


def refuses_credentials(error: Exception) -> bool:
    return isinstance(error, _NO_CREDENTIALS) or (isinstance(error, ClientError) and code_of(error) in _CREDENTIALS)


def no_queue(error: Exception) -> bool:
    return isinstance(error, ClientError) and code_of(error) in _ABSENT


def no_handle(code: str) -> bool:
    """Of an entry of a batch: SQS has no such receipt handle, or not any more."""
    return code in _NO_HANDLE


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _answered(error: ClientError) -> ConnectorError:
    code = code_of(error)
    if code in _ABSENT:
        return ConnectorError(Failure.NOT_FOUND)
    if code in _FORBIDDEN:
        return ConnectorError(Failure.REFUSED_BY_WALL)
    if code in _FULL:
        return ConnectorError(Failure.OUT_OF_RESOURCES, retryable=True, retry_after_s=5)
    return unavailable()


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _text(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", ""))
