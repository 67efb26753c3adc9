"""Masks applied to values outside a database: what stands in a file or a message comes as the same value would from a
table. Every function here is total: it never raises and never gives back a value that it could not mask.

Where the expressions for SQLite and PostgreSQL (app.sql.*.masking) differ, the stricter one counts: text with a NUL
character or beyond 1,000 characters has no email form, integers beyond 64 bits and floats beyond 2^53 have no bucket,
and a numeric value is bucketed exactly. Redacted text has no bound here; a database gives NULL for long ones.
"""

import hashlib
import hmac
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from app.masking.masks import Constant, Generalise, Hide, Mask, Null, Partial, Pseudonym, Redact, Step

Scalar = None | bool | int | float | Decimal | str | bytes | date | datetime
Redactor = Callable[[str], str]
"""Text without the entities in it; total, and as long as it likes."""
ValueMask = Callable[[Any], Any]
TextMask = Callable[[str], str | None]

LONGEST_ADDRESS = 1_000
"""Characters; a longer text has no email form."""
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,32}(?:\.[0-9]{1,32})?")
_EXACT_FLOAT = 2.0**53
_LARGEST = Decimal("1e30")
_WIDEST_BUCKET = 2**62
_SMALLEST_INTEGER, _LARGEST_INTEGER = -(2**63), 2**63 - 1
_FIRST_DAY, _LAST_DAY = date(1, 1, 2), date(9999, 12, 31)
_FIRST_MOMENT, _LAST_MOMENT = datetime(1, 1, 2), datetime(9999, 12, 31)  # noqa: DTZ001 - compared without zone
_BLOCK_BYTES = 64
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


class Kind(StrEnum):
    """The type that every value of a column has. It decides whether a constant fits and how wide an integer is."""

    BOOLEAN = "boolean"
    SMALLINT = "smallint"
    INTEGER = "integer"
    BIGINT = "bigint"
    NUMERIC = "numeric"
    FLOAT = "float"
    TEXT = "text"
    BINARY = "binary"
    DATE = "date"
    TIMESTAMP = "timestamp"
    ZONED = "zoned"
    OTHER = "other"


_BOUNDS = {
    Kind.SMALLINT: (-(2**15), 2**15 - 1),
    Kind.INTEGER: (-(2**31), 2**31 - 1),
    Kind.BIGINT: (_SMALLEST_INTEGER, _LARGEST_INTEGER),
}


def masker(mask: Mask, keys: Mapping[str, bytes], redact: Redactor, kind: Kind | None = None) -> ValueMask:
    """The mask as a function of one value (a Scalar; whatever else comes as None, or as the constant).

    `kind` None: values of any type, as in JSON, where a constant stands for every value, null included, as it does in
    SQLite. With `kind`, as in Parquet: a constant that does not fit the column is None for all of it, as in PostgreSQL.
    `keys`: pseudonym domain to its key; raises KeyError for a domain that is not there. A field under Hide is the
    caller's to leave out; its values are None.
    """
    match mask:
        case Null() | Hide():
            return _nothing
        case Constant(value=value):
            constant = value if kind is None else _fitting(value, kind)
            return lambda _: constant
        case Redact(keep_others=True):
            return _redacting(redact)
        case Partial() | Redact() | Generalise(step=Step.PREFIX):
            return _of_text(text_masker(mask, keys, redact))
        case Generalise(step=step, size=size):
            return _buckets(size, kind) if step is Step.BUCKET else _truncation(step)
        case Pseudonym(domain=domain):
            return _pseudonyms(keys[domain], kind)


def text_masker(mask: Mask, keys: Mapping[str, bytes], redact: Redactor) -> TextMask:
    """The mask as a function of a text cell, as CSV has them; None is an empty cell.

    A cell is text: its pseudonym is that of the text, whatever it looks like, and an empty cell is the empty text. Only
    buckets read it as a number, when it is a plain one (`-12`, `3.50`).
    """
    match mask:
        case Null() | Hide():
            return _nothing
        case Constant(value=value):
            constant = _spelled(value)
            return lambda _: constant
        case Partial(email=True):
            return _email
        case Partial(keep_last=keep_last):
            return _last(keep_last)
        case Generalise(step=step, size=size):
            return _generalised(step, size)
        case Pseudonym(domain=domain):
            return text_pseudonyms(keys[domain])
        case Redact():
            return redact


