"""What the parser of large JSON documents must not see: it breaks off in its own memory over an integer that Python has
no conversion for, and reads halves of characters, written as escapes, as something else."""

from typing import Any

import re2

from app.objects.refusal import ContentFault, ContentRefused
from app.objects.unwrapping import Source

MOST_DIGITS = 4_300
"""Of an integer that Python converts (sys.int_info.default_max_str_digits)."""
_DIGITS = b"0123456789"
_LONGEST_ESCAPE = 12


def _compiled(pattern: bytes) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = True
    return re2.compile(pattern, options)


_HEX = rb"[0-9a-fA-F]"
_PAIR = rb"\\u[dD][89abAB]%s{2}\\u[dD][c-fC-F]%s{2}" % (_HEX, _HEX)
_WHOLE = _compiled(rb"(?s)(?:[^\\]|\\[^u]|\\u[^dD]|\\u[dD][0-7]|%s)*" % _PAIR)
"""Text in which every escape is one character, or the first of two halves that are one."""
_CUT = _compiled(rb"\\(?:u%s{0,4}(?:\\(?:u%s{0,3})?)?)?" % (_HEX, _HEX))


class Scanned:
    """The same bytes; raises ContentRefused where the parser would fail. Digits in strings may be as many as they are.

    Each piece that is read begins and ends between escapes.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._pending = b""
        self._digits = 0
        self._in_string = False

    def read(self, size: int, /) -> bytes:
        if size <= 0:
            return b""
        while chunk := self._source.read(max(size - len(self._pending), 1)):
            data = self._pending + chunk
            whole = _WHOLE.match(data).end()
            piece, self._pending = data[:whole], data[whole:]
            if len(self._pending) >= _LONGEST_ESCAPE:
                raise _half()
            if piece:
                self._scan(piece)
                return piece
        left, self._pending = self._pending, b""
        if left and not _CUT.fullmatch(left):
            raise _half()
        return left

    def _scan(self, piece: bytes) -> None:
        leading = _leading_digits(piece)
        if self._digits + leading > MOST_DIGITS and not self._in_string:
            raise _too_many_digits()
        # A run that is longer than the step lies over one of these places.
        for at in range(0, len(piece), MOST_DIGITS):
            if piece[at] in _DIGITS and _run_at(piece, at) > MOST_DIGITS and not self._string_at(piece[:at]):
                raise _too_many_digits()
        self._digits = self._digits + leading if leading == len(piece) else _trailing_digits(piece)
        self._in_string = self._string_at(piece)

    def _string_at(self, before: bytes) -> bool:
        """Whether what follows this beginning of a piece is in a string."""
        quotes = before.count(b'"')
        if b"\\" in before:
            quotes -= before.replace(rb"\\", b"").count(b'\\"')
        return self._in_string != bool(quotes % 2)


def _run_at(piece: bytes, at: int) -> int:
    before, behind = piece[max(at - MOST_DIGITS, 0) : at], piece[at : at + MOST_DIGITS + 1]
    return _trailing_digits(before) + _leading_digits(behind)


def _leading_digits(piece: bytes) -> int:
    return len(piece) - len(piece.lstrip(_DIGITS))


def _trailing_digits(piece: bytes) -> int:
    return len(piece) - len(piece.rstrip(_DIGITS))


def _half() -> ContentRefused:
    return ContentRefused(
        ContentFault.UNDECODABLE,
        "The content is not valid JSON: an escape stands for half of a character. Store it as valid JSON in UTF-8.",
    )


def _too_many_digits() -> ContentRefused:
    return ContentRefused(
        ContentFault.TOO_LARGE, f"A number has more than {MOST_DIGITS:,} digits. Store it as a string."
    )
