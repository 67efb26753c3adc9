"""Running text under detectors, a window at a time; windows overlap, so that what lies across a border is found."""

import codecs
from collections.abc import Iterator

from app.masking.detectors.found import Found
from app.masking.detectors.streaming import LEAD, LONGEST_ENTITY, lead_of
from app.masking.redaction import Find
from app.objects.encoding import not_text, without_mark
from app.objects.redacting import Covering
from app.objects.sink import Sink
from app.objects.unwrapping import STEP_BYTES, Source

WINDOW_CHARACTERS = 1 << 19
AHEAD_CHARACTERS = LONGEST_ENTITY
"""What is shorter than this is found wherever the border lies; a private key that is longer is covered all the same."""
_BREAK_WITHIN_CHARACTERS = 1 << 12


def render_text(
    source: Source,
    sink: Sink,
    covering: Covering,
    find: Find,
    window: int = WINDOW_CHARACTERS,
    ahead: int = AHEAD_CHARACTERS,
) -> tuple[str, ...]:
    """The labels that were covered, sorted. Raises ContentRefused for what is no text in UTF-8."""
    labels: set[str] = set()
    behind, text = "", ""
    for piece in _decoded(source):
        text += piece
        while len(text) >= window + ahead:
            behind, text = _show(behind, text, len(text) - ahead, sink, covering, find, labels)
    _show(behind, text, len(text), sink, covering, find, labels)
    return tuple(sorted(labels))


def windows(source: Source) -> Iterator[str]:
    """All of the text in pieces that overlap, so that whatever is found lies whole in one of them. Raises
    ContentRefused."""
    text = ""
    for piece in _decoded(source):
        text += piece
        if len(text) >= WINDOW_CHARACTERS + AHEAD_CHARACTERS:
            yield text
            text = text[-AHEAD_CHARACTERS:]
    yield text


def _show(
    behind: str, text: str, upto: int, sink: Sink, covering: Covering, find: Find, labels: set[str]
) -> tuple[str, str]:
    """Writes the beginning of the text, about `upto` characters, and gives what is behind then, and the rest."""
    skipped = len(behind)
    found = [moved for one in find(behind + text) if (moved := _moved(one, skipped)) is not None]
    cut = _cut(text, upto, found) if upto < len(text) else upto
    shown = [one for one in found if one.end <= cut]
    labels.update(one.label for one in shown if covering.covers(one.label))
    sink.write(covering.redactor(lambda _: shown)(text[:cut]).encode("utf-8"))
    if cut == len(text):
        return lead_of(text, found), ""
    return (behind + text[:cut])[-LEAD:], text[cut:]


def _moved(one: Found, by: int) -> Found | None:
    """In the text without what is behind; the part of it that is not shown yet."""
    if one.end <= by:
        return None
    return Found(one.entity, one.label, max(one.start - by, 0), one.end - by, one.score)


def _cut(text: str, upto: int, found: list[Found]) -> int:
    """Between words if there are any, and never within what was found."""
    cut = upto
    lowest = max(upto - _BREAK_WITHIN_CHARACTERS, 1)
    if (end := max(text.rfind("\n", lowest, upto), text.rfind(" ", lowest, upto))) > 0:
        cut = end + 1
    for one in found:
        if one.start < cut < one.end:
            return one.start or one.end
    return cut


def _decoded(source: Source) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    chunk = without_mark(source.read(STEP_BYTES))
    lines = 1
    ended = False
    while not ended:
        following = source.read(STEP_BYTES)
        ended = not following
        if 0 in chunk:
            raise not_text(f"line {lines}")
        try:
            yield decoder.decode(chunk, ended)
        except UnicodeDecodeError as broken:
            raise not_text(f"line {lines}") from broken
        lines += chunk.count(b"\n")
        chunk = following
