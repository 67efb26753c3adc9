"""INSERT, UPDATE, DELETE and DDL, read for the decision and the approval."""

from dataclasses import replace
from typing import Any

from postgast import pg_query_pb2 as pb

from app.policy.decision import Action
from app.sql.postgres.ddl import read_ddl
from app.sql.postgres.nodes import NODE, NODES, SCALAR, Rules
from app.sql.postgres.parameters import Parameters
from app.sql.postgres.scope import Written
from app.sql.postgres.tree import PgTree, bare
from app.sql.postgres.write_reader import WriteReader
from app.sql.statement import Access, Refusal, SqlRefused, Statement
from connectors.contract import Dialect

_TARGET: Rules = {"name": SCALAR, "indirection": NODES, "val": NODE}
_DO_UPDATE = pb.OnConflictAction.Value("ONCONFLICT_UPDATE")
_CONFLICT: Rules = {
    "action": SCALAR,
    "infer": {
        "index_elems": NODES,
        "where_clause": NODE,
        "conname": SCALAR,
    },
    "target_list": NODES,
    "where_clause": NODE,
}
_INSERT: Rules = {
    "relation": SCALAR,
    "cols": NODES,
    "override": SCALAR,
    # These by the reader's own hand.
    "select_stmt": SCALAR,
    "on_conflict_clause": SCALAR,
    "returning_clause": SCALAR,
    "with_clause": SCALAR,
}
_UPDATE: Rules = {
    "relation": SCALAR,
    "target_list": NODES,
    "where_clause": NODE,
    "from_clause": SCALAR,
    "returning_clause": SCALAR,
    "with_clause": SCALAR,
}
_DELETE: Rules = {
    "relation": SCALAR,
    "using_clause": SCALAR,
    "where_clause": NODE,
    "returning_clause": SCALAR,
    "with_clause": SCALAR,
}
WRITE_NODES: dict[str, Rules] = {
    "res_target": _TARGET,
    "set_to_default": {},
    "on_conflict_clause": _CONFLICT,
    "index_elem": {"name": SCALAR, "expr": NODE, "ordering": SCALAR, "nulls_ordering": SCALAR},
}
_WRITES = {
    "insert_stmt": (Action.INSERT, _INSERT),
    "update_stmt": (Action.UPDATE, _UPDATE),
    "delete_stmt": (Action.DELETE, _DELETE),
}


def read_write(tree: Any, node: Any, reader: WriteReader, parameters: Parameters) -> Statement:
    which = node.WhichOneof("node")
    if which in _WRITES:
        action, rules = _WRITES[which]
        message = getattr(node, which)
        written = reader.read_write(message, which, action, rules, WRITE_NODES)
        statement = _statement(tree, reader, parameters, action, action.value, message, written)
        return _also_updates(statement, written) if _updates(message, action) else statement
    defined = read_ddl(which, node, reader)
    if defined is None:
        raise SqlRefused(
            Refusal.STATEMENT_CLASS,
            "Only SELECT, VALUES, INSERT, UPDATE, DELETE and table DDL are understood here. Send a SELECT.",
        )
    statement = _statement(tree, reader, parameters, Action.DDL, "ddl", None, None)
    changed = tuple(Access(table=key, action=Action.DDL) for key in dict.fromkeys(defined.tables))
    read = [key for key, _ in reader.referenced] + [reference.table for reference in reader.references]
    return replace(
        statement,
        accesses=changed + tuple(Access(table=key, action=Action.SELECT) for key in dict.fromkeys(read)),
        has_where=False,
        tree=replace(statement.tree, defined=defined, referenced=tuple(reader.referenced)),
    )


def _updates(message: Any, action: Action) -> bool:
    return action is Action.INSERT and message.on_conflict_clause.action == _DO_UPDATE


def _also_updates(statement: Statement, written: Written) -> Statement:
    """ON CONFLICT DO UPDATE takes both permissions."""
    assert written.target.table is not None
    update = Access(table=written.target.table, action=Action.UPDATE)
    return replace(statement, accesses=(*statement.accesses, update))


def _statement(
    tree: Any,
    reader: WriteReader,
    parameters: Parameters,
    action: Action,
    kind: str,
    message: Any,
    written: Written | None,
) -> Statement:
    if written is not None:
        reader.columns.update(_named(message, kind))
    source = PgTree(
        data=bare(tree.SerializeToString()).SerializeToString(),
        query=written.returning if written is not None else None,
        references=tuple(reader.references),
        suspects=tuple(reader.suspects),
        binds=tuple(parameters.binds),
        wheres=tuple(reader.wheres),
        grows=reader.grows,
        groups=reader.groups,
        written=written,
    )
    return Statement(
        dialect=Dialect.POSTGRES,
        action=action,
        accesses=tuple(dict.fromkeys(Access(table=one.table, action=one.action) for one in source.references)),
        has_where=kind in ("update", "delete") and message.HasField("where_clause"),
        limit=None,
        columns=tuple(sorted(reader.columns)),
        functions=tuple(sorted(reader.functions)),
        kind=kind,
        tree=source,
    )


def _named(message: Any, kind: str) -> list[str]:
    """The columns that a write fills."""
    match kind:
        case "insert":
            return [entry.res_target.name for entry in message.cols]
        case "update":
            return [entry.res_target.name for entry in message.target_list]
        case _:
            return []
