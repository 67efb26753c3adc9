"""Protocols for everything that does IO: adapters implement them, use cases use them, neither imports the other."""

from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, Any, Protocol

from app.approval.approval import Approval, Step
from app.objects.plan import Rendered, RenderPlan
from app.policy.caller import Caller
from app.policy.snapshot import PolicySnapshot


class TokenRefused(Exception):  # noqa: N818
    """401. `reason` is a stable word for logs and the audit entry ("expired", "bad_signature", …); `detail` tells the
    caller the next step and quotes nothing of the token."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class IdentityUnavailable(Exception):  # noqa: N818
    """503: no key of the issuer was ever seen and the issuer cannot be reached."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("identity provider unreachable")
        self.retry_after_s = retry_after_s


class TokenVerifier(Protocol):
    def cached(self, token: str) -> Caller | None:
        """A verified, unexpired, unrevoked token's caller, at once; None: call `verify`."""

    async def verify(self, token: str) -> Caller:
        """Raises TokenRefused or IdentityUnavailable."""

    def ready(self) -> Mapping[str, bool]:
        """Issuer to whether keys are at hand."""


class Policies(Protocol):
    @property
    def current(self) -> PolicySnapshot: ...

    @property
    def broken(self) -> Sequence[str]:
        """Why the newest files did not load (file:line: what); empty when `current` is the newest."""


class TrailUnavailable(Exception):  # noqa: N818
    """The log cannot be written: nothing may be released."""


