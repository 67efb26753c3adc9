"""Masks as SQL expressions: same type as the column, never an error for any stored value, NULL where they cannot apply.

A key never appears in the text: `bind` gives the number of the parameter that carries it.
"""

import uuid
from collections.abc import Callable
from datetime import date, datetime

from app.masking.masks import Constant, Generalise, Hide, Null, Partial, Pseudonym, Redact, Step
from app.policy.decision import ColumnView
from app.sql.postgres.quoting import identifier, string, type_name
from app.sql.postgres.redaction import redacted
from app.sql.statement import Bind, KeyBind

BindOne = Callable[[Bind], int]

TEXT_TYPES = frozenset({"text", "character varying", "character"})
_INTEGER_BOUNDS = {
    "smallint": (-(2**15), 2**15 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}
_FLOATS = frozenset({"real", "double precision"})
_STAMP = "timestamp without time zone"
_ZONED = "timestamp with time zone"


def masked(column: ColumnView, bind: BindOne) -> str:
    """The expression that stands for a column; raw where the view has no mask."""
    name = identifier(column.name)
    match column.mask:
        case None:
            return name
        case Null() | Hide():
            expression = None
        case Constant(value=value):
            expression = _constant(value, column)
        case Partial() as mask:
            expression = _partial(name, mask, column)
        case Generalise() as mask:
            expression = _generalised(name, mask, column)
        case Pseudonym() as mask:
            expression = _pseudonym(name, mask, column, bind)
        case Redact():
            expression = _as_text(redacted(f"({name})::text"), column) if column.type in TEXT_TYPES else None
    return expression if expression is not None else _null(column)


def _null(column: ColumnView) -> str:
    target = type_name(column.type)
    if target is None:
        return "NULL::text"
    # A domain may refuse NULL: CASE gives the type under it, and the branch is never taken.
    return f"CASE WHEN false THEN NULL::{target} END" if "." in target else f"NULL::{target}"


def _as_text(expression: str, column: ColumnView) -> str:
    """Cut to the declared length; the type stays the column's own."""
    if column.max_length is not None:
        expression = f"pg_catalog.left({expression}, {column.max_length})"
    return f"({expression})::{type_name(column.type)}"


def _constant(value: str | int | float | bool, column: ColumnView) -> str | None:
    kind = column.type
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if kind in TEXT_TYPES:
        return _as_text(f"{string(text)}::text", column)
    if kind == "boolean":
        return f"{text}::boolean" if isinstance(value, bool) else None
    if isinstance(value, bool):
        return None
    if kind in _INTEGER_BOUNDS:
        low, high = _INTEGER_BOUNDS[kind]
        return f"{string(text)}::{kind}" if isinstance(value, int) and low <= value <= high else None
    if kind == "numeric" or kind in _FLOATS:
        return f"{string(text)}::{kind}" if isinstance(value, int | float) and abs(value) < 1e30 else None
    if not isinstance(value, str):
        return None
    readable = {"date": date.fromisoformat, _STAMP: datetime.fromisoformat, _ZONED: datetime.fromisoformat}
    try:
        if kind == "uuid":
            return f"{string(str(uuid.UUID(value)))}::uuid"
        if kind in readable:
            return f"{string(readable[kind](value).isoformat())}::{kind}"
    except ValueError:
        return None
    return None


def _partial(name: str, mask: Partial, column: ColumnView) -> str | None:
    if column.type not in TEXT_TYPES:
        return None
    text = f"({name})::text"
    if mask.email:
        domain = f"pg_catalog.reverse(pg_catalog.split_part(pg_catalog.reverse({text}), '@', 1))"
        shown = f"CASE WHEN pg_catalog.strpos({text}, '@') > 0 THEN '***@' || {domain} ELSE '***' END"
    else:
        keep = max(mask.keep_last, 0)
        shown = (
            f"CASE WHEN pg_catalog.length({text}) >= {max(2 * keep, 1)} "
            f"THEN '***' || pg_catalog.right({text}, {keep}) ELSE '***' END"
            if keep
            else "'***'"
        )
    return _as_text(f"CASE WHEN {name} IS NULL THEN NULL::text ELSE {shown} END", column)


def _generalised(name: str, mask: Generalise, column: ColumnView) -> str | None:
    match mask.step:
        case Step.YEAR | Step.MONTH:
            return _truncated(name, mask.step.value, column.type)
        case Step.BUCKET:
            return _bucket(name, mask.size, column.type)
        case Step.PREFIX:
            if column.type not in TEXT_TYPES or mask.size < 1:
                return None
            return _as_text(f"pg_catalog.left(({name})::text, {mask.size})", column)


def _truncated(name: str, unit: str, kind: str) -> str | None:
    """Years 1 to 9999; outside, where truncation could leave the type's range, NULL."""
    if kind == "date":
        value = f"pg_catalog.date_trunc('{unit}', {name}::timestamp without time zone)::date"
    elif kind == _STAMP:
        value = f"pg_catalog.date_trunc('{unit}', {name})"
    elif kind == _ZONED:
        utc = f"pg_catalog.timezone('UTC', {name})"
        value = f"pg_catalog.timezone('UTC', pg_catalog.date_trunc('{unit}', {utc}))"
    else:
        return None
    return (
        f"CASE WHEN {name} >= '0001-01-02'::{kind} AND {name} < '9999-12-31'::{kind} THEN {value} ELSE NULL::{kind} END"
    )


def _bucket(name: str, size: int, kind: str) -> str | None:
    if size < 1:
        return None
    if kind in _INTEGER_BOUNDS:
        low, _ = _INTEGER_BOUNDS[kind]
        # Not floor(x / size) * size: numeric division rounds, beyond 16 digits upwards and out of the type's range.
        number, width = f"{name}::numeric", f"{size}::numeric"
        value = f"({number} - pg_catalog.mod(pg_catalog.mod({number}, {width}) + {width}, {width}))"
        return f"CASE WHEN {value} >= ({string(str(low))}::numeric) THEN {value}::{kind} ELSE NULL::{kind} END"
    if kind == "numeric":
        return f"(pg_catalog.floor({name} / {size}::numeric) * {size}::numeric)"
    if kind in _FLOATS:
        number, width = f"{name}::double precision", f"{size}::double precision"
        # Beyond 1e30 the product could overflow, below 1e-30 the quotient could underflow: both are errors.
        return (
            f"CASE WHEN {number} >= 1e-30 AND {number} < 1e30 OR {number} <= -1e-30 AND {number} > -1e30 "
            f"THEN (pg_catalog.floor({number} / {width}) * {width})::{kind} "
            f"WHEN {number} >= 0 AND {number} < 1 THEN 0::{kind} "
            f"WHEN {number} < 0 AND {number} > -1 THEN (-({width}))::{kind} ELSE NULL::{kind} END"
        )
    return None


def _pseudonym(name: str, mask: Pseudonym, column: ColumnView, bind: BindOne) -> str | None:
    kind = column.type
    if kind not in TEXT_TYPES and kind not in ("uuid", "integer", "bigint"):
        return None
    inner = f"${bind(KeyBind(domain=mask.domain, part='inner'))}::bytea"
    outer = f"${bind(KeyBind(domain=mask.domain, part='outer'))}::bytea"
    message = f"pg_catalog.convert_to(({name})::text, 'UTF8')"
    digest = f"pg_catalog.sha256({outer} || pg_catalog.sha256({inner} || {message}))"
    hexadecimal = f"pg_catalog.encode({digest}, 'hex')"
    if kind == "uuid":
        return f"pg_catalog.left({hexadecimal}, 32)::uuid"
    if kind == "bigint":
        return f"('x' || pg_catalog.left({hexadecimal}, 12))::bit(48)::bigint"
    if kind == "integer":
        return f"(('x' || pg_catalog.left({hexadecimal}, 8))::bit(32)::bigint & 2147483647)::integer"
    return _as_text(f"pg_catalog.left({hexadecimal}, 32)", column)
