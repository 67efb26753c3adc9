"""Which relation every name in FROM means: a common table expression in scope, or a table of the catalog.

SQLite lets a common table expression see itself and every sibling, earlier or later, whether or not RECURSIVE is
written. Rendering gives each one a name of its own that no table has, so a disagreement with the engine can only end
in "no such table", never in a raw table.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from app.sql.sqlite.functions import checked, checked_table_function
from app.sql.sqlite.lexis import Kind, Token, fold
from app.sql.sqlite.nodes import (
    Assignment,
    Call,
    Column,
    Cte,
    Definition,
    Derived,
    Expr,
    From,
    Group,
    Join,
    Members,
    Nested,
    Output,
    Parenthesis,
    Query,
    Relation,
    Select,
    Star,
    TableCall,
    Tree,
    Values,
    Window,
    Write,
)
from app.sql.statement import Refusal, SqlRefused
from connectors.contract import Catalog, Table, TableKey

MAX_RELATIONS = 100
"""Each one becomes a template that is read twice again (100 wide ones take about 100 ms)."""

_FIELDS: Mapping[type, tuple[str, ...]] = {
    node: tuple(f.name for f in fields(node))
    for node in (
        Assignment,
        Call,
        Column,
        Cte,
        Definition,
        Derived,
        Expr,
        From,
        Group,
        Join,
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
        Write,
    )
}


@dataclass(slots=True)
class Bound:
    """What the names of one statement mean."""

    targets: dict[Relation, TableKey | Cte] = field(default_factory=dict)
    functions: dict[Call, str] = field(default_factory=dict)
    columns: dict[str, None] = field(default_factory=dict)
    """Folded names of every column mentioned, in order."""
    stars: bool = False
    """Some `*` or NATURAL join takes columns without naming them."""

    @property
    def tables(self) -> tuple[TableKey, ...]:
        return tuple(dict.fromkeys(t for t in self.targets.values() if not isinstance(t, Cte)))


def parts(node: Any) -> Iterator[Any]:
    """The nodes directly below one, in the order they are written."""
    for name in _FIELDS[type(node)]:
        yield from _below(getattr(node, name))


def _below(value: Any) -> Iterator[Any]:
    if type(value) in _FIELDS:
        yield value
    elif type(value) is tuple:
        for part in value:
            yield from _below(part)


def names_of(catalog: Catalog) -> Mapping[str, Table]:
    """Folded name to table. Names that differ in ASCII case only cannot exist in one SQLite database."""
    return {fold(table.name): table for (schema, _), table in catalog.tables.items() if schema == "main"}


Scope = tuple[Mapping[str, Cte], "Scope"] | None


def bind(tree: Tree, catalog: Catalog) -> Bound:
    """Raises SqlRefused for every relation and function that is not allowed."""
    binder = _Binder(catalog)
    if isinstance(tree, Definition):
        for part in (tree.query, *tree.terms, tree.where):
            if part is not None:
                binder.visit(part, None)
    else:
        binder.visit(tree, None)
    if isinstance(tree, Write):
        binder.bound.columns.update(dict.fromkeys(map(fold, tree.written)))
    return binder.bound


class _Binder:
    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.names = names_of(catalog)
        self.bound = Bound()

    def visit(self, node: Any, scope: Scope) -> None:
        bound = self.bound
        kind = type(node)
        if kind is Query or kind is Write:
            scope = _opened(node.ctes, scope)
        elif kind is Relation:
            bound.targets[node] = self._target(node, scope)
            if len(bound.targets) > MAX_RELATIONS:
                raise SqlRefused(
                    Refusal.TOO_COMPLEX, f"The statement names more than {MAX_RELATIONS} tables: split it."
                )
            return
        elif kind is Column:
            bound.columns[fold(node.name)] = None
            return
        elif kind is Call:
            bound.functions[node] = checked(node, self.catalog)
        elif kind is TableCall:
            bound.functions[node.call] = checked_table_function(node.call, self.catalog)
            for arg in node.call.args:
                self.visit(arg, scope)
            return
        elif kind is Star:
            bound.stars = True
        elif kind is Join:
            bound.columns.update(dict.fromkeys(map(fold, node.using)))
            bound.stars = bound.stars or node.how.startswith("NATURAL")
        elif kind is Members:
            bound.stars = True
        for part in parts(node):
            if kind is Write and part is node.target:
                continue
            self.visit(part, scope)

    def _target(self, relation: Relation, scope: Scope) -> TableKey | Cte:
        name = fold(relation.name)
        level = scope if relation.schema is None else None
        while level is not None:
            if (cte := level[0].get(name)) is not None:
                return cte
            level = level[1]
        return table_named(relation, self.names).key


def table_named(relation: Relation, names: Mapping[str, Table]) -> Table:
    name = fold(relation.name)
    if name.startswith(("sqlite_", "pragma_")) or name in ("dbstat", "sqlite_schema"):
        raise SqlRefused(
            Refusal.CATALOG,
            "The database's own catalog is not readable: use the describe endpoint.",
            position=relation.position,
        )
    table = names.get(name)
    if table is None:
        raise unknown_table(relation)
    return table


def unknown_table(relation: Relation) -> SqlRefused:
    """One answer for tables that do not exist and tables the caller may not know of."""
    return SqlRefused(
        Refusal.UNKNOWN_TABLE,
        f"No table {relation.name[:80]} can be read here: the describe endpoint lists the tables you may read.",
        position=relation.position,
    )


def _opened(ctes: tuple[Cte, ...], scope: Scope) -> Scope:
    if not ctes:
        return scope
    level = {fold(cte.name): cte for cte in ctes}
    if len(level) < len(ctes):
        raise SqlRefused(Refusal.SYNTAX, "Two common table expressions have the same name: rename one.")
    return (level, scope)


def constant_tokens(expr: Expr) -> tuple[Token, ...] | None:
    """The literal or placeholder an expression consists of (with its sign), or None."""
    items = expr.items
    while len(items) == 1 and isinstance(items[0], (Parenthesis, Expr)):
        inner = items[0]
        if isinstance(inner, Parenthesis):
            if len(inner.parts) != 1:
                return None
            inner = inner.parts[0]
        items = inner.items
    tokens = tuple(item for item in items if isinstance(item, Token))
    if len(tokens) != len(items) or not tokens:
        return None
    signs, value = tokens[:-1], tokens[-1]
    if value.kind not in (Kind.NUMBER, Kind.STRING, Kind.BLOB, Kind.PARAM):
        return None
    return tokens if len(signs) <= 1 and all(sign.word in ("-", "+") for sign in signs) else None
