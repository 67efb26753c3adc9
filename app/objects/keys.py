"""Keys of objects, normalised once: policy, connector, audit log and answer all mean the same characters.

What is refused could be read as another key by somebody further down (a file system, a proxy, a person at a screen).
Text comes in here after exactly one percent-decoding.
"""

import re
import unicodedata
from enum import StrEnum
from typing import NewType

MAX_KEY_BYTES = 1_024

ObjectKey = NewType("ObjectKey", str)
"""Relative, "/" between segments, NFC, nothing invisible in it."""

ObjectPrefix = NewType("ObjectPrefix", str)
"""What keys begin with: "" or the beginning of a key, often up to and with a "/"."""


class KeyFault(StrEnum):
    EMPTY = "empty"
    TOO_LONG = "too_long"
    NOT_UTF8 = "not_utf8"
    PERCENT = "percent"
    """A "%" that no two hex digits follow."""
    ENCODED_TWICE = "encoded_twice"
    CHARACTER = "character"
    LEADING_SLASH = "leading_slash"
    SEGMENT = "segment"
    """Empty, ".", "..", or with blanks at an end."""


class KeyRefused(Exception):  # noqa: N818 - names what happened to the key
    """`detail` is a sentence for the caller and says the next step; it repeats nothing of the key."""

    def __init__(self, code: KeyFault, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


_MALFORMED_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_STILL_ENCODED = re.compile(r"%(?:2[eEfF5]|5[cC]|[01][0-9A-Fa-f]|7[fF])")
"""Of ".", "/", "%", a backslash or a control character: what a second decoding would turn into another key."""

_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufffd\U000e0100-\U000e01ef]"
)
"""Letters and marks that show nothing (Default_Ignorable_Code_Point of UAX 44, the blank of Braille), and the mark that
a lossy decoding leaves."""


def decoded(raw: bytes) -> str:
    """The path of a request, percent-decoded exactly once (RFC 3986, 2.1); "+" stays a plus. Raises KeyRefused."""
    if _MALFORMED_PERCENT.search(raw):
        raise KeyRefused(
            KeyFault.PERCENT, "A % in the key needs two hex digits behind it. Write %25 for a percent sign."
        )
    try:
        return _PERCENT.sub(lambda found: bytes((int(found[1], 16),)), raw).decode("utf-8")
    except UnicodeDecodeError as broken:
        raise KeyRefused(KeyFault.NOT_UTF8, "The key is not UTF-8. Percent-encode its UTF-8 bytes.") from broken


def parse_key(raw: str) -> ObjectKey:
    """The one form of a key. Raises KeyRefused."""
    if not raw:
        raise KeyRefused(KeyFault.EMPTY, "The key is empty. Name the object, such as reports/may.csv.")
    key = _characters(raw)
    for segment in key.split("/"):
        _check_segment(segment)
    return ObjectKey(key)


def parse_prefix(raw: str) -> ObjectPrefix:
    """Empty text: the beginning of every key. Behind the last "/" may stand any beginning of a segment. Raises
    KeyRefused."""
    if not raw:
        return ObjectPrefix("")
    prefix = _characters(raw)
    *whole, partial = prefix.split("/")
    for segment in whole:
        _check_segment(segment)
    if partial:
        _check_segment(partial.rstrip() or partial)
    return ObjectPrefix(prefix)


def stored_key(name: str) -> ObjectKey | None:
    """The key under which a name that a store gives can be asked for; None: under none, so it is not shown either."""
    try:
        key = parse_key(name)
    except KeyRefused:
        return None
    return key if key == name else None


def _characters(raw: str) -> str:
    """In NFC, once no character can stand for something else."""
    if len(raw) > MAX_KEY_BYTES:
        raise _too_long()
    key = unicodedata.normalize("NFC", raw)
    if "\\" in key or _UNSEEN.search(key) or not _REFUSED_CATEGORIES.isdisjoint(map(unicodedata.category, key)):
        raise KeyRefused(
            KeyFault.CHARACTER,
            "The key holds a backslash, a control character or a character that cannot be seen. Keys are made of "
            'visible characters, with "/" between segments.',
        )
    if len(key.encode()) > MAX_KEY_BYTES:
        raise _too_long()
    if _STILL_ENCODED.search(key):
        raise KeyRefused(
            KeyFault.ENCODED_TWICE,
            "The key still holds a percent-encoded dot, slash, backslash, percent sign or control character after "
            "decoding. Encode it once.",
        )
    if key.startswith("/"):
        raise KeyRefused(KeyFault.LEADING_SLASH, "The key begins with a slash. Keys are relative: reports/may.csv.")
    return key


def _check_segment(segment: str) -> None:
    if segment in ("", ".", ".."):
        raise KeyRefused(
            KeyFault.SEGMENT,
            'The key has an empty segment, or "." or ".." as one. Write every segment by its name, and no slash at '
            "the end.",
        )
    if segment != segment.strip():
        raise KeyRefused(KeyFault.SEGMENT, "A segment of the key begins or ends with a blank. Take the blank away.")


def _too_long() -> KeyRefused:
    return KeyRefused(KeyFault.TOO_LONG, f"The key is longer than {MAX_KEY_BYTES} bytes in UTF-8. Use a shorter one.")
