"""Table DDL: read by allowlist, run as it was approved. Nothing in it may read a row, or tell of one that is hidden."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from postgast import pg_query_pb2 as pb

from app.policy.decision import TableView
from app.sql.postgres.names import strings
from app.sql.postgres.nodes import NODE, NODES, SCALAR, Rules
from app.sql.postgres.tables import new_table
from app.sql.postgres.tree import PgTree, check_rendering, rendered, stored
from app.sql.postgres.writable import check_named, check_target
from app.sql.postgres.write_reader import WriteReader
from app.sql.statement import Refusal, RewrittenWrite, SqlRefused
from connectors.contract import Catalog, TableKey


def _values(enum: Any, *names: str) -> frozenset[int]:
    return frozenset(enum.Value(name) for name in names)


_RESTRICT = _values(pb.DropBehavior, "DROP_RESTRICT")
_KEYS: Rules = {"keys": NODES, "fk_attrs": NODES, "pk_attrs": NODES, "including": NODES}
_COLUMN: Rules = {
    "colname": SCALAR,
    "type_name": "column_type",
    "is_local": SCALAR,
    "coll_clause": {"collname": "collation"},
    "constraints": NODES,
}
DDL_NODES: Final[dict[str, Rules]] = {
    "column_def": _COLUMN,
    "constraint": {
        **_KEYS,
        "contype": _values(
            pb.ConstrType, "CONSTR_NULL", "CONSTR_NOTNULL", "CONSTR_DEFAULT", "CONSTR_CHECK", "CONSTR_PRIMARY",
            "CONSTR_UNIQUE", "CONSTR_FOREIGN", "CONSTR_IDENTITY", "CONSTR_GENERATED", "CONSTR_ATTR_DEFERRABLE",
            "CONSTR_ATTR_NOT_DEFERRABLE", "CONSTR_ATTR_DEFERRED", "CONSTR_ATTR_IMMEDIATE",
        ),
        "conname": SCALAR,
        "deferrable": SCALAR,
        "initdeferred": SCALAR,
        "is_enforced": SCALAR,
        "initially_valid": SCALAR,
        "skip_validation": SCALAR,
        "generated_when": SCALAR,
        "generated_kind": SCALAR,
        "nulls_not_distinct": SCALAR,
        "raw_expr": NODE,
        "pktable": "referenced_table",
        "fk_matchtype": SCALAR,
        "fk_upd_action": SCALAR,
        "fk_del_action": SCALAR,
    },
    "index_elem": {
        "name": SCALAR,
        "expr": NODE,
        "opclass": NODES,
        "collation": NODES,
        "ordering": SCALAR,
        "nulls_ordering": SCALAR,
    },
    "alter_table_cmd": {
        "subtype": _values(
            pb.AlterTableType, "AT_AddColumn", "AT_DropColumn", "AT_ColumnDefault", "AT_SetNotNull", "AT_DropNotNull",
            "AT_AddConstraint", "AT_DropConstraint", "AT_AlterColumnType",
        ),
        "name": SCALAR,
        "def": NODE,
        "behavior": _RESTRICT,
        "missing_ok": SCALAR,
    },
}  # fmt: skip
_STATEMENTS: Final[dict[str, Rules]] = {
    "create_stmt": {
        "relation": SCALAR,
        "table_elts": NODES,
        "constraints": NODES,
        "if_not_exists": SCALAR,
        "oncommit": _values(pb.OnCommitAction, "ONCOMMIT_NOOP"),
    },
    "alter_table_stmt": {
        "relation": SCALAR,
        "cmds": NODES,
        "objtype": _values(pb.ObjectType, "OBJECT_TABLE"),
        "missing_ok": SCALAR,
    },
    "index_stmt": {
        "idxname": SCALAR,
        "relation": SCALAR,
        "access_method": frozenset({"btree", "hash", "gin", "gist", "brin", "spgist"}),
        "index_params": NODES,
        "index_including_params": NODES,
        "where_clause": NODE,
        "unique": SCALAR,
        "nulls_not_distinct": SCALAR,
        "if_not_exists": SCALAR,
    },
    "rename_stmt": {
        "rename_type": _values(pb.ObjectType, "OBJECT_TABLE", "OBJECT_COLUMN"),
        "relation_type": SCALAR,
        "relation": SCALAR,
        "subname": SCALAR,
        "newname": SCALAR,
        "behavior": _RESTRICT,
        "missing_ok": SCALAR,
    },
    "truncate_stmt": {"relations": SCALAR, "restart_seqs": SCALAR, "behavior": _RESTRICT},
    "drop_stmt": {
        "objects": SCALAR,
        "remove_type": _values(pb.ObjectType, "OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_INDEX"),
        "behavior": _RESTRICT,
        "missing_ok": SCALAR,
    },
}
_VALIDATES = _values(pb.AlterTableType, "AT_SetNotNull", "AT_AddConstraint", "AT_AlterColumnType")
_ADD_COLUMN = pb.AlterTableType.Value("AT_AddColumn")
_DROP_CONSTRAINT = pb.AlterTableType.Value("AT_DropConstraint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Defined:
    """What DDL does to which tables. `existing`: tables it changes; `named`: their columns that it names;
    `validates`: it answers a question about every row; `removes`: rows go; `renames`: rules would lose the table."""

    tables: tuple[TableKey, ...]
    existing: tuple[TableKey, ...] = ()
    named: tuple[str, ...] = ()
    validates: bool = False
    removes: bool = False
    renames: bool = False


def read_ddl(which: str | None, node: Any, reader: WriteReader) -> Defined | None:
    """None: not DDL of a kind that is understood here. Names get their schema, in place."""
    read = _READERS.get(str(which))
    if read is None:
        return None
    message = getattr(node, str(which))
    found = read(message, reader)
    if found is not None and which in _STATEMENTS:
        reader.read_ddl(message, _STATEMENTS[str(which)], DDL_NODES)
    if reader.parameters.binds:
        raise SqlRefused(Refusal.PARAMETERS, "DDL takes no parameters. Write the values out.")
    return found


def rewrite_ddl(source: PgTree, views: Mapping[TableKey, TableView], catalog: Catalog) -> RewrittenWrite:
    """Exactly the caller's statement, with schemas, or a refusal."""
    defined: Defined = source.defined
    if source.references:
        raise SqlRefused(
            Refusal.CONSTRUCT,
            "A view or table made from a query would hold rows as they are stored, without masks. Create the table, "
            "then fill it with INSERT … SELECT.",
        )
    for key, columns in source.referenced:
        _check_referenced(views[key], columns, catalog.tables[key].primary_key)
    for key in defined.existing:
        view, table = views[key], catalog.tables[key]
        if view.row_filter is not None and (defined.removes or defined.validates or defined.renames):
            raise SqlRefused(
                Refusal.CONSTRUCT,
                f"You do not see all rows of {table.name}: it can be neither emptied, checked nor renamed in.",
            )
        if defined.renames:
            _check_renamed(defined.named, view)
        if defined.named:
            check_target(table)
        for name in defined.named:
            check_named(name, view)
    tree = stored(source.data)
    sql = rendered(tree)
    check_rendering(sql, tree)
    return RewrittenWrite(sql=sql, binds=(), ddl=True)


