"""What detectors see in one value of a message, with the name it goes by as context: nine digits that are called `ssn`
are somebody's. The name is the sender's choice, so it adds to what is seen and never takes from it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Protocol

from app.masking.detectors.found import Found

LEAST_DIGITS = 7
"""Shorter numbers are nobody's card, account or telephone."""
_MOST_DIGITS = 40


MAX_NAME_CHARS = 64
_NAMES_KEPT = 8_192


class Find(Protocol):
    """Entities in a text, sorted, not overlapping, in linear time (app.masking.detectors)."""

    def __call__(self, text: str, field_name: str = "", /) -> Sequence[Found]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Where in the text; `labels`: more than one where readings differ."""

    labels: tuple[str, ...]
    start: int
    end: int


class Eyes:
    """`find`, with a memory for names: messages have few different ones, and each is read again and again."""

    __slots__ = ("_of_name", "find")

    def __init__(self, find: Find) -> None:
        self.find = find
        self._of_name = lru_cache(maxsize=_NAMES_KEPT)(self.in_text)

    def in_name(self, name: str) -> tuple[Sighting, ...]:
        return self._of_name(name) if len(name) <= MAX_NAME_CHARS else self.in_text(name)

    def in_text(self, text: str, name: str = "") -> tuple[Sighting, ...]:
        """`name`: what the text goes by. Sorted, not overlapping."""
        found = [(each.start, each.end, each.label) for each in self.find(text)]
        if name:
            found += [(each.start, each.end, each.label) for each in self.find(text, name)]
        return _merged(sorted(found)) if found else ()


def digits_of(number: int | float) -> str | None:
    """How a number reads that may be somebody's, without its fraction; None: it is too short, or none that JSON has."""
    if isinstance(number, float) and not isfinite(number):
        return None
    number = abs(int(number))
    return str(number) if 10 ** (LEAST_DIGITS - 1) <= number < 10**_MOST_DIGITS else None


def labels_in(seen: Iterable[Sighting]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label for each in seen for label in each.labels))


def covered(text: str, seen: Sequence[Sighting], cover: Callable[[Sighting, str], str]) -> str:
    """The text with `cover` of every sighting in its place."""
    pieces: list[str] = []
    done = 0
    for each in seen:
        pieces += (text[done : each.start], cover(each, text[each.start : each.end]))
        done = each.end
    return "".join((*pieces, text[done:]))


def _merged(found: list[tuple[int, int, str]]) -> tuple[Sighting, ...]:
    merged: list[Sighting] = []
    for start, end, label in found:
        last = merged[-1] if merged else None
        if last is None or start >= last.end:
            merged.append(Sighting(labels=(label,), start=start, end=end))
        else:
            labels = last.labels if label in last.labels else (*last.labels, label)
            merged[-1] = Sighting(labels=labels, start=last.start, end=max(last.end, end))
    return tuple(merged)
