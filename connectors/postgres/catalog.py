"""The catalog of a PostgreSQL database: read in one snapshot, put together off the loop."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
from connectors.postgres import catalog_queries as ask
from connectors.postgres.session import Session

Rows = list[Any]
_KINDS = {
    "r": TableKind.TABLE,
    "p": TableKind.PARTITIONED,
    "v": TableKind.VIEW,
    "m": TableKind.MATERIALIZED_VIEW,
    "f": TableKind.FOREIGN,
}
_DERIVED = ("v", "m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the database said, before anything is made of it."""

    relations: Rows
    columns: Rows
    generated: Rows
    indexes: Rows
    index_expressions: Rows
    inherited_indexes: Rows
    keys: Rows
    checks: Rows
    view_reads: Rows
    view_whole_rows: Rows
    view_functions: Rows
    named_columns: Rows
    known_functions: Rows
    safe_functions: Rows
    server_version: int


async def read_catalog(session: Session, previous: Catalog | None, timeout_s: float) -> Catalog:
    """Raises what asyncpg raises. The caller ends the transaction. An unchanged catalog is `previous` itself."""
    await session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", timeout_s)
    view_reads = await session.many_rows(ask.VIEW_READS, (), timeout_s)
    answers = Answers(
        relations=await session.many_rows(ask.RELATIONS, (), timeout_s),
        columns=await session.many_rows(ask.COLUMNS, (), timeout_s),
        generated=await session.many_rows(ask.GENERATED, (), timeout_s),
        indexes=await session.many_rows(ask.INDEXES, (), timeout_s),
        index_expressions=await session.many_rows(ask.INDEX_EXPRESSIONS, (), timeout_s),
        inherited_indexes=await session.many_rows(ask.INHERITED_INDEXES, (), timeout_s),
        keys=await session.many_rows(ask.KEYS, (), timeout_s),
        checks=await session.many_rows(ask.CHECKS, (), timeout_s),
        view_reads=view_reads,
        view_whole_rows=await session.many_rows(ask.VIEW_WHOLE_ROWS, (), timeout_s),
        view_functions=await session.many_rows(ask.VIEW_FUNCTIONS, (), timeout_s),
        named_columns=await session.many_rows(ask.ALL_COLUMNS, (sorted({r[1] for r in view_reads}),), timeout_s),
        known_functions=await session.many_rows(ask.KNOWN_FUNCTIONS, (), timeout_s),
        safe_functions=await session.many_rows(ask.SAFE_FUNCTIONS, (), timeout_s),
        server_version=session.server_version,
    )
    made = await asyncio.to_thread(catalog_of, answers)
    if previous is not None and previous.version == made.version and _same_estimates(previous, made):
        return previous
    return made


def _same_estimates(a: Catalog, b: Catalog) -> bool:
    return all(t.estimated_rows == b.tables[key].estimated_rows for key, t in a.tables.items())


def catalog_of(answers: Answers) -> Catalog:
    """Pure: the same answers give the same catalog and version."""
    tables = _tables(answers)
    safe = frozenset(name for (name,) in answers.safe_functions)
    known = frozenset(name for (name,) in answers.known_functions)
    return Catalog(
        dialect=Dialect.POSTGRES,
        version=_digest(tables, safe, known, answers.server_version),
        server_version=answers.server_version,
        tables=tables,
        safe_functions=safe,
        known_functions=known,
    )


def _digest(tables: Mapping[TableKey, Table], safe: Iterable[str], known: Iterable[str], server_version: int) -> str:
    digest = hashlib.sha256(f"postgres {server_version} {sorted(safe)} {sorted(known)}".encode())
    for key in sorted(tables):
        t = tables[key]
        parts = (t.key, t.kind, t.columns, t.primary_key, t.indexes, t.foreign_keys, t.reads, t.couplings)
        digest.update(repr(parts).encode())
    return digest.hexdigest()


def _tables(answers: Answers) -> dict[TableKey, Table]:
    columns: dict[int, list[Any]] = defaultdict(list)
    for row in answers.columns:
        columns[row[0]].append(row)
    generated: dict[tuple[int, int], set[int]] = defaultdict(set)
    for relation, number, source in answers.generated:
        generated[relation, number].add(source)
    names = {relation: {row[1]: row[2] for row in rows} for relation, rows in columns.items()}
    primary, foreign = _keys(answers.keys, names)
    indexes = _indexes(answers, names, generated)
    reads = _reads(answers)
    checks = _checks(answers, names)
    tables = {}
    for oid, relkind, is_partition, estimate, schema, name in answers.relations:
        kind = TableKind.PARTITION if is_partition and relkind == "r" else _KINDS[relkind]
        own = tuple(_column(row, names[oid], generated) for row in columns[oid])
        computed = {(column.name, *column.generated_from) for column in own if column.generated_from}
        table = Table(
            schema=schema,
            name=name,
            kind=kind,
            columns=own,
            primary_key=primary.get(oid, ()),
            indexes=tuple(sorted(indexes.get(oid, ()), key=lambda i: i.name)),
            foreign_keys=tuple(foreign.get(oid, ())),
            reads=reads.get(oid, (SourceColumn(table=(schema, name), column="*"),)) if relkind in _DERIVED else (),
            estimated_rows=int(estimate) if estimate >= 0 and relkind != "v" else None,
            couplings=tuple(sorted(checks[oid] | computed)),
        )
        tables[table.key] = table
    return tables


