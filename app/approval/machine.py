"""The life of an approval: pure steps from one value to the next. Nothing else makes a new state.

pending → approved → executing → executed | failed       approved → expired | revoked
pending → rejected | expired | cancelled                  approved → pending (reopened)
executing → approved (a window with uses left)            approved → cancelled
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.approval.approval import Approval


class Objection(Exception):  # noqa: N818 - an answer, not a fault
    """The step is not possible. `code` is stable; `detail` says what and the next step."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who acts on an approval. `principal`, `actor`, `actor_chain`, `client` as in policy.Caller; `subjects` are the
    principal's policy subjects."""

    issuer: str
    principal: str
    actor: str
    actor_chain: tuple[str, ...]
    client: str
    subjects: frozenset[str]


def approve(approval: Approval, by: Person, *, at: str, reason: str | None) -> Approval: ...


def reject(approval: Approval, by: Person, *, at: str, reason: str | None) -> Approval: ...


def cancel(approval: Approval, by: Person, *, at: str, reason: str | None) -> Approval: ...


def revoke(approval: Approval, by: Person, *, at: str, reason: str | None) -> Approval: ...


def expire(approval: Approval, *, at: str) -> Approval: ...


def escalate(approval: Approval, *, at: str) -> Approval: ...


def begin(approval: Approval, by: Person, *, at: str) -> Approval: ...


def finish(approval: Approval, *, at: str, rows: int, detail: Mapping[str, Any]) -> Approval: ...


def fail(approval: Approval, *, at: str, code: str) -> Approval: ...


def reopen(approval: Approval, *, at: str, request: Mapping[str, Any], difference: Mapping[str, Any]) -> Approval: ...


def rows_left(approval: Approval) -> int | None: ...


def may_decide(approval: Approval, by: Person, *, at: str) -> Objection | None: ...
