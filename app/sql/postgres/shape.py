"""A statement's text without its literal values, found without a parse.

Two texts of equal shape have the same characters everywhere but inside plain string and decimal literals, and literals
of the same kinds at the same places: an LALR parser gives them the same tree up to those values.
"""

import re
from dataclasses import dataclass

from app.sql.postgres.lexer import (
    DOLLAR_STRING,
    ESCAPE_STRING,
    IDENTIFIER,
    LINE_COMMENT,
    OPERATOR,
    PREFIXED_STRING,
    QUOTED,
)

MAX_CHARACTERS = 16_384
"""Longer texts go the long way, where every bound is checked."""

_AFTER_NUMBER = r"(?![0-9A-Za-z_.$\x80-\U0010ffff])"
_CONTINUED = r"(?!(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*')"
_BETWEEN = (
    rf"(?:[ \t\n\r\f\v]+|{LINE_COMMENT}|{ESCAPE_STRING}|{PREFIXED_STRING}|(?:[uU]&)?{QUOTED}|{IDENTIFIER}"
    rf"|\$\d+(?![A-Za-z_0-9$])|{DOLLAR_STRING}|{OPERATOR}|::|:=|[,()\[\];:]|\.(?![\d.]))*+"
)
_PIECE = re.compile(
    rf"(?P<between>{_BETWEEN})(?:(?P<string>'[^']*+(?:''[^']*+)*+'){_CONTINUED}"
    rf"|(?P<fraction>(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+){_AFTER_NUMBER}|(?P<whole>\d+){_AFTER_NUMBER})"
)
_TAIL = re.compile(_BETWEEN)
_INT4, _INT8 = 2**31, 2**63


@dataclass(frozen=True, slots=True)
class Shape:
    """`literals` are the tokens as written, quotes included; `places` are their offsets in the text."""

    key: str
    literals: tuple[str, ...]
    places: tuple[int, ...]


def shape(text: str) -> Shape | None:
    """None: the text has no shape of its own (nested comments, unusual tokens, too long); read it the long way."""
    if len(text) > MAX_CHARACTERS or "\x00" in text or "/*" in text or not _encodable(text):
        return None
    key: list[str] = []
    literals: list[str] = []
    places: list[int] = []
    position = 0
    for piece in _PIECE.finditer(text):
        if piece.start() != position:
            return None
        position = piece.end()
        kind = piece.lastgroup
        literal = piece[str(kind)]
        if kind == "whole":
            kind = _size(literal)
        key.append(piece["between"])
        key.append(str(kind))
        literals.append(literal)
        places.append(position - len(literal))
    tail = text[position:]
    if _TAIL.fullmatch(tail) is None:
        return None
    key.append(tail)
    return Shape("\x00".join(key), tuple(literals), tuple(places))


def _size(digits: str) -> str:
    if len(digits) < 10:
        return "int4"
    value = int(digits)
    return "int4" if value < _INT4 else "int8" if value < _INT8 else "fraction"


def _encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