def _column(row: Any, names: Mapping[int, str], generated: Mapping[tuple[int, int], set[int]]) -> Column:
    relation, number, name, type_name, not_null, max_length, is_generated = row
    sources: tuple[str, ...] = ()
    if is_generated:
        numbers = generated.get((relation, number), set())
        # A whole-row reference, a column that the role cannot see, or no trace at all: every sibling.
        if not numbers or not numbers <= names.keys():
            numbers = names.keys() - {number}
        sources = tuple(names[n] for n in sorted(numbers))
    return Column(name=name, type=type_name, nullable=not not_null, generated_from=sources, max_length=max_length)


def _indexes(
    answers: Answers, names: Mapping[int, Mapping[int, str]], generated: Mapping[tuple[int, int], set[int]]
) -> dict[int, list[Index]]:
    expressions: dict[int, set[int]] = defaultdict(set)
    for index, number in answers.index_expressions:
        expressions[index].add(number)
    found: dict[int, list[Index]] = defaultdict(list)
    for relation, index, name, unique, primary, numbers, computed, whole_row in answers.indexes:
        visible = names.get(relation, {})
        read = {n for n in numbers if n != 0}
        if computed:
            # An index of expressions alone depends on its table as well, by number 0.
            read |= expressions.get(index, set()) - {0}
        if whole_row or not read:
            # An expression over the whole row, or one that names nothing: it may read anything.
            read = set(visible)
        # What a generated column is made of decides with what its row collides.
        read = read.union(*(generated.get((relation, n), ()) for n in read))
        if 0 in read:
            read = set(visible)
        hidden = "" if read <= visible.keys() else None
        columns = tuple(visible[n] for n in sorted(read) if n in visible)
        if hidden is None:
            # The role cannot name a column that the index reads: no view can show it raw, so neither is the index.
            columns = (*columns, "*")
        found[relation].append(Index(name=name, columns=columns, unique=unique, primary=primary))
    for root, name, inherited, computed, unique in answers.inherited_indexes:
        names_of_root = set(names.get(root, {}).values())
        known = tuple(c for c in inherited or () if c in names_of_root)
        if computed or len(known) < len(inherited or ()):
            known = (*known, "*")
        if not any(set(known) == set(i.columns) and i.unique >= unique for i in found[root]):
            found[root].append(Index(name=name, columns=known, unique=unique))
    return found


def _checks(answers: Answers, names: Mapping[int, Mapping[int, str]]) -> dict[int, set[tuple[str, ...]]]:
    found: dict[int, set[tuple[str, ...]]] = defaultdict(set)
    for relation, columns in answers.checks:
        visible = set(names.get(relation, {}).values())
        read = {name if name in visible else "*" for name in columns or ()}
        if len(read) > 1:
            found[relation].add(tuple(sorted(read)))
    return found


def _keys(
    rows: Rows, names: Mapping[int, Mapping[int, str]]
) -> tuple[dict[int, tuple[str, ...]], dict[int, list[ForeignKey]]]:
    primary: dict[int, tuple[str, ...]] = {}
    foreign: dict[int, list[ForeignKey]] = defaultdict(list)
    for relation, kind, numbers, schema, table, references in rows:
        visible = names.get(relation, {})
        if not all(n in visible for n in numbers):
            continue
        columns = tuple(visible[n] for n in numbers)
        if kind == "p":
            primary[relation] = columns
        elif schema is not None and references is not None:
            foreign[relation].append(ForeignKey(columns=columns, table=(schema, table), references=tuple(references)))
    return primary, foreign


def _reads(answers: Answers) -> dict[int, tuple[SourceColumn, ...]]:
    """Base columns of each view, through views of views. A whole-row reference is every column ("*")."""
    direct: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for view, relation, number in answers.view_reads:
        direct[view].add((relation, number))
    identity: dict[int, tuple[TableKey, str]] = {}
    names: dict[int, dict[int, str]] = defaultdict(dict)
    for relation, schema, table, relkind, number, name in answers.named_columns:
        identity[relation] = ((schema, table), relkind)
        names[relation][number] = name
    whole_rows = {view for (view,) in answers.view_whole_rows}
    opaque = {view for (view,) in answers.view_functions}
    resolved: dict[int, frozenset[SourceColumn]] = {}

    def base_columns(view: int, path: frozenset[int]) -> frozenset[SourceColumn]:
        if view in resolved:
            return resolved[view]
        found: set[SourceColumn] = set()
        for relation, number in direct[view]:
            known = identity.get(relation)
            if known is None:
                continue
            key, relkind = known
            if relkind in _DERIVED and relation not in path:
                # A view column is as sensitive as anything that view reads.
                found |= base_columns(relation, path | {relation})
            elif view in whole_rows:
                found.add(SourceColumn(table=key, column="*"))
            elif number == 0:
                # Only its rows are counted or tested: no column is read.
                continue
            elif number not in names[relation]:
                found.add(SourceColumn(table=key, column="*"))
            else:
                found.add(SourceColumn(table=key, column=names[relation][number]))
        resolved[view] = frozenset(found)
        return resolved[view]

    # A view that calls a function of the database may read anything: absent here, so it reads "*" of its own.
    reachable_opaque = _reaching(opaque, direct)
    return {
        view: tuple(sorted(base_columns(view, frozenset({view})), key=lambda s: (s.table, s.column)))
        for view in list(direct)
        if view not in reachable_opaque
    }


def _reaching(targets: set[int], direct: Mapping[int, set[tuple[int, int]]]) -> set[int]:
    """The views that read one of the targets, directly or through others."""
    reached = set(targets)
    grown = True
    while grown:
        more = {
            view for view, sources in direct.items() if view not in reached and any(r in reached for r, _ in sources)
        }
        grown = bool(more)
        reached |= more
    return reached
