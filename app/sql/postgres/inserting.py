"""INSERT: which columns it fills."""

from typing import Any

from app.policy.decision import TableView
from app.sql.postgres.binding import Binding
from app.sql.postgres.scope import Written
from app.sql.statement import Refusal, SqlRefused


def insert_columns(message: Any, written: Written, view: TableView, binding: Binding) -> tuple[str, ...]:
    """As listed, or as many visible columns as there are values, in the table's order."""
    if message.cols:
        if any(entry.res_target.indirection for entry in message.cols):
            raise SqlRefused(Refusal.CONSTRUCT, "INSERT INTO t (c[…]) is not allowed. Give the whole column a value.")
        return tuple(entry.res_target.name for entry in message.cols)
    if written.inserted is None:
        return ()
    select = message.select_stmt.select_stmt
    width = len(select.values_lists[0].list.items) if select.values_lists else binding.width(written.inserted)
    visible = tuple(column.name for column in view.columns)
    if width is None or width > len(visible):
        raise SqlRefused(
            Refusal.CONSTRUCT, f"Name the columns to fill: INSERT INTO {view.name} (…). You see {len(visible)} of them."
        )
    return visible[:width]
