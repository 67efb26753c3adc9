"""Row filters as SQL: values are bound, columns are the table's own (hidden ones too), what cannot match is false."""

from app.policy.decision import All, AnyOf, Comparison, Membership, Negation, Nothing, NullTest, RowFilter, Value
from app.sql.postgres.masking import TEXT_TYPES, BindOne
from app.sql.postgres.quoting import identifier
from app.sql.statement import ValueBind
from connectors.contract import Column, Table

_INTEGERS = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}
_TEXT_BOUND = frozenset(
    {
        "numeric",
        "uuid",
        "date",
        "timestamp with time zone",
        "timestamp without time zone",
        "time without time zone",
        "time with time zone",
        "interval",
    }
)


def predicate(rows: RowFilter, table: Table, bind: BindOne) -> str:
    match rows:
        case Nothing():
            return "false"
        case All(parts=parts):
            return _joined(parts, "AND", "true", table, bind)
        case AnyOf(parts=parts):
            return _joined(parts, "OR", "false", table, bind)
        case Negation(part=part):
            return f"(NOT {predicate(part, table, bind)})"
        case NullTest(column=column, negated=negated):
            if _column(table, column) is None:
                return "false"
            return f"({identifier(column)} IS {'NOT ' if negated else ''}NULL)"
        case Comparison(column=column, op=op, value=value):
            sides = _sides(column, value, table, bind)
            return f"({sides[0]} {op.value} {sides[1]})" if sides is not None else "NULL::boolean"
        case Membership(column=column, values=values, negated=negated):
            return _membership(column, values, negated, table, bind)


def _joined(parts: tuple[RowFilter, ...], word: str, empty: str, table: Table, bind: BindOne) -> str:
    if not parts:
        return empty
    return "(" + f" {word} ".join(predicate(part, table, bind) for part in parts) + ")"


def _membership(column: str, values: tuple[Value, ...], negated: bool, table: Table, bind: BindOne) -> str:
    sides = [_sides(column, value, table, bind) for value in values]
    if negated and None in sides:
        return "NULL::boolean"
    known = [side for side in sides if side is not None]
    if not known:
        return "true" if negated else "false"
    left = known[0][0]
    return f"({left} {'NOT ' if negated else ''}IN ({', '.join(right for _, right in known)}))"


def _sides(column: str, value: Value, table: Table, bind: BindOne) -> tuple[str, str] | None:
    """Both operands, or None when the value can be no value of the column: the comparison is then unknown."""
    found = _column(table, column)
    if found is None:
        return None
    name, kind = identifier(column), found.type
    if kind == "boolean":
        if isinstance(value, bool):
            return name, f"${bind(ValueBind(value=value))}::boolean"
        return None
    if isinstance(value, bool):
        return (f"{name}::text", _text(str(value).lower(), bind)) if kind in TEXT_TYPES else None
    if kind in _INTEGERS:
        number = _integer(value)
        if number is None or not -_INTEGERS[kind] <= number < _INTEGERS[kind]:
            return None
        return name, f"${bind(ValueBind(value=number))}::bigint"
    if kind in ("double precision", "real"):
        try:
            return name, f"${bind(ValueBind(value=float(value)))}::double precision"
        except ValueError:
            return None
    if kind in _TEXT_BOUND:
        return name, f"${bind(ValueBind(value=str(value)))}::{kind}"
    if kind in TEXT_TYPES:
        return name, _text(str(value), bind)
    return f"{name}::text", _text(str(value), bind)


def _column(table: Table, name: str) -> Column | None:
    return table.column(name) or next((column for column in table.concealed if column.name == name), None)


def _text(value: str, bind: BindOne) -> str:
    return f"${bind(ValueBind(value=value))}::text"


def _integer(value: Value) -> int | None:
    try:
        return int(value) if float(value) == int(value) else None
    except (ValueError, OverflowError):
        return None
