"""What an error of the Kafka driver means. Kafka protocol: error codes."""

from aiokafka import errors

from connectors.contract import ConnectorError, Failure

REFUSALS = (
    errors.TopicAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
    errors.PolicyViolationError,
)
_TOO_LARGE = (errors.MessageSizeTooLargeError, errors.RecordTooLargeError, errors.RecordListTooLargeError)
_UNKNOWN_TOPIC = (errors.UnknownTopicOrPartitionError, errors.InvalidTopicError)


def unavailable() -> ConnectorError:
    return ConnectorError(Failure.UNAVAILABLE, retryable=True)


def of_call(error: Exception) -> ConnectorError:
    """Of a call that publishes nothing: trying it again does no harm."""
    match error:
        case ConnectorError():
            return error
        case TimeoutError():
            return ConnectorError(Failure.TIMEOUT, retryable=True)
        case _ if isinstance(error, REFUSALS):
            return ConnectorError(Failure.REFUSED_BY_WALL)
        case _:
            return unavailable()


def of_publish(error: Exception) -> ConnectorError:
    """Of a message that was given to the driver, which may have sent it more than once before it gave up."""
    match error:
        case ConnectorError():
            return error
        case _ if isinstance(error, REFUSALS):
            return ConnectorError(Failure.REFUSED_BY_WALL)
        case _ if isinstance(error, _TOO_LARGE):
            return ConnectorError(Failure.OUT_OF_RESOURCES)
        case _ if isinstance(error, _UNKNOWN_TOPIC):
            return ConnectorError(Failure.NOT_FOUND)
        case _:
            return ConnectorError(Failure.OUTCOME_UNKNOWN)
