"""Which columns a write may name: what comes masked or hidden is not overwritten, and no key tells of a hidden row."""

from collections.abc import Collection, Iterable

from app.policy.decision import TableView
from app.sql.statement import Refusal, SqlRefused
from connectors.contract import Table, TableKind

_KINDS = frozenset({TableKind.TABLE, TableKind.PARTITIONED, TableKind.PARTITION})


def check_target(table: Table) -> None:
    if table.kind not in _KINDS:
        raise SqlRefused(
            Refusal.CONSTRUCT,
            f"{table.name!r} is a {table.kind.value.replace('_', ' ')}, not a table. Write to the table it reads.",
        )


def check_columns(names: Iterable[str], view: TableView, table: Table, *, defaulted: Collection[str] = ()) -> None:
    """`defaulted`: those that only get their DEFAULT."""
    written = tuple(names)
    for name in written:
        check_named(name, view)
        column = table.column(name)
        if column is not None and column.generated_from and name not in defaulted:
            raise SqlRefused(
                Refusal.NOT_WRITABLE, f"The column {name!r} is generated. Leave it out: the table works it out itself."
            )
    _check_keys(frozenset(written), view, table)


def check_named(name: str, view: TableView) -> None:
    """A column that a write or DDL names is visible, and comes raw."""
    column = next((column for column in view.columns if column.name == name), None)
    if column is None:
        raise SqlRefused(
            Refusal.UNKNOWN_COLUMN,
            f"The column {name!r} was not found in {view.name}. Ask the schema endpoint which columns there are.",
        )
    if column.mask is not None:
        raise SqlRefused(
            Refusal.NOT_WRITABLE,
            f"The column {name!r} comes masked and cannot be written. Leave it out, or ask to see it unmasked first.",
        )


def check_changed(names: Iterable[str], view: TableView, table: Table) -> None:
    """What UPDATE puts beside values that stay: a CHECK or a generated column would tell of those that are hidden."""
    raw = {column.name for column in view.columns if column.mask is None}
    for name in names:
        if any(name in together and not raw.issuperset(together) for together in table.couplings):
            raise SqlRefused(
                Refusal.NOT_WRITABLE,
                f"The column {name!r} is checked or computed together with columns that you do not see. Leave it out.",
            )


def _check_keys(written: frozenset[str], view: TableView, table: Table) -> None:
    """A value that collides tells of the row it collides with: of a hidden row, or of a hidden column of any row."""
    raw = {column.name for column in view.columns if column.mask is None}
    for index in table.indexes:
        if not index.unique and not index.primary:
            continue
        named = sorted(written.intersection(index.columns))
        if named and (view.row_filter is not None or not raw.issuperset(index.columns)):
            reason = "rows that you do not see" if view.row_filter is not None else "columns that you do not see"
            raise SqlRefused(
                Refusal.NOT_WRITABLE,
                f"The column {named[0]!r} is part of a key shared with {reason}. Leave it to its default.",
            )
