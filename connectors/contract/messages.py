"""What a message connector promises: at-least-once publishing with the broker's confirm, pulling with explicit acks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from connectors.contract.shared import ConnectorConfig, Family, Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """`topic`: the queue, subject or topic below the connection, dots between its parts. `message_id`: chosen by the
    gateway, unique. `dedup_id`: equal for publishes that mean the same one message; None: every publish is a message.
    `key`: what orders or partitions, where the broker knows such a thing. Headers are text, names in lower case."""

    topic: str
    body: bytes
    message_id: str
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    dedup_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """The broker has it. `message_id`: the broker's own name for it where it gives one, else ours. `duplicate`: the
    broker knew `dedup_id` and kept the message it had."""

    message_id: str
    duplicate: bool = False


class Unread(StrEnum):
    TOO_LARGE = "too_large"
    """Unpacked, it would not fit into memory."""
    BROKEN = "broken"
    """It cannot be unpacked, or is none of the broker's form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """`handle`: what `ack` needs, opaque; it is good for `visibility_s` from the receive on. `deliveries`: how often it
    was handed out, this time included; None: the broker does not count. `published_at`: RFC 3339. `unread`: why
    it comes without its body, headers and key; it can be acked all the same."""

    handle: str
    message_id: str
    body: bytes
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    published_at: str | None = None
    deliveries: int | None = None
    unread: Unread | None = None


class Acked(StrEnum):
    DONE = "done"
    """It will not come again (also when it was acked before)."""
    GONE = "gone"
    """The handle is too old, of another process, or was never given: the message comes, or came, again."""


@runtime_checkable
class MessageConnector(Protocol):
    """Lifetime: `open` once, `close` once; `open` succeeds with the broker away, and calls reconnect.

    Failures: UNAVAILABLE (surely not published), OUTCOME_UNKNOWN (it was sent and no confirm came), NOT_FOUND (no such
    topic: it is never created on the way), REFUSED_BY_WALL (the broker's access control), OUT_OF_RESOURCES (queue full,
    message too large for the broker), TIMEOUT (of receive and ack).
    """

    family: Family
    deduplicates: bool
    """The broker itself drops a second message with the same dedup_id, for some minutes."""
    max_body_bytes: int

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def publish(self, message: Outgoing, *, timeout_s: float) -> Confirmed:
        """Returns when the broker confirmed that it has the message where consumers find it. A message that no queue
        takes is NOT_FOUND, never lost in silence."""

    async def receive(self, topic: str, *, limit: int, visibility_s: float, wait_s: float) -> tuple[Incoming, ...]:
        """Up to `limit` messages, as soon as there is one, after `wait_s` at the latest. Each is invisible to other
        receivers for `visibility_s` and comes again unless it was acked by then, also after this process died. A
        cancelled call takes nothing: what it may have fetched comes again."""

    async def ack(self, topic: str, handles: Sequence[str], *, timeout_s: float) -> tuple[Acked, ...]:
        """One answer per handle, in order; DONE only when the broker knows. Handles that are no handles are GONE."""

    async def release(self, topic: str, handles: Sequence[str]) -> None:
        """Best effort: those messages may come again at once."""

    async def topics(self) -> tuple[str, ...] | None:
        """What there is to publish to or receive from, for this credential; None: the broker cannot tell."""

    async def probe(self) -> tuple[Finding, ...]:
        """Reachability ("reachable"), and what is unsafe about how it is reached."""


class MessageConnectorFactory(Protocol):
    """The object that an entry point of group "douane.connectors" names."""

    kind: str
    family: Family

    def __call__(self, config: ConnectorConfig) -> MessageConnector: ...
