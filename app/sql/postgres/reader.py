"""One walk over the parse tree: refuses what is not on an allowlist, and notes what the statement touches.

The walk also normalises the tree in place: placeholders get their types, `schema.table.column` becomes
`table.column`, numbers get the spelling that every server version reads alike.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from postgast import pg_query_pb2 as pb

from app.policy.decision import Action
from app.sql.postgres import nodes
from app.sql.postgres.functions import GROWS, allowed_functions
from app.sql.postgres.names import attribute_refused, function_columns, implied_name, strings
from app.sql.postgres.nodes import NODE, NODES, SCALAR, Rule, Rules
from app.sql.postgres.parameters import Parameters
from app.sql.postgres.scope import STAR, Cte, Item, Joined, Output, Query, Relation, Scope, Use
from app.sql.postgres.tables import resolve
from app.sql.postgres.tree import Reference
from app.sql.postgres.types import check_type, looks_like_type
from app.sql.statement import Refusal, SqlRefused
from connectors.contract import Catalog, TableKey

MAX_REPEATED = 1_000_000
MAX_CONCATENATIONS = 8
"""Each may double what came before it; beyond, the output is measured."""
_PLAIN_NUMBER = re.compile(r"-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_INNER, _LEFT, _RIGHT = (pb.JoinType.Value(name) for name in ("JOIN_INNER", "JOIN_LEFT", "JOIN_RIGHT"))

_OPERANDS = (["a_expr", "lexpr"], ["a_expr", "rexpr"])
_PLAIN_CASTS = frozenset({"date", "timestamp", "timestamptz", "text", "uuid"})


class Reader:
    """Reads one statement. After `read_query` its public attributes hold what was found."""

    def __init__(self, catalog: Catalog, parameters: Parameters) -> None:
        self.references: list[Reference] = []
        self.functions: set[str] = set()
        self.columns: set[str] = set()
        self.suspects: list[Use] = []
        self.free_constants: set[int] = set()
        self.relation_names: list[tuple[str, str]] = []
        self.grows = False
        self.wheres: list[tuple[Scope, tuple[str | int, ...]]] = []
        self._more: dict[str, Rules] = {}
        self.catalog = catalog
        self.parameters = parameters
        self._allowed = allowed_functions(catalog)
        self._path: list[str | int] = []
        self._ctes: dict[str, Cte] = {}
        self._scope: Scope | None = None
        self._uses: list[Use] = []
        self._cast_is_plain = False
        self._concatenations = 0

    # -- the generic walk -----------------------------------------------------------------------------------------

    def node(self, node: Any) -> None:
        which = node.WhichOneof("node")
        if which is None:
            return
        path = self._path
        path.append(which)
        method = _METHODS.get(which)
        if method is not None:
            method(self, getattr(node, which), node)
        else:
            rules = nodes.EXPRESSIONS.get(which)
            if rules is None:
                rules = self._newer(which)
            self.fields(getattr(node, which), rules)
        path.pop()

    def fields(self, message: Any, rules: Rules) -> None:
        path = self._path
        for descriptor, value in message.ListFields():
            name = descriptor.name
            rule: Rule = rules.get(name)
            if rule is SCALAR or name in nodes.LOCATIONS:
                continue
            if rule is None:
                self._refuse_node(name, message)
            path.append(name)
            if rule is NODE:
                self.node(value)
            elif rule is NODES:
                self.nodes(value)
            elif type(rule) is str:
                getattr(self, "_" + rule)(value, message)
            elif type(rule) is dict:
                self.fields(value, rule)
            elif value not in rule:
                self._refuse_node(path[-2] if len(path) > 1 and isinstance(path[-2], str) else name, message)
            path.pop()

    def nodes(self, values: Iterable[Any]) -> None:
        path = self._path
        path.append(0)
        for index, value in enumerate(values):
            path[-1] = index
            self.node(value)
        path.pop()

    def _newer(self, which: str) -> Rules:
        if which in self._more:
            return self._more[which]
        known = nodes.NEWER.get(which)
        if known is None or self.catalog.server_version < known[0]:
            raise SqlRefused(Refusal.CONSTRUCT, nodes.refusal_of(which))
        return known[1]

    def _refuse_node(self, name: str, message: Any) -> NoReturn:
        location = getattr(message, "location", None)
        raise SqlRefused(
            Refusal.CONSTRUCT, nodes.refusal_of(name), position=location if isinstance(location, int) else None
        )

    # -- queries --------------------------------------------------------------------------------------------------

    def read_root(self, select: Any) -> Query:
        self._path = ["stmts", 0, "stmt", "select_stmt"]
        return self.read_query(select)

    def read_write(self, message: Any, action: Action, rules: Rules, sources: str, more: Mapping[str, Rules]) -> None:
        """INSERT, UPDATE or DELETE: the same gates, a target that is no query's source."""
        self._more = dict(more)
        self._path = []
        if message.HasField("with_clause"):
            self.read_with(message.with_clause)
        self._scope = Scope()
        self._leaf(self.relation(message.relation, action))
        for entry in getattr(message, sources) if sources else ():
            self._from_item(entry, True)
        self.fields(message, rules)

    def existing(self, message: Any) -> TableKey:
        if message.catalogname:
            raise SqlRefused(Refusal.CONSTRUCT, nodes.refusal_of("catalogname"), position=message.location)
        return resolve(message.schemaname, message.relname, self.catalog, message.location)

    def table_named(self, schema: str, name: str) -> TableKey:
        return resolve(schema, name, self.catalog, None)

    def table_of_index(self, schema: str, name: str) -> TableKey:
        for table in self.catalog.tables.values():
            if (not schema or table.schema == schema) and any(index.name == name for index in table.indexes):
                return table.key
        return resolve(schema, name, self.catalog, None)

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
        if select.HasField("larg"):
            query.arms = (self._arm(select, "larg", query), self._arm(select, "rarg", query))
            scope.relations.append(Relation(alias="", query=query))
        self._scope = scope
        if select.from_clause:
            self._path += ("from_clause", 0)
            for index, entry in enumerate(select.from_clause):
                self._path[-1] = index
                scope.items.append(self._from_item(entry, True))
            del self._path[-2:]
        if select.target_list:
            self._path += ("target_list", 0)
            for index, entry in enumerate(select.target_list):
                self._path[-1] = index
                query.outputs.append(self._output(entry))
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

    def _output(self, entry: Any) -> Output:
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

    # -- FROM -----------------------------------------------------------------------------------------------------

    def _from_item(self, entry: Any, preserved: bool) -> Item:
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
        return self._leaf(relation)

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

    def _leaf(self, relation: Relation) -> Relation:
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
        return self._leaf(
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
        return self._leaf(
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
        left = self._from_item(message.larg, preserved and kind in (_INNER, _LEFT))
        self._path[-1] = "rarg"
        right = self._from_item(message.rarg, preserved and kind in (_INNER, _RIGHT))
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

    # -- expressions ----------------------------------------------------------------------------------------------

    def _select(self, message: Any, _node: Any) -> None:
        query = self.read_query(message)
        self._uses += query.everything

    def _column_ref(self, message: Any, _node: Any) -> None:
        parts = tuple(strings(message.fields))
        if len(parts) > 2:
            parts = self._strip_schema(message, parts)
        assert self._scope is not None
        use = Use(scope=self._scope, parts=parts, position=message.location)
        self._uses.append(use)
        last = parts[-1]
        if last is not STAR:
            self.columns.add(last)
            if len(parts) == 2 and self._is_suspect(last):
                self.suspects.append(use)

    def _is_suspect(self, name: str) -> bool:
        """Whether attribute notation with this name would call or cast to something that is not allowed."""
        return (name in self.catalog.known_functions or looks_like_type(name)) and name not in self._allowed

    def _strip_schema(self, message: Any, parts: tuple[str, ...]) -> tuple[str, ...]:
        scope = self._scope
        while len(parts) == 3 and scope is not None:
            for relation in scope.relations:
                if relation.table == (parts[0], parts[1]) and not relation.aliased:
                    del message.fields[0]
                    return parts[1:]
            scope = scope.parent
        raise SqlRefused(
            Refusal.UNKNOWN_COLUMN,
            f"The column {'.'.join(parts)!r} was not found. Write alias.column with an alias from FROM.",
            position=message.location,
        )

    def _indirection(self, values: Sequence[Any], message: Any) -> None:
        self.nodes(values)
        whole = message.arg
        for index, value in enumerate(values):
            if value.WhichOneof("node") != "string":
                continue
            name = value.string.sval
            self.columns.add(name)
            if not self._is_suspect(name):
                continue
            if index == 0 and whole.WhichOneof("node") == "column_ref" and len(whole.column_ref.fields) == 1:
                assert self._scope is not None
                parts = (*strings(whole.column_ref.fields), name)
                self.suspects.append(
                    Use(scope=self._scope, parts=parts, position=whole.column_ref.location, parenthesised=True)
                )
            else:
                raise attribute_refused(name, None)

    def _func_call(self, message: Any, _node: Any) -> None:
        names = strings(message.funcname)
        name = names[-1]
        if not (len(names) == 1 or (len(names) == 2 and names[0] == "pg_catalog")) or name not in self._allowed:
            raise SqlRefused(
                Refusal.FUNCTION,
                f"The function {'.'.join(names)!r} is not allowed. Use a built-in function for text, numbers, "
                "dates, json or aggregation.",
                position=message.location,
            )
        self.functions.add(name)
        if name in GROWS:
            self.grows = True
            self._check_growth(name, message)
        self.fields(message, nodes.EXPRESSIONS["func_call"])

    def _check_growth(self, name: str, message: Any) -> None:
        if name not in ("repeat", "lpad", "rpad") or len(message.args) < 2:
            return
        count = message.args[1].a_const
        if count.ival.ival > MAX_REPEATED or count.HasField("fval"):
            raise SqlRefused(
                Refusal.CONSTRUCT,
                f"{name} makes values of at most {MAX_REPEATED} characters here. Use a smaller number.",
                position=message.location,
            )

    def _type_cast(self, message: Any, _node: Any) -> None:
        kind = check_type(message.type_name)
        if message.arg.WhichOneof("node") == "param_ref":
            array = bool(message.type_name.array_bounds)
            self.parameters.cast(message.arg, kind + "[]" if array else kind)
            return
        self._cast_is_plain = (
            kind in _PLAIN_CASTS and not message.type_name.typmods and not message.type_name.array_bounds
        )
        self._path.append("arg")
        self.node(message.arg)
        self._path.pop()

    def _param_ref(self, _message: Any, node: Any) -> None:
        self.parameters.typed(node, self._path)

    def _const(self, message: Any, _node: Any) -> None:
        self.fields(message, nodes.EXPRESSIONS["a_const"])
        if self._is_free(message):
            self.free_constants.add(message.location)

    def _is_free(self, message: Any) -> bool:
        """Operands of operators, and of casts there to types whose constants print alike whatever they hold.

        LIMIT, OFFSET, ordinals of GROUP BY and ORDER BY, intervals, function arguments and type modifiers are not.
        """
        path = self._path
        kind = message.WhichOneof("val")
        if kind not in ("ival", "fval", "sval"):
            return False
        if path[-3:-1] == ["type_cast", "arg"]:
            return kind == "sval" and self._cast_is_plain and path[-5:-3] in _OPERANDS
        if path[-3:-1] in _OPERANDS:
            return True
        return len(path) > 5 and path[-6:-2] == ["a_expr", "rexpr", "list", "items"]

    def _type_name(self, value: Any, _message: Any) -> None:
        check_type(value)

    def _operator(self, value: Sequence[Any], message: Any) -> None:
        names = strings(value)
        if len(names) > 2 or (len(names) == 2 and names[0] != "pg_catalog"):
            raise SqlRefused(
                Refusal.OPERATOR,
                f"The operator {'.'.join(names)!r} is not allowed. Use the built-in operators.",
                position=message.location,
            )
        if names[-1] == "||":
            self._concatenations += 1
            self.grows = self.grows or self._concatenations > MAX_CONCATENATIONS

    def _collation(self, value: Sequence[Any], message: Any) -> None:
        names = strings(value)
        if len(names) > 2 or (len(names) == 2 and names[0] != "pg_catalog"):
            raise SqlRefused(Refusal.CONSTRUCT, "Only built-in collations are allowed.", position=message.location)

    def _number(self, value: Any, message: Any) -> None:
        text = value.fval
        if _PLAIN_NUMBER.fullmatch(text):
            return
        # Servers before 16 read 1_000 as "1 AS _000" and 0x1F as "0 AS x1F".
        plain = text.replace("_", "")
        if plain.lstrip("-")[:2].lower() in ("0x", "0o", "0b"):
            plain = str(int(plain, 0))
        if not _PLAIN_NUMBER.fullmatch(plain):
            raise SqlRefused(
                Refusal.SYNTAX, f"The number {text!r} is not readable. Write it in decimals.", position=message.location
            )
        message.fval.fval = plain


_METHODS: dict[str, Callable[[Reader, Any, Any], None]] = {
    "select_stmt": Reader._select,
    "column_ref": Reader._column_ref,
    "func_call": Reader._func_call,
    "type_cast": Reader._type_cast,
    "param_ref": Reader._param_ref,
    "a_const": Reader._const,
}
_FROM: dict[str | None, Callable[[Reader, Any, bool], Item]] = {
    "range_var": Reader._range_var,
    "range_subselect": Reader._range_subselect,
    "range_function": Reader._range_function,
    "join_expr": Reader._join,
}
