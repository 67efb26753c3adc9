"""What the patterns for PostgreSQL take for harmless is harmless to the detectors as well."""

import re
import sys
from collections.abc import Iterator
from typing import Any

from app.masking.detectors.folding import fold
from app.sql.postgres import redaction
from app.sql.postgres.redaction import PATTERNS, redacted
from app.sql.postgres.tree import parsed

_FOREIGN = re.compile(redaction._FOREIGN)
_LETTER = re.compile(f"[{redaction._LETTERS}]")
_AS_ASCII = re.compile(redaction._READ_AS_ASCII)
_PARTS = {" ": redaction._SPACE, "-": redaction._DASH, '"': redaction._QUOTE, "'": redaction._QUOTE}


def _stays() -> list[str]:
    """Every character beyond ASCII with which a word may stay."""
    return [c for c in map(chr, range(0x80, sys.maxunicode + 1)) if not _FOREIGN.fullmatch(c)]


def test_no_character_that_may_stay_is_read_as_a_digit_or_not_at_all() -> None:
    for c in _stays():
        read = fold(c).data
        assert len(read) == 1, hex(ord(c))
        assert not read.isdigit(), hex(ord(c))
        assert read not in (b"@", b".", b":", b"=", b"_", b"/", b"+", b"\n", b"(", b"["), hex(ord(c))


def test_what_is_read_as_ascii_is_known_as_that() -> None:
    for c in _stays():
        read = fold(c).data
        if read.isascii() and read > b" ":
            assert _AS_ASCII.fullmatch(c), hex(ord(c))
        if read.isalpha():
            assert _LETTER.fullmatch(c), hex(ord(c))
            assert re.fullmatch(redaction._one_of(read.decode().lower()), c), hex(ord(c))
        elif read.decode("latin-1") in _PARTS:
            assert re.fullmatch(_PARTS[read.decode("latin-1")], c), hex(ord(c))


def test_everything_else_is_a_foreign_character_or_a_plain_one() -> None:
    plain = [c for c in map(chr, range(0x80)) if c.isprintable() or c.isspace()]
    assert not any(_FOREIGN.fullmatch(c) for c in plain if c != "\x1f")
    assert all(_FOREIGN.fullmatch(c) for c in map(chr, range(0x80)) if fold(c).data == b"")
    for c in "٣３４ａ＠．：\u200b\u2060\xad\ufe0f\u034f\u2028\x85ªº①🄰":
        assert _FOREIGN.fullmatch(c), hex(ord(c))


def test_the_patterns_stand_in_the_statement_as_they_are() -> None:
    tree = parsed(f"SELECT {redacted('x')} FROM t")
    assert len(tree.stmts) == 1
    assert redacted("x").isascii()
    assert list(PATTERNS) == [text for text in _constants(tree) if len(text) > 100]


def _constants(message: Any) -> Iterator[str]:
    """Of calls in calls, the innermost first."""
    for field, value in message.ListFields():
        if field.name == "sval" and isinstance(value, str) and message.DESCRIPTOR.name == "String":
            yield value
        elif field.message_type is not None:
            for one in value if field.is_repeated else [value]:
                yield from _constants(one)
