"""A message as NATS carries it: everything but the body is a header."""

from datetime import UTC, datetime, timedelta

from nats.aio.msg import Msg

from connectors.contract import Incoming, Outgoing
from connectors.headers import PACKED, decoded, encoded, joined, one_line, split
from connectors.nats.handles import Delivery, handle
from connectors.nats.management import Consumer

_CONTENT_TYPE = "Content-Type"
_KEY = "Douane-Key"
_OURS = "Douane-Message-Id"
_DEDUP = "Nats-Msg-Id"
_STREAM = "Nats-Expected-Stream"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HIDDEN = frozenset({_CONTENT_TYPE.lower(), _KEY.lower(), _OURS.lower(), PACKED})


def to_headers(message: Outgoing, stream: str) -> dict[str, str]:
    """The server keeps the message only if the subject is of `stream`."""
    native, packed = split(message.headers)
    headers = native | {
        _CONTENT_TYPE: one_line(message.content_type),
        _OURS: one_line(message.message_id),
        _STREAM: stream,
    }
    if message.key is not None:
        headers[_KEY] = encoded(message.key)
    if message.dedup_id is not None:
        headers[_DEDUP] = one_line(message.dedup_id)
    if packed is not None:
        headers[PACKED] = packed
    return headers


def size(headers: dict[str, str]) -> int:
    """Bytes that they take on the wire, rounded up."""
    return 16 + sum(len(name) + len(value.encode()) + 4 for name, value in headers.items())


def incoming(message: Msg, told: Delivery, consumer: Consumer) -> Incoming:
    native = {name.lower(): value for name, value in (message.headers or {}).items()}
    shown = {n: v for n, v in native.items() if n not in _HIDDEN and not n.startswith("nats-")}
    key = native.get(_KEY.lower())
    return Incoming(
        handle=handle(message.reply, consumer),
        message_id=str(told.sequence),
        body=message.data,
        content_type=native.get(_CONTENT_TYPE.lower()),
        headers=joined(shown, native.get(PACKED)),
        key=None if key is None else decoded(key),
        published_at=_rfc3339(told.time_ns),
        deliveries=told.delivered,
    )


def _rfc3339(time_ns: int) -> str:
    return (_EPOCH + timedelta(microseconds=time_ns // 1000)).isoformat(timespec="microseconds").replace("+00:00", "Z")
