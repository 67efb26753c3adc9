"""A handle is the subject that acks one delivery, and which consumer gave it: any process can ack with it.

JetStream acks by the message, not by its delivery: a handle that is too old still removes the message, whoever has it
now. DONE is therefore true of it; only a handle of a consumer that is no more is GONE.
Source: NATS ADR-15, "JetStream ack reply subject", both of its forms.
"""

import re
from dataclasses import dataclass

from connectors.nats.management import Consumer

_REPLY = re.compile(
    r"\$JS\.ACK\.(?:[^.\s]+\.[^.\s]+\.)?(?P<stream>[^.\s]+)\.(?P<consumer>[^.\s]+)\.(?P<delivered>[0-9]{1,19})\."
    r"(?P<sequence>[0-9]{1,20})\.[0-9]{1,20}\.(?P<time_ns>[0-9]{1,20})\.(?P<pending>[0-9]{1,20})(?:\.[^.\s]+)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What the subject tells of the message that came with it. `pending`: how many more there are to be had."""

    stream: str
    consumer: str
    delivered: int
    sequence: int
    time_ns: int
    pending: int


def delivery(reply: str) -> Delivery | None:
    found = _REPLY.fullmatch(reply)
    if found is None:
        return None
    return Delivery(
        stream=found["stream"],
        consumer=found["consumer"],
        delivered=int(found["delivered"]),
        sequence=int(found["sequence"]),
        time_ns=int(found["time_ns"]),
        pending=int(found["pending"]),
    )


def handle(reply: str, consumer: Consumer) -> str:
    return f"{reply}:{consumer.epoch}"


def reply_of(handle: str, consumer: Consumer) -> str | None:
    """The subject to ack at; None: it is none of this consumer's."""
    reply, _, epoch = handle.rpartition(":")
    told = delivery(reply)
    if told is None or (told.stream, told.consumer, epoch) != (consumer.stream, consumer.name, consumer.epoch):
        return None
    return reply
