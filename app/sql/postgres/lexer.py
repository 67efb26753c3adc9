"""PostgreSQL's lexical structure as one regular expression, for what must be decided before or without a parse.

It splits the text, never judges it: text that PostgreSQL would refuse may come out as OTHER tokens. Where two
tokenisations differ only in how operator characters group, that is of no interest here. Strings, comments, quoted
identifiers and dollar quotes end exactly where PostgreSQL ends them (standard_conforming_strings on).
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_SPACE = r"[ \t\n\r\f\v]"
_NEWLINE_GAP = rf"[ \t\f\v]*[\n\r]{_SPACE}*"
_LETTER = r"A-Za-z_\x80-\U0010ffff"
_PLAIN = r"'[^']*(?:''[^']*)*'"
_ESCAPED = r"'[^'\\]*(?:(?:\\[\s\S]|'')[^'\\]*)*'"
_DIGITS = r"\d(?:_?\d)*"

IDENTIFIER = rf"[{_LETTER}][0-9$" + _LETTER + "]*"
QUOTED = r'"[^"]*(?:""[^"]*)*"'
FLAT_COMMENT = r"/\*[^*/]*(?:(?:\*(?!/)|/(?!\*))[^*/]*)*\*/"
LINE_COMMENT = r"--[^\n\r]*"
PLAIN_STRING = rf"{_PLAIN}(?:{_NEWLINE_GAP}{_PLAIN})*"
ESCAPE_STRING = rf"[eE]{_ESCAPED}(?:{_NEWLINE_GAP}{_ESCAPED})*"
PREFIXED_STRING = rf"[uU]&{_PLAIN}(?:{_NEWLINE_GAP}{_PLAIN})*|[bBxX]'[^']*'(?:{_NEWLINE_GAP}'[^']*')*"
DOLLAR_STRING = rf"\$(?P<tag>(?:[{_LETTER}][0-9{_LETTER}]*)?)\$[\s\S]*?\$(?P=tag)\$"
NUMBER = (
    r"0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+"
    rf"|(?:{_DIGITS}(?:\.(?!\.)(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?"
)
OPERATOR = r"(?:(?!--|/\*)[~!@#^&|`?+\-*/%<>=])+"

_TOKEN = re.compile(
    "|".join(
        f"(?P<{name}>{pattern})"
        for name, pattern in (
            ("space", rf"{_SPACE}+|{LINE_COMMENT}|{FLAT_COMMENT}"),
            ("nested", r"/\*"),
            ("string", f"{ESCAPE_STRING}|{PREFIXED_STRING}|{PLAIN_STRING}"),
            ("quoted", rf"(?:[uU]&)?{QUOTED}"),
            ("word", IDENTIFIER),
            ("param", r"\$\d+"),
            ("dollar", DOLLAR_STRING),
            ("number", NUMBER),
            ("operator", OPERATOR),
            ("mark", r"::|:=|\.\.|[,()\[\].;:]"),
            ("other", r"[\s\S]"),
        )
    )
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


class Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


def tokens(text: str) -> Iterator[Token]:
    """Every token but white space and comments; a comment that never ends comes out as one OTHER token."""
    position, length = 0, len(text)
    match = _TOKEN.match
    while position < length:
        found = match(text, position)
        if found is None:  # the last alternative takes any character
            return
        kind = found.lastgroup if found.lastgroup != "tag" else "dollar"
        start, position = position, found.end()
        if kind == "space":
            continue
        if kind == "nested":
            end = _comment_end(text, start)
            if end is None:
                yield Token("other", text[start:], start, length)
                return
            position = end
            continue
        yield Token(str(kind), found.group(), start, position)


def _comment_end(text: str, start: int) -> int | None:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return None
