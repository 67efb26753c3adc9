"""No value larger than the cap leaves the database: the statement's output, wrapped once more where it could grow.

Reading a value in pieces is not possible, so the gateway alone could only notice a giant value once it is in memory.
Where a value is above the cap the server ends the statement with SQLSTATE 54000 (program_limit_exceeded).
"""

from collections.abc import Sequence
from typing import Any

from app.sql.postgres.quoting import identifier
from app.sql.postgres.tree import at, bare_parse

MAX_VALUE_BYTES = 16 * 1024 * 1024
_SELECT = ("stmts", 0, "stmt", "select_stmt")

# The second operand fails for every value above the cap, at run time alone: it depends on the value.
_TOO_LARGE = "pg_catalog.length(pg_catalog.repeat('x', 2000000000 + 0 * pg_catalog.pg_column_size({c}))) > 0"


def capped(tree: Any, names: Sequence[str]) -> Any:
    """`tree` as a derived table whose every value is measured; column names and row order stay."""
    aliases = [f"c{number}" for number in range(1, len(names) + 1)]
    items = ", ".join(f"{measured(alias)} AS {identifier(name)}" for alias, name in zip(aliases, names, strict=True))
    outer = bare_parse(f"SELECT {items} FROM (SELECT 1) AS capped({', '.join(aliases)})")  # noqa: S608
    subquery = at(outer, (*_SELECT, "from_clause", 0, "range_subselect", "subquery", "select_stmt"))
    subquery.CopyFrom(at(tree, _SELECT))
    return outer


def measured(column: str) -> str:
    """The column, or the server's refusal where a value is above the cap."""
    return (
        f"CASE WHEN pg_catalog.pg_column_size({column}) > {MAX_VALUE_BYTES} AND {_TOO_LARGE.format(c=column)} "
        f"THEN NULL ELSE {column} END"
    )
