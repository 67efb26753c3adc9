"""The SqlGuard of SQLite: what a statement touches, and what of it may run."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.policy.decision import Action
from app.sql.sqlite.binds import Binds
from app.sql.sqlite.columns import origins_of, resolve
from app.sql.sqlite.defining import defined
from app.sql.sqlite.lexis import Kind, fold
from app.sql.sqlite.nodes import Column, Cte, Definition, Expr, Query, Relation, Select, Star, Tree, Write
from app.sql.sqlite.placing import Placing
from app.sql.sqlite.relations import Bound, bind, constant_tokens, names_of, parts, table_named, unknown_table
from app.sql.sqlite.rendering import Rendering
from app.sql.sqlite.second_reading import agree
from app.sql.sqlite.statements import read
from app.sql.sqlite.templates import Shown, shown
from app.sql.sqlite.writing import rewritten
from app.sql.statement import Access, ParamTypes, Refusal, Rewritten, RewrittenWrite, SqlRefused, Statement, Views
from connectors.contract import Catalog, Dialect, TableKey

_TOO_DEEP = "The statement nests too deeply: simplify it."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What a Statement carries from `inspect` to `rewrite`."""

    text: str
    params: ParamTypes
    tree: Tree
    bound: Bound


class SqliteGuard:
    """Pure and without state: every call starts from its arguments."""

    dialect = Dialect.SQLITE

    def inspect(self, text: str, params: ParamTypes, catalog: Catalog) -> Statement:
        """Raises SqlRefused."""
        try:
            return _inspected(text, params, catalog)
        except RecursionError:
            raise SqlRefused(Refusal.TOO_COMPLEX, _TOO_DEEP) from None

    def rewrite(self, statement: Statement, views: Views, catalog: Catalog) -> Rewritten:
        """Raises SqlRefused."""
        try:
            return _rewritten(statement.tree, views, catalog)
        except RecursionError:
            raise SqlRefused(Refusal.TOO_COMPLEX, _TOO_DEEP) from None

    def rewrite_write(self, statement: Statement, views: Views, catalog: Catalog) -> RewrittenWrite:
        """Raises SqlRefused."""
        try:
            return _rewritten_write(statement.tree, views, catalog)
        except RecursionError:
            raise SqlRefused(Refusal.TOO_COMPLEX, _TOO_DEEP) from None


guard = SqliteGuard()


def _inspected(text: str, params: ParamTypes, catalog: Catalog) -> Statement:
    tree = read(text, params)
    bound = bind(tree, catalog)
    action, kind, accesses = _accesses(tree, bound, catalog)
    return Statement(
        dialect=Dialect.SQLITE,
        action=action,
        accesses=accesses,
        has_where=_has_where(tree),
        limit=_constant_limit(tree),
        columns=tuple(bound.columns),
        functions=tuple(sorted(set(bound.functions.values()))),
        kind=kind,
        tree=_Read(text=text, params=dict(params), tree=tree, bound=bound),
    )


def _accesses(tree: Tree, bound: Bound, catalog: Catalog) -> tuple[Action, str, tuple[Access, ...]]:
    reads = tuple(Access(table=key, action=Action.SELECT) for key in bound.tables)
    match tree:
        case Query():
            kind = "select" if isinstance(tree.arms[0], Select) else "values"
            return Action.SELECT, kind, reads
        case Write(kind=kind, target=target):
            action = Action(kind)
            key = table_named(target, names_of(catalog)).key
            if _hands_back(tree):
                reads = tuple(dict.fromkeys((Access(table=key, action=Action.SELECT), *reads)))
            return action, kind, (Access(table=key, action=action), *reads)
        case Definition():
            # A table that does not exist yet is nothing policy knows: what a definition reads then decides over it.
            defined = _defined(tree, catalog)
            targets = (defined,) if defined is not None else bound.tables
            return Action.DDL, "ddl", (*(Access(table=key, action=Action.DDL) for key in targets), *reads)


def _defined(tree: Definition, catalog: Catalog) -> TableKey | None:
    names = names_of(catalog)
    wanted = fold(tree.target.name)
    if tree.owner is not None:
        return table_named(tree.owner, names).key
    if tree.kind == "INDEX":
        owners = [t for t in names.values() if any(fold(index.name) == wanted for index in t.indexes)]
        if not owners:
            raise unknown_table(tree.target)
        return owners[0].key
    if tree.creates and wanted not in names and not wanted.startswith("sqlite_"):
        return None
    return table_named(tree.target, names).key


