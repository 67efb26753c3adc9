"""What a SQLite file holds, read from its schema; views are resolved by asking SQLite itself what they read."""

import hashlib
import os
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from connectors.contract import (
    Catalog,
    Column,
    Dialect,
    ForeignKey,
    Index,
    SourceColumn,
    Table,
    TableKey,
    TableKind,
)
from connectors.sqlite.definitions import checked_together, generated_from, index_columns
from connectors.sqlite.functions import PSEUDONYM, builtin_names
from connectors.sqlite.session import connect

_SCHEMA = "main"
_HIDDEN = 1
_GENERATED = (2, 3)
_EXPRESSION = -2
_KINDS = {"table": TableKind.TABLE, "view": TableKind.VIEW, "virtual": TableKind.VIRTUAL}
"""Shadow tables are left out: they hold the raw content of a virtual table."""
_MODIFIER = re.compile(r"\s*\([^)]*\)|\s*GENERATED ALWAYS", re.IGNORECASE)


def schema_state(path: str) -> tuple[int, ...]:
    """Changes whenever the schema may have: file identity and schema cookie."""
    seen = os.stat(path)
    with closing(connect(path)) as connection:
        (cookie,) = connection.execute("PRAGMA schema_version").fetchone()
    return seen.st_dev, seen.st_ino, cookie


def read_catalog(path: str) -> Catalog:
    """Raises sqlite3.Error where the file cannot be read."""
    with closing(connect(path)) as connection:
        connection.execute("BEGIN")
        tables = _tables(connection)
        functions = builtin_names(connection)
    major, minor, patch = sqlite3.sqlite_version_info
    server_version = major * 1_000_000 + minor * 1_000 + patch
    return Catalog(
        dialect=Dialect.SQLITE,
        version=_digest(tables, functions, server_version),
        server_version=server_version,
        tables=tables,
        safe_functions=functions,
        known_functions=functions | {PSEUDONYM},
    )


