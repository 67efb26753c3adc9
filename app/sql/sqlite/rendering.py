"""The checked tree as text: every name quoted, every table replaced, every placeholder numbered."""

from collections.abc import Callable, Mapping
from typing import Any

from app.sql.sqlite.binds import Binds
from app.sql.sqlite.columns import named_by, written
from app.sql.sqlite.lexis import Kind, Token, literal, quoted
from app.sql.sqlite.nodes import (
    Call,
    Column,
    Cte,
    Derived,
    Expr,
    From,
    Group,
    Members,
    Nested,
    Output,
    Parenthesis,
    Query,
    Relation,
    Select,
    Star,
    TableCall,
    Values,
    Window,
)
from app.sql.sqlite.relations import Bound
from app.sql.statement import ParamBind, ParamTypes
from connectors.contract import TableKey

Template = Callable[[Relation, TableKey], str]
CTE_PREFIX = "douane cte "


class Rendering:
    """One statement's rendering. `template` gives the text that stands for a table at one place."""

    def __init__(
        self, text: str, params: ParamTypes, bound: Bound, booleans: set[Column], binds: Binds, template: Template
    ) -> None:
        self.text = text
        self.params = params
        self.bound = bound
        self.booleans = booleans
        self.binds = binds
        self.template = template
        self.cte_names: dict[Cte, str] = {}

    def query(self, query: Query, *, top: bool = False) -> str:
        words = [*self.with_clause(query), self._arm(query.arms[0], top)]
        for operator, arm in zip(query.operators, query.arms[1:], strict=True):
            words += [operator, self._arm(arm, top)]
        if query.order:
            words.append(f"ORDER BY {self._list(query.order)}")
        if query.limit is not None:
            words.append(f"LIMIT {self.expression(query.limit)}")
            if query.offset is not None:
                words.append(f"{query.limit_sign} {self.expression(query.offset)}")
        return " ".join(words)

    def with_clause(self, query: Query) -> list[str]:
        if not query.ctes:
            return []
        for cte in query.ctes:
            self.cte_names[cte] = f"{CTE_PREFIX}{len(self.cte_names)}"
        return ["WITH RECURSIVE" if query.recursive else "WITH", ", ".join(self._cte(cte) for cte in query.ctes)]

    def _cte(self, cte: Cte) -> str:
        columns = f" ({', '.join(map(quoted, cte.columns))})" if cte.columns else ""
        hint = f" {cte.hint}" if cte.hint else ""
        return f"{quoted(self.cte_names[cte])}{columns} AS{hint} ({self.query(cte.query)})"

    def _arm(self, arm: Select | Values, top: bool) -> str:
        if isinstance(arm, Values):
            return "VALUES " + ", ".join(f"({self._list(row.parts)})" for row in arm.rows)
        words = ["SELECT"]
        if arm.quantifier:
            words.append(arm.quantifier)
        words.append(", ".join(self._output(output, top) for output in arm.outputs))
        if arm.source is not None:
            words.append(f"FROM {self.sources(arm.source)}")
        if arm.where is not None:
            words.append(f"WHERE {self.expression(arm.where)}")
        if arm.group:
            words.append(f"GROUP BY {self._list(arm.group)}")
        if arm.having is not None:
            words.append(f"HAVING {self.expression(arm.having)}")
        if arm.windows:
            named = (f"{quoted(name)} AS {self._window(window)}" for name, window in arm.windows)
            words.append(f"WINDOW {', '.join(named)}")
        return " ".join(words)

    def _output(self, output: Output, top: bool) -> str:
        value = output.value
        if isinstance(value, Star):
            return "*" if value.table is None else f"{quoted(value.table)}.*"
        rendered = self.expression(value)
        if output.alias is not None:
            return f"{rendered} AS {quoted(output.alias)}"
        if named_by(value) is not None and not self._is_boolean(value):
            return rendered
        if not top and _collated(value):
            return rendered
        return f"{rendered} AS {quoted(written(value, self.text))}"

    def _is_boolean(self, value: Expr) -> bool:
        return len(value.items) == 1 and value.items[0] in self.booleans

    def sources(self, source: From) -> str:
        words = []
        for join in source.joins:
            if join.how == ",":
                words.append(",")
            elif join.how:
                words.append(join.how)
            words.append(self._source(join.source))
            if join.on is not None:
                words.append(f"ON {self.expression(join.on)}")
            elif join.using:
                words.append(f"USING ({', '.join(map(quoted, join.using))})")
        return " ".join(words)

    def _source(self, source: Any) -> str:
        match source:
            case Relation():
                return self._relation(source)
            case Derived(query=query, alias=alias):
                return f"({self.query(query)}){_as(alias)}"
            case TableCall(call=call, alias=alias):
                return f"{self._call(call)}{_as(alias)}"
            case Group(source=inner, alias=alias):
                return f"({self.sources(inner)}){_as(alias)}"
            case _:
                raise TypeError(type(source).__name__)

    def _relation(self, relation: Relation) -> str:
        target = self.bound.targets[relation]
        name = quoted(self.cte_names[target]) if isinstance(target, Cte) else self.template(relation, target)
        return f"{name}{_as(relation.alias if relation.alias is not None else relation.name)}"

    def expression(self, expr: Expr) -> str:
        return " ".join([self._item(item) for item in expr.items])

    def _list(self, exprs: tuple[Expr, ...]) -> str:
        return ", ".join([self.expression(expr) for expr in exprs])

    def _item(self, item: Any) -> str:
        return _ITEMS[type(item)](self, item)

    def _token(self, token: Token) -> str:
        match token.kind:
            case Kind.STRING:
                return literal(token.text)
            case Kind.BLOB:
                return f"x'{token.text}'"
            case Kind.PARAM:
                return self.binds.placeholder(ParamBind(name=token.text, type=self.params[token.text]))
            case Kind.NUMBER:
                return token.text
            case _:
                return token.word

    def column(self, column: Column) -> str:
        if column in self.booleans:
            return column.name.upper()
        name = quoted(column.name)
        return name if column.table is None else f"{quoted(column.table)}.{name}"

    def _call(self, call: Call) -> str:
        name = self.bound.functions[call]
        distinct = "DISTINCT " if call.distinct else ""
        rendered = f"{name}({'*' if call.star else distinct + self._list(call.args)})"
        if call.filter is not None:
            rendered += f" FILTER (WHERE {self.expression(call.filter)})"
        if isinstance(call.over, str):
            rendered += f" OVER {quoted(call.over)}"
        elif call.over is not None:
            rendered += f" OVER {self._window(call.over)}"
        return rendered

    def _window(self, window: Window) -> str:
        words = [quoted(window.base)] if window.base is not None else []
        if window.partition:
            words.append(f"PARTITION BY {self._list(window.partition)}")
        if window.order:
            words.append(f"ORDER BY {self._list(window.order)}")
        words += [self._item(item) for item in window.frame]
        return f"({' '.join(words)})"


_ITEMS: Mapping[type, Callable[[Rendering, Any], str]] = {
    Token: Rendering._token,
    Column: lambda r, item: r.column(item),
    Call: Rendering._call,
    Expr: Rendering.expression,
    Parenthesis: lambda r, item: f"({r._list(item.parts)})",
    Nested: lambda r, item: f"({r.query(item.query)})",
    Members: lambda r, item: f"(SELECT * FROM {r._relation(item.relation)})",  # noqa: S608
}


def _as(alias: str | None) -> str:
    return "" if alias is None else f" AS {quoted(alias)}"


def _collated(value: Expr) -> bool:
    items = value.items
    return (
        len(items) >= 3
        and isinstance(items[0], Column)
        and all(isinstance(item, Token) and item.word == "COLLATE" for item in items[1::2])
    )
