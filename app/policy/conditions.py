"""Conditions are total: whatever the context holds, the answer is yes, no or unknown, and unknown fails closed."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.policy.caller import Caller
from app.policy.connections import ConnectionKind
from app.policy.decision import Context, Effect
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

_ANYWHERE = frozenset({"hour", "weekday", "purpose", "principal", "actor", "client", "claims", "session", "spent"})
NAMES_ON: Mapping[ConnectionKind, frozenset[str]] = {
    ConnectionKind.SQL: _ANYWHERE | {"rows", "bytes", "tables", "columns", "has_where", "limit", "statement"},
    ConnectionKind.OBJECTS: _ANYWHERE | {"bytes", "key", "content_type", "labels"},
    ConnectionKind.MESSAGES: _ANYWHERE | {"bytes", "topic", "content_type", "labels"},
}
"""What requests to a connection of this kind may make known."""

CONTEXT_NAMES = frozenset().union(*NAMES_ON.values())
"""Documented names; any other is a warning at load and unknown at run time."""

VOLATILE_NAMES = frozenset({"hour", "weekday", "purpose", "session", "spent"})


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()
"""An absent name, a null, a comparison of unlike types."""

_Evaluate = Callable[[Caller, Context], Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Condition:
    """`names` are the context names it reads, by their first part."""

    text: str
    names: frozenset[str]
    evaluate: _Evaluate

    def matches(self, effect: Effect, caller: Caller, context: Context) -> bool:
        """Whether a rule of this effect counts as matching: an unknown counts unless the rule allows."""
        value = self.evaluate(caller, context)
        if value is True or value is False:
            return bool(value)
        return effect is not Effect.ALLOW


def compile_condition(text: str) -> Condition:
    """Raises ExpressionError."""
    tree = parse(text)
    _check(tree, truth_value=True)
    return Condition(
        text=text, names=frozenset(name.path[0] for name in names_in(tree)), evaluate=_truth(_compiled(tree))
    )


def names_in(node: Node) -> Iterator[Name]:
    match node:
        case Name():
            yield node
        case Literal():
            return
        case ListOf(items=parts) | Both(parts=parts) | Either(parts=parts):
            for part in parts:
                yield from names_in(part)
        case Not(part=part) | IsNull(item=part):
            yield from names_in(part)
        case Compared(left=left, right=right) | Within(item=left, collection=right):
            yield from names_in(left)
            yield from names_in(right)


def _check(node: Node, *, truth_value: bool) -> None:
    """Refuses what could only ever be unknown."""
    match node:
        case Both(parts=parts) | Either(parts=parts):
            for part in parts:
                _check(part, truth_value=True)
        case Not(part=part):
            _check(part, truth_value=True)
        case Within(collection=collection, at=at):
            if isinstance(collection, Literal):
                raise ExpressionError(at, "in needs a list", "a list such as ['a', 'b'], or a name that holds one")
        case Literal(value=value) if truth_value and not isinstance(value, bool):
            raise ExpressionError(0, "a value is not a condition", "a comparison, a name, true or false")
        case ListOf() if truth_value:
            raise ExpressionError(0, "a list is not a condition", "a comparison, a name, true or false")
        case _:
            return


def _compiled(node: Node) -> _Evaluate:
    match node:
        case Literal(value=value):
            return lambda caller, context: value
        case Name(path=path):
            return _lookup(path)
        case ListOf(items=items):
            return _listed(tuple(map(_compiled, items)))
        case Compared(op=op, left=left, right=right):
            return _comparing(op, _compiled(left), _compiled(right))
        case Within(item=item, collection=collection, negated=negated):
            return _negated(_within(_compiled(item), _compiled(collection)), negated)
        case IsNull(item=item, negated=negated):
            return _negated(_is_null(item), negated)
        case Both(parts=parts):
            return _folded(tuple(_truth(_compiled(part)) for part in parts), dominant=False)
        case Either(parts=parts):
            return _folded(tuple(_truth(_compiled(part)) for part in parts), dominant=True)
        case Not(part=part):
            return _negated(_truth(_compiled(part)), True)


def _found(path: tuple[str, ...], caller: Caller, context: Context) -> Any:
    """Who asks comes from the caller alone, so that no context can speak for somebody else."""
    match path[0]:
        case "claims":
            value: Any = caller.claims
        case "actor":
            value = caller.actor
        case "principal":
            value = caller.principal
        case "client":
            value = caller.client
        case root:
            value = context.get(root, UNKNOWN)
    for part in path[1:]:
        if not isinstance(value, Mapping):
            return UNKNOWN
        value = value.get(part, UNKNOWN)
    return value


def _lookup(path: tuple[str, ...]) -> _Evaluate:
    def value(caller: Caller, context: Context) -> Any:
        found = _found(path, caller, context)
        return UNKNOWN if found is None else found

    return value


def _is_null(item: Node) -> _Evaluate:
    def answer(caller: Caller, context: Context) -> Any:
        if not isinstance(item, Name):
            return UNKNOWN
        found = _found(item.path, caller, context)
        return UNKNOWN if found is UNKNOWN else found is None

    return answer


def _listed(items: tuple[_Evaluate, ...]) -> _Evaluate:
    return lambda caller, context: tuple(item(caller, context) for item in items)


def _truth(evaluate: _Evaluate) -> _Evaluate:
    def answer(caller: Caller, context: Context) -> Any:
        value = evaluate(caller, context)
        return value if value is True or value is False else UNKNOWN

    return answer


def _negated(evaluate: _Evaluate, negated: bool) -> _Evaluate:
    if not negated:
        return evaluate

    def answer(caller: Caller, context: Context) -> Any:
        value = evaluate(caller, context)
        return UNKNOWN if value is UNKNOWN else not value

    return answer


def _folded(parts: tuple[_Evaluate, ...], *, dominant: bool) -> _Evaluate:
    """Kleene's logic: the answer is known when it is the same for every value that an unknown could have."""

    def answer(caller: Caller, context: Context) -> Any:
        result: Any = not dominant
        for part in parts:
            value = part(caller, context)
            if value is dominant:
                return dominant
            if value is UNKNOWN:
                result = UNKNOWN
        return result

    return answer


def _family(value: Any) -> str | None:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "text"
    if isinstance(value, int) or (isinstance(value, float) and not math.isnan(value)):
        return "number"
    return None


def _comparing(op: Op, left: _Evaluate, right: _Evaluate) -> _Evaluate:
    def answer(caller: Caller, context: Context) -> Any:
        return compared(op, left(caller, context), right(caller, context))

    return answer


def compared(op: Op, a: Any, b: Any) -> Any:
    family = _family(a)
    if family is None or family != _family(b) or (family == "bool" and op not in (Op.EQ, Op.NE)):
        return UNKNOWN
    match op:
        case Op.EQ:
            return bool(a == b)
        case Op.NE:
            return bool(a != b)
        case Op.LT:
            return bool(a < b)
        case Op.LE:
            return bool(a <= b)
        case Op.GT:
            return bool(a > b)
        case Op.GE:
            return bool(a >= b)


def _within(item: _Evaluate, collection: _Evaluate) -> _Evaluate:
    def answer(caller: Caller, context: Context) -> Any:
        value, values = item(caller, context), collection(caller, context)
        if _family(value) is None or not isinstance(values, list | tuple | set | frozenset):
            return UNKNOWN
        answers = [compared(Op.EQ, value, each) for each in values]
        if any(each is True for each in answers):
            return True
        return UNKNOWN if any(each is UNKNOWN for each in answers) else False

    return answer
