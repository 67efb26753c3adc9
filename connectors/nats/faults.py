"""What went wrong between here and JetStream, in the contract's words."""

import asyncio

import nats.errors

from connectors.contract import ConnectorError, Failure
from connectors.nats.link import Denied, Lost, NotSent, TooLarge
from connectors.nats.management import ApiError, NoResponders

_WRONG_STREAM = 10060
_FULL = frozenset({10002, 10023, 10028, 10047, 10054, 10077, 10097})
"""Resources of account and server, message or header too large for the stream, stream full.
Source: server/errors.json of nats-server."""


def unavailable() -> ConnectorError:
    return ConnectorError(Failure.UNAVAILABLE, retryable=True, retry_after_s=1)


def before_publishing(error: Exception) -> ConnectorError:
    """Surely nothing was published."""
    translated = of_call(error)
    return unavailable() if translated.failure is Failure.TIMEOUT else translated


def of_publish(error: Exception) -> ConnectorError:
    """Of what was on its way to the stream: unknown, unless it was surely not sent or the stream refused it."""
    match error:
        case ConnectorError() | NotSent() | TooLarge() | Denied() | ApiError():
            return of_call(error)
        case _:
            return ConnectorError(Failure.OUTCOME_UNKNOWN)


def of_call(error: Exception) -> ConnectorError:
    """Of what may be asked again."""
    match error:
        case ConnectorError():
            return error
        case ApiError(code=code) if code in _FULL:
            return ConnectorError(Failure.OUT_OF_RESOURCES, retryable=True, retry_after_s=5)
        case ApiError(code=code) if code == _WRONG_STREAM:
            return ConnectorError(Failure.NOT_FOUND)
        case TooLarge():
            return ConnectorError(Failure.OUT_OF_RESOURCES)
        case Denied():
            return ConnectorError(Failure.REFUSED_BY_WALL)
        case TimeoutError():
            return ConnectorError(Failure.TIMEOUT, retryable=True, retry_after_s=1)
        case _:
            return unavailable()


EXPECTED = (NotSent, Lost, Denied, TooLarge, NoResponders, ApiError, TimeoutError, asyncio.TimeoutError,
            nats.errors.Error, OSError, ValueError, KeyError)  # fmt: skip
"""What the calls of this package raise; ValueError and KeyError: an answer that is none of JetStream's."""
