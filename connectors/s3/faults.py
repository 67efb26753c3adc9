"""What an error of botocore means: translated by its class, its HTTP status and the codes of the S3 protocol.

Source: the list of error codes in the Amazon S3 API reference.
"""

from botocore import exceptions as boto
from botocore.exceptions import ClientError

from connectors.contract import ConnectorError, Failure

_CREDENTIALS = {
    "AuthFailure",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}
_NO_CREDENTIALS = (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError)
_ABSENT = {"NoSuchKey", "NoSuchVersion", "404"}
_FORBIDDEN = {"AccessDenied", "AllAccessDisabled", "InvalidObjectState", "MethodNotAllowed", "403", "405"}
_CHANGED = {"PreconditionFailed", "ConditionalRequestConflict", "409", "412"}
_FULL = {"EntityTooLarge", "InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "507"}
_NEVER_BEGUN = (
    boto.EndpointConnectionError,
    boto.ConnectTimeoutError,
    boto.ProxyConnectionError,
    boto.SSLError,
    *_NO_CREDENTIALS,
)
"""The request did not reach the store."""
_PASSING = {500, 502, 503, 504}
_RETRY_AFTER_S = 5


def translated(error: Exception) -> ConnectorError:
    """Of a call that changes nothing."""
    match error:
        case ClientError():
            return _answered(error)
        case boto.ReadTimeoutError():
            return ConnectorError(Failure.TIMEOUT, retryable=True)
        case _ if refuses_credentials(error):
            return ConnectorError(Failure.UNAVAILABLE)
        case _:
            return unavailable()


def translated_change(error: Exception) -> ConnectorError:
    """Of a call that changes what is stored: without an answer that says no, it may have happened."""
    match error:
        case ClientError() if status_of(error) in (500, 502, 504):
            return ConnectorError(Failure.OUTCOME_UNKNOWN)
        case ClientError() if code_of(error) in _ABSENT:
            # Of the object that a condition names; without one a put asks for nothing that is there.
            return ConnectorError(Failure.CHANGED)
        case ClientError():
            return _answered(error)
        case _ if isinstance(error, _NEVER_BEGUN):
            return translated(error)
        case _:
            return ConnectorError(Failure.OUTCOME_UNKNOWN)


def _answered(error: ClientError) -> ConnectorError:
    code = code_of(error)
    if code in _CREDENTIALS:
        return ConnectorError(Failure.UNAVAILABLE)
    if code in _ABSENT:
        return ConnectorError(Failure.NOT_FOUND)
    if code in _FORBIDDEN:
        return ConnectorError(Failure.REFUSED_BY_WALL)
    if code in _CHANGED:
        return ConnectorError(Failure.CHANGED)
    if code in _FULL:
        return ConnectorError(Failure.OUT_OF_RESOURCES)
    if code == "KeyTooLongError":
        return ConnectorError(Failure.REFUSED_BY_WALL)
    return unavailable()


def unavailable() -> ConnectorError:
    return ConnectorError(Failure.UNAVAILABLE, retryable=True, retry_after_s=_RETRY_AFTER_S)


def refuses_credentials(error: BaseException | None) -> bool:
    if isinstance(error, ClientError):
        return code_of(error) in _CREDENTIALS
    return isinstance(error, _NO_CREDENTIALS)


def worth_repeating(error: Exception) -> bool:
    """Of a call that may run twice."""
    if isinstance(error, ClientError):
        return status_of(error) in _PASSING or code_of(error) in ("SlowDown", "RequestTimeout")
    return isinstance(error, boto.HTTPClientError) and not isinstance(error, boto.SSLError)


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
