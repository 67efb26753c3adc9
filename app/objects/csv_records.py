"""Cuts CSV (RFC 4180) into blocks of whole records and holds it to one reading.

Parsers differ on quotes that stand where they should not, and what one takes for a cell another takes for several
records: content moves from a masked column into one that shows. So a quote is only accepted around a whole cell or
doubled within one, whatever is between the delimiters otherwise.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import re2

from app.objects.encoding import checked_utf8
from app.objects.refusal import ContentFault, ContentRefused
from app.objects.unwrapping import STEP_BYTES, Source


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records in UTF-8 that have one reading. `line`: number of its first line; `quoted`: it has quotes."""

    data: bytes
    line: int
    quoted: bool


class Grammar:
    """`delimiter`: one ASCII character that is neither a quote nor the end of a line. Raises ValueError."""

    def __init__(self, delimiter: str) -> None:
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0':
            raise ValueError("a delimiter is one ASCII character")
        self.delimiter = delimiter
        between = re2.escape(delimiter.encode())
        cell = rb'(?:[^"\r\n%s]*|"(?:[^"]|"")*")' % between
        end = rb"(?:%s|\r\n|\n|\r)" % between
        self._records = pattern(rb"(?:%s%s)*(?:%s)?" % (cell, end, cell))
        self._first = pattern(rb"(?:%s%s)*%s(?:\r\n|\n|\r|\z)" % (cell, between, cell))

    def blocks(self, source: Source, max_record_bytes: int) -> Iterator[Block]:
        """Raises ContentRefused."""
        pending = b""
        line = 1
        while chunk := source.read(STEP_BYTES):
            pending += chunk
            cut = _end_of_records(pending)
            if cut:
                yield self._checked(pending[:cut], line)
                line += pending.count(b"\n", 0, cut)
                pending = pending[cut:]
            if len(pending) > max_record_bytes + STEP_BYTES:
                raise ContentRefused(
                    ContentFault.TOO_LARGE,
                    f"The record from line {line} on is longer than {max_record_bytes:,} bytes, or a quote in it is "
                    "never closed. Quote cells as RFC 4180 says.",
                    f"line {line}",
                )
        if pending:
            yield self._checked(pending, line)

    def split_first(self, block: Block) -> tuple[list[str] | None, Block]:
        """The cells of the first record that is not blank, and the rest; None when there is none."""
        data = block.data.lstrip(b"\r\n")
        if not data:
            return None, Block(b"", block.line, block.quoted)
        found = self._first.match(data)
        if found is None:
            raise _misquoted(block.line)
        record = data[: found.end()]
        try:
            # Where a part of the content is all there is of it, its last character may be cut.
            text = record.decode("utf-8", "replace")
            cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter))
        except csv.Error as broken:
            raise ContentRefused(
                ContentFault.TOO_LARGE, "A name in the header is too long. Name columns shortly.", "line 1"
            ) from broken
        line = block.line + block.data.count(b"\n") - data.count(b"\n", found.end())
        return cells, Block(data[found.end() :], line, block.quoted)

    def _checked(self, data: bytes, line: int) -> Block:
        place = f"line {line}"
        checked_utf8(data, place)
        quoted = b'"' in data
        if quoted and not self._records.fullmatch(data):
            good = self._records.match(data)
            raise _misquoted(line + data.count(b"\n", 0, good.end()))
        return Block(data, line, quoted)


def _misquoted(line: int) -> ContentRefused:
    return ContentRefused(
        ContentFault.UNDECODABLE,
        f"A quote at line {line} or in the record after it stands within a cell or is never closed. Quote whole cells, "
        "and double the quotes in them (RFC 4180).",
        f"line {line}",
    )


def pattern(text: bytes) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = True
    return re2.compile(text, options)


def _end_of_records(data: bytes) -> int:
    """Behind the last end of a line that is not within quotes; 0: there is none. A carriage return that ends the data
    is none yet: its line feed may follow."""
    end = b"\n" if b"\n" in data else b"\r"
    upto = len(data) if end == b"\n" else len(data) - 1
    quotes = data.count(b'"')
    counted = len(data)
    while (at := data.rfind(end, 0, upto)) >= 0:
        quotes -= data.count(b'"', at, counted)
        counted = at
        if quotes % 2 == 0:
            return at + 1
        upto = at
    return 0
