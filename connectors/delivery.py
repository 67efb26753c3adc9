"""How many of the rows that an engine gave may go to the sink: skip, row cap and byte cap, one rule for all engines."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from connectors.contract import Limits, ResultColumn, RowSink, Stopped

_WORST_EXPANSION = 6
"""A control character of one byte becomes \\u0000 in JSON; every other encoding is shorter."""
_VALUE_OVERHEAD = 24
"""Quotes, comma, and the longest text of a number that the engine sends in eight bytes."""


class Delivery:
    """Counts what one read delivered. `push` until it returns False or the engine has no more rows.

    The byte cap is overshot by at most the row that crosses it: encoded size is known only once the sink has it.
    """

    __slots__ = ("_max_bytes", "_max_rows", "_on_columns", "_sink", "_skip", "byte_count", "row_count", "stopped")

    def __init__(
        self,
        sink: RowSink,
        limits: Limits,
        skip_rows: int,
        on_columns: Callable[[tuple[ResultColumn, ...]], None] | None = None,
    ) -> None:
        self._sink = sink
        self._on_columns = on_columns
        self._skip = skip_rows
        self._max_rows = limits.max_rows
        self._max_bytes = limits.max_bytes
        self.row_count = 0
        self.byte_count = 0
        self.stopped: Stopped | None = None

    @property
    def untouched(self) -> bool:
        """No row reached the sink yet: the read may still start again."""
        return self.row_count == 0

    @property
    def rows_wanted(self) -> int:
        """Rows still to read from the engine, one beyond the cap included: it tells whether there were more."""
        return self._skip + self._max_rows - self.row_count + 1

    def announce(self, columns: tuple[ResultColumn, ...]) -> None:
        """Before the first `push`; told once, however often the engine is asked."""
        tell, self._on_columns = self._on_columns, None
        if tell is not None:
            tell(columns)

    def push(self, rows: Sequence[Sequence[Any]], raw_bytes: int, *, last: bool) -> bool:
        """False: stop reading. `raw_bytes`: what the rows took on the wire; `last`: the engine has no more rows."""
        if self._skip:
            skipped = min(self._skip, len(rows))
            self._skip -= skipped
            rows = rows[skipped:]
        room = self._max_rows - self.row_count
        cut = len(rows) > room
        if cut:
            rows = rows[:room]
        if rows and not self._deliver(rows, raw_bytes, last=last and not cut):
            self.stopped = Stopped.BYTES
            return False
        if cut:
            self.stopped = Stopped.ROWS
            return False
        return True

    def _deliver(self, rows: Sequence[Sequence[Any]], raw_bytes: int, *, last: bool) -> bool:
        left = self._max_bytes - self.byte_count
        worst = _WORST_EXPANSION * raw_bytes + _VALUE_OVERHEAD * len(rows) * (len(rows[0]) + 1)
        if worst <= left:
            self._give(rows)
            return True
        # Near the cap row by row: only the sink knows what each one makes.
        for place, row in enumerate(rows, start=1):
            self._give((row,))
            if self.byte_count >= self._max_bytes and not (last and place == len(rows)):
                return False
        return True

    def _give(self, rows: Sequence[Sequence[Any]]) -> None:
        self.byte_count += self._sink(rows)
        self.row_count += len(rows)


def too_large(rows: Iterable[Sequence[Any]], max_value_bytes: int) -> int | None:
    """The column of the first value above the cap, measured as its own bytes (text: UTF-8), or None."""
    for row in rows:
        for column, value in enumerate(row):
            if _exceeds(value, max_value_bytes):
                return column
    return None


def _exceeds(value: Any, cap: int) -> bool:
    match value:
        case str():
            return len(value) > cap or (len(value) * 4 > cap and len(value.encode("utf-8", "surrogatepass")) > cap)
        case bytes():
            return len(value) > cap
        case list():
            return _list_size(value) > cap
        case orjson.Fragment():
            return len(orjson.dumps(value)) > cap
        case _:
            return False


def _list_size(items: list[Any]) -> int:
    size = 0
    for item in items:
        match item:
            case str():
                size += len(item.encode("utf-8", "surrogatepass"))
            case bytes():
                size += len(item)
            case list():
                size += _list_size(item)
            case orjson.Fragment():
                size += len(orjson.dumps(item))
            case _:
                size += 8
    return size
