"""One text read twice: with its escapes decoded, and as it was written, for `\\n` may begin a name in a path too."""

import re
from collections.abc import Sequence
from dataclasses import replace

from app.masking.detectors.found import Found

_PATH = re.compile(r"(?<![A-Za-z0-9])(?:[A-Za-z]:|[A-Z][A-Z0-9\-]{1,14})\\(?!\\*\")[^\s\"'<>|?*]*+")
"""Of Windows, or a name in a domain of it: there a backslash is nothing but itself."""
_UNTOLD = ("password", "url_password")
"""What has no form: where it ends is a guess."""


def either_reading(text: str, decoded: Sequence[Found], as_written: Sequence[Found]) -> list[Found]:
    """All of `decoded`, and of `as_written` what is not found in the other, or found there only in part.

    Both sorted and without overlaps. The result may overlap.
    """
    kept = list(decoded)
    paths = [path.span() for path in _PATH.finditer(text)] if as_written else []
    place = path = 0
    for one in as_written:
        one = _with_its_backslashes(text, one)
        while place < len(decoded) and decoded[place].end <= one.start:
            place += 1
        while path < len(paths) and paths[path][1] <= one.start:
            path += 1
        other = decoded[place] if place < len(decoded) and decoded[place].start < one.end else None
        in_path = path < len(paths) and paths[path][0] <= one.start
        if other is None or in_path or _goes_on(one, other):
            kept.append(one)
    return kept


def _with_its_backslashes(text: str, found: Found) -> Found:
    """Half an escape would be none: one in front is covered with its letter, one behind is left whole."""
    start, end = found.start, found.end
    while start and text[start - 1] == "\\":
        start -= 1
    while end > found.start + 1 and text[end - 1] == "\\":
        end -= 1
    return replace(found, start=start, end=end)


def _goes_on(one: Found, other: Found) -> bool:
    """A password may hold a backslash."""
    return one.entity in _UNTOLD and one.entity == other.entity and one.start <= other.start and one.end > other.end
