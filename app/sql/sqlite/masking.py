"""Masks as SQLite expressions. Columns hold any storage class, so every mask decides by typeof() and is NULL for the
classes it has no meaning for: nothing slips through raw because it was stored as something else."""

from app.masking.masks import Constant, Generalise, Hide, Mask, Null, Partial, Pseudonym, Redact, Step
from app.sql.sqlite.binds import Binds
from app.sql.statement import KeyBind, ValueBind

PSEUDONYM_FUNCTION = "douane_pseudonym"
"""Registered by the connector: (key, value) -> 32 hex characters for the bytes of a text, a positive integer for an
integer."""
REDACT_FUNCTION = "douane_redact"
"""Registered by the connector: the bytes of a text -> the text without the entities in it; NULL when it is too long."""
OWN_FUNCTIONS = frozenset({PSEUDONYM_FUNCTION, REDACT_FUNCTION})
"""What only our own expressions may call."""

_ISO_DATE = "'[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'"
_EXACT_REAL = "9007199254740992.0"
_MAX_BUCKET = 2**62
_LONGEST_ADDRESS = 1_000


def masked(mask: Mask, column: str, binds: Binds) -> str:
    """The expression that stands for `column` (an already quoted name)."""
    match mask:
        case Null() | Hide():
            return "NULL"
        case Constant(value=value):
            return binds.placeholder(ValueBind(value=value))
        case Partial(email=True):
            return _email(column)
        case Partial(keep_last=keep_last):
            return _last(column, keep_last)
        case Generalise(step=step, size=size):
            return _generalised(step, size, column)
        case Pseudonym(domain=domain):
            return _pseudonym(binds.placeholder(KeyBind(domain=domain, part="key")), column)
        case Redact():
            return f"CASE WHEN typeof({column}) = 'text' THEN {REDACT_FUNCTION}({_bytes(column)}) END"


def _bytes(column: str) -> str:
    # What somebody stored as text may be none: handed over as text it would be an error that tells so.
    return f"CAST({column} AS BLOB)"


def _pseudonym(key: str, column: str) -> str:
    return (
        f"CASE typeof({column}) WHEN 'text' THEN {PSEUDONYM_FUNCTION}({key}, {_bytes(column)}) "
        f"WHEN 'integer' THEN {PSEUDONYM_FUNCTION}({key}, {column}) END"
    )


def _text_only(column: str, expression: str) -> str:
    # Text behind a NUL character is invisible to length() but not to instr(): such values have no safe partial form.
    safe = f"CASE WHEN instr({column}, char(0)) THEN '***' ELSE {expression} END"
    return f"CASE WHEN typeof({column}) = 'text' THEN {safe} END"


def _email(column: str) -> str:
    domain = f"substr({column}, length(rtrim({column}, replace({column}, '@', ''))) + 1)"
    # The search for the last @ is quadratic, so a column that holds whole documents must not reach it.
    address = f"instr({column}, '@') AND length({column}) <= {_LONGEST_ADDRESS}"
    return _text_only(column, f"CASE WHEN {address} THEN '***@' || {domain} ELSE '***' END")


def _last(column: str, keep_last: int) -> str:
    if keep_last <= 0:
        return _text_only(column, "'***'")
    enough = f"length({column}) >= {2 * keep_last}"
    return _text_only(column, f"CASE WHEN {enough} THEN '***' || substr({column}, -{keep_last}) ELSE '***' END")


def _generalised(step: Step, size: int, column: str) -> str:
    match step:
        case Step.YEAR:
            return _date(column, f"substr({column}, 1, 4) || '-01-01'")
        case Step.MONTH:
            return _date(column, f"substr({column}, 1, 7) || '-01'")
        case Step.BUCKET:
            return _bucket(column, size)
        case Step.PREFIX:
            return f"CASE WHEN typeof({column}) = 'text' THEN substr({column}, 1, {max(size, 0)}) END"


def _date(column: str, expression: str) -> str:
    return f"CASE WHEN typeof({column}) = 'text' AND {column} GLOB {_ISO_DATE} THEN {expression} END"


def _bucket(column: str, size: int) -> str:
    if not 0 < size <= _MAX_BUCKET:
        return "NULL"
    quotient = f"({column} / {size}.0)"
    whole = f"CAST({quotient} AS INTEGER)"
    exact = f"abs({column}) < {_EXACT_REAL}"
    # The quotient of a tiny value below zero underflows to zero, one bucket too high.
    below = f"({quotient} < {whole} OR {column} < 0 AND {quotient} = 0)"
    return (
        f"CASE typeof({column}) "
        f"WHEN 'integer' THEN CASE WHEN {column} >= {size - 2**63} THEN "
        f"{column} - ({column} % {size} + {size}) % {size} END "
        f"WHEN 'real' THEN CASE WHEN {exact} THEN ({whole} - {below}) * {size}.0 END END"
    )
