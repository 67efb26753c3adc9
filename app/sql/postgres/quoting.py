"""Identifiers, constants and types as SQL text. What these produce is parsed again and compared before it runs."""

import re
from functools import lru_cache

from app.sql.postgres.tree import parsed
from app.sql.statement import SqlRefused

_BARE_TYPES = {
    "character": "bpchar",
    "bit": "varbit",
}
_CONTROL = re.compile(r"[\x00]")


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def string(value: str) -> str:
    """A constant under standard_conforming_strings."""
    return "'" + _CONTROL.sub("", value).replace("'", "''") + "'"


@lru_cache(maxsize=1024)
def type_name(declared: str) -> str | None:
    """A catalog's type name as a cast target without a length of its own; None if it is not exactly a type."""
    text = _BARE_TYPES.get(declared, declared)
    try:
        tree = parsed(f"SELECT NULL::{text}")
    except SqlRefused:
        return None
    if len(tree.stmts) != 1:
        return None
    select = tree.stmts[0].stmt.select_stmt
    plain = len(select.target_list) == 1 and {field.name for field, _ in select.ListFields()} <= {
        "target_list",
        "limit_option",
        "op",
    }
    value = select.target_list[0].res_target if plain else None
    if value is None or value.name or not value.val.HasField("type_cast"):
        return None
    return text if not value.val.type_cast.arg.HasField("type_cast") else None
