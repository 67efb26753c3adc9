"""Text as the patterns read it: one byte a character, so that a place in the bytes is a place in the text.

Digits of every script, full-width letters and signs, exotic spaces and dashes become their ASCII forms, Latin letters
lose their accents, and characters that nobody sees (control characters, zero width, soft hyphen, variation selectors)
are taken out: a number written with them is the number, and so is one in UTF-16 that was read as UTF-8. Escapes become
what they stand for. What has no ASCII form becomes LETTER or OTHER.
"""

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass

from app.masking.detectors.escapes import decoded, end_of_escape

# Each stands for itself when folded again
LETTER = 0xB5
OTHER = 0xA7
_GONE = 0xAD

_UNDECOMPOSED = dict(zip(map(ord, "łŁøØđĐßæÆœŒıþÞð"), map(ord, "lLoOdDsaAoOitTd"), strict=True))
_SELECTORS = range(0xFE00, 0xFE10)
_JOINER = 0x034F
_UNSEEN = frozenset({*range(0x09), *range(0x0E, 0x1C), 0x1F, 0x7F})
_LINE_ENDS = frozenset({0x0B, 0x0C, 0x1C, 0x1D, 0x1E, 0x85, 0x2028, 0x2029})


def _folded(code: int) -> int:
    """The byte that stands for a character."""
    if code in _LINE_ENDS:
        return 0x0A
    if code in _UNSEEN:
        return _GONE
    if code < 0x80:
        return code
    if code in _UNDECOMPOSED:
        return _UNDECOMPOSED[code]
    character = chr(code)
    category = unicodedata.category(character)
    if category in ("Cf", "Me") or code in _SELECTORS or code == _JOINER:
        return _GONE
    if category == "Nd":
        return 0x30 + unicodedata.decimal(character)
    if category == "Zs":
        return 0x20
    if category == "Pd" or code == 0x2212:
        return 0x2D
    if category[0] in "LMPS":
        plain = unicodedata.normalize("NFKD", character)
        if plain[0] < "\x7f" and (len(plain) == 1 or unicodedata.combining(plain[1])):
            return ord(plain[0]) if plain[0] > " " else OTHER
    return LETTER if category[0] in "LM" else OTHER


_MOST_KEPT = 50_000


class _Table(dict[int, int]):
    """Filled as characters are met, and emptied before texts of every character there is could make it large."""

    def __missing__(self, code: int) -> int:
        if len(self) >= _MOST_KEPT:
            self.clear()
        self[code] = byte = _folded(code)
        return byte


_TABLE = _Table()
_LATIN_1 = bytes(map(_folded, range(256)))
_TYPOGRAPHIC = {sign: chr(_folded(ord(sign))) for sign in "‘’“”„–—…•€"}
# Possessive, so linear in any engine; only the standard one calls a function for a match. Words of another script
# make one run, because a call costs more than a few characters.
_BEYOND_LATIN_1 = re.compile(r"[^\x00-\xff]++(?:[\x00-\xff]{1,8}+[^\x00-\xff]++)*+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """`data` for the patterns; `start_of` and `end_of` lead back into the text it was made from."""

    data: bytes
    gone: tuple[int, ...]
    """For each character taken out: how many bytes of `data` stand before it."""
    escaped: str = ""
    """The text, if escapes in it were decoded."""

    def start_of(self, at: int) -> int:
        """Where in the text the byte at `at` comes from."""
        return at + bisect_right(self.gone, at)

    def at(self, start: int) -> int:
        """The byte that the character at `start` of the text became, or the next one if it was taken out."""
        low, high = 0, len(self.gone)
        while low < high:
            middle = (low + high) // 2
            if self.gone[middle] + middle < start:
                low = middle + 1
            else:
                high = middle
        return start - low

    def end_of(self, end: int) -> int:
        """Where in the text a span of bytes ends: behind its last character."""
        if not end:
            return 0
        last = self.start_of(end - 1)
        return end_of_escape(self.escaped, last) if self.escaped else last + 1


def _latin(text: str) -> str:
    """`text` with every character beyond Latin-1 folded."""
    for sign, plain in _TYPOGRAPHIC.items():
        text = text.replace(sign, plain)
    return _BEYOND_LATIN_1.sub(lambda run: run[0].translate(_TABLE), text)


def fold(text: str, *, escapes: bool = True) -> Folded:
    """Total: every text has a folded form, lone surrogates included. One pass, whatever the text.

    `escapes`: whether they are decoded, or stand for themselves.
    """
    plain = decoded(text) if escapes else text
    try:
        data = plain.encode("latin-1").translate(_LATIN_1)
    except UnicodeEncodeError:
        data = _latin(plain).encode("latin-1").translate(_LATIN_1)
    escaped = text if plain != text else ""
    if _GONE not in data:
        return Folded(data=data, gone=(), escaped=escaped)
    gone: list[int] = []
    at = data.find(_GONE)
    while at >= 0:
        gone.append(at - len(gone))
        at = data.find(_GONE, at + 1)
    return Folded(data=data.translate(None, bytes([_GONE])), gone=tuple(gone), escaped=escaped)


def folded_word(word: str) -> bytes:
    """A word of ours as it looks in folded text, in lower case."""
    return fold(word.lower()).data
