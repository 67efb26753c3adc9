"""Whether what was approved is still what would run: today's policy and target against the bound document."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.approval.terms import Terms
from app.gateway.errand import Errand, Errands, NoLongerAllowed
from app.gateway.errors import AccessDenied
from app.gateway.record import Record
from app.policy.caller import Caller
from app.policy.decision import AskFirst, Deny
from app.policy.snapshot import PolicySnapshot

_COMPARED = ("kind", "rewritten_sql", "labels", "masks", "row_filtered", "content_sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """How the bound request looks now. `difference`: member to `{"before": …, "after": …}`, empty if nothing is."""

    errand: Errand
    terms: Terms
    difference: Mapping[str, Any]


async def recheck(
    errands: Errands,
    snapshot: PolicySnapshot,
    caller: Caller,
    request: Mapping[str, Any],
    record: Record,
    content: bytes | None,
) -> Today:
    """Raises NoLongerAllowed, and Refused where nothing can be said right now."""
    errand = await errands.again(caller, snapshot, request, record, content)
    if isinstance(errand.plan.decision, Deny):
        raise NoLongerAllowed(AccessDenied(errand.plan.decision.reason, rules=errand.plan.decision.rules))
    record.effect, record.rules = "approve", errand.plan.rule_names
    bound_terms = Terms.of(request["terms"])
    # What policy allows by now needs nobody; until it differs, the terms of then are as good as any.
    terms = snapshot.terms(errand.plan.asked) if isinstance(errand.plan.decision, AskFirst) else bound_terms
    return Today(errand=errand, terms=terms, difference=_difference(request, errand, bound_terms, terms))


def _difference(request: Mapping[str, Any], errand: Errand, bound_terms: Terms, terms: Terms) -> dict[str, Any]:
    then, now = request["outcome"], errand.expected().document()
    found = {name: _change(then[name], now[name]) for name in _COMPARED if then[name] != now[name]}
    if then["policy_values"] != now["policy_values"]:
        # Said without the values: they may be of a filter that its caller does not know.
        found["policy_values"] = _change("as approved", "changed")
    touched = sorted(set(errand.resources))
    if touched != list(request["resources"]):
        found["resources"] = _change(list(request["resources"]), touched)
    if errand.action.value != request["action"]:
        found["action"] = _change(request["action"], errand.action.value)
    if terms != bound_terms:
        found["terms"] = _change(bound_terms.document(), terms.document())
    return found


def _change(before: Any, after: Any) -> dict[str, Any]:
    return {"before": before, "after": after}
