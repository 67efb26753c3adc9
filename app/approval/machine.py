"""The life of an approval: pure steps from one value to the next. Nothing else makes a new state.

pending → approved → executing → executed | failed       approved → expired | revoked
pending → rejected | expired | cancelled                  approved → pending (reopened)
executing → approved (a window with uses left)            approved → cancelled
executing → revoked (a window that was revoked while a use ran, once that use is over)

Every step adds one to `version` and one Step to `history`; to store each is what makes them count. `at` is the clock of
whoever takes the step, and expiry is judged by it in every step: the sweep only tidies up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.approval import objections
from app.approval.approval import Approval, Happening, State, Step
from app.approval.digest import check_digest, digest_of
from app.approval.grants import deadline, rows_left, usable_again, usable_until_of, used_up, uses_left
from app.approval.objections import Objection
from app.approval.people import (
    COUNTS_FOR,
    Person,
    asked_by,
    asked_exactly_so,
    bare,
    eligible_for,
    escalations_to_come,
    had_a_hand_in,
    quorate,
    since_opened,
    votes,
)
from app.approval.terms import GrantKind
from app.approval.times import instant, plus, reached

__all__ = [
    "Objection",
    "Person",
    "approve",
    "begin",
    "cancel",
    "escalate",
    "escalation_due",
    "expire",
    "fail",
    "finish",
    "is_over",
    "may_decide",
    "may_revoke",
    "reject",
    "reopen",
    "revocation_wanted",
    "revoke",
    "rows_left",
    "uses_left",
    "withdraw",
]

UNKNOWN_OUTCOME = "outcome_unknown"
_ASKED = (
    "issuer", "principal", "actor", "actor_chain", "client", "connection", "action", "statement", "params", "unmask",
    "purpose", "max_rows",
)  # fmt: skip
"""What of a request is the requester's: reopening cannot change it."""


def is_over(state: State) -> bool:
    """Whether no step leads out of the state."""
    return state in objections.OVER


def may_decide(approval: Approval, by: Person, *, at: str) -> Objection | None:
    """What speaks against a decision by this person; None: nothing does."""
    if had_a_hand_in(approval.request, by):
        return objections.self_decision()
    if approval.state is not State.PENDING:
        return objections.not_pending(approval.state)
    if reached(approval.expires_at, at):
        return objections.expired()
    if bare(by.principal) in votes(approval):
        return objections.already_voted()
    return None if eligible_for(approval, by, at) else objections.not_approver()


def may_revoke(approval: Approval, by: Person, *, at: str) -> Objection | None:
    """An approver may, and whoever approved it, also without being an approver any more."""
    if had_a_hand_in(approval.request, by):
        return objections.self_decision()
    if bare(by.principal) not in votes(approval) and not eligible_for(approval, by, at):
        return objections.not_approver()
    match approval.state:
        case State.APPROVED:
            return objections.expired() if reached(usable_until_of(approval), at) else None
        case State.EXECUTING if approval.terms.grant.kind is GrantKind.WINDOW and not revocation_wanted(approval):
            return None
        case State.EXECUTING if revocation_wanted(approval):
            return Objection(*objections.OVER[State.REVOKED])
        case _:
            return objections.not_approved(approval.state)


def approve(approval: Approval, by: Person, *, at: str, reason: str | None) -> Approval:
    """One yes; with the last that its terms want it is approved, and may be used from now on."""
    _none(may_decide(approval, by, at=at))
    if not check_digest(approval):
        raise objections.altered()
    counts_for = eligible_for(approval, by, at)
    vote = {**_whence(by), COUNTS_FOR: sorted(counts_for)}
    if not quorate(approval, {**votes(approval), bare(by.principal): counts_for}):
        return _after(approval, Happening.VOTED, at, State.PENDING, by=by, reason=reason, detail=vote)
    usable_until = deadline(approval, at)
    return _after(
        replace(approval, usable_until=usable_until),
        Happening.APPROVED, at, State.APPROVED, by=by, reason=reason, detail={**vote, "usable_until": usable_until},
    )  # fmt: skip


