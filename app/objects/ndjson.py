"""NDJSON under masks: one document a line, a block of whole lines at a time."""

from collections.abc import Iterator

import orjson

from app.objects.encoding import without_mark
from app.objects.json_masking import masked
from app.objects.json_places import JsonPlaces
from app.objects.json_text import check_depth, exactly, keeps_numbers, refused, written
from app.objects.plan import RenderLimits
from app.objects.refusal import ContentFault, ContentRefused
from app.objects.sink import Sink
from app.objects.unwrapping import STEP_BYTES, Source

_BLANKS = b" \t\r"


def render_ndjson(source: Source, sink: Sink, places: JsonPlaces, limits: RenderLimits) -> int:
    """The number of documents. Blank lines are no documents. Raises ContentRefused."""
    lines_read = rows = 0
    for block in _blocks(source, limits.max_record_bytes):
        lines = block.split(b"\n")
        loads = orjson.loads if keeps_numbers(block) else exactly
        shown = []
        for number, line in enumerate(lines, lines_read + 1):
            try:
                document = loads(line)
            except (ValueError, RecursionError) as broken:
                if not line.strip(_BLANKS):
                    continue
                raise refused(line, limits.max_depth, f"line {number}") from broken
            check_depth(line, limits.max_depth, f"line {number}")
            shown.append(written(masked(document, places.root), orjson.OPT_APPEND_NEWLINE))
        lines_read += len(lines)
        rows += len(shown)
        sink.write(b"".join(shown))
    return rows


def lines_of(source: Source, limits: RenderLimits) -> Iterator[tuple[int, bytes]]:
    """Every line that is not blank, with its number from 1. Raises ContentRefused."""
    lines_read = 0
    for block in _blocks(source, limits.max_record_bytes):
        lines = block.split(b"\n")
        yield from ((at, line) for at, line in enumerate(lines, lines_read + 1) if line.strip(_BLANKS))
        lines_read += len(lines)


def _blocks(source: Source, max_record_bytes: int) -> Iterator[bytes]:
    """Whole lines, without the end of the last one."""
    pending = without_mark(source.read(STEP_BYTES))
    lines_read = 0
    while chunk := source.read(STEP_BYTES):
        whole, end, rest = chunk.rpartition(b"\n")
        if end:
            block = pending + whole
            lines_read += block.count(b"\n") + 1
            yield block
            pending = rest
        else:
            pending += chunk
        # Several lines of the first chunk may be pending together, but no more than that chunk.
        if len(pending) > max_record_bytes + STEP_BYTES:
            line = lines_read + pending.count(b"\n") + 1
            raise ContentRefused(
                ContentFault.TOO_LARGE,
                f"Line {line} is longer than {max_record_bytes:,} bytes. Write one document a line.",
                f"line {line}",
            )
    if pending:
        yield pending
