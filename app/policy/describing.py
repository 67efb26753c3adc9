"""Which keys or topics of a connection a caller may be told of, by name or as a glob, and what may be possible there.

Told are the entries of the data file that the caller may reach, and what both sides were granted beside them: never a
glob that only one side was granted, nor one that is denied whatever the context.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice, takewhile

from app.policy.decision import Action
from app.policy.index import RuleIndex
from app.policy.reach import MAX_GRANTS
from app.policy.resources import Pattern, Width, meet, overlap, path_key, surely_inside

MAX_LOOKS = 5_000
"""Patterns held against each other, for one caller and action. What would take longer to find out is not told."""

Sides = tuple[frozenset[str], frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """`name`: a key or topic, or where `wide` a glob of them as policy writes it, without the connection. `actions`:
    that some context could let through, on some of what the glob covers."""

    name: str
    wide: bool
    resource: str
    actions: frozenset[Action]


def described(
    index: RuleIndex,
    possible: Callable[[str, Action], bool],
    sides: Sides,
    connection: str,
    actions: Collection[Action],
    entries: Collection[str],
) -> tuple[Described, ...]:
    """Sorted by name. `entries`: patterns of the data file, with the connection. `possible` answers for one literal
    resource. Of more than MAX_GRANTS grants on a side the first ones count."""
    by_action = {action: _Grants(index, possible, sides, connection, action) for action in actions}
    below = f"{connection}/"
    known = _Heads(map(Pattern, entries))
    candidates = {pattern.text: pattern for pattern in known.patterns}
    for grants in by_action.values():
        for pattern in grants.both():
            if pattern.text.startswith(below) and not known.covers(pattern):
                candidates.setdefault(pattern.text, pattern)
    found = []
    for text, pattern in sorted(candidates.items()):
        wide = pattern.width is not Width.LITERAL
        may = frozenset(
            action
            for action, grants in by_action.items()
            if (grants.reach(pattern) if wide else possible(text, action))
        )
        if may:
            name = text.removeprefix(below)
            found.append(Described(name=name if wide else path_key(name), wide=wide, resource=text, actions=may))
    return tuple(found)


class _Grants:
    """Of one action, without what is denied whatever the context."""

    def __init__(
        self, index: RuleIndex, possible: Callable[[str, Action], bool], sides: Sides, connection: str, action: Action
    ) -> None:
        denied = _Heads(p for who in sides for p in islice(index.blankets(who, connection, action), MAX_GRANTS))

        def is_open(pattern: Pattern) -> bool:
            literal = pattern.width is Width.LITERAL
            return possible(pattern.text, action) if literal else not denied.covers(pattern)

        self._denied = denied
        self._sides = [
            _Heads(filter(is_open, islice(index.grants(who, connection, action), MAX_GRANTS))) for who in sides
        ]
        self._looks = MAX_LOOKS

    def both(self) -> Iterator[Pattern]:
        """What one side was granted and lies within a grant of the other."""
        principal, actor = self._sides
        yield from (pattern for pattern in principal.patterns if actor.covers(pattern))
        yield from (pattern for pattern in actor.patterns if principal.covers(pattern))

    def reach(self, glob: Pattern) -> bool:
        """Whether both sides were granted something that the glob covers."""
        if self._denied.covers(glob):
            return False
        principal, actor = self._sides
        if principal.covers(glob) and actor.covers(glob):
            return True
        ours, theirs = self._meeting(principal, glob), self._meeting(actor, glob)
        return any(self._look() and meet((glob.text, a, b)) for a in ours for b in theirs)

    def _meeting(self, side: "_Heads", glob: Pattern) -> list[str]:
        return [each.text for each in side.near(glob) if self._look() and overlap(each.text, glob.text)]

    def _look(self) -> bool:
        self._looks -= 1
        return self._looks >= 0


class _Heads:
    """Patterns by their literal heads, so that a question meets those alone that begin as it does."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self.patterns = tuple({pattern.text: pattern for pattern in patterns}.values())
        self._by_head: dict[str, list[Pattern]] = {}
        for pattern in self.patterns:
            self._by_head.setdefault(pattern.head, []).append(pattern)
        self._heads = sorted(self._by_head)

    def covers(self, pattern: Pattern) -> bool:
        """Whether one of them surely covers all of it."""
        return any(surely_inside(pattern.text, each) for each in self._above(pattern.text))

    def near(self, glob: Pattern) -> Iterator[Pattern]:
        """All that may cover something that the glob covers."""
        longer = takewhile(
            lambda head: head.startswith(glob.head), islice(self._heads, bisect_right(self._heads, glob.head), None)
        )
        below = (pattern for head in longer for pattern in self._by_head[head])
        return chain(self._above(glob.head), below)

    def _above(self, text: str) -> Iterator[Pattern]:
        return (pattern for end in range(len(text) + 1) for pattern in self._by_head.get(text[:end], ()))
