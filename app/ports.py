"""Protocols for everything that does IO: adapters implement them, use cases use them, neither imports the other."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol

from app.approval.approval import Approval
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


class Approvals(Protocol):
    async def create(self, approval: Approval) -> None: ...

    async def get(self, approval_id: str) -> Approval | None: ...

    async def page(
        self, *, owner: tuple[str, str] | None, state: str | None, before: tuple[str, str] | None, size: int
    ) -> Sequence[Approval]:
        """Newest first by (created_at, approval_id); `owner` is (issuer, principal), None: everybody's.
        `before` is the last item seen."""


class StoreUnavailable(Exception):  # noqa: N818
    """503: the store of approvals cannot be reached."""


class MaskKeys(Protocol):
    def key(self, domain: str) -> bytes:
        """32 bytes, the same for the same domain for as long as the master key lives."""
