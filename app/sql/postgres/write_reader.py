"""The reader of statements that change something: their target, what they fill, and what DDL names."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from app.policy.decision import Action
from app.sql.postgres import nodes
from app.sql.postgres.names import strings
from app.sql.postgres.nodes import Rules
from app.sql.postgres.parameters import Parameters
from app.sql.postgres.reader import Reader
from app.sql.postgres.scope import Query, Relation, Scope, Written
from app.sql.postgres.tables import resolve
from app.sql.statement import Refusal, SqlRefused
from connectors.contract import Catalog, TableKey

_SOURCES = {Action.UPDATE: ("from_clause",), Action.DELETE: ("using_clause",)}
_SERIALS = (["serial"], ["bigserial"], ["smallserial"], ["serial4"], ["serial8"], ["serial2"])


class WriteReader(Reader):
    """After `read_write` or `read_ddl` its public attributes hold what was found."""

    def __init__(self, catalog: Catalog, parameters: Parameters) -> None:
        super().__init__(catalog, parameters)
        self.referenced: list[tuple[TableKey, tuple[str, ...]]] = []

    def read_write(self, message: Any, which: str, action: Action, rules: Rules, more: Mapping[str, Rules]) -> Written:
        """INSERT, UPDATE or DELETE: the same gates, a target that is no query's source."""
        self._more = dict(more)
        self._path = ["stmts", 0, "stmt", which]
        if message.HasField("with_clause"):
            self._path.append("with_clause")
            self.read_with(message.with_clause)
            self._path.pop()
        self._path.append("relation")
        target = self.relation(message.relation, action)
        self._path.pop()
        inserted = None
        if action is Action.INSERT and message.HasField("select_stmt"):
            # What is inserted sees the WITH queries and nothing of the target.
            self._path += ("select_stmt", "select_stmt")
            inserted = self.read_query(message.select_stmt.select_stmt)
            del self._path[-2:]
        scope = self._scope = Scope()
        self.leaf(target)
        scope.items.append(target)
        for clause in _SOURCES.get(action, ()):
            self._path += (clause, 0)
            for index, entry in enumerate(getattr(message, clause)):
                self._path[-1] = index
                scope.items.append(self.from_item(entry, True))
            del self._path[-2:]
        if action is not Action.INSERT and message.HasField("where_clause"):
            self.wheres.append((scope, (*self._path, "where_clause")))
        self.fields(message, rules)
        if action is Action.INSERT and message.HasField("on_conflict_clause"):
            excluded = Relation(alias="excluded", table=target.table, aliased=True, reference=target.reference)
            self._scope = Scope(relations=[target, excluded])
            self._path.append("on_conflict_clause")
            self.fields(message.on_conflict_clause, more["on_conflict_clause"])
            self._path.pop()
            self._scope = scope
        returning = Query(scope=scope)
        if message.HasField("returning_clause"):
            self._path.append("returning_clause")
            self.fields(message.returning_clause, nodes.RETURNING)
            self._path += ("exprs", 0)
            for index, entry in enumerate(message.returning_clause.exprs):
                self._path[-1] = index
                returning.outputs.append(self.output(entry))
            del self._path[-3:]
        return Written(target=target, returning=returning, inserted=inserted)

    def existing(self, message: Any) -> TableKey:
        """The table that DDL names; the name gets its schema, in place."""
        if message.catalogname:
            raise SqlRefused(Refusal.CONSTRUCT, nodes.refusal_of("catalogname"), position=message.location)
        key = resolve(message.schemaname, message.relname, self.catalog, message.location)
        message.schemaname = key[0]
        return key

    def read_ddl(self, message: Any, rules: Rules, more: Mapping[str, Rules]) -> None:
        """The same gates for the expressions in it; which columns they name is the caller's to check."""
        self._more = dict(more)
        self._scope = Scope()
        self.fields(message, rules)

    def _column_type(self, value: Any, _message: Any) -> None:
        if strings(value.names) not in _SERIALS:
            self._type_name(value, _message)

    def _referenced_table(self, value: Any, message: Any) -> None:
        self.referenced.append((self.existing(value), tuple(strings(message.pk_attrs))))

    def table_named(self, schema: str, name: str) -> TableKey:
        return resolve(schema, name, self.catalog, None)

    def table_of_index(self, schema: str, name: str) -> TableKey:
        for table in self.catalog.tables.values():
            if (not schema or table.schema == schema) and any(index.name == name for index in table.indexes):
                return table.key
        return resolve(schema, name, self.catalog, None)

    def _multi_assign(self, message: Any, _node: Any) -> None:
        """`(a, b) = …`: the tree holds the whole right side once for each column."""
        self._path.append("source")
        source = message.source
        if source.WhichOneof("node") == "row_expr" and len(source.row_expr.args) == message.ncolumns:
            self._path += ("row_expr", "args", message.colno - 1)
            self.node(source.row_expr.args[message.colno - 1])
            del self._path[-3:]
        elif message.colno == 1:
            self.node(source)
        self._path.pop()

    METHODS: ClassVar[dict[str, Callable[[Any, Any, Any], None]]] = {
        **Reader.METHODS,
        "multi_assign_ref": _multi_assign,
    }
