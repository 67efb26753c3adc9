"""One walk over the parse tree: refuses what is not on an allowlist, and notes what the statement touches.

The walk also normalises the tree in place: placeholders get their types, `schema.table.column` becomes
`table.column`, numbers get the spelling that every server version reads alike.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from postgast import pg_query_pb2 as pb

from app.policy.decision import Action
from app.sql.postgres import nodes
from app.sql.postgres.expressions import Expressions
from app.sql.postgres.names import function_columns, implied_name, strings
from app.sql.postgres.parameters import Parameters
from app.sql.postgres.scope import Cte, Item, Joined, Output, Query, Relation, Scope
from app.sql.postgres.tables import resolve
from app.sql.postgres.tree import Reference
from app.sql.statement import Refusal, SqlRefused
from connectors.contract import Catalog

_INNER, _LEFT, _RIGHT = (pb.JoinType.Value(name) for name in ("JOIN_INNER", "JOIN_LEFT", "JOIN_RIGHT"))


class Reader(Expressions):
    """Reads one statement. After `read_root` its public attributes hold what was found."""

    def __init__(self, catalog: Catalog, parameters: Parameters) -> None:
        super().__init__(catalog, parameters)
        self.references: list[Reference] = []
        self.relation_names: list[tuple[str, str]] = []
        self.wheres: list[tuple[Scope, tuple[str | int, ...]]] = []
        self.groups = False
        self._ctes: dict[str, Cte] = {}

    def read_root(self, select: Any) -> Query:
        self._path = ["stmts", 0, "stmt", "select_stmt"]
        return self.read_query(select)

    def read_query(self, select: Any) -> Query:
        """A SelectStmt in the current scope; CTE names it defines are gone afterwards."""
        outer_ctes, outer_uses = self._ctes, self._uses
        self._uses = []
        query = Query(everything=self._uses)
        if select.HasField("with_clause"):
            self._path.append("with_clause")
            self.read_with(select.with_clause)
            self._path.pop()
        scope = Scope(parent=self._scope)
        query.scope = scope
        self.groups = self.groups or any(
            (select.HasField("larg"), select.group_clause, select.distinct_clause, select.HasField("having_clause"))
        )
        if select.HasField("larg"):
            query.arms = (self._arm(select, "larg", query), self._arm(select, "rarg", query))
            scope.relations.append(Relation(alias="", query=query))
        self._scope = scope
        if select.from_clause:
            self._path += ("from_clause", 0)
            for index, entry in enumerate(select.from_clause):
                self._path[-1] = index
                scope.items.append(self.from_item(entry, True))
            del self._path[-2:]
        if select.target_list:
            self._path += ("target_list", 0)
            for index, entry in enumerate(select.target_list):
                self._path[-1] = index
                query.outputs.append(self.output(entry))
            del self._path[-2:]
        if select.HasField("where_clause"):
            self.wheres.append((scope, (*self._path, "where_clause")))
        self.fields(select, nodes.SELECT)
        if select.values_lists:
            width = len(select.values_lists[0].list.items)
            query.outputs = [
                Output(name=f"column{number}", uses=tuple(query.everything)) for number in range(1, width + 1)
            ]
        self._scope = scope.parent
        self._ctes, self._uses = outer_ctes, outer_uses
        return query

    def _arm(self, select: Any, side: str, query: Query) -> Query:
        self._path.append(side)
        arm = self.read_query(getattr(select, side))
        query.everything += arm.everything
        self._path.pop()
        return arm

    def output(self, entry: Any) -> Output:
        if entry.WhichOneof("node") != "res_target":
            self._refuse_node(str(entry.WhichOneof("node")), entry)
        target = entry.res_target
        outer, self._uses = self._uses, []
        if not target.name and target.val.WhichOneof("node") == "param_ref":
            target.name = "?column?"  # the cast that types it would give its own name
        self._path.append("res_target")
        self.fields(target, nodes.RESULT)
        self._path.pop()
        uses, self._uses = tuple(self._uses), outer
        outer += uses
        value = target.val
        if value.WhichOneof("node") == "column_ref" and value.column_ref.fields[-1].HasField("a_star"):
            return Output(name=None, uses=uses, star=tuple(strings(value.column_ref.fields)[:-1]))
        if value.WhichOneof("node") == "a_indirection" and value.a_indirection.indirection[-1].HasField("a_star"):
            whole = value.a_indirection
            named = whole.arg.WhichOneof("node") == "column_ref" and len(whole.indirection) == 1
            parts = strings(whole.arg.column_ref.fields) if named else []
            # An empty name stands for no relation: how many columns come is then not known.
            return Output(name=None, uses=uses, star=(parts[0] if len(parts) == 1 else "",))
        return Output(name=target.name or implied_name(value), uses=uses)

    def read_with(self, clause: Any) -> None:
        self.fields(clause, nodes.WITH)
        self._ctes = dict(self._ctes)
        entries = [Cte(name=entry.common_table_expr.ctename) for entry in clause.ctes]
        if clause.recursive:
            self.grows = True
            for cte in entries:
                cte.recursive = True
                self._ctes[cte.name] = cte
        self._path += ("ctes", 0, "common_table_expr", "ctequery", "select_stmt")
        for index, (entry, cte) in enumerate(zip(clause.ctes, entries, strict=True)):
            expression = entry.common_table_expr
            self._path[-4] = index
            if expression.ctequery.WhichOneof("node") != "select_stmt":
                raise SqlRefused(
                    Refusal.CONSTRUCT,
                    "A WITH query may only read. Send INSERT, UPDATE and DELETE as statements of their own.",
                    position=expression.location,
                )
            self.fields(expression, nodes.CTE)
            cte.columns = tuple(strings(expression.aliascolnames))
            extra = []
            if expression.HasField("search_clause"):
                extra.append(expression.search_clause.search_seq_column)
            if expression.HasField("cycle_clause"):
                extra += (expression.cycle_clause.cycle_mark_column, expression.cycle_clause.cycle_path_column)
            cte.extra = tuple(extra)
            cte.query = self.read_query(expression.ctequery.select_stmt)
            if not clause.recursive:
                self._ctes = {**self._ctes, cte.name: cte}
        del self._path[-5:]

    def from_item(self, entry: Any, preserved: bool) -> Item:
        which = entry.WhichOneof("node")
        method = _FROM.get(which)
        if method is None:
            raise SqlRefused(Refusal.CONSTRUCT, nodes.refusal_of(str(which)))
        self._path.append(which)
        item: Item = method(self, getattr(entry, which), preserved)
        self._path.pop()
        return item

    def _range_var(self, message: Any, preserved: bool) -> Relation:
        relation = self.relation(message, Action.SELECT)
        relation.preserved = preserved
        return self.leaf(relation)

    def relation(self, message: Any, action: Action) -> Relation:
        """What a table name stands for: a CTE in scope, else a governed table."""
        if not message.inh:
            raise SqlRefused(
                Refusal.CONSTRUCT, "ONLY is not allowed. Write the table's name alone.", position=message.location
            )
        self.fields(message, nodes.RANGE_VAR)
        schema, name = message.schemaname, message.relname
        self.relation_names.append((schema, name))
        aliased = message.HasField("alias")
        alias = message.alias.aliasname if aliased else name
        columns = tuple(strings(message.alias.colnames)) if aliased else ()
        cte = self._ctes.get(name) if not schema and action is Action.SELECT else None
        if cte is not None:
            return Relation(alias=alias, columns=columns, cte=cte)
        key = resolve(schema, name, self.catalog, message.location)
        self.references.append(
            Reference(table=key, action=action, alias=alias, columns=columns, path=tuple(self._path))
        )
        return Relation(alias=alias, columns=columns, table=key, aliased=aliased, reference=len(self.references) - 1)

    def leaf(self, relation: Relation) -> Relation:
        assert self._scope is not None
        self._scope.relations.append(relation)
        return relation

    def _range_subselect(self, message: Any, preserved: bool) -> Relation:
        self.fields(message, nodes.RANGE_SUBSELECT)
        self._path += ("subquery", "select_stmt")
        # Only LATERAL sees this FROM clause, and only what stands left of it; more does no harm to this reading.
        outer = self._scope
        if not message.lateral and outer is not None:
            self._scope = outer.parent
        query = self.read_query(message.subquery.select_stmt)
        self._scope = outer
        del self._path[-2:]
        return self.leaf(
            Relation(
                alias=message.alias.aliasname,
                columns=tuple(strings(message.alias.colnames)),
                query=query,
                aliased=True,
                preserved=preserved,
            )
        )

    def _range_function(self, message: Any, preserved: bool) -> Relation:
        outer, self._uses = self._uses, []
        self.fields(message, nodes.RANGE_FUNCTION)
        self._definitions(message.coldeflist)
        for function in message.functions:
            if len(function.list.items) > 1:
                self._definitions(function.list.items[1].list.items)
        uses, self._uses = tuple(self._uses), outer
        outer += uses
        aliased = message.HasField("alias")
        names = function_columns(message)
        first = implied_name(message.functions[0].list.items[0]) or ""
        return self.leaf(
            Relation(
                alias=message.alias.aliasname if aliased else first,
                columns=tuple(strings(message.alias.colnames)),
                names=names,
                aliased=aliased,
                uses=uses,
                preserved=preserved,
            )
        )

    def _definitions(self, definitions: Iterable[Any]) -> None:
        for definition in definitions:
            if definition.WhichOneof("node") != "column_def":
                self._refuse_node(str(definition.WhichOneof("node")), definition)
            self.fields(definition.column_def, nodes.COLUMN_DEFINITION)

    def _join(self, message: Any, preserved: bool) -> Joined:
        kind = message.jointype
        self.fields(message, nodes.JOIN)
        self._path.append("larg")
        left = self.from_item(message.larg, preserved and kind in (_INNER, _LEFT))
        self._path[-1] = "rarg"
        right = self.from_item(message.rarg, preserved and kind in (_INNER, _RIGHT))
        self._path[-1] = "quals"
        self.node(message.quals)
        self._path.pop()
        joined = Joined(
            left=left,
            right=right,
            using=tuple(strings(message.using_clause)),
            natural=message.is_natural,
            alias=message.alias.aliasname or message.join_using_alias.aliasname,
            columns=tuple(strings(message.alias.colnames)),
        )
        if joined.alias:
            assert self._scope is not None
            self._scope.joins.append(joined)
        return joined

    def _select(self, message: Any, _node: Any) -> None:
        query = self.read_query(message)
        self._uses += query.everything

    METHODS: ClassVar[dict[str, Callable[[Any, Any, Any], None]]] = {**Expressions.METHODS, "select_stmt": _select}


_FROM: dict[str | None, Callable[[Reader, Any, bool], Item]] = {
    "range_var": Reader._range_var,
    "range_subselect": Reader._range_subselect,
    "range_function": Reader._range_function,
    "join_expr": Reader._join,
}
