"""Text of others, made harmless for a terminal: what cannot be seen is spelled out, and nothing leaves its place.

An agent chooses statements, purposes and, through the data, preview cells. None of them may move the cursor, reorder
what an approver reads, hide a part of it, or pretend to be a line of ours.
"""

import unicodedata
from collections.abc import Iterator

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0\u034f\u17b4\u17b5")
"""Letters and symbols that are drawn as nothing."""
_MOST_MARKS = 2
"""Combining marks in a row that some language needs; towers of them cover other lines."""


def visible(text: str) -> str:
    """One line. Control, format, private and unassigned characters, line ends and odd blanks as <U+XXXX>."""
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    marks = 0
    for char in text:
        marks = marks + 1 if unicodedata.combining(char) or unicodedata.category(char) in {"Mn", "Me"} else 0
        shown.append(_spelled(char) if _hidden(char) or marks > _MOST_MARKS else char)
    return "".join(shown)


def visible_lines(text: str) -> list[str]:
    """As `visible`, but line ends and tabs of the text itself are kept as such."""
    return [visible(line.expandtabs(4)) for line in text.replace("\r\n", "\n").split("\n")]


def ascii_json(document: str) -> str:
    """JSON that `json.dumps` made with ensure_ascii: the one control character that it leaves is escaped as well."""
    return document.replace("\x7f", "\\u007f")


def _hidden(char: str) -> bool:
    if char == " ":
        return False
    category = unicodedata.category(char)
    # A blank that is not U+0020 looks like one and is not: in a statement it can end a name or not.
    return category in _HIDDEN_CATEGORIES or category == "Zs" or char in _BLANK or 0xFE00 <= ord(char) <= 0xFE0F


def _spelled(char: str) -> str:
    return f"<U+{ord(char):04X}>"


def columns_of(text: str) -> int:
    """Terminal columns of a visible text."""
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def cut(text: str, most: int) -> str:
    """A visible text in at most `most` columns; a cut one says how much is missing."""
    if columns_of(text) <= most:
        return text
    note = f"…+{len(text)}"
    kept = next(folded(text, max(most - len(note), 1)))
    return f"{kept}…+{len(text) - len(kept)}"


def folded(text: str, width: int) -> Iterator[str]:
    """A visible text in pieces of at most `width` columns, so that no terminal folds it to column 0 itself; behind a
    blank, where one is near. Together the pieces are the text."""
    start, used, blank = 0, 0, 0
    for at, char in enumerate(text):
        columns = _columns(char)
        if used + columns > width and at > start:
            end = blank if blank > start + (at - start) // 2 else at
            yield text[start:end]
            start, used = end, columns_of(text[end:at])
        if char == " ":
            blank = at + 1
        used += columns
    yield text[start:]


def guttered(text: str, *, mark: str, width: int) -> Iterator[str]:
    """Lines of somebody's text, each behind `mark`: a line of it cannot pass for one of ours."""
    for line in visible_lines(text):
        for number, piece in enumerate(folded(line, max(width - len(mark) - 2, 20))):
            yield f"{mark}{'| ' if number == 0 else ': '}{piece}".rstrip()
