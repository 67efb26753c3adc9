"""How matching rules become a decision: deny > approve > allow on each side, and the stricter side counts."""

from collections.abc import Iterable
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """The candidate rules of one question, with the decision where no condition has a say in it."""

    action: Action
    principal: tuple[Rule, ...]
    actor: tuple[Rule, ...]
    names: frozenset[str]
    fixed: Decision | None

    def decide(self, caller: Caller, context: Context) -> Decision:
        if self.fixed is not None:
            return self.fixed
        return decision_on(
            self.action, matching(self.principal, caller, context), matching(self.actor, caller, context)
        )

    @property
    def possible(self) -> bool:
        """Whether some context could let it through, with or without a human."""
        return all(
            any(rule.effect is not Effect.DENY for rule in side)
            and not any(rule.effect is Effect.DENY and rule.condition is None for rule in side)
            for side in (self.principal, self.actor)
        )


def question(action: Action, principal: tuple[Rule, ...], actor: tuple[Rule, ...]) -> Question:
    names = frozenset(
        name for rule in (*principal, *actor) if rule.condition is not None for name in rule.condition.names
    )
    conditional = any(rule.condition is not None for rule in (*principal, *actor))
    fixed = None if conditional else decision_on(action, principal, actor)
    return Question(action, principal, actor, names, fixed)
