"""RETURNING: what is handed back of the rows a write touched, masked as a read of them would be.

The engine evaluates it on the raw row, where no derived table can stand: every reference to a column is replaced by the
column's mask, and no query, aggregate or window function may stand there.
"""

from dataclasses import dataclass
from typing import Any

from app.policy.decision import ColumnView
from app.sql.sqlite.binds import Binds
from app.sql.sqlite.columns import Origins, named_by, origins_of, output_of, plain_column, unknown_column, written
from app.sql.sqlite.expressions import affinity_of
from app.sql.sqlite.lexis import fold, quoted
from app.sql.sqlite.masking import masked
from app.sql.sqlite.nodes import Call, Column, Expr, Members, Nested, Output, Query, Relation, Star, Write
from app.sql.sqlite.relations import Bound, parts
from app.sql.sqlite.rendering import Rendering
from app.sql.sqlite.summaries import summarises
from app.sql.sqlite.templates import Shown
from app.sql.statement import OutputColumn, ParamTypes, Refusal, SqlRefused


@dataclass(frozen=True, slots=True)
class Returned:
    """`sql`: one per output, named."""

    sql: tuple[str, ...]
    outputs: tuple[OutputColumn, ...]


def returned(write: Write, view: Shown, text: str, params: ParamTypes, bound: Bound, binds: Binds) -> Returned:
    """Raises SqlRefused."""
    if write.returning and view.sorted and write.kind != "insert":
        raise SqlRefused(
            Refusal.CONSTRUCT,
            f"RETURNING would show the order of a key of {write.target.name[:80]} that you may not read: leave it out.",
            position=write.target.position,
        )
    alias = fold(write.target.alias if write.target.alias is not None else write.target.name)
    references = _References(alias, view)
    for output in write.returning:
        if not isinstance(output.value, Star):
            references.check(output.value, bound)
    rendering = _RowRendering(text, params, bound, references, binds)
    sql: list[str] = []
    outputs: list[OutputColumn] = []
    for output in write.returning:
        if isinstance(output.value, Star):
            references.check_star(output.value)
            for column in view.columns.values():
                sql.append(f"{_whole(column, binds)} AS {quoted(column.name)}")
                outputs.append(output_of(origins_of(column)))
            continue
        value = output.value
        sql.append(f"{rendering.output(value)} AS {quoted(_name(output, value, references, text))}")
        outputs.append(output_of(references.origins(value)))
    return Returned(tuple(sql), tuple(outputs))


class _References:
    """The only names there are: the columns of the row."""

    def __init__(self, alias: str, view: Shown) -> None:
        self.alias = alias
        self.view = view
        self.booleans: set[Column] = set()

    def column(self, column: Column) -> ColumnView | None:
        """None: the constants TRUE and FALSE."""
        if column.table is None or fold(column.table) == self.alias:
            found = self.view.columns.get(fold(column.name))
            if found is not None:
                return found
        if column.table is None and column.bare and fold(column.name) in ("true", "false"):
            self.booleans.add(column)
            return None
        raise unknown_column(column.name if column.table is None else f"{column.table}.{column.name}", column.position)

    def check(self, node: Any, bound: Bound) -> None:
        match node:
            case Nested() | Members() | Query() | Relation():
                raise SqlRefused(Refusal.CONSTRUCT, "RETURNING takes no queries: select from the rows afterwards.")
            case Call() if summarises(node, bound):
                raise SqlRefused(
                    Refusal.CONSTRUCT,
                    "RETURNING gives the rows themselves: no aggregate or window functions.",
                    position=node.position,
                )
            case Column():
                self.column(node)
            case _:
                pass
        for part in parts(node):
            self.check(part, bound)

    def check_star(self, star: Star) -> None:
        if star.table is not None and fold(star.table) != self.alias:
            raise unknown_column(f"{star.table}.*", star.position)

    def origins(self, node: Any) -> Origins:
        found: Origins = frozenset()
        waiting: list[Any] = [node]
        while waiting:
            part = waiting.pop()
            if isinstance(part, Column) and (column := self.column(part)) is not None:
                found |= origins_of(column)
            waiting.extend(parts(part))
        return found


class _RowRendering(Rendering):
    """Expressions over the raw row in which every column stands masked."""

    def __init__(self, text: str, params: ParamTypes, bound: Bound, references: _References, binds: Binds) -> None:
        super().__init__(text, params, bound, references.booleans, binds, _no_template)
        self.references = references

    def output(self, value: Expr) -> str:
        plain = plain_column(value)
        column = self.references.column(plain) if plain is not None else None
        return self.expression(value) if column is None else _whole(column, self.binds)

    def column(self, column: Column) -> str:
        found = self.references.column(column)
        if found is None:
            return column.name.upper()
        name = quoted(found.name)
        return name if found.mask is None else f"({masked(found.mask, name, self.binds)})"


def _no_template(relation: Relation, key: object) -> str:
    raise SqlRefused(Refusal.CONSTRUCT, "RETURNING takes no queries: select from the rows afterwards.")


def _whole(column: ColumnView, binds: Binds) -> str:
    name = quoted(column.name)
    if column.mask is not None:
        return masked(column.mask, name, binds)
    if affinity_of(column.type) == "REAL":
        # The engine hands back 5 where the stored value is 5.0.
        return f"CASE WHEN typeof({name}) = 'real' THEN {name} + 0.0 ELSE {name} END"
    return name


def _name(output: Output, value: Expr, references: _References, text: str) -> str:
    if output.alias is not None:
        return output.alias
    plain = plain_column(value)
    column = references.column(plain) if plain is not None else None
    if column is not None:
        return column.name
    return named_by(value) or written(value, text)