class Trail(Protocol):
    """The tamper-evident log of this process. `next_index` and `append` without an await in between: the entry gets
    exactly that index, so that an answer can carry its own receipt before it is hashed."""

    origin: str

    def next_index(self) -> int: ...

    def append(self, entry: Mapping[str, Any]) -> Awaitable[None]:
        """Queues the canonical entry now (its index is the `next_index` of before); the awaitable ends when it is
        durable and raises TrailUnavailable when it cannot be."""

    @property
    def healthy(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One step of some approval, in the order in which they became durable: `seq` grows, a reader that asks for what
    is behind the last `seq` it saw misses none."""

    seq: int
    approval_id: str
    step: Step


class Approvals(Protocol):
    """Every method raises StoreUnavailable."""

    async def create(self, approval: Approval) -> None:
        """Durable, with its first step in the feed, when it returns."""

    async def get(self, approval_id: str) -> Approval | None: ...

    async def page(
        self, *, owner: tuple[str, str] | None, state: str | None, before: tuple[str, str] | None, size: int
    ) -> Sequence[Approval]:
        """Newest first by (created_at, approval_id); `owner` is (issuer, principal), None: everybody's.
        `before` is the last item seen."""

    async def replace(self, before: Approval, after: Approval) -> bool:
        """Compare-and-set: stores `after` (with `before.version` + 1, whatever it says) and puts its new steps into the
        feed, if the stored one still has `before.version`; False: somebody was first, nothing changed. Durable when it
        returns True. After StoreUnavailable it is unknown which."""

    async def versions(self, approval_ids: Sequence[str]) -> Mapping[str, int]:
        """The stored version of each that exists: what a thousand waiters cost is one query."""

    async def overdue(self, now: str, *, started_before: str, size: int) -> Sequence[Approval]:
        """Pending or approved ones whose `expires_at`, or `usable_until`, is `now` or earlier, and executing ones with
        `started_at` before `started_before`; oldest first."""

    async def unescalated(self, size: int) -> Sequence[Approval]:
        """Pending ones, oldest first, whose terms name an escalation and whose history has no ESCALATED step since they
        were last (re)opened."""

    async def changes(self, after: int, size: int) -> Sequence[Change]: ...

    async def last_change(self) -> int:
        """The newest `seq`; 0: none yet."""


class HeldResults(Protocol):
    """Previewed answers, encrypted at rest, until they are released or destroyed. Raises StoreUnavailable."""

    async def hold(self, approval_id: str, pieces: Iterable[bytes], *, expires_at: str) -> None:
        """Durable when it returns; a second one under the same id replaces the first."""

    async def take(self, approval_id: str) -> bytes | None:
        """The bytes as they were held; None: destroyed, never held, or damaged (nothing damaged is ever given out)."""

    async def destroy(self, approval_id: str) -> None: ...

    async def destroy_expired(self, now: str) -> int:
        """Also those whose approval never came to be."""


class ClaimState(StrEnum):
    NEW = "new"
    """This claim is the first: run, then `settle` or `release`."""
    IN_FLIGHT = "in_flight"
    """Another one runs, or ended without a word: whether it ran is for the audit log to say."""
    DONE = "done"
    MISMATCH = "mismatch"
    """The key belongs to another request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """`answer`: of a DONE one, the bytes that `settle` was given."""

    state: ClaimState
    answer: bytes | None = None


class WriteKeys(Protocol):
    """Idempotency keys of requests that change something, across processes and restarts. Raises StoreUnavailable."""

    async def claim(self, scope: str, request_sha256: str, *, now: str, expires_at: str) -> Claim:
        """`scope`: hex SHA-256 of principal, actor, operation, connection and key. Atomic: of many claims of one scope
        exactly one is NEW. Expired ones are as if they had never been."""

    async def settle(self, scope: str, answer: bytes) -> None:
        """It ran, and this was the answer (kept encrypted)."""

    async def release(self, scope: str) -> None:
        """Nothing ran: the key is free again. One that was settled stays."""

    async def retract(self, scope: str, answer: bytes) -> None:
        """What this answer announced never came to be: the key is free again, unless it has another answer by now."""

    async def forget_expired(self, now: str) -> int: ...


class DeliveryState(StrEnum):
    PENDING = "pending"
    """Waits for its first or next attempt, or one is under way."""
    DELIVERED = "delivered"
    DEAD = "dead"
    """Given up; a replay starts anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """`status`: of HTTP or SMTP. `error`: a stable word, None when delivered; nothing that the other side wrote."""

    number: int
    at: str
    status: int | None = None
    error: str | None = None
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One step of an approval on its way to one target; `(target, seq)` is unique. `notice` is what it is told, as it
    was when the step was made. `nonce` and `link_expires_at` make the one-time link in it, new with each replay."""

    delivery_id: str
    target: str
    seq: int
    approval_id: str
    event: str
    created_at: str
    notice: Mapping[str, Any]
    nonce: str
    link_expires_at: str
    due_at: str
    state: DeliveryState = DeliveryState.PENDING
    tries: int = 0
    """Since it was queued or replayed."""
    lease: str | None = None
    attempts: tuple[Attempt, ...] = ()


class DeliveryQueue(Protocol):
    """What is to be delivered, for several processes at once. Every method raises StoreUnavailable."""

    async def position(self) -> int | None:
        """The `seq` up to which steps became deliveries; None: nobody ever started."""

    async def enqueue(self, deliveries: Sequence[Delivery], *, position: int) -> None:
        """All of them and the position, or nothing. What is queued already stays as it is; the position never falls."""

    async def due(self, now: str) -> frozenset[str]:
        """Targets with a delivery that is due."""

    async def claim(self, target: str, *, now: str, leased_until: str, lease: str, size: int) -> Sequence[Delivery]:
        """Due ones, oldest first; none of them is claimed by anybody else until `leased_until`. Each has one more try
        and an attempt in its log that stands for a process that died, until `settle` says how it went."""

    async def settle(self, delivery: Delivery, attempt: Attempt, *, state: DeliveryState, due_at: str) -> bool:
        """False: the lease was lost, somebody else has it; the log has the attempt all the same."""

    async def bury(self, due_before: str) -> int:
        """Gives up what nobody served since then: its target is gone, or all processes were."""


class DeliveryLog(Protocol):
    """Every method raises StoreUnavailable."""

    async def page(
        self, *, target: str | None, state: str | None, before: tuple[str, str] | None, size: int
    ) -> Sequence[Delivery]:
        """Newest first by (created_at, delivery_id), each with its attempts. `before` is the last item seen."""

    async def replay(self, delivery_id: str, *, now: str, nonce: str, link_expires_at: str) -> Delivery | None:
        """Due again at once, with all its tries before it, under the same id; None: there is no such delivery."""


class UsedLinks(Protocol):
    """Which one-time links were opened. Every method raises StoreUnavailable."""

    async def used(self, nonce: str) -> bool: ...

    async def use(self, nonce: str, *, approval_id: str, target: str, used_at: str, expires_at: str) -> bool:
        """Atomic and durable: of all calls with one nonce exactly one is True."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`message_id` stays the same over retries. `data` is what may leave: no statement, parameter or row is in it."""

    message_id: str
    event: str
    at: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """How one attempt went. `error` None: delivered. `gone`: the target wants no more of it."""

    status: int | None = None
    error: str | None = None
    gone: bool = False
    retry_after_s: int | None = None
    duration_ms: int = 0


class Courier(Protocol):
    async def send(self, target: str, message: Message) -> Sent:
        """One attempt within a few seconds; raises nothing but CancelledError."""


class StoreUnavailable(Exception):  # noqa: N818
    """503: the store of approvals cannot be reached."""


class MaskKeys(Protocol):
    def key(self, domain: str) -> bytes:
        """32 bytes, the same for the same domain for as long as the master key lives."""


class RenderingJob(Protocol):
    async def write(self, chunk: bytes) -> None:
        """The next piece of the content. Raises ContentRefused as soon as it is known to be refused."""

    async def finish(self) -> tuple[Rendered, IO[bytes]]:
        """After the last piece: what was made of it, and the file that holds it, at its beginning, for the caller to
        close. Raises ContentRefused."""


class Renderer(Protocol):
    """Masks content, or looks through it, where nothing that is in it can harm this process."""

    def job(self, plan: RenderPlan) -> AbstractAsyncContextManager[RenderingJob]:
        """Leaving the context early ends the job."""

    async def found(self, plan: RenderPlan, chunks: AsyncIterator[bytes]) -> tuple[str, ...]:
        """The labels that are in the content, by what the view's columns and paths say and by what detectors find;
        sorted. Nothing is rendered. Raises ContentRefused."""
