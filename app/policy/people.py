"""Which people policy.csv knows to have a role, and which of them may decide on approvals. For warnings only: tokens
bring subjects of their own, and requests are decided without this.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache

from app.approval.terms import Requirement
from app.policy.decision import Action, Effect
from app.policy.index import RuleIndex
from app.policy.places import ANY_ACTION
from app.policy.rules import Rules
from app.policy.subjects import ANYBODY

DECIDED_AT = "douane/approvals"

People = frozenset[str] | None
"""Users by name; None: nobody can count them, as tokens say who they are."""


def united(groups: Iterable[People]) -> People:
    found: set[str] = set()
    for group in groups:
        if group is None:
            return None
        found |= group
    return frozenset(found)


class KnownPeople:
    def __init__(self, rules: Rules, roles: Mapping[str, frozenset[str]], index: RuleIndex) -> None:
        self._rules = rules
        self._index = index
        self._members: dict[str, list[str]] = {}
        for member, held in roles.items():
            for role in held:
                self._members.setdefault(role, []).append(member)
        self.with_subject = lru_cache(maxsize=None)(self._with_subject)
        self.deciders_with = lru_cache(maxsize=None)(self._deciders_with)
        self.deciders_of = lru_cache(maxsize=None)(self._deciders_of)

    def _with_subject(self, subject: str) -> People:
        """A role is counted as far as `g` lines give it to users, through roles of roles."""
        members = self._members.get(subject, [])
        leaves = [name for name in (subject, *members) if name not in self._members]
        if subject == ANYBODY or any(leaf.startswith(("group:", "role:")) for leaf in leaves):
            return None
        return frozenset(leaf for leaf in leaves if leaf.startswith("user:"))

    def _deciders_with(self, subject: str) -> People:
        """Those with the subject who may decide; nobody, if no rule lets whoever has the subject."""
        people = self.with_subject(subject)
        if people is None:
            return None if self._may_decide(subject) else frozenset()
        return frozenset(user for user in people if self._may_decide(user))

    def _deciders_of(self, requirement: Requirement) -> People:
        """Those who may decide now or later; no name means everybody."""
        if not requirement.approvers:
            return self.everybody
        return united(self.deciders_with(who) for who in (*requirement.approvers, *requirement.escalate_to))

    @cached_property
    def everybody(self) -> People:
        """Everybody who may decide at all."""
        granted = {
            rule.subject
            for rule in self._rules.rules
            if rule.effect is Effect.ALLOW
            and rule.action in (Action.DECIDE, ANY_ACTION)
            and rule.resource.covers(DECIDED_AT)
        }
        return united(self.deciders_with(subject) for subject in granted)

    def _may_decide(self, subject: str) -> bool:
        """Under some condition, without asking yet another human."""
        rules = self._index.candidates(frozenset({subject}), DECIDED_AT, Action.DECIDE)
        return any(rule.effect is Effect.ALLOW for rule in rules) and not any(
            rule.effect is not Effect.ALLOW and rule.condition is None for rule in rules
        )
