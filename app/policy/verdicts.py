"""How matching rules become a decision: deny > approve > allow on each side, and the stricter side counts."""

from collections.abc import Iterable

from app.policy.caller import Caller
from app.policy.decision import Action, Allow, AskFirst, Context, Decision, Deny, Effect, RuleRef
from app.policy.rules import Rule

PRINCIPAL = "principal"
ACTOR = "actor"
_WHO = {PRINCIPAL: "the person or service that the token speaks for", ACTOR: "the client that acts with the token"}


def effect_of(effects: Iterable[Effect]) -> Effect | None:
    """None: no rule."""
    found = frozenset(effects)
    for effect in (Effect.DENY, Effect.APPROVE, Effect.ALLOW):
        if effect in found:
            return effect
    return None


def matching(rules: Iterable[Rule], caller: Caller, context: Context) -> tuple[Rule, ...]:
    return tuple(
        rule for rule in rules if rule.condition is None or rule.condition.matches(rule.effect, caller, context)
    )


def decision_on(action: Action, principal: tuple[Rule, ...], actor: tuple[Rule, ...]) -> Decision:
    """From the rules that matched on each side."""
    sides = {
        PRINCIPAL: effect_of(rule.effect for rule in principal),
        ACTOR: effect_of(rule.effect for rule in actor),
    }
    references: tuple[RuleRef, ...] = (
        *(rule.reference(PRINCIPAL) for rule in principal),
        *(rule.reference(ACTOR) for rule in actor),
    )
    if any(effect in (None, Effect.DENY) for effect in sides.values()):
        return Deny(rules=references, reason=_reason(action, sides))
    if Effect.APPROVE in sides.values():
        return AskFirst(rules=references)
    return Allow(rules=references)


def _reason(action: Action, sides: dict[str, Effect | None]) -> str:
    forbidden = " and ".join(_WHO[side] for side, effect in sides.items() if effect is Effect.DENY)
    if forbidden:
        return (
            f"Policy forbids {action} here to {forbidden}. Choose another resource, or ask a policy administrator "
            "whether an exception is meant to exist."
        )
    without = " and ".join(_WHO[side] for side, effect in sides.items() if effect is None)
    return (
        f"No policy rule lets {without} {action} here under these conditions. Narrow the request, or ask a policy "
        "administrator for a rule that covers it."
    )


class Question:
    """The candidate rules of one question; where no condition has a say, the decision is made once."""

    __slots__ = ("_action", "_actor", "_conditional", "_fixed", "_principal", "names")

    def __init__(self, action: Action, principal: tuple[Rule, ...], actor: tuple[Rule, ...]) -> None:
        conditions = [rule.condition for rule in (*principal, *actor) if rule.condition is not None]
        self.names: frozenset[str] = frozenset().union(*(condition.names for condition in conditions))
        self._conditional = bool(conditions)
        self._action = action
        self._principal = principal
        self._actor = actor
        self._fixed: Decision | None = None

    def decide(self, caller: Caller, context: Context) -> Decision:
        if self._fixed is not None:
            return self._fixed
        if self._conditional:
            return decision_on(
                self._action, matching(self._principal, caller, context), matching(self._actor, caller, context)
            )
        self._fixed = decision_on(self._action, self._principal, self._actor)
        return self._fixed

    @property
    def possible(self) -> bool:
        """Whether some context could let it through, with or without a human."""
        return all(
            any(rule.effect is not Effect.DENY for rule in side)
            and not any(rule.effect is Effect.DENY and rule.condition is None for rule in side)
            for side in (self._principal, self._actor)
        )
