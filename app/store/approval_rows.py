"""An approval as a row of the store, and back; what cannot be read back is told apart from what is not there."""

import json
from typing import Any

from sqlalchemy import Row

from app.approval.approval import Approval, Happening, State, Step
from app.approval.machine import escalation_due


class Unreadable(ValueError):  # noqa: N818 - a refusal of a row
    """The row is no approval that this version could have written."""


def row_of(approval: Approval) -> dict[str, Any]:
    return {
        "approval_id": approval.approval_id,
        "state": approval.state.value,
        "created_at": approval.created_at,
        "expires_at": approval.expires_at,
        "issuer": approval.issuer,
        "principal": approval.principal,
        "actor": approval.actor,
        "connection": approval.connection,
        "action": approval.action,
        "resources": json.dumps(approval.resources),
        "reasons": json.dumps(approval.reasons),
        "request": json.dumps(dict(approval.request), sort_keys=True),
        "digest": approval.digest,
        "version": approval.version,
        "history": json.dumps([document_of(step) for step in approval.history]),
        "usable_until": approval.usable_until,
        "uses": approval.uses,
        "rows_used": approval.rows_used,
        "started_at": approval.started_at,
        "escalates_at": escalation_due(approval),
    }


def approval_of(row: Row[Any]) -> Approval:
    """Raises Unreadable."""
    try:
        approval = Approval(
            approval_id=row.approval_id,
            state=State(row.state),
            created_at=row.created_at,
            expires_at=row.expires_at,
            issuer=row.issuer,
            principal=row.principal,
            actor=row.actor,
            connection=row.connection,
            action=row.action,
            resources=tuple(json.loads(row.resources)),
            reasons=tuple(json.loads(row.reasons)),
            request=_object(json.loads(row.request)),
            digest=row.digest,
            version=row.version,
            history=tuple(_step(document) for document in json.loads(row.history)),
            usable_until=row.usable_until,
            uses=row.uses,
            rows_used=row.rows_used,
            started_at=row.started_at,
        )
        _ = approval.terms
        _require_whole(approval)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Unreadable(f"approval {row.approval_id} cannot be read") from error
    return approval


def _require_whole(approval: Approval) -> None:
    """Raises ValueError. Requests from before terms were bound have less, and are over."""
    if "terms" not in approval.request:
        return
    if not approval.history or approval.history[0].happening is not Happening.REQUESTED:
        raise ValueError("its history does not start with the request")
    if not isinstance(approval.request["actor_chain"], list):
        raise TypeError("a list of actors was stored here")


def step_of(text: str) -> Step:
    """Raises Unreadable."""
    try:
        return _step(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Unreadable("a step cannot be read") from error


def document_of(step: Step) -> dict[str, Any]:
    return {
        "happening": step.happening.value,
        "at": step.at,
        "state": step.state.value,
        "by": step.by,
        "client": step.client,
        "reason": step.reason,
        "detail": dict(step.detail),
    }


def _step(document: dict[str, Any]) -> Step:
    return Step(
        happening=Happening(document["happening"]),
        at=document["at"],
        state=State(document["state"]),
        by=document["by"],
        client=document["client"],
        reason=document["reason"],
        detail=_object(document["detail"]),
    )


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("an object was stored here")
    return value
