"""What a recogniser reads: folded text, the name of the field it stood in, and words close to a place."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import lru_cache
from typing import Any

import re2

from app.masking.detectors.folding import Folded, fold, folded_word

_BEFORE = 48
_AFTER = 24
_SHORT_WORD = 4
_SHORT_NAME = 64
"""Bytes of names that are remembered: names may be a sender's choice, and long."""
_DIGITS = b"0123456789"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place in the folded bytes that an entity fills, end exclusive."""

    entity: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One text, folded. `field` is the folded name of the column or path the text stood in, or empty."""

    data: bytes
    folded: Folded
    text: str
    """As it was written: words of scripts that folding loses are looked for here."""
    field: bytes
    digits: int
    """How many digits there are: most short texts have too few for most recognisers."""
    places: dict["Words", list[int]] = dataclass_field(default_factory=dict)
    """Where words were found: a memory of Words.near, nothing else."""

    @classmethod
    def of(cls, text: str, field: str = "", *, escapes: bool = True) -> "Page":
        folded = fold(text, escapes=escapes)
        data = folded.data
        digits = len(data) - len(data.translate(None, _DIGITS))
        return cls(data=data, folded=folded, text=text, field=fold(field).data if field else b"", digits=digits)


Recogniser = Callable[[Page], Iterable[Candidate]]


def pattern(text: bytes) -> Any:
    """A compiled pattern over folded bytes. RE2 reads them as Latin-1: one byte is one character."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(text, options)


_CAMEL = pattern(rb"([a-z0-9])([A-Z])")


def _in_words(name: bytes) -> bytes:
    """`workPhone` as `work Phone`."""
    return bytes(_CAMEL.sub(rb"\1 \2", name))


_in_words_of_short = lru_cache(maxsize=1_024)(_in_words)


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """Words that support, or refute, what stands beside them; in any language, told once in plain spelling.

    A word in Latin script counts where it begins a word (`telefon` in `Telefonnummer`), one of up to four letters only
    where it is the whole word, one in another script wherever it is.
    """

    latin: Any
    foreign: tuple[str, ...]

    @classmethod
    def of(cls, words: str) -> "Words":
        spelt = words.split()
        folded = {folded_word(word) for word in spelt}
        short = [_quoted(word) for word in sorted(folded) if word.isascii() and len(word) <= _SHORT_WORD]
        long = [_quoted(word) for word in sorted(folded) if word.isascii() and len(word) > _SHORT_WORD]
        either = b"|".join([*long, *(word + rb"(?:[^A-Za-z]|$)" for word in short)])
        foreign = tuple(word for word in spelt if not folded_word(word).isascii())
        return cls(pattern(rb"(?i)(?:^|[^A-Za-z])(?:" + either + b")"), foreign)

    def _places(self, page: Page) -> list[int]:
        """Where every such word of the page begins, in order; read once, when the first number asks."""
        if self in page.places:
            return page.places[self]
        found = [match.start() for match in self.latin.finditer(page.data)]
        if self.foreign and not page.text.isascii():
            found += [page.folded.at(at) for word in self.foreign for at in _occurrences(page.text, word)]
            found.sort()
        page.places[self] = found
        return found

    def _in_field(self, page: Page) -> bool:
        name = page.field
        if not name:
            return False
        words = _in_words_of_short(name) if len(name) <= _SHORT_NAME else _in_words(name)
        return self.latin.search(words) is not None

    def near(
        self, page: Page, start: int, end: int, before: int = _BEFORE, after: int = _AFTER, *, in_field: bool = True
    ) -> bool:
        """Whether such a word begins that close to a span, or is in the field's name."""
        places = self._places(page)
        at = bisect_left(places, start - before)
        return (at < len(places) and places[at] < end + after) or (in_field and self._in_field(page))


def _occurrences(text: str, word: str) -> Iterator[int]:
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + 1)


def _quoted(word: bytes) -> bytes:
    """`_` in a word of ours: a space, `-`, `_`, or nothing."""
    return b"[ _-]?".join(re2.escape(part) for part in word.split(b"_"))
