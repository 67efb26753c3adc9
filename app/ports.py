"""Protocols for everything that does IO: adapters implement them, use cases use them, neither imports the other."""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from app.approval.approval import Approval, Step
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
        """Nothing ran: the key is free again."""


class StoreUnavailable(Exception):  # noqa: N818
    """503: the store of approvals cannot be reached."""


class MaskKeys(Protocol):
    def key(self, domain: str) -> bytes:
        """32 bytes, the same for the same domain for as long as the master key lives."""
