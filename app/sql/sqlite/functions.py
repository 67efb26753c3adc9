"""The functions a statement may call: everything else is refused, whatever the library offers."""

import re
from collections.abc import Iterable

from app.sql.sqlite.lexis import Kind, Token, fold
from app.sql.sqlite.nodes import Call
from app.sql.statement import Refusal, SqlRefused
from connectors.contract import Catalog

SCALARS = frozenset(
    """
    abs char coalesce concat concat_ws format glob hex if ifnull iif instr length like likelihood likely lower
    ltrim max min nullif octet_length printf quote random randomblob replace round rtrim sign soundex substr
    substring trim typeof unhex unicode unlikely upper zeroblob date time datetime julianday unixepoch strftime
    timediff acos acosh asin asinh atan atan2 atanh ceil ceiling cos cosh degrees exp floor ln log log10 log2
    mod pi pow power radians sin sinh sqrt tan tanh trunc json json_array json_array_length json_error_position
    json_extract json_insert json_object json_patch json_pretty json_quote json_remove json_replace json_set
    json_type json_valid
    """.split()  # noqa: SIM905
)
AGGREGATES = frozenset(
    """
    avg count group_concat max min string_agg sum total median json_group_array json_group_object
    """.split()  # noqa: SIM905
)
WINDOW_ONLY = frozenset(
    """
    row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value
    """.split()  # noqa: SIM905
)
ALLOWED = SCALARS | AGGREGATES | WINDOW_ONLY

TABLE_FUNCTIONS = {
    "json_each": ("key", "value", "type", "atom", "id", "parent", "fullkey", "path", "json", "root"),
    "json_tree": ("key", "value", "type", "atom", "id", "parent", "fullkey", "path", "json", "root"),
    "generate_series": ("value", "start", "stop", "step"),
}
"""Name to columns; the last ones (arguments) are hidden from `*`."""
_HIDDEN_ARGUMENTS = {"json_each": 2, "json_tree": 2, "generate_series": 3}

MAX_FORMAT_WIDTH = 1_000
MAX_BLOB_BYTES = 1_024
_WIDTH = re.compile(r"%[-+ 0#!,]*(\d+|\*)?(?:\.(\d+|\*))?")


def starred(name: str) -> tuple[str, ...]:
    """The columns of a table function that `*` shows."""
    columns = TABLE_FUNCTIONS[name]
    return columns[: len(columns) - _HIDDEN_ARGUMENTS[name]]


def checked(call: Call, catalog: Catalog) -> str:
    """The canonical name of an allowed function. Raises SqlRefused(FUNCTION)."""
    name = fold(call.name)
    if name not in ALLOWED or (catalog.safe_functions and name not in catalog.safe_functions):
        raise _refused(call, "is not on the list of allowed functions: use another one")
    if name in ("format", "printf") and _too_wide(_constants(call)):
        raise _refused(call, f"takes widths up to {MAX_FORMAT_WIDTH}, written as numbers")
    if name in ("randomblob", "zeroblob") and not _small_number(_constants(call)):
        raise _refused(call, f"takes a constant size up to {MAX_BLOB_BYTES}")
    return name


def checked_table_function(call: Call, catalog: Catalog) -> str:
    name = fold(call.name)
    if name.startswith("pragma_"):
        raise SqlRefused(
            Refusal.CATALOG,
            "The database's own catalog is not readable: use the describe endpoint.",
            position=call.position,
        )
    known = catalog.known_functions | catalog.safe_functions
    if name not in TABLE_FUNCTIONS or (name == "generate_series" and name not in known):
        raise _refused(call, "is no allowed table function: json_each and json_tree are")
    return name


def _refused(call: Call, why: str) -> SqlRefused:
    return SqlRefused(Refusal.FUNCTION, f"The function {call.name[:60]} {why}.", position=call.position)


def _constants(call: Call) -> Iterable[Token | None]:
    for arg in call.args:
        only = arg.items[0] if len(arg.items) == 1 else None
        yield only if isinstance(only, Token) else None


def _too_wide(args: Iterable[Token | None]) -> bool:
    pattern = next(iter(args), None)
    if pattern is None or pattern.kind is not Kind.STRING:
        return False
    widths = [width for pair in _WIDTH.findall(pattern.text) for width in pair if width]
    return any(width == "*" or len(width) > 4 or int(width) > MAX_FORMAT_WIDTH for width in widths)


def _small_number(args: Iterable[Token | None]) -> bool:
    size = next(iter(args), None)
    return (
        size is not None
        and size.kind is Kind.NUMBER
        and size.text.isdigit()
        and len(size.text) <= 4
        and int(size.text) <= MAX_BLOB_BYTES
    )
