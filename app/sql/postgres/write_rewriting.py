"""INSERT, UPDATE and DELETE rewritten: the caller's expressions see views alone, and visible rows alone are touched."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.policy.decision import Action, TableView
from app.sql.postgres.assignments import Assignments, assignments
from app.sql.postgres.binding import Binding
from app.sql.postgres.conflicts import check_conflict
from app.sql.postgres.conjuncts import Conjunct, check_required, conjuncts
from app.sql.postgres.inserting import insert_columns
from app.sql.postgres.returning import Carried, Returned, carried, returned
from app.sql.postgres.scope import Written
from app.sql.postgres.substitution import Binds, add_conjuncts, pushed_down, substitute
from app.sql.postgres.tree import PgTree, check_rendering, disagreement, rendered, stored
from app.sql.postgres.writable import check_changed, check_columns, check_target
from app.sql.postgres.write_tree import Frame, fresh_names, writer_of
from app.sql.statement import RewrittenWrite
from connectors.contract import Catalog, TableKey

_LEAVES = frozenset({"column_ref", "a_const", "type_name", "param_ref", "funcname", "name", "string"})
"""Nodes in which no relation can stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One write, with the caller's tree already holding views where it held tables (but for the target)."""

    source: PgTree
    written: Written
    message: Any
    frame: Frame
    binding: Binding
    found: list[Conjunct]

    @property
    def view(self) -> TableView:
        return self.frame.view

    @property
    def returns(self) -> bool:
        return bool(self.message.HasField("returning_clause"))

    def returning(self, sources: tuple[Carried, ...] = ()) -> list[Returned] | None:
        if not self.returns:
            return None
        return returned(self.message.returning_clause.exprs, self.written, self.view, sources)


def rewrite_write(
    source: PgTree, action: Action, views: Mapping[TableKey, TableView], catalog: Catalog
) -> RewrittenWrite:
    written = source.written
    assert written is not None
    assert written.target.table is not None
    table = catalog.tables[written.target.table]
    check_target(table)
    binding = Binding(source, views)
    binding.check_suspects()
    tree = stored(source.data)
    found = list(conjuncts(source, tree, binding))
    check_required(source, found, views)
    binds = Binds(source)
    substitute(source, tree, found, views, catalog, binds)
    frame = Frame(
        names=fresh_names(source.data, views, catalog.tables),
        view=views[table.key],
        table=table,
        alias=written.target.alias,
        bind=binds,
    )
    node = tree.stmts[0].stmt
    message = getattr(node, node.WhichOneof("node"))
    work = _Work(source=source, written=written, message=message, frame=frame, binding=binding, found=found)
    match action:
        case Action.INSERT:
            result, count = _inserted(work)
        case Action.UPDATE:
            result, count = _updated(work)
        case _:
            result, count = _deleted(work)
    _with_queries(result, message)
    _check_relations(result, source, frame, action)
    sql = rendered(result)
    check_rendering(sql, result)
    return RewrittenWrite(
        sql=sql,
        binds=tuple(binds.all),
        outputs=binding.surely_outputs(count),
        returning=work.returns,
        labels=binding.labels(),
    )


def _deleted(work: _Work) -> tuple[Any, int]:
    frame = work.frame
    sources = carried(work.written, work.view, work.binding)
    once = bool(sources)
    writing = (
        f"DELETE FROM {frame.target} AS {frame.names('x')} USING ({frame.keyed(sources, once=once, values=0)}) "  # noqa: S608
        f"AS {frame.names('k')} WHERE {frame.joined(once=once)} "
        f"RETURNING {frame.written_row(checked=False, returned=work.returns)}, {frame.kept(sources)}"
    )
    given = work.returning(sources)
    tree = frame.around(writing, sources, given, addressed=True, cap=work.source.grows)
    _into_search(writer_of(tree, "delete_stmt").using_clause[0], work, work.message.using_clause)
    return tree, len(given or ())


