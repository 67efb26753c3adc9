"""What a table is for this caller: the derived table that stands wherever the statement names it.

    (SELECT raw, mask(c) AS c FROM main.t NOT INDEXED WHERE filter LIMIT -1 OFFSET 0)

Row order: an index that reads a masked or hidden column is never used (NOT INDEXED). Where the table itself is stored
in the order of such a column (WITHOUT ROWID, INTEGER PRIMARY KEY), and for views, whose plan is out of reach, the
rows are sorted by what the caller sees of them. Fence: LIMIT keeps the caller's predicates from running on rows that
the filter hides.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.masking.masks import Hide
from app.policy.decision import (
    All,
    AnyOf,
    ColumnView,
    Compare,
    Comparison,
    Membership,
    Negation,
    Nothing,
    NullTest,
    RowFilter,
    TableView,
)
from app.sql.sqlite.binds import Binds
from app.sql.sqlite.lexis import fold, quoted
from app.sql.sqlite.masking import masked
from app.sql.statement import ValueBind
from connectors.contract import Table, TableKind

_FENCE = "LIMIT -1 OFFSET 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A table as one caller sees it; `columns` by folded name, hidden ones absent, in the view's order."""

    table: Table
    columns: dict[str, ColumnView]
    row_filter: RowFilter | None
    required: tuple[str, ...]
    not_indexed: bool
    sorted: bool

    @property
    def row_key(self) -> str | None:
        """The folded name of an INTEGER PRIMARY KEY: lookups by it need no index."""
        name = _rowid_alias(self.table)
        return fold(name) if name is not None else None


def shown(table: Table, view: TableView) -> Shown:
    existing = {fold(column.name) for column in table.columns}
    columns = {
        fold(column.name): column
        for column in view.columns
        if fold(column.name) in existing and not isinstance(column.mask, Hide)
    }
    raw = {name for name, column in columns.items() if column.mask is None}
    return Shown(
        table=table,
        columns=columns,
        row_filter=view.row_filter,
        required=view.required,
        not_indexed=_stored(table) and any(not _all_raw(index.columns, raw) for index in table.indexes),
        sorted=_physical_order_is_hidden(table, raw),
    )


def derived_table(
    view: Shown,
    mentioned: Iterable[str] | None,
    conjuncts: Iterable[str],
    hold: bool,
    binds: Binds,
    keys: Sequence[str] = (),
) -> str:
    """`mentioned`: folded names the statement uses, None for all. `conjuncts`: leakproof conditions to copy inside.
    `hold`: keep the rows in a transient table, which the engine may index, whatever NOT INDEXED says. `keys`: columns
    that also come raw, under names that no caller can write (`key_name`)."""
    names = list(view.columns) if mentioned is None else [name for name in mentioned if name in view.columns]
    outputs = [_output(view.columns[name], binds) for name in names] or ["NULL AS `none`"]
    outputs += [f"{quoted(name)} AS {quoted(key_name(place))}" for place, name in enumerate(keys)]
    conditions = [] if view.row_filter is None else [condition(view.row_filter, binds)]
    fenced = view.row_filter is not None or view.sorted or hold
    if fenced:
        conditions += conjuncts
    sql = f"(SELECT {', '.join(outputs)} FROM {quoted('main')}.{quoted(view.table.name)}"  # noqa: S608
    if view.not_indexed:
        sql += " NOT INDEXED"
    if conditions:
        sql += f" WHERE {' AND '.join(conditions)}"
    if view.sorted:
        sql += f" ORDER BY {', '.join(str(i + 1) for i in range(len(outputs)))}"
    return f"{sql} {_FENCE})" if fenced else f"{sql})"


def key_name(place: int) -> str:
    return f"douane key {place}"


def condition(row_filter: RowFilter, binds: Binds) -> str:
    """The filter over the table's own columns."""
    return f"({_condition(row_filter, binds)})"


def _output(column: ColumnView, binds: Binds) -> str:
    name = quoted(column.name)
    return name if column.mask is None else f"{masked(column.mask, name, binds)} AS {name}"


def _stored(table: Table) -> bool:
    return table.kind not in (TableKind.VIEW, TableKind.VIRTUAL)


def _all_raw(columns: tuple[str, ...], raw: set[str]) -> bool:
    return bool(columns) and all(fold(name) in raw for name in columns)


def _rowid_alias(table: Table) -> str | None:
    if table.without_rowid or len(table.primary_key) != 1:
        return None
    name = table.primary_key[0]
    column = table.column(name)
    # A key that the caller may not know of has no type here: count it as the row key, the worse case.
    return name if column is None or column.type.upper() == "INTEGER" else None


def _physical_order_is_hidden(table: Table, raw: set[str]) -> bool:
    if table.kind in (TableKind.VIEW, TableKind.VIRTUAL):
        # A view's plan is out of reach, and a module may scan in the order of any of its columns (rtree does).
        return True
    if table.without_rowid:
        # NOT INDEXED does not stop the engine from scanning another index of such a table.
        return not _all_raw(table.primary_key, raw) or any(not _all_raw(index.columns, raw) for index in table.indexes)
    alias = _rowid_alias(table)
    return alias is not None and fold(alias) not in raw


def _condition(row_filter: RowFilter, binds: Binds) -> str:
    match row_filter:
        case Nothing():
            return "0"
        case Comparison(column=column, op=op, value=value):
            return f"{quoted(column)} {_OPERATORS[op]} {binds.placeholder(ValueBind(value=value))}"
        case Membership(column=column, values=values, negated=negated):
            listed = ", ".join(binds.placeholder(ValueBind(value=value)) for value in values)
            return f"{quoted(column)} {'NOT IN' if negated else 'IN'} ({listed})"
        case NullTest(column=column, negated=negated):
            return f"{quoted(column)} {'IS NOT NULL' if negated else 'IS NULL'}"
        case All(parts=parts):
            return " AND ".join(f"({_condition(part, binds)})" for part in parts) or "1"
        case AnyOf(parts=parts):
            return " OR ".join(f"({_condition(part, binds)})" for part in parts) or "0"
        case Negation(part=part):
            return f"NOT ({_condition(part, binds)})"


_OPERATORS = {
    Compare.EQ: "=",
    Compare.NE: "<>",
    Compare.LT: "<",
    Compare.LE: "<=",
    Compare.GT: ">",
    Compare.GE: ">=",
}
