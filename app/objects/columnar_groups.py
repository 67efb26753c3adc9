"""Cuts rendered rows into groups, by what shows of them alone: neither how the content was cut nor what is hidden in it
decides where one ends."""

from collections.abc import Iterator

import pyarrow as pa

from app.objects.arrow_sizes import size_of

MOST_ROWS = 65_536
MOST_BYTES = 32 << 20
_MOST_CELLS = 1 << 20
_LEAST_ROWS = 1_024


class RowGroups:
    """A group has as many rows as there may be in one, or fewer when their values are large, and one at least."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        cells = max(sum(leaf_count(field.type) for field in schema), 1)
        self._most_rows = max(min(MOST_ROWS, _MOST_CELLS // cells), _LEAST_ROWS)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0
        self._bytes = 0

    def add(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """The groups that are full now."""
        while batch.num_rows:
            taken, size = self._fitting(batch)
            if taken:
                self._waiting.append(batch.slice(0, taken))
            self._rows += taken
            self._bytes += size
            batch = batch.slice(taken)
            if batch.num_rows or self._rows == self._most_rows:
                yield from self.rest()

    def rest(self) -> Iterator[pa.RecordBatch]:
        if self._rows:
            yield _joined(self._waiting, self._schema)
        self._waiting = []
        self._rows = self._bytes = 0

    def _fitting(self, batch: pa.RecordBatch) -> tuple[int, int]:
        """How many of its first rows go into the group that is begun, and their size."""
        most = min(batch.num_rows, self._most_rows - self._rows)
        least = 0 if self._rows else 1
        size = size_of(batch.slice(0, most))
        if self._bytes + size <= MOST_BYTES or most == least:
            return most, size
        too_many = most
        while too_many - least > 1:
            middle = (least + too_many) // 2
            if self._bytes + size_of(batch.slice(0, middle)) <= MOST_BYTES:
                least = middle
            else:
                too_many = middle
        return least, size_of(batch.slice(0, least))


def _joined(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*(batch.columns for batch in batches), strict=True)
    return pa.RecordBatch.from_arrays([pa.concat_arrays(pieces) for pieces in columns], schema=schema)


def leaf_count(kind: pa.DataType) -> int:
    """How many columns of plain values a column of this type is made of."""
    children = [kind.field(at) for at in range(kind.num_fields)] if pa.types.is_nested(kind) else []
    return sum(leaf_count(child.type) for child in children) or 1
