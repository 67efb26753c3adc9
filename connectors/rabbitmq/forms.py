"""Messages as AMQP 0-9-1 carries them, and back."""

import re
from datetime import UTC, datetime

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractIncomingMessage

from connectors.contract import ConnectorError, Failure, Incoming, Outgoing

MAX_BODY_BYTES = 16 * 1_048_576
"""What RabbitMQ 4 takes as it is shipped; 3.8 and later take 128 MiB."""

_MAX_HEADER_BYTES = 65_536
"""Of all names and values: properties have to fit into one frame, and frames of 128 KiB are the default."""
_SHORT_STRING_BYTES = 255
_HEADER_NAME_BYTES = 128
"""AMQP 0-9-1, section 4.2.5.5; the driver would cut longer ones."""

_DEDUP_HEADER = "dedup-id"
_DELIVERIES_HEADER = "x-delivery-count"
_OF_DEAD_LETTERING = ("x-first-death-", "x-last-death-")


_NAME = re.compile(r"(?!amq\.rabbitmq\.)[A-Za-z0-9_.:@#,/ -]{1,255}")


def is_name(topic: str) -> bool:
    """What the driver takes for a queue; `amq.rabbitmq.` begins names that are no queues."""
    return _NAME.fullmatch(topic) is not None


def written(message: Outgoing, now: datetime) -> Message:
    """Raises OUT_OF_RESOURCES for what no broker would take."""
    headers = dict(message.headers)
    if message.dedup_id is not None:
        headers[_DEDUP_HEADER] = message.dedup_id
    short = (message.message_id, message.content_type)
    header_bytes = sum(len(name.encode()) + len(value.encode()) for name, value in headers.items())
    if (
        len(message.body) > MAX_BODY_BYTES
        or header_bytes > _MAX_HEADER_BYTES
        or any(len(text.encode()) > _SHORT_STRING_BYTES for text in short)
        or any(len(name.encode()) > _HEADER_NAME_BYTES for name in headers)
    ):
        raise ConnectorError(Failure.OUT_OF_RESOURCES)
    return Message(
        message.body,
        headers={**headers},
        content_type=message.content_type,
        message_id=message.message_id,
        timestamp=now,
        delivery_mode=DeliveryMode.PERSISTENT,
    )


def read(message: AbstractIncomingMessage, handle: str) -> Incoming:
    """Headers that are no text are left out: tables and lists are of brokers and their plugins."""
    headers = {
        name: value
        for name, value in message.headers.items()
        if isinstance(value, str) and name != _DEDUP_HEADER and not name.startswith(_OF_DEAD_LETTERING)
    }
    return Incoming(
        handle=handle,
        message_id=message.message_id or "",
        body=message.body,
        content_type=message.content_type,
        headers=headers,
        published_at=None if message.timestamp is None else message.timestamp.astimezone(UTC).isoformat(),
        deliveries=_deliveries(message),
    )


def _deliveries(message: AbstractIncomingMessage) -> int | None:
    """Quorum queues count what they handed out before; classic ones only tell that they did."""
    if not message.redelivered:
        return 1
    counted = message.headers.get(_DELIVERIES_HEADER)
    return counted + 1 if isinstance(counted, int) else None
