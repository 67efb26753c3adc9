"""Messages as Kafka carries them, and back. Names: Kafka's org.apache.kafka.common.internals.Topic."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from connectors.contract import ConnectorError, Failure, Incoming, Outgoing
from connectors.kafka.records import NoBody

MAX_REQUEST_BYTES = 1_048_576
"""Brokers take a batch of 1 MiB and 12 bytes as they are shipped."""
MAX_BODY_BYTES = 1_000_000
"""What is left for key, headers and the batch around them."""
_MAX_AROUND_BYTES = 40_000

_NAME = re.compile(r"(?!\.{1,2}\Z|__)[A-Za-z0-9._-]{1,249}")
_CONTENT_TYPE = "content-type"
_MESSAGE_ID = "message-id"
_DEDUP_ID = "dedup-id"
_OURS = frozenset({_CONTENT_TYPE, _MESSAGE_ID, _DEDUP_ID})


def is_name(topic: str) -> bool:
    """Two underscores begin the names of Kafka's own topics, which are nobody's to read or write."""
    return _NAME.fullmatch(topic) is not None


def headers_of(message: Outgoing) -> list[tuple[str, bytes]]:
    """The message's id travels as a header: what its consumers recognise a second one by. Raises OUT_OF_RESOURCES for
    what would not fit into a request."""
    ours = {_CONTENT_TYPE: message.content_type, _MESSAGE_ID: message.message_id}
    if message.dedup_id is not None:
        ours[_DEDUP_ID] = message.dedup_id
    headers = [(name, value.encode()) for name, value in {**message.headers, **ours}.items()]
    around = sum(len(name.encode()) + len(value) + 10 for name, value in headers) + len((message.key or "").encode())
    if len(message.body) > MAX_BODY_BYTES or around > _MAX_AROUND_BYTES:
        raise ConnectorError(Failure.OUT_OF_RESOURCES)
    return headers


def id_of(topic: str, partition: int, offset: int) -> str:
    return f"{topic}-{partition}-{offset}"


def read(record: Any, handle: str, deliveries: int) -> Incoming:
    """Headers and keys that are no text are left out."""
    headers = _texts(record.headers)
    return Incoming(
        handle=handle,
        message_id=id_of(record.topic, record.partition, record.offset),
        body=record.value or b"",
        unread=record.value.why if isinstance(record.value, NoBody) else None,
        content_type=headers.get(_CONTENT_TYPE),
        headers={name: value for name, value in headers.items() if name not in _OURS},
        key=_text(record.key),
        published_at=_rfc3339(record.timestamp),
        deliveries=deliveries,
    )


def _rfc3339(milliseconds: int | None) -> str | None:
    """None for what is no time: producers may say what they like, and years do not end at 9999 for them."""
    if milliseconds is None or milliseconds < 0:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1_000, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None


def _texts(headers: Sequence[tuple[str, bytes | None]]) -> dict[str, str]:
    return {name: text for name, value in headers if (text := _text(value)) is not None}


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None
