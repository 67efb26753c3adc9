"""A small catalog and views made by hand: the core needs no database to be tested."""

from collections.abc import Mapping

from app.masking.masks import Mask
from app.policy.decision import ColumnView, RowFilter, TableView
from app.sql.sqlite import guard
from app.sql.statement import JsonType, Rewritten, Statement
from connectors.contract import Catalog, Column, Dialect, Index, Table, TableKey, TableKind


def table(
    name: str,
    columns: str,
    *,
    key: tuple[str, ...] = ("id",),
    indexes: tuple[tuple[str, ...], ...] = (),
    kind: TableKind = TableKind.TABLE,
    without_rowid: bool = False,
) -> Table:
    """`columns`: "id:INTEGER name:TEXT"."""
    parts = (part.split(":") for part in columns.split())
    return Table(
        schema="main",
        name=name,
        kind=kind,
        columns=tuple(Column(name=column, type=kind_) for column, kind_ in parts),
        primary_key=key,
        indexes=tuple(Index(name=f"{name}_{i}", columns=read) for i, read in enumerate(indexes)),
        without_rowid=without_rowid,
    )


CUSTOMERS = table("Customers", "id:INTEGER name:TEXT email:TEXT ssn:TEXT region:TEXT", indexes=(("region",), ("ssn",)))
ORDERS = table("orders", "id:INTEGER customer_id:INTEGER total:REAL placed_at:TEXT", indexes=(("customer_id",),))


def catalog_of(*tables: Table, functions: frozenset[str] = frozenset()) -> Catalog:
    return Catalog(
        dialect=Dialect.SQLITE,
        version="1",
        server_version=3040001,
        tables={t.key: t for t in tables},
        safe_functions=functions,
    )


CATALOG = catalog_of(CUSTOMERS, ORDERS)


def view_of(
    of: Table,
    *,
    masks: Mapping[str, Mask] | None = None,
    hidden: tuple[str, ...] = (),
    row_filter: RowFilter | None = None,
    required: tuple[str, ...] = (),
) -> TableView:
    masks = masks or {}
    return TableView(
        schema="main",
        name=of.name,
        columns=tuple(
            ColumnView(
                name=c.name, type=c.type, label=f"pii.{c.name}" if c.name in masks else None, mask=masks.get(c.name)
            )
            for c in of.columns
            if c.name not in hidden
        ),
        row_filter=row_filter,
        required=required,
    )


def inspected(sql: str, catalog: Catalog = CATALOG, **params: JsonType) -> Statement:
    return guard.inspect(sql, params, catalog)


def rewritten(
    sql: str, *views: TableView, catalog: Catalog = CATALOG, params: Mapping[str, JsonType] | None = None
) -> Rewritten:
    seen: dict[TableKey, TableView] = {(v.schema, v.name): v for v in views}
    for key, known in catalog.tables.items():
        seen.setdefault(key, view_of(known))
    return guard.rewrite(guard.inspect(sql, params or {}, catalog), seen.get, catalog)