def _digest(tables: Mapping[TableKey, Table], functions: frozenset[str], server_version: int) -> str:
    digest = hashlib.sha256(f"sqlite {server_version} {sorted(functions)}".encode())
    for key in sorted(tables):
        t = tables[key]
        parts = (t.key, t.kind, t.columns, t.primary_key, t.indexes, t.foreign_keys, t.reads, t.without_rowid,
                 t.couplings)  # fmt: skip
        digest.update(repr(parts).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _tables(connection: sqlite3.Connection) -> dict[TableKey, Table]:
    definitions: dict[str, str | None] = dict(
        connection.execute("SELECT name, sql FROM sqlite_schema WHERE type IN ('table', 'view', 'index')").fetchall()
    )
    listed = connection.execute(
        "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ).fetchall()
    kinds = {name: _KINDS[kind] for name, kind, _ in listed if kind in _KINDS}
    without_rowid = {name for name, _, wr in listed if wr}
    estimates = _estimates(connection)
    tables = {}
    for name, kind in sorted(kinds.items()):
        definition = definitions.get(name) or ""
        columns, primary_key = _columns(connection, name, kind, definition, name in without_rowid)
        computed = {(column.name, *column.generated_from) for column in columns if column.generated_from}
        checked = checked_together(definition, tuple(c.name for c in columns)) if kind is TableKind.TABLE else ()
        table = Table(
            schema=_SCHEMA,
            name=name,
            kind=kind,
            columns=columns,
            primary_key=primary_key,
            indexes=_indexes(connection, name, columns, definitions),
            foreign_keys=_foreign_keys(connection, name),
            reads=_reads(connection, name, kinds) if kind is TableKind.VIEW else (),
            estimated_rows=estimates.get(name),
            without_rowid=name in without_rowid,
            couplings=tuple(sorted(computed.union(checked))),
        )
        tables[table.key] = table
    return tables


def _columns(
    connection: sqlite3.Connection, table: str, kind: TableKind, definition: str, without_rowid: bool
) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    try:
        rows = connection.execute(
            'SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid', (table,)
        ).fetchall()
    except sqlite3.OperationalError:
        # A view over a table that is gone, or a virtual table whose module this library lacks: nothing to see.
        return (), ()
    visible = [row for row in rows if row[4] != _HIDDEN]
    names = tuple(row[0] for row in visible)
    keys = sorted((pk, name) for name, _, _, pk, _ in visible if pk)
    columns = []
    for name, declared, not_null, pk, hidden in visible:
        integer_key = pk and len(keys) == 1 and declared.upper() == "INTEGER"
        columns.append(
            Column(
                name=name,
                type=_MODIFIER.sub("", declared).strip(),
                nullable=not (not_null or integer_key or (pk and without_rowid)),
                generated_from=generated_from(definition, name, names) if hidden in _GENERATED else (),
            )
        )
    return _closed_over_generated(tuple(columns)), tuple(name for _, name in keys)


def _closed_over_generated(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """A generated column over a generated one reads what that one reads."""
    sources = {c.name: set(c.generated_from) for c in columns}
    changed = True
    while changed:
        changed = False
        for name, direct in sources.items():
            reached = set().union(direct, *(sources[s] for s in direct)) - {name}
            if reached != direct:
                sources[name] = reached
                changed = True
    return tuple(
        Column(
            name=c.name,
            type=c.type,
            nullable=c.nullable,
            generated_from=tuple(o.name for o in columns if o.name in sources[c.name]),
        )
        if c.generated_from
        else c
        for c in columns
    )


def _indexes(
    connection: sqlite3.Connection, table: str, listing: tuple[Column, ...], definitions: Mapping[str, str | None]
) -> tuple[Index, ...]:
    columns = tuple(c.name for c in listing)
    found = []
    listed = connection.execute("SELECT name, [unique], origin, partial FROM pragma_index_list(?)", (table,)).fetchall()
    for name, unique, origin, partial in sorted(listed):
        parts = connection.execute(
            "SELECT cid, name, key FROM pragma_index_xinfo(?) ORDER BY seqno", (name,)
        ).fetchall()
        read = {part for cid, part, key in parts if cid >= 0 and part is not None and (key or origin != "pk")}
        if partial or any(cid == _EXPRESSION for cid, _, _ in parts):
            read.update(index_columns(definitions.get(name), columns))
        # What a generated column is made of decides where its row stands, and with what it collides.
        read.update(source for c in listing if c.name in read for source in c.generated_from)
        ordered = tuple(c for c in columns if c in read)
        found.append(Index(name=name, columns=ordered, unique=bool(unique), primary=origin == "pk"))
    return tuple(found)


def _foreign_keys(connection: sqlite3.Connection, table: str) -> tuple[ForeignKey, ...]:
    rows = connection.execute(
        'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?) ORDER BY id, seq', (table,)
    ).fetchall()
    grouped: dict[int, list[tuple[str, str, str | None]]] = {}
    for identity, target, source, referenced in rows:
        grouped.setdefault(identity, []).append((target, source, referenced))
    keys = []
    for parts in grouped.values():
        target = parts[0][0]
        references: tuple[str, ...] = tuple(r for _, _, r in parts if r is not None)
        if not references:
            listed = connection.execute("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (target,))
            references = tuple(name for (name,) in listed)
        keys.append(ForeignKey(columns=tuple(s for _, s, _ in parts), table=(_SCHEMA, target), references=references))
    return tuple(keys)


def _reads(connection: sqlite3.Connection, view: str, kinds: Mapping[str, TableKind]) -> tuple[SourceColumn, ...]:
    """SQLite asks its authorizer for every column that a statement touches, through views of views."""
    seen: set[tuple[str, str]] = set()

    def record(action: int, first: str | None, second: str | None, *_: Any) -> int:
        if action == sqlite3.SQLITE_READ and first is not None and second:
            seen.add((first, second))
        return sqlite3.SQLITE_OK

    quoted = view.replace('"', '""')
    unresolvable = (SourceColumn(table=(_SCHEMA, view), column="*"),)
    connection.set_authorizer(record)
    try:
        connection.execute(f'EXPLAIN SELECT * FROM "{quoted}"').close()  # noqa: S608 - quoted identifier
    except sqlite3.Error:
        return unresolvable
    finally:
        connection.set_authorizer(None)
    sources = []
    for table, column in sorted(seen):
        match kinds.get(table):
            case TableKind.VIEW:
                continue
            case None if table.lower() in ("json_each", "json_tree"):
                continue
            case None:
                return unresolvable
            case _:
                sources.append(SourceColumn(table=(_SCHEMA, table), column=column))
    return tuple(sources)


def _estimates(connection: sqlite3.Connection) -> dict[str, int]:
    """Row counts that ANALYZE left behind, where it ran."""
    present = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'").fetchone()
    if present is None:
        return {}
    counts: dict[str, int] = {}
    for table, stat in connection.execute("SELECT tbl, stat FROM sqlite_stat1 WHERE stat IS NOT NULL"):
        first = str(stat).split(" ", 1)[0]
        if first.isdigit():
            counts[table] = max(counts.get(table, 0), int(first))
    return counts