def _check_referenced(view: TableView, columns: tuple[str, ...], key: tuple[str, ...]) -> None:
    """Whoever fills a table learns from its foreign keys which values there are."""
    raw = {column.name for column in view.columns if column.mask is None}
    if view.row_filter is not None or (not columns and not raw.issuperset(key)):
        raise SqlRefused(Refusal.CONSTRUCT, f"You do not see all keys of {view.name}: no foreign key can point there.")
    for name in columns:
        check_named(name, view)


def _check_renamed(named: tuple[str, ...], view: TableView) -> None:
    """Rules go by names: what is renamed must have none, and of a whole table that cannot be seen from here."""
    if not named or any(column.name in named and column.label is not None for column in view.columns):
        raise SqlRefused(
            Refusal.CONSTRUCT,
            "Rules go by the names of tables and of labelled columns. Have these renamed together with the policy.",
        )


def _created(message: Any, reader: WriteReader) -> Defined:
    key = new_table(message.relation)
    columns = {entry.column_def.colname for entry in message.table_elts if entry.HasField("column_def")}
    for name in _columns_in(message):
        if name not in columns:
            raise SqlRefused(Refusal.UNKNOWN_COLUMN, f"The column {name!r} is not one of the new table's.")
    return Defined(tables=(key,))


def _altered(message: Any, reader: WriteReader) -> Defined:
    key = reader.existing(message.relation)
    added, named, validates = set(), [], False
    for entry in message.cmds:
        command = entry.alter_table_cmd
        definition = getattr(command, "def").column_def
        if command.subtype == _ADD_COLUMN:
            added.add(definition.colname)
            validates = validates or bool(definition.constraints)
        elif command.subtype != _DROP_CONSTRAINT and command.name:
            named.append(command.name)
        validates = validates or command.subtype in _VALIDATES
    named += [name for name in _columns_in(message) if name not in added]
    return Defined(tables=(key,), existing=(key,), named=tuple(named), validates=validates)


