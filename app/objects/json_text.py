"""One JSON text (RFC 8259) read and written again with every number as it was written, where it comes raw.

The quick parser keeps numbers in 64 bits and writes their shortest form. Texts with a number that would change on the
way (`1.10`, `1e5`, twenty digits) are found by a pattern in linear time and go through a slower parser that keeps them.
"""

import io
import json
import math
from decimal import Decimal
from itertools import islice
from typing import Any

import orjson
import re2

from app.objects.refusal import ContentFault, ContentRefused

MAX_DEPTH = 200
"""The writer goes no deeper than 254."""
_WIDEST_EXACT_DIGITS = 18

_BEFORE = rb"(?:^|[\[,:\s])-?"
_AFTER = rb"(?:[\],}\s]|$)"
# Up to 15 significant digits, a float has the decimal that it was read from as its shortest form.
_LONG_FRACTIONS = b"|".join(rb"[0-9]{%d,}\.[0-9]{%d}" % (16 - after, after) for after in range(1, 11))
_CHANGED = b"|".join(
    (
        rb"[0-9]+(?:\.[0-9]+)?[eE][-+]?[0-9]",
        rb"[0-9]{19}",
        rb"[0-9]+\.[0-9]+0" + _AFTER,
        rb"[0-9]+\.[0-9]{11}",
        rb"0\.0000",
        _LONG_FRACTIONS,
    )
)


def _compiled(pattern: bytes) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = True
    return re2.compile(pattern, options)


_CHANGING = _compiled(_BEFORE + b"(?:" + _CHANGED + b")|(?:^|[\\[,:\\s])-0" + _AFTER)


class Number:
    """A number that Python has no exact type for, with the characters that stood there."""

    __slots__ = ("token",)

    def __init__(self, token: str) -> None:
        self.token = token

    @property
    def value(self) -> int | float | None:
        """What a mask sees; the same type that the quick parser gives. None: beyond what can be computed with."""
        try:
            if self.token.lstrip("-").isdigit():
                return int(self.token)
            number = float(self.token)
        except ValueError:
            return None
        return number if math.isfinite(number) else None


_STRING = _compiled(rb'"(?:[^"\\]|\\(?s:.))*"')
_NO_BRACKET = _compiled(rb"[^\[\]{}]+")


def keeps_numbers(data: bytes) -> bool:
    """Whether the quick parser changes no number of these texts (true for every part of them as well)."""
    return _CHANGING.search(data) is None


def parsed(data: bytes, max_depth: int, place: str | None) -> Any:
    """Raises ContentRefused; `place` is where it says the text is."""
    try:
        document = orjson.loads(data) if keeps_numbers(data) else exactly(data)
    except (ValueError, RecursionError) as broken:
        raise refused(data, max_depth, place) from broken
    check_depth(data, max_depth, place)
    return document


def exactly(data: bytes) -> Any:
    """Raises ValueError, RecursionError."""
    document = _decoder.decode(data.decode("utf-8"))
    try:
        # Halves of characters, written as escapes, can be read but not written.
        written(document)
    except TypeError as unwritable:
        raise ValueError("not writable") from unwritable
    return document


def written(document: Any, options: int | None = None) -> bytes:
    """In UTF-8, without blanks. Raises TypeError for what `exactly` refuses."""
    return orjson.dumps(document, _as_it_stood, options)


def document_written(document: Any) -> bytes:
    """One whole document, with a newline behind it. Its size must not show, so numbers have the form that they also
    have where a document is too large to be held."""
    return orjson.dumps(document, _in_one_form, orjson.OPT_APPEND_NEWLINE)


def number_text(value: int | Decimal) -> str:
    """The form of a number that does not depend on how it was written: `1e5`, `1.10`, `0`."""
    return str(value).replace("E+", "e").replace("E", "e")


def refused(data: bytes, max_depth: int, place: str | None) -> ContentRefused:
    """What is wrong with a text that no parser took."""
    if depth_of(data) > max_depth:
        return too_deep(max_depth, place)
    return not_json(data, place)


def not_json(data: bytes, place: str | None) -> ContentRefused:
    """`data`: the text or the beginning of it."""
    if place is None and _is_lines(data):
        return ContentRefused(
            ContentFault.UNDECODABLE,
            "The content is not one JSON document but one on every line. Say `format: ndjson` for it in the data file.",
        )
    where = f" in {place}" if place else ""
    return ContentRefused(
        ContentFault.UNDECODABLE, f"The content is not valid JSON{where}. Store it as valid JSON in UTF-8.", place
    )


def _is_lines(data: bytes) -> bool:
    """Whether the first two lines that are not blank are JSON each."""
    lines = list(islice(filter(None, map(bytes.strip, io.BytesIO(data))), 2))
    try:
        return len([orjson.loads(line) for line in lines]) > 1
    except ValueError:
        return False


def too_deep(max_depth: int, place: str | None) -> ContentRefused:
    where = f" in {place}" if place else ""
    return ContentRefused(
        ContentFault.TOO_DEEP,
        f"Lists and objects lie more than {max_depth} deep in each other{where}. Store the content flatter.",
        place,
    )


def check_depth(data: bytes, max_depth: int, place: str | None) -> None:
    if data.count(b"[") + data.count(b"{") > max_depth and depth_of(data) > max_depth:
        raise too_deep(max_depth, place)


def depth_of(data: bytes) -> int:
    """How deep lists and objects lie in each other; the text need not be JSON."""
    deepest = depth = 0
    for bracket in _NO_BRACKET.sub(b"", _STRING.sub(b"", data)):
        if bracket in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest


def _as_it_stood(value: Any) -> orjson.Fragment:
    if isinstance(value, Number):
        return orjson.Fragment(value.token)
    raise TypeError


def _in_one_form(value: Any) -> orjson.Fragment:
    if not isinstance(value, Number):
        raise TypeError
    written_so = value.token
    if written_so.lstrip("-").isdigit():
        return orjson.Fragment("0" if written_so == "-0" else written_so)
    try:
        return orjson.Fragment(number_text(Decimal(written_so)))
    except ArithmeticError:
        # An exponent beyond what can be computed with; a document that is too large to be held is refused for it.
        return orjson.Fragment(written_so)


def _integer(digits: str) -> int | Number:
    return int(digits) if len(digits) <= _WIDEST_EXACT_DIGITS and digits != "-0" else Number(digits)


def _no_constant(name: str) -> None:
    raise ValueError(name)


_decoder = json.JSONDecoder(parse_float=Number, parse_int=_integer, parse_constant=_no_constant)
