"""From what a request touches to one decision on it."""

from dataclasses import dataclass, replace

from app.gateway.lens import Lens
from app.policy.caller import Caller
from app.policy.decision import Action, Allow, AskFirst, Context, Decision, Deny, RuleRef
from app.policy.resources import label_resource, sql_resource
from app.policy.snapshot import PolicySnapshot
from app.sql.statement import Statement

Asked = tuple[tuple[str, Action], ...]
"""Every (resource, action) that policy wants a human for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a statement needs policy to say yes to. `asked_labels`: what it wants unmasked and a human has to allow.
    `refusal`: why it is denied whatever the rules say."""

    accesses: tuple[tuple[str, Action], ...]
    asks: tuple[RuleRef, ...]
    asked_labels: tuple[str, ...]
    refusal: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`asked` is empty unless the decision is to ask first."""

    decision: Decision
    asked: Asked = ()


def decide(
    snapshot: PolicySnapshot, caller: Caller, wanted: Wanted, context: Context, *, also_ask: bool = False
) -> Verdict:
    """Of all accesses of a request the strictest decides: deny > approve > allow. `also_ask`: what rules allow waits
    for a human all the same, for what is in it."""
    denied: list[RuleRef] = []
    reason = wanted.refusal
    asks: list[RuleRef] = list(wanted.asks)
    asked = [(label_resource(label), Action.UNMASK) for label in wanted.asked_labels]
    allows: list[RuleRef] = []
    for resource, action in wanted.accesses:
        match snapshot.decide(caller, resource, action, context):
            case Deny(rules=rules, reason=why):
                denied += rules
                reason = reason or why
            case AskFirst(rules=rules):
                asks += rules
                asked.append((resource, action))
            case Allow(rules=rules):
                allows += rules
                if also_ask:
                    asks += rules
                    asked.append((resource, action))
    if reason is not None:
        return Verdict(decision=Deny(rules=_unique(denied), reason=reason))
    if asked:
        return Verdict(decision=AskFirst(rules=_unique(asks)), asked=tuple(asked))
    return Verdict(decision=Allow(rules=_unique(allows)))


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
        asked_labels=tuple(dict.fromkeys(label for view in views for label in view.asked_labels)),
        refusal=refusal,
    )


def handing_back(wanted: Wanted) -> Wanted:
    """Of a write that returns rows: what comes back is read, and whoever may only change rows is not shown them."""
    read = tuple((resource, Action.SELECT) for resource, action in wanted.accesses if action is not Action.SELECT)
    return replace(wanted, accesses=tuple(dict.fromkeys((*wanted.accesses, *read))))


def may_count(snapshot: PolicySnapshot, caller: Caller, wanted: Wanted, context: Context) -> bool:
    """Whether the caller may hear how many rows a statement meets before it ran for good: only where each table, and
    each label that it wants unmasked, may be read without asking. Otherwise WHERE and a number read everything."""
    one = {**context, "rows": 1}
    return not wanted.asked_labels and all(
        isinstance(snapshot.decide(caller, resource, Action.SELECT, one), Allow)
        for resource in dict.fromkeys(resource for resource, _ in wanted.accesses)
    )


def _unique(rules: list[RuleRef]) -> tuple[RuleRef, ...]:
    return tuple(dict.fromkeys(rules))
