"""Whether the order in which rows come could show the order of a hidden column.

An index that reads a masked or hidden column, when scanned, gives rows in an order that the caller may not know. Such
statements run without index scans, unless order cannot matter: at most one row is read. Groups that come out of a hash
table have an order, too: it depends on statistics of the raw values.
"""

from collections.abc import Mapping

from app.masking.masks import Constant, Null
from app.policy.decision import TableView
from app.sql.postgres.conjuncts import Conjunct
from app.sql.postgres.tree import PgTree
from connectors.contract import Catalog, TableKey


def keeps_scan_order(
    source: PgTree, found: list[Conjunct], views: Mapping[TableKey, TableView], catalog: Catalog
) -> bool:
    if source.groups and any(_has_hidden_statistics(view) for view in views.values()):
        return True
    if not any(_has_telling_index(view, catalog) for view in views.values()):
        return False
    return not _reads_one_row(source, found, views, catalog)


def _has_hidden_statistics(view: TableView) -> bool:
    """The planner sizes a hash table by what it knows of the raw values, and its groups come in that order."""
    return view.row_filter is not None or any(
        column.mask is not None and not isinstance(column.mask, Null | Constant) for column in view.columns
    )


def _has_telling_index(view: TableView, catalog: Catalog) -> bool:
    raw = {column.name for column in view.columns if column.mask is None}
    return any(not raw.issuperset(index.columns) for index in catalog.tables[view.schema, view.name].indexes)


def _reads_one_row(
    source: PgTree, found: list[Conjunct], views: Mapping[TableKey, TableView], catalog: Catalog
) -> bool:
    """One reference to one table in the whole statement, and its whole primary key, raw, set to constants.

    `=` with one constant alone: IN and = ANY let more than one row through.
    """
    if len(source.references) != 1:
        return False
    table = catalog.tables[source.references[0].table]
    view = views[table.key]
    raw = {column.name for column in view.columns if column.mask is None}
    key = set(table.primary_key)
    fixed = {c.column for c in found if c.relation.reference == 0 and c.single}
    return bool(key) and key <= raw and key <= fixed
