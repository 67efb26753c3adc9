"""Row predicates of data files become RowFilter values: claims are looked up, never spliced, and a claim that is
missing or of the wrong kind closes the whole filter."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.policy.decision import (
    All,
    AnyOf,
    Compare,
    Comparison,
    Membership,
    Negation,
    Nothing,
    NullTest,
    RowFilter,
    Value,
)
from app.policy.expression import (
    Both,
    Compared,
    Either,
    ExpressionError,
    IsNull,
    ListOf,
    Literal,
    Name,
    Node,
    Not,
    Op,
    Within,
    parse,
)
from connectors.contract import Dialect, Table

EVERY_ROW = All(parts=())
"""A filter that lets every row pass; stands at the top only, never inside another filter."""

_FLIPPED = {Op.LT: Op.GT, Op.LE: Op.GE, Op.GT: Op.LT, Op.GE: Op.LE, Op.EQ: Op.EQ, Op.NE: Op.NE}


class _Missing(Exception):  # noqa: N818
    pass


_Build = Callable[[Mapping[str, Any]], RowFilter]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predicate:
    text: str
    columns: tuple[str, ...]
    build: _Build

    def filter_for(self, claims: Mapping[str, Any], table: Table, dialect: Dialect) -> RowFilter:
        """EVERY_ROW, Nothing(), or a filter that holds neither inside. A column that the table lacks, or a value of
        another kind than its column, closes it too."""
        try:
            built = self.build(claims)
        except _Missing:
            return Nothing()
        return built if all(_fits(part, table, dialect) for part in _leaves(built)) else Nothing()


def compile_predicate(text: str) -> Predicate:
    """Raises ExpressionError."""
    tree = parse(text, quoted_is_name=True)
    build = _truth(tree)
    return Predicate(text=text, columns=tuple(dict.fromkeys(_columns(tree))), build=build)


def _is_claim(name: Name) -> bool:
    return not name.quoted and name.path[0] == "claims" and len(name.path) > 1


def _columns(node: Node) -> Iterator[str]:
    match node:
        case Name():
            if not _is_claim(node):
                yield node.path[0]
        case Both(parts=parts) | Either(parts=parts) | ListOf(items=parts):
            for part in parts:
                yield from _columns(part)
        case Not(part=part) | IsNull(item=part):
            yield from _columns(part)
        case Compared(left=left, right=right) | Within(item=left, collection=right):
            yield from _columns(left)
            yield from _columns(right)
        case Literal():
            return


def _column(node: Node, at: int) -> str:
    if isinstance(node, Name) and not _is_claim(node) and len(node.path) == 1:
        return node.path[0]
    where = node.at if isinstance(node, Name) else at
    raise ExpressionError(where, "no column here", "the name of a column of this table, without a table in front")


_Scalar = Callable[[Mapping[str, Any]], Value]


def _scalar(node: Node, at: int) -> _Scalar:
    match node:
        case Literal(value=value):
            return lambda claims: value
        case Name(path=path) if _is_claim(node):
            return lambda claims: _checked(_claim(path[1:], claims))
        case _:
            where = node.at if isinstance(node, Name) else at
            raise ExpressionError(where, "no value here", "a number, a 'string', true, false or claims.NAME")


def _claim(path: tuple[str, ...], claims: Mapping[str, Any]) -> Any:
    value: Any = claims
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            raise _Missing
        value = value[part]
    return value


def _checked(value: Any) -> Value:
    if isinstance(value, str | int | bool) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise _Missing


def _truth(node: Node) -> _Build:
    match node:
        case Literal(value=bool(value)):
            return lambda claims: EVERY_ROW if value else Nothing()
        case Name():
            column = _column(node, node.at)
            return lambda claims: Comparison(column=column, op=Compare.EQ, value=True)
        case Not(part=part):
            return _inverted(_truth(part))
        case Both(parts=parts):
            return _joined(tuple(map(_truth, parts)), every=True)
        case Either(parts=parts):
            return _joined(tuple(map(_truth, parts)), every=False)
        case IsNull(item=item, negated=negated, at=at):
            column = _column(item, at)
            return lambda claims: NullTest(column=column, negated=negated)
        case Compared():
            return _comparison(node)
        case Within():
            return _membership(node)
        case Literal() | ListOf():
            raise ExpressionError(0, "a value is not a condition", "a comparison, a column, true or false")


def _comparison(node: Compared) -> _Build:
    left, right, op = node.left, node.right, node.op
    if not isinstance(left, Name) or _is_claim(left):
        left, right, op = right, left, _FLIPPED[op]
    column, value, compare = _column(left, node.at), _scalar(right, node.at), Compare(op.value)
    return lambda claims: Comparison(column=column, op=compare, value=value(claims))


def _membership(node: Within) -> _Build:
    column, negated, collection = _column(node.item, node.at), node.negated, node.collection
    match collection:
        case ListOf(items=items):
            parts = tuple(_scalar(item, node.at) for item in items)

            def listed(claims: Mapping[str, Any]) -> tuple[Value, ...]:
                return tuple(part(claims) for part in parts)

        case Name(path=path) if _is_claim(collection):

            def listed(claims: Mapping[str, Any]) -> tuple[Value, ...]:
                values = _claim(path[1:], claims)
                if not isinstance(values, list | tuple):
                    raise _Missing
                return tuple(_checked(value) for value in values)

        case _:
            raise ExpressionError(node.at, "in needs a list", "a list such as ('a', 'b'), or claims.NAME")

    def build(claims: Mapping[str, Any]) -> RowFilter:
        values = listed(claims)
        if not values:
            return EVERY_ROW if negated else Nothing()
        return Membership(column=column, values=values, negated=negated)

    return build


def _inverted(build: _Build) -> _Build:
    def inverted(claims: Mapping[str, Any]) -> RowFilter:
        part = build(claims)
        if isinstance(part, Nothing):
            return EVERY_ROW
        return Nothing() if part == EVERY_ROW else Negation(part=part)

    return inverted


def _joined(builds: tuple[_Build, ...], *, every: bool) -> _Build:
    # Every part is built, so that a missing claim closes the filter wherever it stands.
    return lambda claims: (conjunction if every else _disjunction)([build(claims) for build in builds])


def conjunction(parts: list[RowFilter]) -> RowFilter:
    if any(isinstance(part, Nothing) for part in parts):
        return Nothing()
    left = _distinct(part for part in parts if part != EVERY_ROW)
    return left[0] if len(left) == 1 else All(parts=tuple(left))


def _disjunction(parts: list[RowFilter]) -> RowFilter:
    if any(part == EVERY_ROW for part in parts):
        return EVERY_ROW
    left = _distinct(part for part in parts if not isinstance(part, Nothing))
    if not left:
        return Nothing()
    return left[0] if len(left) == 1 else AnyOf(parts=tuple(left))


def _distinct(parts: Iterable[RowFilter]) -> list[RowFilter]:
    """By spelling: 1 and True are equal to Python and not to an engine."""
    return list({repr(part): part for part in parts}.values())


def _leaves(part: RowFilter) -> Iterator[Comparison | Membership | NullTest]:
    match part:
        case Comparison() | Membership() | NullTest():
            yield part
        case All(parts=parts) | AnyOf(parts=parts):
            for each in parts:
                yield from _leaves(each)
        case Negation(part=inner):
            yield from _leaves(inner)
        case Nothing():
            return


_NUMBER = re.compile(r"(?<!po)int(?!erval)|serial|numeric|decimal|real|double|float|money", re.IGNORECASE)
_TEXT = re.compile(r"char|text|clob|string|^name$|^uuid$|^date|^time|inet|cidr", re.IGNORECASE)
_BOOL = re.compile(r"bool", re.IGNORECASE)


def _fits(leaf: Comparison | Membership | NullTest, table: Table, dialect: Dialect) -> bool:
    """Whether the engine compares these two as the admin meant; an unlike pair would be an error, or let rows pass."""
    column = table.column(leaf.column)
    if column is None:
        return False
    match leaf:
        case NullTest():
            return True
        case Comparison(value=value):
            values: tuple[Value, ...] = (value,)
        case Membership(values=many):
            values = many
    return all(_value_fits(value, column.type, dialect) for value in values)


def _value_fits(value: Value, column_type: str, dialect: Dialect) -> bool:
    if column_type.endswith("[]"):
        return False
    if _BOOL.search(column_type):
        return isinstance(value, bool) or (dialect is Dialect.SQLITE and value in (0, 1) and not isinstance(value, str))
    if _NUMBER.search(column_type):
        return not isinstance(value, str) and (dialect is Dialect.SQLITE or not isinstance(value, bool))
    if _TEXT.search(column_type):
        return isinstance(value, str)
    return True
