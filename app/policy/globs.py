"""Which of several patterns speaks for a name: the most specific one. Two that could both, in no order, do not load."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import combinations
from typing import Generic, TypeVar

from app.policy.resources import Pattern, Width, overlap, surely_inside

_ANSWERS = 8_192

_Entry = TypeVar("_Entry")


class Globs(Generic[_Entry]):
    """Entries by the text of their pattern. Immutable; answers are kept."""

    def __init__(self, entries: Mapping[str, _Entry]) -> None:
        self.entries = dict(entries)
        patterns = [Pattern(text) for text in self.entries]
        self._wide = [pattern for pattern in patterns if pattern.width is not Width.LITERAL]
        self._of = lru_cache(maxsize=_ANSWERS)(self._find)

    def of(self, name: str) -> _Entry | None:
        """The entry that is written for exactly this name, otherwise that of the narrowest pattern that covers it."""
        return self._of(name)

    def _find(self, name: str) -> _Entry | None:
        if "*" not in name and name in self.entries:
            return self.entries[name]
        covering = [pattern for pattern in self._wide if pattern.covers(name)]
        return self.entries[sorted(narrowest(covering))[0]] if covering else None


def narrowest(patterns: Iterable[Pattern]) -> frozenset[str]:
    """The texts of those that no other one narrows. Patterns of which neither lies within the other all count."""
    found = {pattern.text: pattern for pattern in patterns}
    return frozenset(wide.text for wide in found.values() if not any(_narrows(each, wide) for each in found.values()))


def ties(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs that may cover one name although neither is narrower."""
    wide = [pattern for pattern in map(Pattern, texts) if pattern.width is not Width.LITERAL]
    for a, b in combinations(wide, 2):
        if _could_meet(a, b) and not _narrows(a, b) and not _narrows(b, a) and overlap(a.text, b.text):
            yield a.text, b.text


def _narrows(narrow: Pattern, wide: Pattern) -> bool:
    return narrow.text != wide.text and surely_inside(narrow.text, wide) and not surely_inside(wide.text, narrow)


def _could_meet(a: Pattern, b: Pattern) -> bool:
    """Cheap: what begins or ends differently never meets."""
    heads = a.head.startswith(b.head) or b.head.startswith(a.head)
    return heads and (a.tail.endswith(b.tail) or b.tail.endswith(a.tail))
