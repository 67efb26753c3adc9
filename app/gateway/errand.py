"""One planned request of any family, as approvals see it: what it is, what it would do, and how it is done.

Statements, objects and messages each make errands; asking, deciding and using them is written once, for all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from app.approval.approval import Approval, Outcome
from app.approval.terms import Terms
from app.gateway.answer import Answer
from app.gateway.deciding import Asked
from app.gateway.envelope import Closing
from app.gateway.errors import Refused
from app.gateway.record import Record
from app.policy.caller import Caller
from app.policy.decision import Action, Decision
from app.policy.snapshot import PolicySnapshot

RELEASED = "Released as it was when the request was made, exactly as its approvers saw it."
SALT_BYTES = 16
DEFAULT_MAX_HELD_BYTES = 16 * 1024 * 1024
READING = frozenset({"read", "list", "fetch", "receive"})
"""Kinds of outcomes that change nothing: their answers are released once, and no idempotency key keeps them."""


@dataclass(slots=True, kw_only=True)
class Preview:
    """`held`: the answer of a read, to be held. `content`: what a put or publish brings, to be held until it is used;
    its digest is the outcome's `content_sha256`. `affected_rows`: what the requester may hear of a dry run."""

    outcome: Outcome
    held: Answer | None = None
    content: bytes | None = None
    affected_rows: int | None = None

    def kept(self) -> bytes | None:
        """The bytes that are held for the approval; None: nothing is."""
        return self.content if self.held is None else b"".join(self.held.opening.pieces())

    def close(self) -> None:
        if self.held is not None:
            self.held.opening.close()


class Decided(Protocol):
    """What policy said of a request. `asked`: what a human has to allow of it."""

    @property
    def decision(self) -> Decision: ...
    @property
    def asked(self) -> Asked: ...
    @property
    def rule_names(self) -> tuple[str, ...]: ...
    @property
    def policy_version(self) -> str: ...


class Errand(Protocol):
    """`statement`, `params`, `unmask`, `purpose`, `max_rows`: as the caller asked. `timeout_s`: of all of it."""

    @property
    def connection(self) -> str: ...
    @property
    def action(self) -> Action: ...
    @property
    def resources(self) -> tuple[str, ...]: ...
    @property
    def statement(self) -> str | None: ...
    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def unmask(self) -> tuple[str, ...]: ...
    @property
    def purpose(self) -> str | None: ...
    @property
    def max_rows(self) -> int | None: ...
    @property
    def plan(self) -> Decided: ...
    @property
    def timeout_s(self) -> float: ...

    def require_askable(self) -> None:
        """Raises Refused for what can never wait for a human."""

    def expected(self) -> Outcome:
        """The part of the outcome that follows from what is decided alone: what has to be the same when it is used."""

    def runs(self) -> str | None:
        """What is done, in words of the connection: for the record of the intent."""

    async def preview(self, terms: Terms, closing: Closing, record: Record) -> Preview:
        """What it would do, worked out; nothing is changed. Raises Refused as the request itself would, where that
        tells nothing that the caller may not see yet."""

    async def run(self, approval: Approval, closing: Closing, record: Record, *, left_s: float | None) -> Answer:
        """For good, within what `approval` covers; `left_s`: until its grant ends, None: not bounded. Raises Refused
        when nothing was changed, and OutcomeUnknown."""

    def close(self) -> None:
        """Free what it holds: nothing is asked of it any more."""


class Errands(Protocol):
    """What makes errands of one family."""

    async def again(
        self,
        caller: Caller,
        snapshot: PolicySnapshot,
        request: Mapping[str, Any],
        record: Record,
        content: bytes | None,
    ) -> Errand:
        """The bound request of an approval, planned and decided anew; nothing of it comes from whoever executes it.
        `content`: what was held to be put or published, checked against the digest that was approved.
        Raises NoLongerAllowed, and Refused where nothing can be said right now."""


class NoLongerAllowed(Exception):  # noqa: N818 - an answer, not a fault
    """Policy, or what the target has become, refuses what was approved."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.detail)
        self.refused = refused
