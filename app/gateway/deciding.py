"""From what a statement touches to one decision on it."""

from dataclasses import dataclass

from app.gateway.lens import Lens
from app.policy.caller import Caller
from app.policy.decision import Action, Allow, AskFirst, Context, Decision, Deny, RuleRef
from app.policy.resources import sql_resource
from app.policy.snapshot import PolicySnapshot
from app.sql.statement import Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a statement needs policy to say yes to. `refusal`: why it is denied whatever the rules say."""

    accesses: tuple[tuple[str, Action], ...]
    asks: tuple[RuleRef, ...]
    refusal: str | None


def decide(snapshot: PolicySnapshot, caller: Caller, wanted: Wanted, context: Context) -> Decision:
    """Of all accesses of a statement the strictest decides: deny > approve > allow."""
    denied: list[RuleRef] = []
    reason = wanted.refusal
    asks: list[RuleRef] = list(wanted.asks)
    allows: list[RuleRef] = []
    for resource, action in wanted.accesses:
        match snapshot.decide(caller, resource, action, context):
            case Deny(rules=rules, reason=why):
                denied += rules
                reason = reason or why
            case AskFirst(rules=rules):
                asks += rules
            case Allow(rules=rules):
                allows += rules
    if reason is not None:
        return Deny(rules=_unique(denied), reason=reason)
    if asks:
        return AskFirst(rules=_unique(asks))
    return Allow(rules=_unique(allows))


def wanted_of(connection: str, statement: Statement, seen: Lens) -> Wanted:
    views = [seen.views[access.table] for access in statement.accesses]
    refused = tuple(dict.fromkeys(label for view in views for label in view.refused_labels))
    refusal = None
    if refused:
        refusal = f"You may not see {', '.join(refused)} unmasked: leave it out of `unmask`."
    elif not statement.accesses and statement.action is not Action.SELECT:
        refusal = "This statement names no table that policy could decide on."
    return Wanted(
        accesses=tuple(
            dict.fromkeys((sql_resource(connection, access.table), access.action) for access in statement.accesses)
        ),
        asks=tuple(rule for view in views for rule in view.asks),
        refusal=refusal,
    )


def _unique(rules: list[RuleRef]) -> tuple[RuleRef, ...]:
    return tuple(dict.fromkeys(rules))
