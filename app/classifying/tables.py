"""A sample of every table of a database, read through its connector under limits, and what it suggests."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from app.classifying.looking import Look, Sampling
from app.gateway.connections import Connection
from app.masking.detectors.classifying import Find, classify
from app.policy.data_file import ConnectionData
from app.policy.labels import Masks
from app.policy.proposing import Looked, Section
from app.policy.resources import table_path
from app.policy.tables import CLOSED_KINDS, DERIVED_KINDS, Columns
from app.sql.postgres.quoting import identifier
from app.sql.sqlite.lexis import quoted
from connectors.contract import Column, ConnectorError, Dialect, Failure, Limits, Runnable, Table

MAX_VALUE_BYTES = 1 << 20
MAX_SAMPLE_BYTES = 32 << 20


async def look_at_tables(connection: Connection, data: ConnectionData, find: Find, sampling: Sampling) -> Look:
    """Raises ConnectorError when the catalog cannot be read."""
    catalog = await connection.connector.refresh()
    columns = Columns(data, Masks({}), catalog, lambda _label: False)
    look = Look()
    closed = 0
    for key, table in sorted(catalog.tables.items()):
        if table.kind in CLOSED_KINDS and data.of(key) is None:
            closed += 1
            continue
        name = table_path(key)
        sample = await _sample(connection, table, sampling, look)
        values = sample or {}
        looked = tuple(
            Looked(
                name=column.name,
                word=_word(columns, table, column),
                suggestion=classify(find, column.name, column.type, values.get(column.name, ())),
                sampled=len(values.get(column.name, ())),
            )
            for column in table.columns
        )
        look.sections.append(Section(name=name, looked=looked))
        if sample is None and any(one.word in (None, "allow") for one in looked):
            look.unread.append(name)
    if closed:
        look.notes.append(
            f"{closed} views, partitions and other relations were left out: nobody sees them until the data file "
            "names them"
        )
    return look


def _word(columns: Columns, table: Table, column: Column) -> str | None:
    """What counts for a column, said of it or inherited from what it is made of."""
    written, state = columns.written(table, column), columns.state(table, column)
    if table.kind in DERIVED_KINDS or column.generated_from:
        if state.label is not None:
            return state.label
        if written is not None:
            return "allow" if state.raw else "mask"
        return None
    if written is None:
        return None
    return "allow" if state.raw else state.label or "mask"


async def _sample(connection: Connection, table: Table, sampling: Sampling, look: Look) -> dict[str, list[str]] | None:
    """By column; one with a value that is too large is left out. None: the table cannot be read. Both are noted."""
    name = table_path(table.key)
    columns = list(table.columns)
    limits = Limits(
        max_rows=sampling.rows,
        max_bytes=MAX_SAMPLE_BYTES,
        max_value_bytes=MAX_VALUE_BYTES,
        timeout_s=connection.timeout_s,
    )
    while columns:
        kept = _Kept()
        statement = Runnable(sql=_statement(connection.connector.dialect, table, columns, sampling), cacheable=False)
        try:
            await connection.connector.read(statement, limits, kept.take)
        except ConnectorError as error:
            if error.failure is Failure.VALUE_TOO_LARGE and error.column is not None:
                left_out = columns.pop(error.column)
                look.notes.append(
                    f"{name} {left_out.name}: holds values above {MAX_VALUE_BYTES:,} bytes, judged by name"
                )
                continue
            look.notes.append(f"{name}: cannot be read ({error.failure.value}), judged by names alone")
            return None
        return {
            column.name: [text for row in kept.rows for text in _texts(row[at])] for at, column in enumerate(columns)
        }
    return {}


class _Kept:
    def __init__(self) -> None:
        self.rows: list[Sequence[Any]] = []

    def take(self, batch: Sequence[Sequence[Any]]) -> int:
        """Bytes, roughly: what is kept is text of a few rows."""
        self.rows.extend(batch)
        return sum(len(value) if isinstance(value, str | bytes) else 8 for row in batch for value in row)


def _statement(dialect: Dialect, table: Table, columns: Sequence[Column], sampling: Sampling) -> str:
    quote = identifier if dialect is Dialect.POSTGRES else quoted
    names = ", ".join(quote(column.name) for column in columns)
    return f"SELECT {names} FROM {quote(table.schema)}.{quote(table.name)} LIMIT {sampling.rows}"  # noqa: S608 - quoted


def _texts(value: Any) -> Iterator[str]:
    match value:
        case None | bool() | bytes():
            return
        case list() | tuple():
            for inner in value:
                yield from _texts(inner)
        case dict():
            for inner in value.values():
                yield from _texts(inner)
        case orjson.Fragment():
            yield from _texts(orjson.loads(orjson.dumps(value)))
        case _:
            yield str(value)
