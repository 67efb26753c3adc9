"""Which visible column every name means, and what each output column may be made of.

An over-approximation: a name that several sources have counts for all of them. The engine binds names itself, to
relations that hold visible columns only; this pass answers unknown names (hidden ones included) the same way
everywhere, and draws the lineage.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.masking.masks import kind_of
from app.policy.decision import ColumnView
from app.sql.sqlite.functions import TABLE_FUNCTIONS, starred
from app.sql.sqlite.lexis import SPACES, fold
from app.sql.sqlite.nodes import (
    Column,
    Cte,
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
    Source,
    Star,
    TableCall,
    Values,
)
from app.sql.sqlite.relations import Bound, parts
from app.sql.sqlite.templates import Shown
from app.sql.statement import OutputColumn, Refusal, SqlRefused
from connectors.contract import TableKey

Origins = frozenset[tuple[str, str]]
"""("label", name) and ("mask", kind) of everything that goes in."""
_NOTHING: Origins = frozenset()
Row = list[tuple[str, Origins]]
_ROW_NAMES = frozenset({"rowid", "oid", "_rowid_"})
"""The engine prefers the hidden row number to an output alias of the same name: only a column may be called so."""


@dataclass(slots=True)
class _Named:
    """One source in FROM: its alias (folded), its columns, and those that `*` shows."""

    alias: str | None
    columns: dict[str, Origins]
    star: Row
    relation: Relation | None = None


@dataclass(slots=True)
class Scope:
    outer: "Scope | None"
    sources: list[_Named] = field(default_factory=list)
    aliases: dict[str, Origins] = field(default_factory=dict)
    siblings: tuple["Scope", ...] = ()
    """The other arms of a compound, whose names its ORDER BY may use."""


@dataclass(slots=True)
class Resolved:
    outputs: tuple[OutputColumn, ...]
    booleans: set[Column]
    """Bare TRUE and FALSE that are no columns."""
    owners: dict[Column, Relation]
    """References that can only mean a column of this one table in this one FROM."""
    local: set[Column]
    """References that mean a column of the FROM right beside them."""


def resolve(query: Query, text: str, bound: Bound, views: Mapping[TableKey, Shown]) -> Resolved:
    """Raises SqlRefused(UNKNOWN_COLUMN)."""
    resolver = _Resolver(text, bound, views)
    row = resolver.query(query, None)
    return Resolved(tuple(output_of(o) for _, o in row), resolver.booleans, resolver.owners, resolver.local)


def output_of(origins: Origins) -> OutputColumn:
    return OutputColumn(
        labels=tuple(sorted(name for kind, name in origins if kind == "label")),
        masks=tuple(sorted(name for kind, name in origins if kind == "mask")),
    )


def origins_of(column: ColumnView) -> Origins:
    found = set()
    if column.label is not None:
        found.add(("label", column.label))
    if column.mask is not None:
        found.add(("mask", kind_of(column.mask)))
    return frozenset(found)


class _Resolver:
    def __init__(self, text: str, bound: Bound, views: Mapping[TableKey, Shown]) -> None:
        self.text = text
        self.bound = bound
        self.booleans: set[Column] = set()
        self.owners: dict[Column, Relation] = {}
        self.local: set[Column] = set()
        self.tables: dict[TableKey, Row] = {
            key: [(column.name, origins_of(column)) for column in view.columns.values()] for key, view in views.items()
        }
        self.everything: Origins = frozenset(part for row in self.tables.values() for _, o in row for part in o)
        self.outer: dict[Cte, Scope | None] = {}
        self.rows: dict[Cte, Row] = {}
        self.seeds: dict[Cte, Row | None] = {}

    def query(self, query: Query, outer: Scope | None, cte: Cte | None = None) -> Row:
        for inner in query.ctes:
            self.outer[inner] = outer
        for inner in query.ctes:
            self._cte(inner)
        row: Row = []
        scopes: list[Scope] = []
        for index, arm in enumerate(query.arms):
            arm_row, scope = self._arm(arm, outer)
            scopes.append(scope)
            row = arm_row if index == 0 else _merged(row, arm_row)
            if index == 0 and cte is not None:
                self.seeds[cte] = [(name, self.everything) for name, _ in _renamed(cte, row)]
        last = Scope(outer, scopes[0].sources, scopes[0].aliases, tuple(scopes[1:]))
        for term in query.order:
            self._origins(term, last)
        for bound in (query.limit, query.offset):
            if bound is not None:
                self._origins(bound, Scope(outer))
        return row

    def _cte(self, cte: Cte) -> Row:
        """One that reads itself may be made, in every column, of all that the statement reads."""
        if (row := self.rows.get(cte)) is not None:
            return row
        if cte in self.seeds:
            if (seed := self.seeds[cte]) is None:
                raise SqlRefused(Refusal.SYNTAX, "A common table expression reads itself: name it differently.")
            return seed
        self.seeds[cte] = None
        row = self.rows[cte] = _renamed(cte, self.query(cte.query, self.outer.get(cte), cte))
        return row

    def _arm(self, arm: Select | Values, outer: Scope | None) -> tuple[Row, Scope]:
        scope = Scope(outer)
        if isinstance(arm, Values):
            rows = [[("", self._origins(part, scope)) for part in row.parts] for row in arm.rows]
            row = [(f"column{i + 1}", origins) for i, (_, origins) in enumerate(rows[0])]
            for other in rows[1:]:
                row = _merged(row, other)
            return row, scope
        joins = self._sources(arm.source, scope) if arm.source is not None else []
        row = []
        for output in arm.outputs:
            row += self._outputs(output, scope)
        for output, (_, origins) in zip(arm.outputs, row, strict=False) if not _starred(arm) else ():
            if output.alias is not None:
                scope.aliases[fold(output.alias)] = origins
        if _starred(arm):
            scope.aliases.update({fold(o.alias): self.everything for o in arm.outputs if o.alias is not None})
        for expr in (*joins, arm.where, *arm.group, arm.having):
            if expr is not None:
                self._origins(expr, scope)
        for _, window in arm.windows:
            self._visit(window, scope, set())
        return row, scope

    def _outputs(self, output: Output, scope: Scope) -> Row:
        value = output.value
        if isinstance(value, Expr):
            name = output.alias if output.alias is not None else named_by(value) or written(value, self.text)
            return [(name, self._origins(value, scope))]
        if value.table is None:
            if not scope.sources:
                raise SqlRefused(Refusal.SYNTAX, "There is no FROM for *.", position=value.position)
            return [column for source in scope.sources for column in source.star]
        wanted = fold(value.table)
        row = [column for source in scope.sources if source.alias == wanted for column in source.columns.items()]
        if not any(source.alias == wanted for source in scope.sources):
            raise unknown_column(f"{value.table}.*", value.position)
        return row

    def _sources(self, source: From, scope: Scope) -> list[Expr]:
        """Fills the scope; gives the ON conditions, which see all of it."""
        conditions: list[Expr] = []
        first = len(scope.sources)
        for join in source.joins:
            before = len(scope.sources)
            conditions += self._source(join.source, scope)
            self._once(join, scope.sources[first:before], scope.sources[before:])
            if join.on is not None:
                conditions.append(join.on)
        return conditions

    def _source(self, source: Source, scope: Scope) -> list[Expr]:
        match source:
            case Relation():
                scope.sources.append(self._relation(source))
            case Derived(query=query, alias=alias):
                row = self.query(query, scope.outer)
                scope.sources.append(_Named(_folded(alias), _by_name(row), row))
            case TableCall(call=call, alias=alias):
                name = self.bound.functions[call]
                origins: Origins = _NOTHING
                for arg in call.args:
                    origins |= self._origins(arg, scope)
                columns = dict.fromkeys(TABLE_FUNCTIONS[name], origins)
                star = [(column, origins) for column in starred(name)]
                scope.sources.append(_Named(_folded(alias) or name, columns, star))
            case Group(source=inner, alias=alias):
                before = len(scope.sources)
                conditions = self._sources(inner, scope)
                if alias is not None:
                    row = [column for named in scope.sources[before:] for column in named.star]
                    scope.sources.append(_Named(_folded(alias), _by_name(row), []))
                return conditions
        return []

    def _relation(self, relation: Relation) -> _Named:
        target = self.bound.targets[relation]
        alias = fold(relation.alias if relation.alias is not None else relation.name)
        if isinstance(target, Cte):
            row = self._cte(target)
            return _Named(alias, _by_name(row), row)
        row = self.tables[target]
        return _Named(alias, _by_name(row), row, relation)

    def _once(self, join: Join, left: list[_Named], right: list[_Named]) -> None:
        """USING and NATURAL: `*` shows a shared column once."""
        shared = set(map(fold, join.using))
        known = {name for named in left for name in named.columns}
        for name, written in ((fold(name), name) for name in join.using):
            if name not in known or not any(name in named.columns for named in right):
                raise unknown_column(written, None)
        for named in right:
            if join.how.startswith("NATURAL"):
                shared |= {fold(name) for n in left for name, _ in n.star} & {fold(name) for name, _ in named.star}
            named.star = [column for column in named.star if fold(column[0]) not in shared]

    def _origins(self, expr: Expr, scope: Scope) -> Origins:
        found: set[tuple[str, str]] = set()
        self._visit(expr, scope, found)
        return frozenset(found)

    def _visit(self, node: Any, scope: Scope, found: set[tuple[str, str]]) -> None:
        match node:
            case Column():
                found |= self._column(node, scope)
            case Nested(query=query):
                found.update(*(origins for _, origins in self.query(query, scope)))
            case Members(relation=relation):
                found.update(*(origins for _, origins in self._relation(relation).star))
            case _:
                for part in parts(node):
                    self._visit(part, scope, found)

    def _column(self, column: Column, scope: Scope) -> Origins:
        name = fold(column.name)
        table = _folded(column.table)
        level: Scope | None = scope
        while level is not None:
            found: list[Origins] = []
            for arm in (level, *level.siblings):
                holders = [n for n in arm.sources if (table is None or n.alias == table) and name in n.columns]
                found += [named.columns[name] for named in holders]
                if len(holders) == 1 and level is scope and (owner := holders[0].relation) is not None:
                    self.owners[column] = owner
                if table is None and name in arm.aliases and name not in _ROW_NAMES:
                    found.append(arm.aliases[name])
            if found:
                if level is scope:
                    self.local.add(column)
                return frozenset().union(*found)
            level = level.outer
        if table is None and column.bare and name in ("true", "false"):
            self.booleans.add(column)
            return _NOTHING
        raise unknown_column(column.name if column.table is None else f"{column.table}.{column.name}", column.position)


def _merged(left: Row, right: Row) -> Row:
    if len(left) != len(right):
        raise SqlRefused(Refusal.SYNTAX, "The parts of the set operation have different numbers of columns.")
    return [(name, origins | other) for (name, origins), (_, other) in zip(left, right, strict=True)]


def _renamed(cte: Cte, row: Row) -> Row:
    if not cte.columns:
        return row
    if len(cte.columns) != len(row):
        raise SqlRefused(Refusal.SYNTAX, f"{cte.name[:60]} has {len(row)} columns but {len(cte.columns)} names.")
    return [(name, origins) for name, (_, origins) in zip(cte.columns, row, strict=True)]


def _by_name(row: Row) -> dict[str, Origins]:
    columns: dict[str, Origins] = {}
    for name, origins in row:
        folded = fold(name)
        columns[folded] = columns.get(folded, _NOTHING) | origins
    return columns


def _folded(name: str | None) -> str | None:
    return None if name is None else fold(name)


def _starred(select: Select) -> bool:
    return any(isinstance(output.value, Star) for output in select.outputs)


def named_by(value: Expr) -> str | None:
    """The column that names an unaliased output: a reference, in brackets or with a COLLATE."""
    column = plain_column(value)
    return column.name if column is not None else None


def written(value: Expr, text: str) -> str:
    """What SQLite calls an unaliased output that is no column: its text, up to the next token."""
    return text[value.start : value.text_end].strip(SPACES)


def plain_column(value: Expr) -> Column | None:
    items = value.items
    while len(items) == 1 and isinstance(items[0], Parenthesis) and len(items[0].parts) == 1:
        items = items[0].parts[0].items
    return items[0] if len(items) == 1 and isinstance(items[0], Column) else None


def unknown_column(name: str, position: int | None) -> SqlRefused:
    """One answer for columns that do not exist and columns the caller may not know of."""
    return SqlRefused(
        Refusal.UNKNOWN_COLUMN,
        f"No column {name[:80]} can be read here: the describe endpoint lists the columns you may read; "
        "text stands in single quotes.",
        position=position,
    )
