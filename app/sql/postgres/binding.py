"""Which columns a name may stand for, once the caller's views are known: output lineage, and sure columns."""

from collections.abc import Mapping, Sequence

from app.masking.masks import kind_of
from app.policy.decision import TableView
from app.sql.postgres.names import attribute_refused
from app.sql.postgres.scope import STAR, Cte, Item, Query, Relation, Scope, Use
from app.sql.postgres.tree import PgTree
from app.sql.statement import OutputColumn
from connectors.contract import TableKey

Origin = frozenset[tuple[str, str]]
"""(label, mask kind) pairs a value may be made of; "" where there is none."""
Columns = list[tuple[str | None, Origin]]

_NOTHING: Origin = frozenset()


class Binding:
    """Reads the scopes of one statement with one caller's views. Every answer errs on the side of more."""

    def __init__(self, source: PgTree, views: Mapping[TableKey, TableView]) -> None:
        self._source = source
        self._views = views
        self._tables = {key: _of_view(view) for key, view in views.items()}
        self._all: Origin = frozenset().union(*(origin for table in self._tables.values() for _, origin in table))
        self._memo: dict[int, Columns | None] = {}

    def check_suspects(self) -> None:
        """Attribute notation (`f.pg_read_file`) calls functions unless the name is a column of the relation."""
        for use in self._source.suspects:
            if not self._surely_column(use):
                raise attribute_refused(use.parts[1], use.position)

    def _surely_column(self, use: Use) -> bool:
        """Every relation that the qualifier could mean has the column.

        All enclosing scopes count, and what a join alias hides: which of them PostgreSQL takes depends on LATERAL
        visibility, and need not be known where each gives the same answer.
        """
        qualifier, name = use.parts
        candidates = 0
        scope: Scope | None = use.scope
        while scope is not None:
            entries: tuple[Item, ...] = (*scope.relations, *scope.joins)
            for entry in entries:
                columns = self.columns(entry) if isinstance(entry, Relation) else self._of_item(entry)
                if use.parenthesised and (columns is None or any(own == qualifier for own, _ in columns)):
                    return False
                if entry.alias == qualifier:
                    if columns is None or all(own != name for own, _ in columns):
                        return False
                    # A function may name its column itself; its alias is then no column.
                    function = isinstance(entry, Relation) and entry.names is not None
                    if function and name == entry.alias and name not in entry.columns:
                        return False
                    candidates += 1
            scope = scope.parent
        return candidates > 0

    def outputs(self) -> tuple[OutputColumn, ...] | None:
        columns = self._of_query(self._source.query) if self._source.query is not None else None
        if columns is None:
            return None
        return tuple(_output(origin) for _, origin in columns)

    def surely_outputs(self, count: int) -> tuple[OutputColumn, ...]:
        """Of RETURNING, whose columns are counted elsewhere: what is not known may be made of everything."""
        found = self.outputs()
        return found if found is not None and len(found) == count else (_output(self._all),) * count

    def names(self) -> tuple[str, ...] | None:
        """Names of the output columns, or None where one of them is not known."""
        columns = self._of_query(self._source.query) if self._source.query is not None else None
        if columns is None:
            return None
        names = [name for name, _ in columns if name is not None]
        return tuple(names) if len(names) == len(columns) else None

    def width(self, query: Query) -> int | None:
        """How many columns a query gives, where that is known."""
        columns = self._of_query(query)
        return len(columns) if columns is not None else None

    def labels(self) -> tuple[str, ...]:
        return tuple(sorted({label for label, _ in self._all if label}))

    def owner(self, scope: Scope, parts: Sequence[str]) -> tuple[Relation, str] | None:
        """The governed table and its own column that a reference surely means, in this very scope."""
        if scope.joins:
            return None
        if len(parts) == 2:
            owners = [relation for relation in scope.relations if relation.alias == parts[0]]
        else:
            owners = []
            for relation in scope.relations:
                columns = self.columns(relation)
                if columns is None:
                    return None
                if parts[0] in {name for name, _ in columns}:
                    owners.append(relation)
        if len(owners) != 1 or owners[0].table is None:
            return None
        relation = owners[0]
        places = [index for index, (name, _) in enumerate(self.columns(relation) or ()) if name == parts[-1]]
        if relation.table is None or len(places) != 1:
            return None
        return relation, self._views[relation.table].columns[places[0]].name

    # -- columns --------------------------------------------------------------------------------------------------

    def columns(self, relation: Relation) -> Columns | None:
        key = id(relation)
        if key not in self._memo:
            self._memo[key] = None  # a cycle that is no recursive CTE cannot be read
            self._memo[key] = self._of_relation(relation)
        return self._memo[key]

    def _of_relation(self, relation: Relation) -> Columns | None:
        if relation.table is not None:
            found: Columns | None = self._tables[relation.table]
        elif relation.cte is not None:
            found = self._of_cte(relation.cte)
        elif relation.query is not None:
            found = self._of_query(relation.query)
        elif relation.names is not None:
            origin = self._of_uses(relation.uses)
            found = [(name, origin) for name in relation.names]
        else:
            found = None
        return _renamed(found, relation.columns)

    def _of_cte(self, cte: Cte) -> Columns | None:
        key = id(cte)
        if key in self._memo:
            return self._memo[key]
        if cte.query is None:
            return None
        self._memo[key] = None
        if cte.recursive and cte.query.arms is not None:
            first = _renamed(self._of_query(cte.query.arms[0]), cte.columns)
            self._memo[key] = first
            second = self._of_query(cte.query.arms[1])
            if first is not None:
                origin = self._all if second is None else _union(first + second)
                first = [(name, origin) for name, _ in first]
                first += [(name, origin) for name in cte.extra]
            self._memo[key] = first
            # What was read of the recursive arm so far had only the first arm's origins.
            for relation in cte.query.arms[1].scope.relations if cte.query.arms[1].scope else ():
                self._memo.pop(id(relation), None)
        else:
            self._memo[key] = _renamed(self._of_query(cte.query), cte.columns)
        return self._memo[key]

    def _of_query(self, query: Query) -> Columns | None:
        if query.arms is not None:
            left, right = self._of_query(query.arms[0]), self._of_query(query.arms[1])
            if left is None or right is None or len(left) != len(right):
                return None
            return [(name, mine | other) for (name, mine), (_, other) in zip(left, right, strict=True)]
        columns: Columns = []
        for output in query.outputs:
            if output.star is None:
                columns.append((output.name, self._of_uses(output.uses)))
                continue
            expanded = self._star(query.scope, output.star)
            if expanded is None:
                return None
            columns += expanded
        return columns

    def _star(self, scope: Scope | None, qualifier: tuple[str, ...]) -> Columns | None:
        if scope is None:
            return None
        if qualifier:
            return self._columns_of_alias(scope, qualifier[-1])
        columns: Columns = []
        for item in scope.items:
            found = self._of_item(item)
            if found is None:
                return None
            columns += found
        return columns

    def _of_item(self, item: Item) -> Columns | None:
        if isinstance(item, Relation):
            return self.columns(item)
        left, right = self._of_item(item.left), self._of_item(item.right)
        if left is None or right is None:
            return None
        common = item.using
        if item.natural:
            names = {name for name, _ in right}
            common = tuple(name for name, _ in left if name is not None and name in names)
        merged: Columns = [(name, _union([c for c in left + right if c[0] == name])) for name in common]
        rest = [column for column in left + right if column[0] not in common]
        return _renamed(merged + rest, item.columns)

    # -- names ----------------------------------------------------------------------------------------------------

    def _columns_of_alias(self, scope: Scope | None, alias: str) -> Columns | None:
        while scope is not None:
            for relation in scope.relations:
                if relation.alias == alias:
                    return self.columns(relation)
            for joined in scope.joins:
                if joined.alias == alias:
                    return self._of_item(joined)
            scope = scope.parent
        return None

    def _of_uses(self, uses: Sequence[Use]) -> Origin:
        origin = _NOTHING
        for use in uses:
            origin |= self._of_use(use)
        return origin

    def _of_use(self, use: Use) -> Origin:
        if len(use.parts) > 1:
            columns = self._columns_of_alias(use.scope, use.parts[0])
            if columns is None:
                return self._all
            own = [column for column in columns if column[0] == use.parts[1]]
            return _union(own or columns)
        name = use.parts[0]
        scope: Scope | None = use.scope
        while scope is not None:
            found: Columns = []
            for relation in scope.relations:
                columns = self.columns(relation)
                if columns is None:
                    return self._all
                if name is STAR or relation.alias == name:
                    found += columns
                found += [column for column in columns if column[0] == name]
            for joined in scope.joins:
                found += (
                    [column for column in self._of_item(joined) or [("", self._all)] if column[0] in (name, "")]
                    if joined.alias != name
                    else self._of_item(joined) or [("", self._all)]
                )
            if found or name is STAR:
                return _union(found)
            scope = scope.parent
        return self._all


def _of_view(view: TableView) -> Columns:
    return [
        (
            column.name,
            _NOTHING
            if column.label is None and column.mask is None
            else frozenset({(column.label or "", kind_of(column.mask) if column.mask is not None else "")}),
        )
        for column in view.columns
    ]


def _renamed(columns: Columns | None, aliases: Sequence[str]) -> Columns | None:
    if columns is None or not aliases:
        return columns
    return [(aliases[index] if index < len(aliases) else name, origin) for index, (name, origin) in enumerate(columns)]


def _union(columns: Columns) -> Origin:
    return frozenset().union(*(origin for _, origin in columns))


def _output(origin: Origin) -> OutputColumn:
    return OutputColumn(
        labels=tuple(sorted({label for label, _ in origin if label})),
        masks=tuple(sorted({mask for _, mask in origin if mask})),
    )