def reject(approval: Approval, by: Person, *, at: str, reason: str | None) -> Approval:
    """One no ends it."""
    _none(may_decide(approval, by, at=at))
    return _after(approval, Happening.REJECTED, at, State.REJECTED, by=by, reason=reason, detail=_whence(by))


def cancel(approval: Approval, by: Person, *, at: str, reason: str | None) -> Approval:
    if not asked_by(approval.request, by):
        raise objections.not_requester()
    match approval.state:
        case State.PENDING if reached(approval.expires_at, at):
            raise objections.expired()
        case State.APPROVED if reached(usable_until_of(approval), at):
            raise objections.expired()
        case State.PENDING | State.APPROVED:
            return _after(approval, Happening.CANCELLED, at, State.CANCELLED, by=by, reason=reason, detail=_whence(by))
        case _:
            raise objections.not_approved(approval.state)


def revoke(approval: Approval, by: Person, *, at: str, reason: str | None) -> Approval:
    """Of a window in use the running use goes on, and is the last: the step says REVOKED and its state EXECUTING."""
    _none(may_revoke(approval, by, at=at))
    state = State.EXECUTING if approval.state is State.EXECUTING else State.REVOKED
    return _after(approval, Happening.REVOKED, at, state, by=by, reason=reason, detail=_whence(by))


def withdraw(approval: Approval, *, at: str, reason: str) -> Approval:
    """Policy does not allow any more what people approved: the gateway itself takes the approval back."""
    if approval.state is not State.APPROVED:
        raise objections.not_approved(approval.state)
    return _after(approval, Happening.REVOKED, at, State.REVOKED, reason=reason)


def revocation_wanted(approval: Approval) -> bool:
    """Whether it was revoked while a use ran."""
    return any(step.happening is Happening.REVOKED for step in since_opened(approval))


def expire(approval: Approval, *, at: str) -> Approval:
    match approval.state:
        case State.PENDING:
            due = reached(approval.expires_at, at)
        case State.APPROVED:
            due = reached(usable_until_of(approval), at)
        case _:
            raise objections.not_pending(approval.state)
    if not due:
        raise objections.not_due()
    return _after(approval, Happening.EXPIRED, at, State.EXPIRED)


def escalation_due(approval: Approval) -> str | None:
    """When `escalate` is to be called next; None: not at all."""
    if approval.state is not State.PENDING:
        return None
    return next((when for when, _ in escalations_to_come(approval)), None)


def escalate(approval: Approval, *, at: str) -> Approval:
    """Says that others may decide as well. They may from that moment on, whether or not anybody took this step."""
    if approval.state is not State.PENDING:
        raise objections.not_pending(approval.state)
    if reached(approval.expires_at, at):
        raise objections.expired()
    numbers = sorted(number for when, number in escalations_to_come(approval) if reached(when, at))
    if not numbers:
        raise objections.not_due()
    requirements = approval.terms.requirements
    to = sorted({subject for number in numbers for subject in requirements[number].escalate_to})
    detail = {"requirements": numbers, "escalate_to": to}
    return _after(approval, Happening.ESCALATED, at, State.PENDING, detail=detail)


def begin(approval: Approval, by: Person, *, at: str) -> Approval:
    """A use starts, or none does: of all who store this step of one version, one succeeds."""
    if not asked_exactly_so(approval.request, by):
        raise objections.not_requester()
    if approval.state is State.PENDING and reached(approval.expires_at, at):
        raise objections.expired()
    if approval.state is not State.APPROVED:
        raise objections.not_approved(approval.state)
    if reached(usable_until_of(approval), at):
        raise objections.expired()
    if used_up(approval):
        raise objections.used_up()
    if not check_digest(approval):
        raise objections.altered()
    begun = replace(approval, uses=approval.uses + 1, started_at=at)
    return _after(begun, Happening.STARTED, at, State.EXECUTING, by=by, detail={"use": begun.uses})


