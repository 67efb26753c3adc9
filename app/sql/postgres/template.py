"""What stands in a statement where the caller wrote a table: the visible columns, masked, of the visible rows."""

from functools import lru_cache
from typing import Any

from app.policy.decision import TableView
from app.sql.postgres.masking import BindOne, masked
from app.sql.postgres.quoting import identifier
from app.sql.postgres.rowfilter import predicate
from app.sql.postgres.tree import bare_parse
from connectors.contract import Table


def template_text(view: TableView, table: Table, bind: BindOne) -> str:
    """OFFSET 0 is the fence: PostgreSQL evaluates no caller's predicate below it, so none sees a hidden row."""
    items = []
    for column in view.columns:
        expression = masked(column, bind)
        name = identifier(column.name)
        items.append(expression if expression == name else f"{expression} AS {name}")
    text = f"SELECT {', '.join(items)} FROM {identifier(view.schema)}.{identifier(view.name)}"  # noqa: S608 - quoted, parsed again, compared
    if view.row_filter is not None:
        text += f" WHERE {predicate(view.row_filter, table, bind)} OFFSET 0"
    return text


def template_tree(text: str) -> Any:
    """The SelectStmt message of a template, to be copied from, never changed."""
    return _tree(text).stmts[0].stmt.select_stmt


@lru_cache(maxsize=512)
def _tree(text: str) -> Any:
    return bare_parse(text)