def _updated(work: _Work) -> tuple[Any, int]:
    frame = work.frame
    changes: Assignments = assignments(work.message.target_list, frame.names)
    check_columns(changes.names, work.view, frame.table, defaulted=changes.defaulted)
    check_changed(changes.names, work.view, frame.table)
    sources = carried(work.written, work.view, work.binding)
    # One row for each row of the target is sure only while nothing is joined to it.
    once = bool(work.message.from_clause) or bool(changes.more_sources)
    sets = ", ".join(f"{name} = NULL" for name in changes.quoted)
    writing = (
        f"UPDATE {frame.target} AS {frame.names('x')} SET {sets} "  # noqa: S608
        f"FROM ({frame.keyed(sources, once=once, values=len(changes.computed))}) AS {frame.names('k')} "
        f"WHERE {frame.joined(once=once)} "
        f"RETURNING {frame.written_row(checked=True, returned=work.returns)}, {frame.kept(sources)}"
    )
    given = work.returning(sources)
    tree = frame.around(writing, sources, given, addressed=True, cap=work.source.grows)
    update = writer_of(tree, "update_stmt")
    for place, value in enumerate(changes.values):
        update.target_list[place].res_target.val.CopyFrom(value)
    search = _into_search(update.from_clause[0], work, work.message.from_clause)
    computed = {frame.names(f"v{number}"): node for number, node in enumerate(changes.computed, start=1)}
    for item in search.target_list:
        if item.res_target.name in computed:
            item.res_target.val.CopyFrom(computed[item.res_target.name])
    search.from_clause.extend(changes.more_sources)
    return tree, len(given or ())


def _into_search(derived: Any, work: _Work, sources: Any) -> Any:
    """Puts the caller's sources and WHERE into the query that finds the rows; gives that query."""
    search = derived.range_subselect.subquery.select_stmt
    addressed = search.from_clause[0].join_expr.larg.range_subselect.subquery.select_stmt
    pushed = pushed_down(work.written.target.reference, work.found, work.view)
    if pushed:
        add_conjuncts(addressed.where_clause, pushed)
    search.from_clause.extend(sources)
    if work.message.HasField("where_clause"):
        search.where_clause.CopyFrom(work.message.where_clause)
    else:
        search.ClearField("where_clause")
    return search


def _inserted(work: _Work) -> tuple[Any, int]:
    frame, message = work.frame, work.message
    columns = insert_columns(message, work.written, work.view, work.binding)
    check_columns(columns, work.view, frame.table)
    alias = frame.names("x")
    if message.HasField("on_conflict_clause"):
        check_conflict(message.on_conflict_clause, work.written.target.alias, work.view, frame.table)
        alias = work.written.target.alias
    row = frame.written_row(checked=True, returned=work.returns)
    writing = f"INSERT INTO {frame.target} DEFAULT VALUES RETURNING {row}"  # noqa: S608
    given = work.returning()
    tree = frame.around(writing, (), given, addressed=False, cap=work.source.grows)
    insert = writer_of(tree, "insert_stmt")
    insert.relation.alias.aliasname = alias
    for name in columns:
        insert.cols.add().res_target.name = name
    for field in ("select_stmt", "on_conflict_clause"):
        if message.HasField(field):
            getattr(insert, field).CopyFrom(getattr(message, field))
    insert.override = message.override
    return tree, len(given or ())


def _with_queries(tree: Any, message: Any) -> None:
    """The caller's WITH queries come first: the write and RETURNING both see them."""
    if not message.HasField("with_clause"):
        return
    clause = tree.stmts[0].stmt.select_stmt.with_clause
    ours = list(clause.ctes)
    callers = list(message.with_clause.ctes)
    kept = [type(one).FromString(one.SerializeToString()) for one in (*callers, *ours)]
    del clause.ctes[:]
    clause.ctes.extend(kept)
    clause.recursive = message.with_clause.recursive


def _check_relations(tree: Any, source: PgTree, frame: Frame, action: Action) -> None:
    """Every table stands where a view put it, but for the one that is written; every other name is a WITH query's."""
    allowed = Counter(reference.table for reference in source.references)
    if action is not Action.INSERT:
        allowed[frame.table.key] += 1
    seen: Counter[TableKey] = Counter()
    queries = {frame.names("w")}
    found = list(_relations(tree))
    queries.update(message.ctename for name, message in found if name == "common_table_expr")
    for name, message in found:
        if name == "common_table_expr":
            continue
        if message.schemaname:
            seen[message.schemaname, message.relname] += 1
        elif message.relname not in queries:
            raise disagreement()
    if seen != allowed:
        raise disagreement()


def _relations(message: Any) -> Iterator[tuple[str, Any]]:
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        for part in value if descriptor.is_repeated else (value,):
            if descriptor.name in ("range_var", "relation", "common_table_expr"):
                yield descriptor.name, part
            if descriptor.name not in _LEAVES:
                yield from _relations(part)
