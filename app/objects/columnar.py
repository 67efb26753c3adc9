"""Parquet and Arrow under masks, a batch of rows at a time, written anew by rules that only what shows decides."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from app.masking.values import Redactor
from app.objects.arrow_columns import Columns
from app.objects.arrow_plain import copied
from app.objects.arrow_sizes import size_of
from app.objects.column_names import ColumnViews
from app.objects.columnar_groups import RowGroups, leaf_count
from app.objects.formats import ContentFormat, FormatKind
from app.objects.plan import RenderLimits, RenderPlan
from app.objects.refusal import ContentFault, ContentRefused
from app.objects.sink import Sink
from app.objects.unwrapping import bomb

_FIRST_ROWS = 1_024
_MOST_ROWS = 65_536
_FASTER = 4
_READ_BYTES = 8 << 20
_BUFFER_BYTES = 1 << 16
_DICTIONARY_BYTES = 1 << 15
"""Columns of mostly different values are found out early, and written plainly."""
_FOOTER_BYTES = 64 << 20
_FOOTER_PARTS = 1 << 20
_ARROW_FILE_MAGIC = b"ARROW1"


def render_columnar(raw: BinaryIO, sink: Sink, plan: RenderPlan, redact: Redactor) -> tuple[int, tuple[str, ...]]:
    """The number of rows and the labels that are masked. Raises ContentRefused."""
    with _readable(plan):
        content = _content(raw, plan)
        columns = Columns(content.schema, ColumnViews(plan.view.columns), plan.view.column_default, plan.keys, redact)
    rows = 0
    groups = RowGroups(columns.schema)
    with _writer(columns.schema, sink, plan.format) as write:
        for read_rows, batch in _rendered(content, columns, plan):
            rows += read_rows
            for group in groups.add(batch):
                write(group)
        for group in groups.rest():
            write(group)
    return rows, columns.labels


def _rendered(content: "_Content", columns: Columns, plan: RenderPlan) -> Iterator[tuple[int, pa.RecordBatch]]:
    """With the number of rows of each batch, which one without columns does not know."""
    with _readable(plan):
        pace = _Pace()
        read_bytes = 0
        for batch in content.batches(columns.read, pace):
            size = size_of(batch)
            read_bytes += size
            if read_bytes > plan.limits.max_expanded_bytes:
                raise bomb()
            shown = columns.render(batch)
            pace.took(batch.num_rows, max(size, shown.nbytes))
            yield batch.num_rows, shown


def batches_of(raw: BinaryIO, plan: RenderPlan, names: Callable[[pa.Schema], None]) -> Iterator[pa.RecordBatch]:
    """All columns of all rows, after `names` was told the schema; those of Arrow as they are stored, with all that is
    in a batch. Raises ContentRefused."""
    with _readable(plan):
        content = _content(raw, plan)
        names(content.schema)
        pace = _Pace(cuts=False)
        read_bytes = 0
        for batch in content.batches(list(range(len(content.schema))), pace):
            size = size_of(batch)
            read_bytes += size
            if read_bytes > plan.limits.max_expanded_bytes:
                raise bomb()
            pace.took(batch.num_rows, size)
            yield batch


class _Pace:
    """How many rows are read at once. Few at first: a file does not say how large values are once they are decoded.
    `cuts`: whether batches that are stored as such are cut."""

    def __init__(self, *, cuts: bool = True) -> None:
        self.cuts = cuts
        self.rows = _FIRST_ROWS

    def took(self, rows: int, size: int) -> None:
        fitting = _READ_BYTES * rows // max(size, 1)
        self.rows = max(min(fitting, _FASTER * self.rows, _MOST_ROWS), 1)


@contextmanager
def _readable(plan: RenderPlan) -> Iterator[None]:
    try:
        yield
    except pa.ArrowMemoryError:
        raise
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as broken:
        name = plan.format.kind.value.capitalize()
        raise ContentRefused(
            ContentFault.UNDECODABLE,
            f"The content is not whole, unencrypted {name} that can be read. Write and store it again.",
        ) from broken


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """`batches`: (columns to read, pace) -> batches that hold these columns alone, in their order. How the content is
    cut into them does not show."""

    schema: pa.Schema
    batches: Callable[[list[int], _Pace], Iterator[pa.RecordBatch]]


def _content(raw: BinaryIO, plan: RenderPlan) -> _Content:
    return _parquet(raw, plan.limits) if plan.format.kind is FormatKind.PARQUET else _arrow(raw, plan.limits)


def _parquet(raw: BinaryIO, limits: RenderLimits) -> _Content:
    file = pq.ParquetFile(
        raw,
        buffer_size=_BUFFER_BYTES,
        pre_buffer=False,
        thrift_string_size_limit=_FOOTER_BYTES,
        thrift_container_size_limit=_FOOTER_PARTS,
        arrow_extensions_enabled=False,
    )
    metadata = file.metadata
    schema = file.schema_arrow
    leaves = [leaf_count(field.type) for field in schema]
    if sum(leaves) != metadata.num_columns:
        raise pa.ArrowInvalid("columns disagree")
    _check_columns(metadata.num_columns, limits)
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    if metadata.num_rows < 0 or sum(group.num_rows for group in groups) != metadata.num_rows:
        raise pa.ArrowInvalid("row counts disagree")
    expanded = sum(max(group.total_byte_size, 0) for group in groups)
    if expanded > limits.max_expanded_bytes:
        raise bomb()

    def batches(at: list[int], pace: _Pace) -> Iterator[pa.RecordBatch]:
        first = [sum(leaves[:place]) for place in at]
        indices = [start + leaf for start, place in zip(first, at, strict=True) for leaf in range(leaves[place])]
        for batch in file.reader.iter_batches(
            batch_size=pace.rows,
            row_groups=list(range(metadata.num_row_groups)),
            column_indices=indices,
            use_threads=False,
        ):
            yield batch
            # Read by the reader before each batch.
            file.reader.set_batch_size(pace.rows)

    return _Content(schema=schema, batches=batches)


def _arrow(raw: BinaryIO, limits: RenderLimits) -> _Content:
    is_file = raw.read(len(_ARROW_FILE_MAGIC)) == _ARROW_FILE_MAGIC
    raw.seek(0)
    options = pa.ipc.IpcReadOptions(use_threads=False)
    reader = pa.ipc.open_file(raw, options=options) if is_file else pa.ipc.open_stream(raw, options=options)
    _check_columns(sum(leaf_count(field.type) for field in reader.schema), limits)

    def batches(at: list[int], pace: _Pace) -> Iterator[pa.RecordBatch]:
        for batch in map(reader.get_batch, range(reader.num_record_batches)) if is_file else reader:
            # Offsets that point elsewhere would show memory of this process.
            batch.validate(full=True)
            rest = batch.select(at)
            while rest.num_rows:
                rows = pace.rows if pace.cuts else rest.num_rows
                yield rest.slice(0, rows)
                rest = rest.slice(rows)

    return _Content(schema=reader.schema, batches=batches)


def _check_columns(count: int, limits: RenderLimits) -> None:
    if count > limits.max_columns:
        raise ContentRefused(
            ContentFault.TOO_LARGE, f"More than {limits.max_columns:,} columns are not rendered. Split the table."
        )


@contextmanager
def _writer(schema: pa.Schema, sink: Sink, target: ContentFormat) -> Iterator[Callable[[pa.RecordBatch], None]]:
    if target.kind is FormatKind.ARROW:
        options = pa.ipc.IpcWriteOptions(compression=None, use_threads=False)
        make = pa.ipc.new_stream if target.streamed else pa.ipc.new_file
        with make(pa.PythonFile(sink, "w"), schema, options=options) as writer:
            yield lambda batch: writer.write_batch(_copied(batch))
        return
    with pq.ParquetWriter(
        pa.PythonFile(sink, "w"),
        schema,
        version="2.6",
        compression="zstd",
        compression_level=1,
        use_dictionary=True,
        dictionary_pagesize_limit=_DICTIONARY_BYTES,
        write_statistics=False,
        store_schema=False,
    ) as writer:
        yield lambda batch: writer.write_batch(batch, row_group_size=batch.num_rows)


def _copied(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Arrow shows arrays as they lie in memory."""
    return pa.RecordBatch.from_arrays([copied(column) for column in batch.columns], schema=batch.schema)
