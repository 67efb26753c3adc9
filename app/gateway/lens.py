"""One database as one caller may know it: tables of no use to the caller, and hidden columns, do not exist in it.

The guard reads statements through this catalog, so that a denied table and a table that never was are told apart by
nothing: not by the answer, not by which error comes first.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from app.policy.caller import Caller
from app.policy.decision import (
    Action,
    All,
    AnyOf,
    Comparison,
    Context,
    Membership,
    Negation,
    Nothing,
    NullTest,
    RowFilter,
    TableView,
)
from app.policy.resources import sql_resource
from app.policy.snapshot import PolicySnapshot
from connectors.contract import Catalog, Index, Table, TableKey, TableKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """`tables` maps what is visible to the actions that may be possible on it. Labels that a human may still have to
    unmask come raw in `views`: what is planned with them waits for that human."""

    catalog: Catalog
    views: Mapping[TableKey, TableView]
    actions: Mapping[TableKey, frozenset[Action]]

    def view(self, table: TableKey) -> TableView | None:
        return self.views.get(table)


def lens(
    snapshot: PolicySnapshot,
    caller: Caller,
    connection: str,
    catalog: Catalog,
    context: Context,
    unmask: Collection[str],
    key: str,
    only: Iterable[TableKey] | None = None,
) -> Lens:
    """`key` names everything the result depends on; it becomes part of the visible catalog's version. `only`: the
    tables to look at, where not all are needed."""
    tables: dict[TableKey, Table] = {}
    views: dict[TableKey, TableView] = {}
    actions: dict[TableKey, frozenset[Action]] = {}
    for table_key in catalog.tables if only is None else only:
        table = catalog.tables[table_key]
        possible = snapshot.actions(caller, sql_resource(connection, table_key))
        if not possible:
            continue
        view = snapshot.view(caller, connection, table, catalog, context, unmask, granted=True)
        shown = {column.name for column in view.columns}
        required = tuple(name for name in view.required if name in shown)
        if not shown or (view.required and not required):
            # No column at all, or a predicate on columns that the caller may not know of: of no use, hence not there.
            continue
        if required != view.required:
            view = replace(view, required=required)
        tables[table_key] = _without(table, view, _telling_indexes(table, snapshot, caller, connection, catalog))
        views[table_key] = view
        actions[table_key] = possible
    version = f"{catalog.version}:{sha256(key.encode()).hexdigest()}"
    return Lens(catalog=replace(catalog, version=version, tables=tables), views=views, actions=actions)


def names_hidden(view: TableView) -> bool:
    """Whether the row filter reads columns that the caller may not know of: the SQL that runs tells their names."""
    shown = {column.name for column in view.columns}
    return view.row_filter is not None and not shown.issuperset(_columns(view.row_filter))


def _columns(row_filter: RowFilter) -> Iterator[str]:
    match row_filter:
        case Comparison(column=column) | Membership(column=column) | NullTest(column=column):
            yield column
        case All(parts=parts) | AnyOf(parts=parts):
            for part in parts:
                yield from _columns(part)
        case Negation(part=part):
            yield from _columns(part)
        case Nothing():
            return


def _telling_indexes(
    table: Table, snapshot: PolicySnapshot, caller: Caller, connection: str, catalog: Catalog
) -> tuple[Index, ...]:
    """A view's rows come in the order of whatever index of its base tables the engine scans."""
    if table.kind is not TableKind.VIEW:
        return table.indexes
    told: list[Index] = []
    for key in sorted({read.table for read in table.reads}):
        base = catalog.tables.get(key)
        if base is None or base.kind is TableKind.VIEW or not snapshot.actions(caller, sql_resource(connection, key)):
            told.append(Index(name="", columns=("",)))
            continue
        shown = snapshot.view(caller, connection, base, catalog, {}, ())
        raw = {column.name for column in shown.columns if column.mask is None}
        told += (Index(name="", columns=("",)) for index in base.indexes if not raw.issuperset(index.columns))
    return tuple(told)


def _filtered_by(rows: RowFilter | None) -> Iterator[str]:
    match rows:
        case Comparison(column=column) | Membership(column=column) | NullTest(column=column):
            yield column
        case All(parts=parts) | AnyOf(parts=parts):
            for part in parts:
                yield from _filtered_by(part)
        case Negation(part=part):
            yield from _filtered_by(part)


def _without(table: Table, view: TableView, indexes: tuple[Index, ...]) -> Table:
    """Indexes and the primary key stay whole: the guard must know which of them would show hidden columns' order."""
    shown = {column.name for column in view.columns}
    read = set(_filtered_by(view.row_filter)) - shown
    return replace(
        table,
        columns=tuple(column for column in table.columns if column.name in shown),
        concealed=tuple(column for column in table.columns if column.name in read),
        indexes=indexes,
        foreign_keys=(),
        reads=(),
    )