def _has_where(tree: Tree) -> bool:
    match tree:
        case Query(arms=arms):
            return all(isinstance(arm, Select) and arm.where is not None for arm in arms)
        case Write(where=where):
            return where is not None
        case Definition():
            return False


def _constant_limit(tree: Tree) -> int | None:
    if not isinstance(tree, Query):
        return None
    # LIMIT a, b: the second one is the limit.
    limit: Expr | None = tree.offset if tree.limit_sign == "," else tree.limit
    tokens = constant_tokens(limit) if limit is not None else None
    if tokens is None or len(tokens) != 1 or tokens[0].kind is not Kind.NUMBER or not tokens[0].text.isdigit():
        return None
    return int(tokens[0].text)


def _rewritten(read_before: _Read, views: Views, catalog: Catalog) -> Rewritten:
    tree, bound = read_before.tree, read_before.bound
    if not isinstance(tree, Query):
        raise SqlRefused(Refusal.STATEMENT_CLASS, "Only SELECT, VALUES and WITH can run: ask for an approval.")
    seen = _views(bound.targets, views, catalog)
    resolved = resolve(tree, read_before.text, bound, seen)
    mentioned = None if bound.stars else tuple(bound.columns)
    binds = Binds()
    placing = Placing(tree, seen, mentioned, resolved.owners, bound)
    rendering = Rendering(read_before.text, read_before.params, bound, resolved.booleans, binds, placing.template)
    placing.rendering = rendering
    sql = rendering.query(tree, top=True)
    agree(sql, Counter(placing.placed), len(binds.ordered))
    return Rewritten(
        sql=sql,
        binds=binds.ordered,
        outputs=resolved.outputs,
        keep_scan_order=False,
        labels=_labels(seen, mentioned),
    )


def _rewritten_write(read_before: _Read, views: Views, catalog: Catalog) -> RewrittenWrite:
    tree, bound = read_before.tree, read_before.bound
    match tree:
        case Query():
            raise SqlRefused(Refusal.STATEMENT_CLASS, "This statement changes nothing: it runs as a read.")
        case Definition():

            def view(relation: Relation) -> Shown:
                key = table_named(relation, names_of(catalog)).key
                return _views({relation: key}, views, catalog)[key]

            return RewrittenWrite(sql=defined(tree, bound, read_before.text, view, catalog), binds=(), ddl=True)
        case Write():
            key = table_named(tree.target, names_of(catalog)).key
            seen = _views({**bound.targets, tree.target: key}, views, catalog)
            everything = bound.stars or (tree.kind == "insert" and not tree.columns)
            mentioned = None if everything else tuple(bound.columns)
            binds = Binds()
            text, params, version = read_before.text, read_before.params, catalog.server_version
            written = rewritten(tree, key, bound, seen, text, params, mentioned, binds, version)
            return RewrittenWrite(
                sql=written.sql,
                binds=binds.ordered,
                outputs=written.outputs,
                returning=bool(tree.returning),
                labels=_labels(seen, mentioned),
            )


def _hands_back(write: Write) -> bool:
    """Whether RETURNING reads the table: that takes the right to, as a SELECT would."""
    waiting: list[Any] = list(write.returning)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Column | Star):
            return True
        waiting.extend(parts(node))
    return False


def _views(targets: Mapping[Relation, TableKey | Cte], views: Views, catalog: Catalog) -> Mapping[TableKey, Shown]:
    seen: dict[TableKey, Shown] = {}
    for relation, target in targets.items():
        if not isinstance(target, tuple) or target in seen:
            continue
        view, table = views(target), catalog.tables.get(target)
        if view is None or table is None:
            raise unknown_table(relation)
        seen[target] = shown(table, view)
    return seen


def _labels(seen: Mapping[TableKey, Shown], mentioned: tuple[str, ...] | None) -> tuple[str, ...]:
    reachable = (
        column
        for view in seen.values()
        for name, column in view.columns.items()
        if mentioned is None or name in mentioned
    )
    return tuple(sorted({name for column in reachable for kind, name in origins_of(column) if kind == "label"}))
