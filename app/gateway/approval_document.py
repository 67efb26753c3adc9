"""An approval as JSON: everything to those who decide, to its requester what explain_sql would tell as well."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.approval.approval import Approval, Happening, State, Step
from app.approval.machine import may_decide, may_revoke, revocation_wanted, rows_left, uses_left
from app.approval.people import asked_exactly_so, votes
from app.approval.terms import GrantKind
from app.gateway.rows import exact
from app.gateway.standing import Standing

_TOLD = frozenset({"use", "rows", "code", "outcome_known", "usable_until", "requirements", "escalate_to"})
"""What the detail of a step may tell the requester. Of everything else only that it is there: what changed when an
approval was reopened is in terms of what its approvers see."""
_OUTCOME = ("kind", "labels", "masks", "row_filtered", "content_sha256", "content_bytes")


def approval_document(approval: Approval, standing: Standing, *, url: str, at: str) -> dict[str, Any]:
    request = approval.request
    everything = standing.sees_consequences(approval)
    return {
        "approval_id": approval.approval_id,
        "approval_url": url,
        "state": approval.state.value,
        "next_step": next_step(approval, standing, at),
        "created_at": approval.created_at,
        "expires_at": approval.expires_at,
        "issuer": approval.issuer,
        "principal": approval.principal,
        "actor": approval.actor,
        "actor_chain": list(request.get("actor_chain") or ()),
        "client": request.get("client"),
        "connection": approval.connection,
        "action": approval.action,
        "resources": approval.resources,
        "reasons": approval.reasons,
        "statement": request.get("statement"),
        "params": exact(request.get("params")),
        "unmask": list(request.get("unmask") or ()),
        "purpose": request.get("purpose"),
        "max_rows": request.get("max_rows"),
        "policy_version": request.get("policy_version"),
        "digest": approval.digest if everything or not _guessable(approval) else None,
        "may_decide": standing.decides and may_decide(approval, standing.person, at=at) is None,
        "terms": _terms(approval),
        "outcome": _outcome(approval, everything=everything),
        "usable_until": approval.usable_until,
        "uses": approval.uses,
        "uses_left": uses_left(approval),
        "rows_used": approval.rows_used,
        "rows_left": rows_left(approval),
        "history": [_step(step, everything=everything) for step in approval.history],
    }


def _terms(approval: Approval) -> dict[str, Any]:
    """As bound, and how far it got: `votes` of those who said yes, `missing` to the quorum."""
    terms = approval.terms
    document = terms.document()
    counted = votes(approval) if approval.history else {}
    for number, requirement in enumerate(document["requirements"]):
        yes = sum(number in counts_for for counts_for in counted.values())
        requirement["votes"] = yes
        requirement["missing"] = max(0, requirement["quorum"] - yes) if approval.state is State.PENDING else 0
    return document


def _outcome(approval: Approval, *, everything: bool) -> dict[str, Any] | None:
    outcome: Mapping[str, Any] | None = approval.request.get("outcome")
    if outcome is None:
        return None
    plain = not outcome.get("row_filtered") and not outcome.get("masks")
    document = {
        **{name: outcome.get(name) for name in _OUTCOME},
        "previewed": outcome.get("rows") is not None or outcome.get("held_sha256") is not None,
        "rewritten_sql": outcome.get("rewritten_sql"),
        "estimated_rows": outcome.get("estimated_rows"),
        "rows": outcome.get("rows"),
        "held_sha256": outcome.get("held_sha256"),
        "held_bytes": outcome.get("held_bytes"),
        "preview_failed": outcome.get("preview_failed"),
    }
    if everything:
        return document
    # A filter's columns may be hidden; counts tell what the requester may not select before somebody says yes.
    # So would a preview that failed: it is not told from one that did not.
    hidden: dict[str, Any] = dict.fromkeys(("rows", "held_sha256", "held_bytes", "preview_failed"))
    hidden["previewed"] = approval.terms.preview
    if outcome.get("row_filtered"):
        hidden["rewritten_sql"] = None
    if not plain:
        hidden["estimated_rows"] = None
    return document | hidden


def _guessable(approval: Approval) -> bool:
    """Whether the digest binds, without a salt, what the requester may not see: trying values would find it."""
    outcome: Mapping[str, Any] = approval.request.get("outcome") or {}
    if outcome.get("salt") is not None or approval.request.get("salt") is not None:
        return False
    return any(outcome.get(name) is not None for name in ("rows", "held_sha256", "estimated_rows", "preview_failed"))


def _step(step: Step, *, everything: bool) -> dict[str, Any]:
    detail = dict(step.detail)
    if not everything:
        detail = {name: value for name, value in detail.items() if name in _TOLD}
        if step.happening is Happening.REOPENED:
            detail["changed"] = sorted(step.detail.get("difference", ()))
    return {
        "happening": step.happening.value,
        "at": step.at,
        "state": step.state.value,
        "by": step.by or None,
        "client": step.client or None,
        "reason": step.reason,
        "detail": exact(detail),
    }


def next_step(approval: Approval, standing: Standing, at: str) -> str:
    """One sentence for the one who asks."""
    if standing.owns(approval):
        return _for_requester(approval, standing, at)
    return _for_others(approval, standing, at)


def _for_requester(approval: Approval, standing: Standing, at: str) -> str:
    name = approval.approval_id
    match approval.state:
        case State.PENDING if approval.expires_at <= at:
            return "Its time ran out before anybody decided: send the request again to ask anew."
        case State.PENDING:
            reopened = approval.history and any(step.happening is Happening.REOPENED for step in approval.history)
            opening = "What was approved has changed, so people decide anew" if reopened else "People have to decide"
            return (
                f"{opening} before {approval.expires_at}; nothing ran. Call get_approval with approval_id {name} and "
                f"wait_seconds 60 to wait for them, and execute_approval once it is approved."
            )
        case State.APPROVED if approval.usable_until is not None and approval.usable_until <= at:
            return "Its time ran out: send the request again to ask anew."
        case State.APPROVED if not asked_exactly_so(approval.request, standing.person):
            return (
                f"Approved until {approval.usable_until}: only {approval.actor}, which asked for it, can call "
                f"execute_approval; cancel_approval takes the request back."
            )
        case State.APPROVED:
            return (
                f"Approved: call execute_approval with approval_id {name} before {approval.usable_until}. It runs "
                f"exactly what was approved, {_times(approval)}."
            )
        case State.EXECUTING:
            return f"It is running: call get_approval with approval_id {name} and wait_seconds 60 for the outcome."
        case _:
            return _over(approval)


def _times(approval: Approval) -> str:
    if approval.terms.grant.kind is GrantKind.ONCE:
        return "once"
    left, rows = uses_left(approval), rows_left(approval)
    uses = "as often as you like" if left is None else f"{left} more {'time' if left == 1 else 'times'}"
    return uses if rows is None else f"{uses}, for {rows} rows in all"


def _for_others(approval: Approval, standing: Standing, at: str) -> str:
    match approval.state:
        case State.PENDING if not standing.decides:
            return "You may read this and not decide it: the terms say who may."
        case State.PENDING:
            objection = may_decide(approval, standing.person, at=at)
            if objection is not None:
                return objection.detail
            look = "look at preview_approval, then " if _is_held(approval) else ""
            return (
                f"You may decide until {approval.expires_at}: {look}call decide_approval with decision approve or "
                "reject, a reason, and the digest of what you saw."
            )
        case State.APPROVED | State.EXECUTING:
            ran = "Approved" if approval.state is State.APPROVED else "Running"
            if revocation_wanted(approval):
                return "Revoked: the use that runs is the last."
            if standing.decides and may_revoke(approval, standing.person, at=at) is None:
                return f"{ran}, usable until {approval.usable_until}: revoke_approval takes it back."
            return f"{ran}, usable until {approval.usable_until}: there is nothing for you to do."
        case _:
            return _over(approval)


def _is_held(approval: Approval) -> bool:
    """A result that would leave, or content that would be put or published."""
    outcome: Mapping[str, Any] = approval.request.get("outcome") or {}
    return outcome.get("held_sha256") is not None or outcome.get("content_sha256") is not None


def _over(approval: Approval) -> str:
    last = approval.history[-1] if approval.history else None
    why = f": {last.reason}" if last is not None and last.reason else ""
    match approval.state:
        case State.EXECUTED:
            return "It has run and nothing of it is left: send the request again to ask anew."
        case State.FAILED:
            code = "" if last is None else str(last.detail.get("code", ""))
            if code == "outcome_unknown":
                return (
                    "Whether it ran is not known, so it is not run again: look at the data before you send the "
                    "request again."
                )
            return f"Its run failed ({code or 'see history'}): correct the request and send it again to ask anew."
        case State.REJECTED:
            return f"Rejected{why}"
        case State.REVOKED:
            return f"Revoked by an approver{why}"
        case State.CANCELLED:
            return f"Cancelled by its requester{why}"
        case _:
            return "Its time ran out: send the request again to ask anew."


def documents(approvals: Sequence[Approval], standing: Standing, *, base_url: str, at: str) -> list[dict[str, Any]]:
    return [
        approval_document(each, standing, url=f"{base_url}/v1/approvals/{each.approval_id}", at=at)
        for each in approvals
    ]
