"""The PostgreSQL guard: the caller's text in, a statement of our own making out. The text itself never runs."""

from collections.abc import Sequence
from typing import Any

from app.policy.decision import Action, TableView
from app.sql.agreement import MAX_TOKENS_FOR_OPINION, agrees
from app.sql.postgres.binding import Binding
from app.sql.postgres.bounds import bounded_tokens
from app.sql.postgres.conjuncts import check_required, conjuncts
from app.sql.postgres.ddl import rewrite_ddl
from app.sql.postgres.parameters import Parameters
from app.sql.postgres.placeholders import Numbered, number
from app.sql.postgres.reader import Reader
from app.sql.postgres.scan_order import keeps_scan_order
from app.sql.postgres.substitution import Binds, substitute
from app.sql.postgres.tree import PgTree, Reference, bare, check_rendering, disagreement, parsed, rendered, stored
from app.sql.postgres.value_cap import capped
from app.sql.postgres.write_reader import WriteReader
from app.sql.postgres.write_rewriting import rewrite_write
from app.sql.postgres.writes import read_write
from app.sql.statement import (
    Access,
    ParamTypes,
    Refusal,
    Rewritten,
    RewrittenWrite,
    SqlRefused,
    Statement,
    Views,
)
from connectors.contract import Catalog, Dialect, TableKey


class PostgresGuard:
    """`inspect` refuses by rules that need no policy; `rewrite` puts every table's own view in its place."""

    dialect = Dialect.POSTGRES

    def inspect(self, text: str, params: ParamTypes, catalog: Catalog) -> Statement:
        found = bounded_tokens(text)
        numbered = number(text, found, params)
        try:
            return _inspected(numbered, len(found), params, catalog)
        except RecursionError:
            raise SqlRefused(
                Refusal.TOO_COMPLEX, "The statement is nested too deeply. Simplify it or split it."
            ) from None

    def rewrite(self, statement: Statement, views: Views, catalog: Catalog) -> Rewritten:
        if statement.action is not Action.SELECT:
            raise SqlRefused(Refusal.STATEMENT_CLASS, "Only SELECT statements run here. Send a SELECT.")
        source: PgTree = statement.tree
        seen = _views_of(source.references, views)
        binding = Binding(source, seen)
        binding.check_suspects()
        tree = stored(source.data)
        found = list(conjuncts(source, tree, binding))
        check_required(source, found, seen)
        binds = Binds(source)
        substitute(source, tree, found, seen, catalog, binds)
        names = binding.names() if source.grows else None
        if names:
            tree = capped(tree, names)
        sql = rendered(tree)
        check_rendering(sql, tree)
        return Rewritten(
            sql=sql,
            binds=tuple(binds.all),
            outputs=binding.outputs(),
            keep_scan_order=keeps_scan_order(source, found, seen, catalog),
            labels=binding.labels(),
        )

    def rewrite_write(self, statement: Statement, views: Views, catalog: Catalog) -> RewrittenWrite:
        source: PgTree = statement.tree
        if source.defined is not None:
            return rewrite_ddl(
                source, _visible((*source.defined.existing, *(key for key, _ in source.referenced)), views), catalog
            )
        if source.written is None:
            raise SqlRefused(Refusal.STATEMENT_CLASS, "This statement only reads. Run it as a query.")
        seen = _views_of(source.references, views)
        return rewrite_write(source, statement.action, seen, catalog)


def _inspected(numbered: Numbered, token_count: int, params: ParamTypes, catalog: Catalog) -> Statement:
    try:
        tree = parsed(numbered.text)
    except SqlRefused as refused:
        if refused.position is not None:
            refused.position = numbered.caller_offset(refused.position)
        raise
    try:
        return _read(tree, numbered, token_count, params, catalog)
    except SqlRefused as refused:
        if refused.position is not None:
            refused.position = numbered.caller_place(refused.position)
        raise


def _read(tree: Any, numbered: Numbered, token_count: int, params: ParamTypes, catalog: Catalog) -> Statement:
    if len(tree.stmts) != 1:
        raise SqlRefused(
            Refusal.SEVERAL_STATEMENTS if tree.stmts else Refusal.SYNTAX,
            "Send exactly one statement.",
            position=tree.stmts[1].stmt_location if len(tree.stmts) > 1 else None,
        )
    node = tree.stmts[0].stmt
    parameters = Parameters(numbered.names, params)
    reader: Reader
    if node.WhichOneof("node") == "select_stmt":
        reader = Reader(catalog, parameters)
        statement = _read_select(tree, node.select_stmt, reader, parameters, numbered)
    else:
        reader = writing = WriteReader(catalog, parameters)
        statement = read_write(tree, node, writing, parameters)
        for use in reader.suspects:
            use.position = numbered.caller_place(use.position)
        if statement.action is Action.DDL:
            return statement
    if token_count <= MAX_TOKENS_FOR_OPINION and not agrees(numbered.text, reader.relation_names):
        raise disagreement()
    return statement


def _read_select(tree: Any, select: Any, reader: Reader, parameters: Parameters, numbered: Numbered) -> Statement:
    query = reader.read_root(select)
    for use in reader.suspects:
        use.position = numbered.caller_place(use.position)
    source = PgTree(
        data=bare(tree.SerializeToString()).SerializeToString(),
        query=query,
        references=tuple(reader.references),
        suspects=tuple(reader.suspects),
        wheres=tuple(reader.wheres),
        binds=tuple(parameters.binds),
        grows=reader.grows,
        groups=reader.groups,
        free_constants=frozenset(numbered.caller_place(place) for place in reader.free_constants),
    )
    limit = select.limit_count.a_const
    return Statement(
        dialect=Dialect.POSTGRES,
        action=Action.SELECT,
        accesses=accesses_of(source.references),
        has_where=select.HasField("where_clause"),
        limit=limit.ival.ival if limit.HasField("ival") else None,
        columns=tuple(sorted(reader.columns)),
        functions=tuple(sorted(reader.functions)),
        kind="values" if select.values_lists else "select",
        tree=source,
    )


def accesses_of(references: Sequence[Reference]) -> tuple[Access, ...]:
    return tuple(dict.fromkeys(Access(table=reference.table, action=reference.action) for reference in references))


def _views_of(references: Sequence[Reference], views: Views) -> dict[TableKey, TableView]:
    seen: dict[TableKey, TableView] = {}
    for reference in references:
        view = seen.get(reference.table) or views(reference.table)
        if view is None:
            raise _not_found(reference.alias)
        seen[reference.table] = view
    return seen


def _visible(tables: Sequence[TableKey], views: Views) -> dict[TableKey, TableView]:
    seen: dict[TableKey, TableView] = {}
    for key in tables:
        view = views(key)
        if view is None:
            raise _not_found(key[1])
        seen[key] = view
    return seen


def _not_found(name: str) -> SqlRefused:
    return SqlRefused(
        Refusal.UNKNOWN_TABLE,
        f"The table {name!r} was not found. Ask the schema endpoint which tables there are.",
    )


guard = PostgresGuard()
