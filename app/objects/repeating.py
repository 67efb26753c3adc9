"""Masks that cost more than looking up a value that came before, over columns in which values come again."""

from collections.abc import Callable, Iterable
from typing import Any

from app.masking.masks import Mask, Pseudonym, Redact

_MOST_VALUES = 50_000
_MOST_CHARACTERS = 8 << 20
_DECIDED_AFTER_VALUES = 100_000


def over_columns(mask: Mask, each: Callable[[Any], Any]) -> Callable[[list[Any]], Iterable[Any]]:
    """The function of one value, over many; what it gives is the same either way."""
    if isinstance(mask, Pseudonym | Redact):
        return _Remembering(each).all
    return lambda values: [each(value) for value in values]


class _Remembering:
    """Bounded, and given up for a column whose values are mostly different."""

    def __init__(self, each: Callable[[Any], Any]) -> None:
        self._each = each
        self._known: dict[Any, Any] = {}
        self._characters = 0
        self._asked = 0
        self._missed = 0
        self._useful = True

    def all(self, values: list[Any]) -> list[Any]:
        each = self._each
        if not self._useful:
            return [each(value) for value in values]
        known = self._known
        missing = set(values).difference(known)
        size = sum(len(value) for value in missing if isinstance(value, str | bytes))
        if len(known) + len(missing) > _MOST_VALUES or self._characters + size > _MOST_CHARACTERS:
            known.clear()
            self._characters = 0
            missing = set(values)
        self._characters += size
        for value in missing:
            known[value] = each(value)
        shown = [known[value] for value in values]
        self._asked += len(values)
        self._missed += len(missing)
        if self._asked > _DECIDED_AFTER_VALUES and 2 * self._missed > self._asked:
            self._useful = False
            known.clear()
        return shown
