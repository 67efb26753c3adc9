"""CSV and TSV under masks. What is written reads back, by any parser of RFC 4180, as the cells that were meant."""

import codecs
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import re2

from app.masking.values import Redactor, text_masker
from app.objects.arrow_masks import text_array_masker
from app.objects.csv_columns import ShownColumn, shown_columns
from app.objects.csv_records import Block, Grammar, pattern
from app.objects.encoding import as_utf8
from app.objects.formats import FormatKind
from app.objects.plan import RenderPlan
from app.objects.refusal import ContentFault, ContentRefused
from app.objects.sink import Sink
from app.objects.unwrapping import Source


def render_csv(source: Source, sink: Sink, plan: RenderPlan, redact: Redactor) -> tuple[int, tuple[str, ...]]:
    """The number of rows and the labels that are masked. A file without a header line comes without one. Raises
    ContentRefused."""
    grammar = Grammar("\t" if plan.format.kind is FormatKind.TSV else plan.view.delimiter or ",")
    table: _Table | None = None
    for block in grammar.blocks(as_utf8(source), plan.limits.max_record_bytes):
        rest = block
        if table is None:
            names = plan.view.header
            if names is None:
                header, rest = grammar.split_first(block)
                if header is None:
                    continue
                names = tuple(header)
            columns = shown_columns(names, plan.view, plan.limits.max_columns)
            table = _Table(len(names), columns, grammar.delimiter, plan, redact)
            if plan.view.header is None:
                sink.write(table.header())
        if rest.data:
            sink.write(table.rendered(rest))
    return (0, ()) if table is None else (table.rows, table.labels)


class _Table:
    def __init__(
        self, width: int, columns: Sequence[ShownColumn], delimiter: str, plan: RenderPlan, redact: Redactor
    ) -> None:
        self._columns = columns
        self._quote = _quoting(delimiter, alone=len(columns) == 1)
        self._delimiter = delimiter
        self._special_pattern = f'["\\r\\n{re2.escape(delimiter)}]'
        self._special = pattern(self._special_pattern.encode())
        self.rows = 0
        self.labels = tuple(sorted({c.view.label for c in columns if c.view.mask is not None and c.view.label}))
        names = [str(at) for at in range(width)]
        # One column at least is read, for the number of rows.
        read = [str(c.at) for c in columns if not c.fixed] or names[:1]
        self._names = names
        self._parse_options = pa_csv.ParseOptions(
            delimiter=delimiter,
            newlines_in_values=True,
            # A blank line is an empty cell where there is only one column.
            ignore_empty_lines=width > 1,
            invalid_row_handler=self._ragged,
        )
        self._convert_options = pa_csv.ConvertOptions(
            # Valid UTF-8 is checked before.
            check_utf8=False,
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[],
            strings_can_be_null=False,
            include_columns=read,
        )
        self._cells = [self._cells_of(column, plan, redact) for column in columns]

    def header(self) -> bytes:
        return self._delimiter.join(self._quote(column.name) for column in self._columns).encode("utf-8") + b"\n"

    def rendered(self, block: Block) -> bytes | memoryview:
        parsed = self._parsed(block)
        if parsed is None:
            return b""
        self.rows += parsed.num_rows
        if not self._columns:
            return b""
        cells = [cells(parsed, block) for cells in self._cells]
        if all(isinstance(one, pa.Scalar) for one in cells):
            line = self._delimiter.join(one.as_py() for one in cells) + "\n"
            return bytes(line.encode("utf-8") * parsed.num_rows)
        lines = cells[0] if len(cells) == 1 else pc.binary_join_element_wise(*cells, self._delimiter)
        return _content(pc.binary_join_element_wise(lines, "", "\n"))

    def _parsed(self, block: Block) -> pa.Table | None:
        data = block.data
        if data.startswith(codecs.BOM_UTF8):
            # The reader drops one at the start of whatever it reads; this one belongs to a cell.
            data = codecs.BOM_UTF8 + data
        read_options = pa_csv.ReadOptions(use_threads=False, column_names=self._names, block_size=len(data) + 1)
        self._bad_row: int | None = None
        try:
            return pa_csv.read_csv(
                pa.BufferReader(data),
                read_options=read_options,
                parse_options=self._parse_options,
                convert_options=self._convert_options,
            )
        except pa.ArrowInvalid as invalid:
            if not block.data.strip(b"\r\n"):
                return None
            raise self._refused(block) from invalid

    def _ragged(self, row: pa_csv.InvalidRow) -> str:
        self._bad_row = row.number
        return "error"

    def _refused(self, block: Block) -> ContentRefused:
        if self._bad_row is None:
            return ContentRefused(
                ContentFault.UNDECODABLE, f"The content from line {block.line} on is no CSV.", f"line {block.line}"
            )
        place = f"row {self.rows + self._bad_row}"
        return ContentRefused(
            ContentFault.RAGGED,
            f"{place.capitalize()} does not have {len(self._names)} cells, as the header does. Give every row the same "
            "number of cells, or name the delimiter in the data file.",
            place,
        )

    def _cells_of(self, column: ShownColumn, plan: RenderPlan, redact: Redactor) -> Callable[[pa.Table, Block], Any]:
        name = str(column.at)
        if column.view.mask is None:
            return lambda table, block: self._raw(_joined(table.column(name)), block)
        if column.fixed:
            mask = text_masker(column.view.mask, plan.keys, redact)
            fixed = pa.scalar(self._quote(mask("") or ""), pa.string())
            return lambda table, block: fixed
        cells = text_array_masker(column.view.mask, plan.keys, redact)
        return lambda table, block: self._written(_filled(cells(_joined(table.column(name)))))

    def _raw(self, cells: pa.Array, block: Block) -> pa.Array:
        # Without quotes in the content, no cell of it holds anything that needs them.
        return self._written(cells) if block.quoted or len(self._columns) == 1 else cells

    def _written(self, cells: pa.Array) -> pa.Array:
        """Quoted where it is needed. Whether any cell needs it is asked of all of them at once."""
        if self._special.search(_content(cells)):
            special = pc.match_substring_regex(cells, self._special_pattern)
            doubled = pc.replace_substring(cells, '"', '""')
            cells = pc.if_else(special, pc.binary_join_element_wise('"', doubled, '"', ""), cells)
        if len(self._columns) == 1:
            cells = pc.if_else(pc.equal(cells, ""), '""', cells)
        return cells


def _filled(cells: pa.Array) -> pa.Array:
    return cells.fill_null("") if cells.null_count else cells


def _joined(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _content(lines: pa.Array | pa.ChunkedArray) -> memoryview:
    """All of an array's text, one value behind the other, as it lies in memory."""
    array = _joined(lines) if isinstance(lines, pa.ChunkedArray) else lines
    offsets = memoryview(array.buffers()[1]).cast("i")
    return memoryview(array.buffers()[2])[offsets[array.offset] : offsets[array.offset + len(array)]]


def _quoting(delimiter: str, *, alone: bool) -> Callable[[str], str]:
    """`alone`: the only cell of a record; an empty one would be a blank line."""
    special = frozenset('"\r\n' + delimiter)

    def quoted(cell: str) -> str:
        if (alone and not cell) or not special.isdisjoint(cell):
            return '"' + cell.replace('"', '""') + '"'
        return cell

    return quoted
