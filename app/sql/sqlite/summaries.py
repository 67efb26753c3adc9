"""Functions that look at many rows at once. In a write's expressions they would fold its rows into one."""

from collections.abc import Collection, Iterator
from typing import Any

from app.sql.sqlite.functions import AGGREGATES, WINDOW_ONLY
from app.sql.sqlite.nodes import Call, Column, Nested, Query
from app.sql.sqlite.relations import Bound, parts
from app.sql.statement import Refusal, SqlRefused

_ALSO_SCALAR = frozenset({"min", "max"})


def summarises(call: Call, bound: Bound) -> bool:
    name = bound.functions[call]
    if call.over is not None or call.filter is not None or name in WINDOW_ONLY:
        return True
    return name in AGGREGATES and not (name in _ALSO_SCALAR and len(call.args) > 1)


def none_of_the_rows_themselves(expr: Any, local: Collection[Column], bound: Bound) -> None:
    """`local`: references to the FROM right beside them. An aggregate whose arguments all come from outside its query
    belongs, for the engine, to the query outside. Raises SqlRefused."""
    for call, nested in _calls(expr, False):
        if not summarises(call, bound):
            continue
        columns = list(_columns(call.args))
        if not nested or (columns and not any(column in local for column in columns)):
            raise SqlRefused(
                Refusal.CONSTRUCT,
                "Aggregate and window functions stand in a subquery of their own here: (SELECT max(x) FROM …).",
                position=call.position,
            )


def _calls(node: Any, nested: bool) -> Iterator[tuple[Call, bool]]:
    if isinstance(node, Call):
        yield node, nested
    nested = nested or isinstance(node, Nested | Query)
    for part in parts(node):
        yield from _calls(part, nested)


def _columns(nodes: Any) -> Iterator[Column]:
    waiting: list[Any] = list(nodes)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Column):
            yield node
        if not isinstance(node, Nested | Query):
            waiting.extend(parts(node))
