"""Top-level AND conjuncts of WHERE that compare one column of one governed table with constants or parameters.

Two rules read them: required predicates, and push-down below the fence of a row filter (leakproof ones alone).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postgast import pg_query_pb2 as pb

from app.policy.decision import Action, TableView
from app.sql.postgres.binding import Binding
from app.sql.postgres.names import strings
from app.sql.postgres.scope import Relation
from app.sql.postgres.tree import PgTree, at
from app.sql.statement import Refusal, SqlRefused
from connectors.contract import TableKey

_AND = pb.BoolExprType.Value("AND_EXPR")
_OP = pb.A_Expr_Kind.Value("AEXPR_OP")
_ANY = pb.A_Expr_Kind.Value("AEXPR_OP_ANY")
_IN = pb.A_Expr_Kind.Value("AEXPR_IN")
_BETWEEN = pb.A_Expr_Kind.Value("AEXPR_BETWEEN")
_COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">="})
_INTEGER_KINDS = frozenset({"int2", "int4", "int8"})

_LEAKPROOF: Mapping[str, frozenset[str]] = {
    # Column type to the constant types whose comparison with it cannot fail whatever the stored value is.
    "smallint": _INTEGER_KINDS,
    "integer": _INTEGER_KINDS,
    "bigint": _INTEGER_KINDS,
    "real": frozenset({"float4", "float8"}),
    "double precision": frozenset({"float4", "float8"}),
    "text": frozenset({"text", "varchar"}),
    "character varying": frozenset({"text", "varchar"}),
    "character": frozenset({"bpchar"}),
    "date": frozenset({"date"}),
    "timestamp without time zone": frozenset({"timestamp"}),
    "timestamp with time zone": frozenset({"timestamptz"}),
    "uuid": frozenset({"uuid"}),
    "boolean": frozenset({"bool"}),
    "bytea": frozenset({"bytea"}),
    "inet": frozenset({"inet"}),
}
_UNTYPED = "unknown"
"""A string constant or untyped parameter takes the column's type before anything is compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conjunct:
    relation: Relation
    column: str
    """The table's own name of the column."""
    node: Any
    reference: Any
    """The ColumnRef message inside `node`."""
    single: bool
    """`column = one constant`: at most one value passes."""
    kinds: frozenset[str]
    """Types of the constants; empty for IS [NOT] NULL."""
    nulls: bool = False


def conjuncts(source: PgTree, tree: Any, binding: Binding) -> Iterator[Conjunct]:
    for scope, path in source.wheres:
        where = at(tree, path)
        nodes = where.bool_expr.args if where.bool_expr.boolop == _AND else (where,)
        for node in nodes:
            found = _comparison(node)
            if found is None:
                continue
            reference, kinds, single, nulls = found
            owner = binding.owner(scope, strings(reference.fields))
            if owner is not None:
                yield Conjunct(
                    relation=owner[0],
                    column=owner[1],
                    node=node,
                    reference=reference,
                    single=single,
                    kinds=kinds,
                    nulls=nulls,
                )


def leakproof(conjunct: Conjunct, view: TableView) -> bool:
    """Whether the conjunct may run below the fence: raw column, and a comparison that cannot fail."""
    column = next(column for column in view.columns if column.name == conjunct.column)
    if column.mask is not None or not conjunct.relation.preserved:
        return False
    if conjunct.nulls:
        return True
    return conjunct.kinds <= _LEAKPROOF.get(column.type, frozenset()) | {_UNTYPED} and column.type in _LEAKPROOF


def check_required(source: PgTree, found: list[Conjunct], views: Mapping[TableKey, TableView]) -> None:
    for index, reference in enumerate(source.references):
        required = views[reference.table].required
        if not required or reference.action is Action.INSERT:
            continue
        if not any(
            c.relation.reference == index and c.column in required and not c.nulls and c.relation.preserved
            for c in found
        ):
            columns = ", ".join(required)
            raise SqlRefused(
                Refusal.REQUIRED_PREDICATE,
                f"{reference.alias} needs a condition on {columns}: compare it with a constant or parameter in WHERE.",
                suggestion=f"… WHERE {reference.alias}.{required[0]} = :{required[0]}",
            )


def _comparison(node: Any) -> tuple[Any, frozenset[str], bool, bool] | None:
    """(column, constant types, single value, null test)"""
    which = node.WhichOneof("node")
    if which == "null_test":
        argument = node.null_test.arg
        return (argument.column_ref, frozenset(), False, True) if _is_column(argument) else None
    if which != "a_expr":
        return None
    expression = node.a_expr
    left, right, kind = expression.lexpr, expression.rexpr, expression.kind
    operator = strings(expression.name)
    if kind == _BETWEEN and _is_column(left):
        kinds = [_constant(item) for item in right.list.items]
        return _found(left, kinds, False)
    if len(operator) != 1 or operator[0] not in _COMPARISONS:
        return None
    if kind == _IN and operator[0] == "=" and _is_column(left) and right.HasField("list"):
        return _found(left, [_constant(item) for item in right.list.items], False)
    if kind == _ANY and operator[0] == "=" and _is_column(left):
        return _found(left, [_array(right)], False)
    if kind != _OP:
        return None
    if _is_column(left):
        return _found(left, [_constant(right)], operator[0] == "=")
    if _is_column(right):
        return _found(right, [_constant(left)], operator[0] == "=")
    return None


def _found(column: Any, kinds: list[str | None], single: bool) -> tuple[Any, frozenset[str], bool, bool] | None:
    known = [kind for kind in kinds if kind is not None]
    if len(known) != len(kinds) or not kinds:
        return None
    return column.column_ref, frozenset(known), single, False


def _is_column(node: Any) -> bool:
    return node.WhichOneof("node") == "column_ref" and not node.column_ref.fields[-1].HasField("a_star")


def _constant(node: Any) -> str | None:
    which = node.WhichOneof("node")
    if which == "a_const":
        constant = node.a_const
        kind = constant.WhichOneof("val")
        if kind == "fval":
            digits = constant.fval.fval.lstrip("-")
            return "int8" if digits.isdigit() and int(digits) < 2**63 else "numeric"
        return {"ival": "int4", "sval": _UNTYPED, "boolval": "bool"}.get(str(kind))
    if which == "param_ref":
        return _UNTYPED
    if which == "type_cast" and node.type_cast.arg.WhichOneof("node") in ("a_const", "param_ref"):
        # The cast of a constant is worked out once, whatever the rows hold.
        target = node.type_cast.type_name
        return None if target.array_bounds or target.typmods else strings(target.names)[-1]
    return None


def _array(node: Any) -> str | None:
    which = node.WhichOneof("node")
    if which == "param_ref":
        return _UNTYPED
    if which == "type_cast" and node.type_cast.arg.WhichOneof("node") in ("a_const", "param_ref"):
        target = node.type_cast.type_name
        return strings(target.names)[-1] if len(target.array_bounds) == 1 and not target.typmods else None
    return None