def finish(approval: Approval, *, at: str, rows: int, detail: Mapping[str, Any]) -> Approval:
    """The running use is over. What it did is counted as it was, also if it went beyond what was left."""
    if rows < 0:
        raise ValueError("a use touches no negative number of rows")
    if approval.state is not State.EXECUTING:
        raise _not_running(approval.state)
    done = replace(approval, rows_used=approval.rows_used + rows, started_at=None)
    said = {**detail, "use": done.uses, "rows": rows}
    if revocation_wanted(approval):
        return _after(done, Happening.EXECUTED, at, State.REVOKED, detail=said)
    if usable_again(done, at):
        return _after(done, Happening.USED, at, State.APPROVED, detail=said)
    return _after(done, Happening.EXECUTED, at, State.EXECUTED, detail=said)


def fail(approval: Approval, *, at: str, code: str, outcome_known: bool = True) -> Approval:
    """The running use came to nothing. `outcome_known`: it is certain that it changed nothing and gave nothing out;
    only then may a window be used again. The use stays counted."""
    if approval.state is not State.EXECUTING:
        raise _not_running(approval.state)
    certain = outcome_known and code != UNKNOWN_OUTCOME
    over = replace(approval, started_at=None)
    said = {"use": over.uses, "code": code, "outcome_known": certain}
    state = State.FAILED
    if certain and revocation_wanted(approval):
        state = State.REVOKED
    elif certain and usable_again(over, at):
        state = State.APPROVED
    return _after(over, Happening.FAILED, at, state, detail=said)


def reopen(
    approval: Approval,
    *,
    at: str,
    request: Mapping[str, Any],
    difference: Mapping[str, Any],
    reasons: Sequence[str] | None = None,
) -> Approval:
    """What was approved is no longer what would run: people decide anew, on the new `request` and its terms. Uses and
    rows stay counted. `reasons`: the rules that ask now; None: those of before."""
    if approval.state is not State.APPROVED:
        raise objections.not_approved(approval.state)
    if reached(usable_until_of(approval), at):
        raise objections.expired()
    digest = digest_of(request)
    if digest_of(_asked(request)) != digest_of(_asked(approval.request)):
        raise objections.altered()
    anew = replace(
        approval,
        resources=tuple(request["resources"]),
        reasons=approval.reasons if reasons is None else tuple(reasons),
        request=dict(request),
        digest=digest,
        usable_until=None,
    )
    if used_up(anew):
        raise objections.used_up()
    anew = replace(anew, expires_at=plus(at, anew.terms.lifetime_s))
    said = {"difference": dict(difference), "digest_before": approval.digest}
    return _after(anew, Happening.REOPENED, at, State.PENDING, detail=said)


def _asked(request: Mapping[str, Any]) -> dict[str, Any]:
    return {name: request.get(name) for name in _ASKED}


def _not_running(state: State) -> Objection:
    return objections.not_running() if state is State.APPROVED else objections.not_approved(state)


def _whence(by: Person) -> dict[str, Any]:
    return {"issuer": by.issuer, "actor": by.actor, "actor_chain": list(by.actor_chain)}


def _none(objection: Objection | None) -> None:
    if objection is not None:
        raise objection


def _after(
    approval: Approval,
    happening: Happening,
    at: str,
    state: State,
    *,
    by: Person | None = None,
    reason: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> Approval:
    instant(at)
    step = Step(
        happening=happening,
        at=at,
        state=state,
        by="" if by is None else by.principal,
        client="" if by is None else by.client,
        reason=reason,
        detail={} if detail is None else detail,
    )
    return replace(approval, state=state, version=approval.version + 1, history=(*approval.history, step))
