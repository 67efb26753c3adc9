"""Conditions of a WHERE that compare a column with a constant: what may go inside a fence, and what policy requires."""

from collections.abc import Iterator

from app.sql.sqlite.lexis import Token
from app.sql.sqlite.nodes import Column, Expr, Item, Parenthesis
from app.sql.sqlite.relations import constant_tokens

_COMPARISONS = frozenset({"=", "==", "<", "<=", ">", ">=", "<>", "!="})


def conjuncts(where: Expr | None) -> Iterator[tuple[Item, ...]]:
    """The parts joined by AND on the outermost level; none where an OR stands there too."""
    if where is None:
        return
    items = where.items
    if len(items) == 1 and isinstance(items[0], Parenthesis) and len(items[0].parts) == 1:
        yield from conjuncts(items[0].parts[0])
        return
    run: list[Item] = []
    runs: list[tuple[Item, ...]] = []
    between = 0
    for item in items:
        word = item.word if isinstance(item, Token) else ""
        if word == "OR":
            return
        if word == "BETWEEN":
            between += 1
        if word == "AND" and not between:
            runs.append(tuple(run))
            run = []
            continue
        if word == "AND":
            between -= 1
        run.append(item)
    runs.append(tuple(run))
    for one in runs:
        if len(one) == 1 and isinstance(one[0], Parenthesis) and len(one[0].parts) == 1:
            yield from conjuncts(one[0].parts[0])
        else:
            yield one


def compared_column(items: tuple[Item, ...]) -> Column | None:
    """The column of `column op constant`, `constant op column`, `column IN (constants)` or BETWEEN constants.

    Harmless for every value: none of these can fail, whatever row it runs on.
    """
    for column, rest in ((items[0], items[1:]), (items[-1], items[-2::-1])) if len(items) >= 3 else ():
        if not isinstance(column, Column) or not isinstance(rest[0], Token):
            continue
        word = rest[0].word
        operand = rest[1:] if column is items[0] else items[:-2]
        if word in _COMPARISONS and constant_tokens(Expr(tuple(operand))) is not None:
            return column
        if column is items[0] and word == "IN" and _constant_list(operand):
            return column
        if column is items[0] and word == "BETWEEN" and _constant_range(operand):
            return column
    return None


def _constant_list(operand: tuple[Item, ...]) -> bool:
    only = operand[0] if len(operand) == 1 else None
    return isinstance(only, Parenthesis) and bool(only.parts) and all(constant_tokens(p) for p in only.parts)


def _constant_range(operand: tuple[Item, ...]) -> bool:
    ands = [i for i, item in enumerate(operand) if isinstance(item, Token) and item.word == "AND"]
    if len(ands) != 1:
        return False
    low, high = operand[: ands[0]], operand[ands[0] + 1 :]
    return constant_tokens(Expr(low)) is not None and constant_tokens(Expr(high)) is not None
