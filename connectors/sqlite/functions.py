"""Which SQL functions the SQLite authorizer lets through, and the functions this connector adds.

Ours take text as a blob as well: SQLite stores whatever bytes somebody called text, and arguments that are no text are
an error before the function is asked.
"""

import hashlib
import hmac
import sqlite3
from collections.abc import Callable

PSEUDONYM = "douane_pseudonym"
REDACT = "douane_redact"
LONGEST_REDACTED_BYTES = 65_536

HARMLESS = frozenset(
    (  # noqa: SIM905 - words, to be read
        # core
        "abs ceil ceiling char coalesce concat concat_ws floor format glob hex ifnull iif if instr length "
        "like likelihood likely lower ltrim max min nullif octet_length printf quote random replace round "
        "rtrim sign soundex string_agg substr substring subtype trim trunc typeof unhex unicode unistr "
        "unistr_quote unlikely upper "
        # bounded by SQLITE_LIMIT_LENGTH
        "randomblob zeroblob "
        # math
        "acos acosh asin asinh atan atan2 atanh cos cosh degrees exp ln log log10 log2 mod pi pow power "
        "radians sin sinh sqrt tan tanh "
        # aggregates and windows
        "avg count cume_dist dense_rank first_value group_concat lag last_value lead median nth_value ntile "
        "percent_rank percentile percentile_cont percentile_disc rank row_number sum total "
        # time
        "current_date current_time current_timestamp date datetime julianday strftime time timediff unixepoch "
        # json
        "-> ->> json json_array json_array_length json_error_position json_extract json_group_array "
        "json_group_object json_insert json_object json_patch json_pretty json_quote json_remove json_replace "
        "json_set json_type json_valid jsonb jsonb_array jsonb_extract jsonb_group_array jsonb_group_object "
        "jsonb_insert jsonb_object jsonb_patch jsonb_remove jsonb_replace jsonb_set "
        # full-text search
        "bm25 highlight match matchinfo offsets snippet "
    ).split()
) | {PSEUDONYM, REDACT}
"""A list of what may run, so that a function of a newer SQLite or of an extension is refused until somebody looked.
Left out on purpose: load_extension, fts3_tokenizer, sqlite_*, readfile, changes, total_changes,
last_insert_rowid, and everything else that reads or changes the state of the connection."""


def pseudonym(key: object, value: object) -> str | int | None:
    """HMAC-SHA-256 of the value under `key`: 32 hex digits for text, a positive integer below 2^48 for integers.

    A blob counts as the bytes of a text. NULL, other types, and a key that is no blob give NULL: the mask never raises
    and never falls back to the value.
    """
    if not isinstance(key, bytes):
        return None
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes):
        return hmac.digest(key, value, hashlib.sha256).hex()[:32]
    if isinstance(value, int):
        digest = hmac.digest(key, str(value).encode(), hashlib.sha256)
        return int.from_bytes(digest[:6], "big") or 1
    return None


def _of_utf_16(encoding: str) -> Callable[[object, object], str | int | None]:
    """The bytes of a text come in the encoding of the database; a pseudonym is the same in every one."""

    def keyed(key: object, value: object) -> str | int | None:
        return pseudonym(key, value.decode(encoding, "replace") if isinstance(value, bytes) else value)

    return keyed


def redaction(redact: Callable[[str], str] | None, encoding: str) -> Callable[[object], str | None]:
    """What REDACT does with the bytes of a text. NULL for everything else, for texts that are too long to be searched
    within a statement, and for all of them when nothing is there to redact with."""

    def redacted(raw: object) -> str | None:
        if redact is None or not isinstance(raw, bytes) or len(raw) > LONGEST_REDACTED_BYTES:
            return None
        try:
            return redact(raw.decode(encoding, "replace"))
        except Exception:  # a recogniser of somebody else's; an error would tell of a text that its reader may not see
            return None

    return redacted


def register(connection: sqlite3.Connection, redact: Callable[[str], str] | None = None) -> None:
    """Before the authorizer is set."""
    (encoding,) = connection.execute("PRAGMA encoding").fetchone()
    keyed = pseudonym if encoding == "UTF-8" else _of_utf_16(encoding)
    connection.create_function(PSEUDONYM, 2, keyed, deterministic=True)
    connection.create_function(REDACT, 1, redaction(redact, encoding), deterministic=True)


def builtin_names(connection: sqlite3.Connection) -> frozenset[str]:
    """Every function name that this library resolves, lower case. Works only before the authorizer is set."""
    return frozenset(name.lower() for (name,) in connection.execute("SELECT DISTINCT name FROM pragma_function_list"))
