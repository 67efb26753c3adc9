"""Expressions: names, functions, types, operators and constants, each through its own gate."""

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from app.sql.postgres import nodes
from app.sql.postgres.functions import GROWS, allowed_functions
from app.sql.postgres.names import attribute_refused, strings
from app.sql.postgres.parameters import Parameters
from app.sql.postgres.scope import STAR, Scope, Use
from app.sql.postgres.types import check_type, looks_like_type
from app.sql.postgres.walk import Walk
from app.sql.statement import Refusal, SqlRefused
from connectors.contract import Catalog

MAX_REPEATED = 1_000_000
MAX_CONCATENATIONS = 8
"""Each may double what came before it; beyond, the output is measured."""
_PLAIN_NUMBER = re.compile(r"-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_OPERANDS = (["a_expr", "lexpr"], ["a_expr", "rexpr"])
_PLAIN_CASTS = frozenset({"date", "timestamp", "timestamptz", "text", "uuid"})


class Expressions(Walk):
    """Reads expressions in the scope that `_scope` names; `_uses` collects the columns of the current one."""

    def __init__(self, catalog: Catalog, parameters: Parameters) -> None:
        super().__init__(catalog)
        self.functions: set[str] = set()
        self.columns: set[str] = set()
        self.suspects: list[Use] = []
        self.free_constants: set[int] = set()
        self.grows = False
        self.parameters = parameters
        self._allowed = allowed_functions(catalog)
        self._scope: Scope | None = None
        self._uses: list[Use] = []
        self._cast_is_plain = False
        self._concatenations = 0

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

    def _param_ref(self, _message: Any, node: Any) -> None:
        self.parameters.typed(node, self._path)

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

    METHODS: ClassVar[dict[str, Callable[[Any, Any, Any], None]]] = {
        "column_ref": _column_ref,
        "func_call": _func_call,
        "type_cast": _type_cast,
        "param_ref": _param_ref,
        "a_const": _const,
    }
