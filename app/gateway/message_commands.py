"""What callers want of topics, once the door has read it."""

from dataclasses import dataclass

from app.messages.guard import Draft


@dataclass(slots=True, kw_only=True)
class PublishMessage:
    connection: str
    topic: str
    draft: Draft
    purpose: str | None = None
    idempotency_key: str | None = None
    wait_seconds: int = 0
    """How long the answer may wait for a human."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveMessages:
    """`visibility_seconds`: how long nobody else gets them. `wait_seconds`: for the first one, if there is none yet."""

    connection: str
    topic: str
    limit: int
    visibility_seconds: int
    wait_seconds: int
    unmask: tuple[str, ...] = ()
    purpose: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AckMessages:
    connection: str
    topic: str
    handles: tuple[str, ...]
