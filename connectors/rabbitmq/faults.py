"""What an error of the AMQP driver means. AMQP 0-9-1, section 1.2: reply codes."""

import aiormq.exceptions

from connectors.contract import ConnectorError, Failure


def unavailable() -> ConnectorError:
    return ConnectorError(Failure.UNAVAILABLE, retryable=True)


def of_call(error: Exception) -> ConnectorError:
    """Of a call that publishes nothing: trying it again does no harm."""
    match error:
        case ConnectorError():
            return error
        case aiormq.exceptions.ChannelNotFoundEntity():
            return ConnectorError(Failure.NOT_FOUND)
        case aiormq.exceptions.ChannelAccessRefused() | aiormq.exceptions.ChannelLockedResource():
            return ConnectorError(Failure.REFUSED_BY_WALL)
        case TimeoutError():
            return ConnectorError(Failure.TIMEOUT, retryable=True)
        case _:
            return unavailable()


def of_publish(error: Exception, *, fans_out: bool) -> ConnectorError:
    """Of a publish whose frames may be on their way. `fans_out`: an exchange may give it to many queues."""
    match error:
        case ConnectorError():
            return error
        case aiormq.exceptions.PublishError():
            # It came back: no queue takes it.
            return ConnectorError(Failure.NOT_FOUND)
        case aiormq.exceptions.DeliveryError() if fans_out:
            # A nack says that one queue did not take it; others may have it.
            return ConnectorError(Failure.OUTCOME_UNKNOWN)
        case aiormq.exceptions.DeliveryError():
            # A nack: the queue is full and rejects, or could not store it.
            return ConnectorError(Failure.OUT_OF_RESOURCES, retryable=True)
        case aiormq.exceptions.ChannelNotFoundEntity():
            return ConnectorError(Failure.NOT_FOUND)
        case aiormq.exceptions.ChannelAccessRefused():
            return ConnectorError(Failure.REFUSED_BY_WALL)
        case aiormq.exceptions.ChannelPreconditionFailed():
            # The only precondition of a publish that our messages can miss: the broker's own size limit.
            return ConnectorError(Failure.OUT_OF_RESOURCES)
        case aiormq.exceptions.ChannelInvalidStateError():
            # The driver looked at its channel before it wrote anything.
            return unavailable()
        case _:
            return ConnectorError(Failure.OUTCOME_UNKNOWN)
