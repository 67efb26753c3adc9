"""Which keys or topics of a connection a caller may be told of, by name or as a glob, and what may be possible there.

Told are the entries of the data file that the caller may reach, and what both sides were granted beside them: never a
glob that only one side was granted, nor one that is denied whatever the context.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from app.policy.decision import Action
from app.policy.index import RuleIndex
from app.policy.reach import MAX_GRANTS
from app.policy.resources import Pattern, Width, meet, overlap, path_key, surely_inside

_MAX_PAIRS = 400

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
    by_action = {action: _Grants.of(index, sides, connection, action) for action in actions}
    below = f"{connection}/"
    known = [Pattern(text) for text in entries]
    candidates = {pattern.text: pattern for pattern in known}
    for grants in by_action.values():
        for pattern in grants.both():
            if pattern.text.startswith(below) and not any(surely_inside(pattern.text, entry) for entry in known):
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


@dataclass(frozen=True, slots=True)
class _Grants:
    """Of one action. `denied`: whatever the context."""

    principal: Mapping[str, Pattern]
    actor: Mapping[str, Pattern]
    denied: tuple[Pattern, ...]

    @classmethod
    def of(cls, index: RuleIndex, sides: Sides, connection: str, action: Action) -> "_Grants":
        denied = [*(p for who in sides for p in islice(index.blankets(who, connection, action), MAX_GRANTS))]
        principal, actor = (
            {
                p.text: p
                for p in islice(index.grants(who, connection, action), MAX_GRANTS)
                if p.width is Width.LITERAL or not any(surely_inside(p.text, denial) for denial in denied)
            }
            for who in sides
        )
        return cls(principal, actor, tuple(denied))

    def both(self) -> Iterator[Pattern]:
        """What one side was granted and lies within a grant of the other."""
        for ours, theirs in ((self.principal, self.actor), (self.actor, self.principal)):
            for text, pattern in ours.items():
                if any(surely_inside(text, other) for other in theirs.values()):
                    yield pattern

    def reach(self, glob: Pattern) -> bool:
        """Whether both sides were granted something that the glob covers."""
        if any(surely_inside(glob.text, denial) for denial in self.denied):
            return False
        principal, actor = (
            [text for text in side if overlap(text, glob.text)] for side in (self.principal, self.actor)
        )
        pairs = ((a, b) for a in principal for b in actor)
        return any(meet((glob.text, a, b)) for a, b in islice(pairs, _MAX_PAIRS))