def _indexed(message: Any, reader: WriteReader) -> Defined:
    key = reader.existing(message.relation)
    named = [one.index_elem.name for one in (*message.index_params, *message.index_including_params)]
    named = [name for name in named if name] + list(_columns_in(message))
    # Expressions and conditions are worked out for every row, and may fail at a hidden one.
    computed = message.HasField("where_clause") or any(one.index_elem.HasField("expr") for one in message.index_params)
    return Defined(tables=(key,), existing=(key,), named=tuple(named), validates=message.unique or computed)


def _renamed(message: Any, reader: WriteReader) -> Defined | None:
    if not message.HasField("relation"):
        return None
    key = reader.existing(message.relation)
    if message.subname:
        return Defined(tables=(key,), existing=(key,), named=(message.subname,), renames=True)
    return Defined(tables=(key, (key[0], message.newname)), existing=(key,), renames=True)


def _truncated(message: Any, reader: WriteReader) -> Defined:
    keys = tuple(reader.existing(relation.range_var) for relation in message.relations)
    return Defined(tables=keys, existing=keys, removes=True)


def _dropped(message: Any, reader: WriteReader) -> Defined | None:
    if message.remove_type not in _STATEMENTS["drop_stmt"]["remove_type"]:
        return None
    index = message.remove_type == pb.ObjectType.Value("OBJECT_INDEX")
    keys = []
    for named in message.objects:
        parts = strings(named.list.items)
        if len(parts) not in (1, 2):
            return None
        schema = parts[0] if len(parts) == 2 else ""
        key = (reader.table_of_index if index else reader.table_named)(schema, parts[-1])
        keys.append(key)
        del named.list.items[:]
        for part in (key[0], parts[-1]):
            named.list.items.add().string.sval = part
    return Defined(tables=tuple(keys), existing=tuple(keys), removes=not index)


def _viewed(message: Any, reader: WriteReader) -> Defined:
    reader.read_root(message.query.select_stmt)
    _only(message, "view", "aliases", "query", "replace", "with_check_option")
    return Defined(tables=(new_table(message.view),))


def _filled(message: Any, reader: WriteReader) -> Defined | None:
    if message.query.WhichOneof("node") != "select_stmt":
        return None
    reader.read_root(message.query.select_stmt)
    _only(message, "query", "into", "objtype", "if_not_exists")
    _only(message.into, "rel", "on_commit")
    return Defined(tables=(new_table(message.into.rel),))


def _only(message: Any, *fields: str) -> None:
    for descriptor, _ in message.ListFields():
        if descriptor.name not in fields:
            raise SqlRefused(
                Refusal.CONSTRUCT, f"The option {descriptor.name!r} is not allowed here. Write the DDL without it."
            )


def _columns_in(message: Any) -> Iterator[str]:
    """Every column of the table itself that keys and expressions name."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None or descriptor.name == "pk_attrs":
            continue
        for part in value if descriptor.is_repeated else (value,):
            if descriptor.name == "column_ref":
                parts = strings(part.fields)
                if len(parts) != 1:
                    raise SqlRefused(Refusal.CONSTRUCT, f"Name columns alone in DDL, not {'.'.join(parts)!r}.")
                yield parts[0]
            elif descriptor.name in _KEYS:
                yield part.string.sval
            else:
                yield from _columns_in(part)


_READERS: Final[dict[str, Callable[[Any, WriteReader], Defined | None]]] = {
    "create_stmt": _created,
    "alter_table_stmt": _altered,
    "index_stmt": _indexed,
    "rename_stmt": _renamed,
    "truncate_stmt": _truncated,
    "drop_stmt": _dropped,
    "view_stmt": _viewed,
    "create_table_as_stmt": _filled,
}