def pseudonym_text(key: bytes, value: str) -> str:
    """The first 32 hex digits of HMAC-SHA-256. For many values of one key, text_pseudonyms is faster."""
    return hmac.digest(key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()[:32]


def text_pseudonyms(key: bytes) -> Callable[[str], str]:
    """pseudonym_text for one key. The key is mixed in once (RFC 2104, section 4), which halves the time of a value."""
    hashed = hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else key
    block = hashed.ljust(_BLOCK_BYTES, b"\0")
    copy_inner = hashlib.sha256(block.translate(_INNER)).copy
    copy_outer = hashlib.sha256(block.translate(_OUTER)).copy

    def pseudonym(value: str) -> str:
        inner = copy_inner()
        inner.update(value.encode("utf-8", "surrogatepass"))
        outer = copy_outer()
        outer.update(inner.digest())
        return outer.hexdigest()[:32]

    return pseudonym


def pseudonym_integer(key: bytes, value: int, kind: Kind | None = None) -> int | None:
    """A positive integer below 2^48, below 2^31 for Kind.INTEGER; None for what is no 64-bit integer or too narrow."""
    low, high = _BOUNDS.get(kind or Kind.BIGINT, (0, -1))
    if kind is Kind.SMALLINT or not low <= value <= high:
        return None
    digest = hmac.digest(key, str(value).encode(), hashlib.sha256)
    if kind is Kind.INTEGER:
        return int.from_bytes(digest[:4], "big") & _BOUNDS[kind][1]
    return int.from_bytes(digest[:6], "big") or 1


def _redacting(redact: Redactor) -> ValueMask:
    def masked(value: Any) -> Any:
        if type(value) is str:
            return redact(value)
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            written = str(value)
            return value if redact(written) == written else None
        return value

    return masked


def _nothing(_: Any) -> None:
    return None


def _of_text(mask: TextMask) -> ValueMask:
    return lambda value: mask(value) if isinstance(value, str) else None


def _pseudonyms(key: bytes, kind: Kind | None) -> ValueMask:
    of_text = text_pseudonyms(key)

    def pseudonym(value: Any) -> Any:
        if isinstance(value, str):
            return of_text(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return pseudonym_integer(key, value, kind)
        return None

    return pseudonym


def _email(text: str) -> str:
    if "@" not in text or len(text) > LONGEST_ADDRESS or "\0" in text:
        return "***"
    return "***@" + text.rpartition("@")[2]


def _last(keep_last: int) -> TextMask:
    if keep_last <= 0:
        return lambda _: "***"
    enough = 2 * keep_last
    return lambda text: "***" + text[-keep_last:] if len(text) >= enough and "\0" not in text else "***"


def _generalised(step: Step, size: int) -> TextMask:
    match step:
        case Step.YEAR:
            return lambda text: f"{text[:4]}-01-01" if _ISO_DATE.match(text) else None
        case Step.MONTH:
            return lambda text: f"{text[:7]}-01" if _ISO_DATE.match(text) else None
        case Step.BUCKET:
            return _text_buckets(size)
        case Step.PREFIX:
            return _prefix(size)


def _prefix(size: int) -> TextMask:
    if size < 1:
        return _nothing
    # SQLite reads no further than a NUL character.
    return lambda text: text[:size].partition("\0")[0]


def _truncation(step: Step) -> ValueMask:
    of_text = _generalised(step, 0)
    parts = {"day": 1} if step is Step.MONTH else {"month": 1, "day": 1}
    midnight = {**parts, "hour": 0, "minute": 0, "second": 0, "microsecond": 0, "fold": 0}

    def truncated(value: Any) -> Any:
        if isinstance(value, str):
            return of_text(value)
        if isinstance(value, datetime):
            moment = _in_utc(value)
            if moment is None or not _FIRST_MOMENT <= moment.replace(tzinfo=None) < _LAST_MOMENT:
                return None
            return moment.replace(**midnight)  # type: ignore[arg-type]
        if isinstance(value, date):
            return value.replace(**parts) if _FIRST_DAY <= value < _LAST_DAY else None
        return None

    return truncated


def _in_utc(moment: datetime) -> datetime | None:
    """Itself when it has no zone; None when it leaves the calendar on the way."""
    if moment.tzinfo is None:
        return moment
    try:
        return moment.astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def _buckets(size: int, kind: Kind | None) -> ValueMask:
    if not 0 < size <= _WIDEST_BUCKET:
        return _nothing
    low = _BOUNDS.get(kind or Kind.BIGINT, (0, 0))[0]

    def bucket(value: Any) -> Any:
        if isinstance(value, bool):
            return None
        if isinstance(value, int):
            lowest = value - value % size
            return lowest if lowest >= low and size + _SMALLEST_INTEGER <= value <= _LARGEST_INTEGER else None
        if isinstance(value, float):
            return _float_bucket(value, size)
        return _numeric_bucket(value, size) if isinstance(value, Decimal) else None

    return bucket


def _float_bucket(value: float, size: int) -> float | None:
    if not -_EXACT_FLOAT < value < _EXACT_FLOAT:
        return None
    if -1 < value < 0:
        # The quotient of a tiny value could underflow to zero, one bucket too high.
        return -float(size)
    return float(math.floor(value / size) * size)


def _numeric_bucket(value: Decimal, size: int) -> Decimal | None:
    if not value.is_finite() or value.copy_abs() >= _LARGEST:
        return None
    return Decimal(math.floor(value) // size * size)


def _text_buckets(size: int) -> TextMask:
    bucket = _buckets(size, None)

    def of_text(text: str) -> str | None:
        if not _PLAIN_NUMBER.fullmatch(text):
            return None
        found = bucket(Decimal(text) if "." in text else int(text))
        return None if found is None else str(found)

    return of_text


def _spelled(value: str | int | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fitting(value: str | int | float | bool, kind: Kind) -> Scalar:
    """The constant in the type of the column, None where it has no such form."""
    if kind is Kind.TEXT:
        return _spelled(value)
    if isinstance(value, bool) or kind is Kind.BOOLEAN:
        return value if isinstance(value, bool) and kind is Kind.BOOLEAN else None
    if isinstance(value, str):
        return _moment(value, kind)
    if kind in _BOUNDS:
        low, high = _BOUNDS[kind]
        return value if isinstance(value, int) and low <= value <= high else None
    if not abs(value) < _LARGEST:
        return None
    if kind is Kind.NUMERIC:
        return Decimal(str(value))
    return float(value) if kind is Kind.FLOAT else None


def _moment(text: str, kind: Kind) -> date | datetime | None:
    try:
        if kind is Kind.DATE:
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if kind is Kind.TIMESTAMP:
        return moment.replace(tzinfo=None)
    if kind is Kind.ZONED:
        return _in_utc(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    return None
