"""Which tables and columns a write may change: nothing that its caller does not see raw and whole.

One rule per function. A unique index tells whether a value is there, so keys are closed where rows or parts of the key
are hidden.
"""

from collections.abc import Callable, Iterator

from app.sql.sqlite.columns import unknown_column
from app.sql.sqlite.lexis import fold
from app.sql.sqlite.nodes import Assignment, Nested, Parenthesis, Write
from app.sql.sqlite.templates import Shown
from app.sql.statement import Refusal, SqlRefused
from connectors.contract import TableKind

ROW_NUMBER = "_rowid_"

Rule = Callable[[Write, Shown, str], None]


def check_written(write: Write, view: Shown, names: tuple[str, ...]) -> None:
    """`names`: every column that comes to be written. Raises SqlRefused."""
    _is_a_table(write, view)
    seen: set[str] = set()
    for name in names:
        if fold(name) in seen:
            raise SqlRefused(Refusal.SYNTAX, f"The column {name[:80]} is written twice: name it once.")
        seen.add(fold(name))
        for rule in RULES:
            rule(write, view, name)


def key_of(view: Shown) -> tuple[str, ...]:
    """What tells one row of the table from another, raw: never shown, only compared."""
    if view.table.without_rowid:
        return view.table.primary_key
    if ROW_NUMBER in {fold(column.name) for column in (*view.table.columns, *view.table.concealed)}:
        raise SqlRefused(Refusal.CONSTRUCT, f"A table with a column {ROW_NUMBER} cannot be changed here.")
    return (ROW_NUMBER,)


def assigned(assignment: Assignment) -> int | None:
    """How many values stand right of `=`; None: a query's row."""
    only = assignment.value.items[0] if len(assignment.value.items) == 1 else None
    if isinstance(only, Nested):
        return None
    return len(only.parts) if isinstance(only, Parenthesis) else 1


def _is_a_table(write: Write, view: Shown) -> None:
    if view.table.kind is not TableKind.TABLE:
        raise SqlRefused(
            Refusal.CONSTRUCT,
            f"{write.target.name[:80]} is a view or a virtual table: change the table behind it.",
            position=write.target.position,
        )


def _is_visible(write: Write, view: Shown, name: str) -> None:
    if fold(name) not in view.columns:
        raise unknown_column(name, write.target.position)


def _comes_raw(write: Write, view: Shown, name: str) -> None:
    if view.columns[fold(name)].mask is not None:
        raise SqlRefused(
            Refusal.NOT_WRITABLE,
            f"The column {name[:80]} comes masked, so it cannot be written: leave it out, or ask for it with `unmask`.",
            position=write.target.position,
        )


def _is_stored(write: Write, view: Shown, name: str) -> None:
    known = next((c for c in view.table.columns if fold(c.name) == fold(name)), None)
    if known is not None and known.generated_from:
        raise SqlRefused(
            Refusal.CONSTRUCT,
            f"The column {name[:80]} is computed from others: write those.",
            position=write.target.position,
        )


def _is_no_key_of_hidden_rows(write: Write, view: Shown, name: str) -> None:
    if view.row_filter is not None and any(fold(name) in key for key in _keys(view)):
        raise SqlRefused(
            Refusal.CONSTRUCT,
            f"You see a part of the rows of {write.target.name[:80]}, so its key {name[:80]} cannot be written: "
            "leave it out and the database numbers the row.",
            position=write.target.position,
        )


def _is_no_part_of_a_hidden_key(write: Write, view: Shown, name: str) -> None:
    for key in _keys(view):
        if fold(name) in key and any(part not in view.columns or view.columns[part].mask is not None for part in key):
            raise SqlRefused(
                Refusal.NOT_WRITABLE,
                f"The column {name[:80]} is part of a key that you cannot read whole, so it cannot be written.",
                position=write.target.position,
            )


def _is_no_key_changed_in_a_hidden_order(write: Write, view: Shown, name: str) -> None:
    # Keys are checked row by row, in the order of the table: 1 → 2 fails while 2 is still there.
    if write.kind == "update" and view.sorted and any(fold(name) in key for key in _keys(view)):
        raise SqlRefused(
            Refusal.NOT_WRITABLE,
            f"The column {name[:80]} is a key of a table whose order you cannot read, so it cannot be changed.",
            position=write.target.position,
        )


def _is_not_coupled_with_what_is_hidden(write: Write, view: Shown, name: str) -> None:
    # A CHECK or a generated column of the row reads both: whether the write succeeds would tell of the hidden one.
    if write.kind != "update":
        return
    for together in ({fold(part) for part in parts} for parts in view.table.couplings):
        if fold(name) in together and any(
            part not in view.columns or view.columns[part].mask is not None for part in together
        ):
            raise SqlRefused(
                Refusal.NOT_WRITABLE,
                f"The column {name[:80]} is checked or computed together with columns that you cannot read: leave it "
                "out.",
                position=write.target.position,
            )


def _keys(view: Shown) -> Iterator[frozenset[str]]:
    """Every set of columns that the database keeps unique, with those that decide whether it does."""
    if view.table.primary_key:
        yield frozenset(map(fold, view.table.primary_key))
    for index in view.table.indexes:
        if index.unique or index.primary:
            # Of an index that tells no column nothing is known: it may read any.
            yield frozenset(map(fold, index.columns)) or frozenset((*view.columns, ""))


RULES: tuple[Rule, ...] = (
    _is_visible,
    _comes_raw,
    _is_stored,
    _is_no_key_of_hidden_rows,
    _is_no_part_of_a_hidden_key,
    _is_no_key_changed_in_a_hidden_order,
    _is_not_coupled_with_what_is_hidden,
)
