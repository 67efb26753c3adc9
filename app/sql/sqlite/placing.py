"""Where a template stands decides what goes into it: the caller's own harmless conditions, and whether it is held."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.sql.sqlite.lexis import fold, quoted
from app.sql.sqlite.nodes import Column, Expr, From, Group, Item, Query, Relation, Select
from app.sql.sqlite.predicates import compared_column, conjuncts
from app.sql.sqlite.relations import Bound, parts
from app.sql.sqlite.rendering import Rendering
from app.sql.sqlite.templates import Shown, derived_table
from app.sql.statement import Refusal, SqlRefused
from connectors.contract import TableKey


class Placing:
    """Finds the SELECT around every table reference. Raises SqlRefused(REQUIRED_PREDICATE)."""

    rendering: Rendering

    def __init__(
        self,
        query: Query,
        views: Mapping[TableKey, Shown],
        mentioned: Sequence[str] | None,
        owners: Mapping[Column, Relation],
        bound: Bound,
        keys: Mapping[Relation, tuple[str, ...]] | None = None,
    ) -> None:
        """`keys`: raw columns that the template of a write's target carries besides."""
        self.views = views
        self.mentioned = mentioned
        self.bound = bound
        self.keys = keys or {}
        self.placed: list[str] = []
        self.copies: dict[Relation, list[tuple[Column, tuple[Item, ...]]]] = {}
        self.held: set[Relation] = set()
        for select in _selects(query):
            self._conditions(select, owners)
            self._joins(select)
        for relation, target in bound.targets.items():
            if isinstance(target, tuple):
                self._required(relation, views[target])

    def template(self, relation: Relation, key: TableKey) -> str:
        view = self.views[key]
        self.placed.append(view.table.name)
        copies = (
            self._copied(items)
            for column, items in self.copies.get(relation, ())
            if view.columns[fold(column.name)].mask is None
        )
        keys = self.keys.get(relation, ())
        return derived_table(view, self.mentioned, copies, relation in self.held, self.rendering.binds, keys)

    def _copied(self, items: tuple[Item, ...]) -> str:
        """Inside the template the column stands alone: its alias is not known there."""
        return " ".join(
            quoted(item.name) if isinstance(item, Column) else self.rendering.expression(Expr((item,)))
            for item in items
        )

    def _conditions(self, select: Select, owners: Mapping[Column, Relation]) -> None:
        for items in conjuncts(select.where):
            column = compared_column(items)
            if column is not None and (owner := owners.get(column)) is not None:
                self.copies.setdefault(owner, []).append((column, items))

    def _joins(self, select: Select) -> None:
        """Without its indexes a joined table costs a scan per row: held, the engine indexes what it holds. A join by
        the row key needs neither."""
        if select.source is None:
            return
        relations = list(_relations(select.source))
        if len(relations) + _others(select.source) < 2:
            return
        names = _join_names(select)
        for relation in relations:
            target = self.bound.targets[relation]
            if isinstance(target, tuple) and self.views[target].not_indexed and self.views[target].row_key not in names:
                self.held.add(relation)

    def _required(self, relation: Relation, view: Shown) -> None:
        wanted = set(map(fold, view.required))
        if not wanted or any(fold(column.name) in wanted for column, _ in self.copies.get(relation, ())):
            return
        columns = " or ".join(sorted(view.required))
        raise SqlRefused(
            Refusal.REQUIRED_PREDICATE,
            f"{relation.name[:80]} is read by {columns} only: compare it with a constant in WHERE.",
            suggestion=f"WHERE {view.required[0]} = ?",
            position=relation.position,
        )


def _selects(query: Any) -> Iterator[Select]:
    waiting = [query]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Select):
            yield node
        waiting.extend(parts(node))


def _relations(source: From) -> Iterator[Relation]:
    for join in source.joins:
        if isinstance(join.source, Relation):
            yield join.source
        elif isinstance(join.source, Group):
            yield from _relations(join.source.source)


def _others(source: From) -> int:
    return sum(not isinstance(join.source, Relation) for join in source.joins)


def _join_names(select: Select) -> set[str]:
    names: set[str] = set()
    waiting: list[Any] = [select.where] if select.where is not None else []
    sources = [select.source] if select.source is not None else []
    while sources:
        for join in sources.pop().joins:
            names.update(map(fold, join.using))
            if join.on is not None:
                waiting.append(join.on)
            if isinstance(join.source, Group):
                sources.append(join.source.source)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Column):
            names.add(fold(node.name))
        waiting.extend(parts(node))
    return names
