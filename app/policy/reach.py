"""What a caller may possibly do somewhere below a connection: decides whether it exists for them at all."""

from collections.abc import Callable, Iterable
from itertools import islice

from app.policy.decision import Action
from app.policy.index import RuleIndex
from app.policy.resources import Pattern, Width, overlap, surely_inside

MAX_GRANTS = 500
"""Looked at per side. Who has more grants on a connection knows of it anyway."""
_MAX_PAIRS = 400


def may_reach(
    index: RuleIndex,
    possible: Callable[[str], bool],
    sides: tuple[frozenset[str], frozenset[str]],
    connection: str,
    action: Action,
) -> bool:
    """Whether both sides have a grant that meets below the connection and that no unconditional deny takes back.

    `possible` answers for one literal resource. Where looking closer would take long, the answer is yes: it shows a
    name and opens nothing.
    """
    principal, actor = (
        list(islice((p for p in index.grants(who, connection, action) if _is_below(p, connection)), MAX_GRANTS + 1))
        for who in sides
    )
    if not principal or not actor:
        return False
    if max(len(principal), len(actor)) > MAX_GRANTS:
        return True
    if any(possible(p.text) for p in (*principal, *actor) if p.width is Width.LITERAL):
        return True
    denied = [pattern for who in sides for pattern in islice(index.blankets(who, connection, action), MAX_GRANTS)]
    left, right = (_left_over(side, denied) for side in (principal, actor))
    if len(left) * len(right) > _MAX_PAIRS:
        return True
    return any(overlap(a, b) for a in left for b in right)


def _is_below(pattern: Pattern, connection: str) -> bool:
    below = f"{connection}/"
    if pattern.width is Width.LITERAL or pattern.head.startswith(below):
        return pattern.text.startswith(below)
    return overlap(pattern.text, below + "**")


def _left_over(patterns: Iterable[Pattern], denied: Iterable[Pattern]) -> list[str]:
    wide = dict.fromkeys(p.text for p in patterns if p.width is not Width.LITERAL)
    return [text for text in wide if not any(surely_inside(text, denial) for denial in denied)]
