"""What a caller may possibly do somewhere below a connection: decides whether it exists for them at all."""

from collections.abc import Callable, Iterable
from itertools import islice

from app.policy.decision import Action, Effect
from app.policy.index import RuleIndex
from app.policy.resources import Pattern, Width, overlap, surely_inside
from app.policy.rules import Rule

MAX_GRANTS = 2_000
"""Looked at per side; above that the answer is yes, which shows a name and opens nothing."""
_MAX_PAIRS = 20_000


def may_reach(
    index: RuleIndex,
    possible: Callable[[str], bool],
    sides: tuple[frozenset[str], frozenset[str]],
    connection: str,
    action: Action,
) -> bool:
    """Whether both sides have a grant that meets below the connection and that no unconditional deny takes back.

    `possible` answers for one literal resource.
    """
    below = Pattern(f"{connection}/**")
    grants, denials = [], []
    for subjects in sides:
        around = list(islice(index.around(subjects, connection, action), MAX_GRANTS + 1))
        if len(around) > MAX_GRANTS:
            return True
        grants.append(
            [r.resource for r in around if r.effect is not Effect.DENY and overlap(r.resource.text, below.text)]
        )
        denials.extend(_blanket(around))
    principal, actor = grants
    if any(possible(p.text) for p in (*principal, *actor) if p.width is Width.LITERAL):
        return True
    wide = [[p.text for p in side if p.width is not Width.LITERAL and not _taken(p.text, denials)] for side in grants]
    if len(wide[0]) * len(wide[1]) > _MAX_PAIRS:
        return True
    return any(overlap(left, right) for left in wide[0] for right in wide[1])


def _blanket(rules: Iterable[Rule]) -> list[Pattern]:
    return [rule.resource for rule in rules if rule.effect is Effect.DENY and rule.condition is None]


def _taken(pattern: str, denials: Iterable[Pattern]) -> bool:
    return any(surely_inside(pattern, denial) for denial in denials)
