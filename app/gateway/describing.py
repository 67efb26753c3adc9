"""Objects and topics as describe_connection tells of them: where a caller may do what, how content comes, what may go
in. Fields that never come are not named; of what one may not fetch or receive, no field is."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from app.masking.masks import Hide, kind_of
from app.policy.caller import Caller
from app.policy.content import ContentView, FieldView, Intake
from app.policy.decision import Action
from app.policy.describing import Described
from app.policy.snapshot import PolicySnapshot

_HIDDEN = ContentView()


def object_place(
    snapshot: PolicySnapshot, caller: Caller, connection: str, place: Described, at: float
) -> dict[str, Any]:
    rules = snapshot.described_rules(connection, place)
    return {
        "keys": place.name,
        **_place(snapshot, caller, connection, place, Action.FETCH, at),
        "put": _intake(rules.intake) if Action.PUT in place.actions else None,
    }


def topic_place(
    snapshot: PolicySnapshot, caller: Caller, connection: str, place: Described, at: float
) -> dict[str, Any]:
    rules = snapshot.described_rules(connection, place)
    publish = {
        **_intake(rules.intake),
        "payload_schema": None if rules.schema is None else json.loads(rules.schema),
        "headers": rules.headers,
        "cloud_events": rules.cloud_events,
    }
    return {
        "topic": place.name,
        **_place(snapshot, caller, connection, place, Action.RECEIVE, at),
        "publish": publish if Action.PUBLISH in place.actions else None,
    }


def _place(
    snapshot: PolicySnapshot, caller: Caller, connection: str, place: Described, read: Action, at: float
) -> dict[str, Any]:
    moment = datetime.fromtimestamp(at, UTC)
    context = {
        "actor": caller.actor, "claims": caller.claims, "hour": moment.hour, "weekday": moment.isoweekday()
    }  # fmt: skip
    reads = read in place.actions
    view = snapshot.described_view(caller, connection, place, context) if reads else _HIDDEN
    masked = reads and not view.raw
    fields = _fields("column", view.columns) + _fields("path", view.paths)
    return {
        "pattern": place.wide,
        "actions": sorted(action.value for action in place.actions),
        "comes": None if not reads else "raw" if view.raw else "masked",
        "format": view.format,
        "fields": fields,
        "other_fields": _field(view.default) if masked and view.format != "text" else None,
        "text": _field(view.text) if masked and view.format in (None, "text") else None,
    }


def _fields(kind: str, views: Mapping[str, FieldView]) -> list[dict[str, Any]]:
    return [
        {"name": name, "kind": kind, "label": each.label, **_field(each)}
        for name, each in sorted(views.items())
        if not isinstance(each.mask, Hide)
    ]


def _field(view: FieldView) -> dict[str, Any]:
    match view.mask:
        case None:
            return {"comes": "raw", "mask": None}
        case Hide():
            return {"comes": "not_at_all", "mask": None}
        case mask:
            return {"comes": "masked", "mask": kind_of(mask)}


def _intake(intake: Intake) -> dict[str, Any]:
    return {
        "content_types": intake.types,
        "max_bytes": intake.max_bytes,
        "found": {label: effect.value for label, effect in sorted(intake.found.items())},
    }
