"""Whether what was approved is still what would run: today's policy and catalog against the bound document."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.approval.terms import Terms
from app.gateway.connections import Connection
from app.gateway.errors import AccessDenied, NotFound, Refused, StatementInvalid, StatementNotAllowed
from app.gateway.plan import Plan
from app.gateway.previewing import expected
from app.gateway.record import Record
from app.gateway.statements import Statements, command_of
from app.policy.caller import Caller
from app.policy.decision import AskFirst, Deny
from app.policy.snapshot import PolicySnapshot
from app.sql.statement import Refusal

_COMPARED = ("kind", "rewritten_sql", "labels", "masks", "row_filtered")
_PASSING = frozenset({Refusal.TOO_COMPLEX.value, Refusal.DISAGREEMENT.value})
"""Refusals that may be of the moment (the planner had to be stopped): no reason to take an approval back."""


class NoLongerAllowed(Exception):  # noqa: N818 - an answer, not a fault
    """Policy, or what the database has become, refuses what was approved."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.detail)
        self.refused = refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """How the bound request looks now. `difference`: member to `{"before": …, "after": …}`, empty if nothing is."""

    connection: Connection
    plan: Plan
    snapshot: PolicySnapshot
    terms: Terms
    difference: Mapping[str, Any]


async def recheck(
    statements: Statements, snapshot: PolicySnapshot, caller: Caller, request: Mapping[str, Any], record: Record
) -> Today:
    """Raises NoLongerAllowed, and Refused where nothing can be said right now."""
    command = command_of(request)
    try:
        connection = statements.find(caller, command.connection, snapshot, record)
        plan = await statements.plan(connection, caller, snapshot, command, record, exact=True)
    except (NotFound, AccessDenied, StatementNotAllowed, StatementInvalid) as refused:
        if refused.stable_code in _PASSING:
            raise
        raise NoLongerAllowed(refused) from refused
    if isinstance(plan.decision, Deny):
        raise NoLongerAllowed(AccessDenied(plan.decision.reason, rules=plan.decision.rules))
    record.effect, record.rules = "approve", plan.rule_names
    bound_terms = Terms.of(request["terms"])
    # What policy allows by now needs nobody; until it differs, the terms of then are as good as any.
    terms = snapshot.terms(plan.asked) if isinstance(plan.decision, AskFirst) else bound_terms
    return Today(
        connection=connection,
        plan=plan,
        snapshot=snapshot,
        terms=terms,
        difference=_difference(request, plan, bound_terms, terms),
    )


def _difference(request: Mapping[str, Any], plan: Plan, bound_terms: Terms, terms: Terms) -> dict[str, Any]:
    then, now = request["outcome"], expected(plan).document()
    found = {name: _change(then[name], now[name]) for name in _COMPARED if then[name] != now[name]}
    if then["policy_values"] != now["policy_values"]:
        # Said without the values: they may be of a filter that its caller does not know.
        found["policy_values"] = _change("as approved", "changed")
    touched = sorted(set(plan.resources))
    if touched != list(request["resources"]):
        found["resources"] = _change(list(request["resources"]), touched)
    if plan.action.value != request["action"]:
        found["action"] = _change(request["action"], plan.action.value)
    if terms != bound_terms:
        found["terms"] = _change(bound_terms.document(), terms.document())
    return found


def _change(before: Any, after: Any) -> dict[str, Any]:
    return {"before": before, "after": after}
