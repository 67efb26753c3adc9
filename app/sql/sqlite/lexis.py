"""SQLite's own tokens, and the size limits that hold before anything is parsed.

Linear in the text. Follows the engine's tokenizer, stricter where it is lax: no unterminated comment, no NUL, no
byte-order mark, placeholders only in the forms that a request can bind.
"""

import re
from enum import IntEnum
from typing import NamedTuple

from app.sql.statement import (
    MAX_NESTING,
    MAX_PREFIX_CHAIN,
    MAX_SET_OPERATIONS,
    MAX_TEXT_BYTES,
    MAX_TOKENS,
    Refusal,
    SqlRefused,
)

MAX_LOGICAL_OPERATORS = 500
"""AND and OR together: the second reader is super-linear in them (500 take it about 50 ms)."""


class Kind(IntEnum):
    WORD = 1
    QUOTED = 2
    STRING = 3
    BLOB = 4
    NUMBER = 5
    PARAM = 6
    SIGN = 7
    END = 8


class Token(NamedTuple):
    """`text` is the meaning: a quoted name or string without its quotes, anything else as written. `word` is the
    upper-case spelling of a bare word and a sign itself; empty for everything that cannot be a keyword."""

    kind: Kind
    text: str
    word: str
    start: int
    end: int


SPACES = " \t\n\f\r"

_ID = r"A-Za-z0-9_$\x80-\U0010ffff"
_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\n\f\r]+|--[^\n]*|/\*.*?\*/)
  | (?P<blob>[xX]'(?:[0-9A-Fa-f]{2})*')
  | (?P<word>(?![xX]')[A-Za-z_\x80-\U0010ffff][ID]*)
  | (?P<number>(?:0[xX][0-9A-Fa-f]+|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![ID]))
  | (?P<string>'(?:[^']|'')*')
  | (?P<double>"(?:[^"]|"")*")
  | (?P<tick>`(?:[^`]|``)*`)
  | (?P<bracket>\[[^\]]*\])
  | (?P<param>\?[0-9]*|:[A-Za-z_][A-Za-z0-9_]*|\$[0-9]+)
  | (?P<sign>->>|->|\|\||<<|>>|<=|>=|<>|!=|==|[-+*/%&|~<>=(),.;])
    """.replace("ID", _ID),
    re.VERBOSE | re.DOTALL,
)

_OPENS = frozenset({"(", "CASE"})
_PREFIXES = frozenset({"(", "NOT", "-", "+", "~"})
_SET_OPERATIONS = frozenset({"UNION", "INTERSECT", "EXCEPT"})


def tokens_of(text: str, *, limited: bool = True) -> list[Token]:
    """Every token, an END last. Raises SqlRefused for text that is no SQLite or, when `limited`, above a limit."""
    if limited:
        _size(text)
    found: list[Token] = []
    scan = _TOKEN.scanner(text).match  # type: ignore[attr-defined]
    position = 0
    while match := scan():
        group = match.lastgroup
        position = match.end()
        if group == "space":
            continue
        found.append(_token(group, match.group(), match.start(), position))
        if limited and len(found) > MAX_TOKENS:
            raise SqlRefused(
                Refusal.TOO_LARGE,
                f"The statement has more than {MAX_TOKENS} tokens: split it, or bind long lists as parameters.",
            )
    if position != len(text):
        raise _illegal(text, position)
    if limited:
        _complexity(found)
    found.append(Token(Kind.END, "", "", len(text), len(text)))
    return found


def _size(text: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise SqlRefused(
            Refusal.SYNTAX, "The statement is not valid Unicode text: remove the lone surrogate.", position=error.start
        ) from None
    if size > MAX_TEXT_BYTES:
        raise SqlRefused(
            Refusal.TOO_LARGE, f"The statement is longer than {MAX_TEXT_BYTES} bytes: bind values as parameters."
        )
    for bad in ("\0", "\ufeff"):
        if (at := text.find(bad)) >= 0:
            raise SqlRefused(Refusal.SYNTAX, "The statement contains a forbidden control character.", position=at)


def _token(group: str | None, raw: str, start: int, end: int) -> Token:
    match group:
        case "word":
            return Token(Kind.WORD, raw, raw.upper() if raw.isascii() else "", start, end)
        case "sign":
            return Token(Kind.SIGN, raw, raw, start, end)
        case "number":
            return Token(Kind.NUMBER, raw, "", start, end)
        case "string":
            return Token(Kind.STRING, raw[1:-1].replace("''", "'"), "", start, end)
        case "double":
            return Token(Kind.QUOTED, raw[1:-1].replace('""', '"'), "", start, end)
        case "tick":
            return Token(Kind.QUOTED, raw[1:-1].replace("``", "`"), "", start, end)
        case "bracket":
            return Token(Kind.QUOTED, raw[1:-1], "", start, end)
        case "blob":
            return Token(Kind.BLOB, raw[2:-1], "", start, end)
        case _:
            return Token(Kind.PARAM, raw, "", start, end)


def _illegal(text: str, position: int) -> SqlRefused:
    sign = text[position]
    if sign in "'\"`[":
        return SqlRefused(Refusal.SYNTAX, f"A quote ({sign}) is not closed.", position=position)
    if sign in "@:$#":
        return SqlRefused(
            Refusal.PARAMETERS, "Placeholders are :name, ? or ?1: no other form can be bound.", position=position
        )
    if text.startswith("/*", position):
        return SqlRefused(Refusal.SYNTAX, "A comment is not closed: end it with */.", position=position)
    return SqlRefused(Refusal.SYNTAX, "SQLite has no such token here.", position=position)


def _complexity(found: list[Token]) -> None:
    depth = prefix = sets = logical = 0
    for token in found:
        word = token.word
        prefix = prefix + 1 if word in _PREFIXES else 0
        if not word:
            continue
        if word in _OPENS:
            depth += 1
        elif word == ")" or word == "END":
            depth -= 1
        elif word in _SET_OPERATIONS:
            sets += 1
        elif word in ("AND", "OR"):
            logical += 1
        if depth > MAX_NESTING:
            raise _complex(f"nests deeper than {MAX_NESTING} levels", token)
        if prefix > MAX_PREFIX_CHAIN:
            raise _complex(f"chains more than {MAX_PREFIX_CHAIN} brackets or unary operators", token)
        if sets > MAX_SET_OPERATIONS:
            raise _complex(f"has more than {MAX_SET_OPERATIONS} set operations", token)
        if logical > MAX_LOGICAL_OPERATORS:
            raise _complex(f"has more than {MAX_LOGICAL_OPERATORS} AND and OR: use IN (…)", token)


def _complex(what: str, token: Token) -> SqlRefused:
    return SqlRefused(Refusal.TOO_COMPLEX, f"The statement {what}: simplify it.", position=token.start)


_FOLD = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def fold(name: str) -> str:
    """SQLite compares names without regard to ASCII case, and to ASCII case only."""
    return name.translate(_FOLD)


def quoted(name: str) -> str:
    """Backticks: unlike double quotes, SQLite never takes them for a string when no such column exists."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
