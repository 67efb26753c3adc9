"""The JSON Schemas of topics: draft 2020-12, whole in itself, with patterns that match in linear time.

One function compiles them, for the check when a policy loads and for the messages themselves. Nothing is fetched.
"""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_SCHEMA_BYTES = 1024 * 1024
MAX_SCHEMA_DEPTH = 64
_REFERENCES = ("$ref", "$dynamicRef")


class SchemaError(Exception):
    """`line` and `column` count from 1 in the schema's own text; 0: the schema as a whole."""

    def __init__(self, what: str, expected: str, line: int = 0, column: int = 0) -> None:
        super().__init__(what)
        self.what = what
        self.expected = expected
        self.line = line
        self.column = column


def schema_in(data: bytes) -> Any:
    """The value of a schema file. Raises SchemaError."""
    if len(data) > MAX_SCHEMA_BYTES:
        raise SchemaError("file too large", f"at most {MAX_SCHEMA_BYTES} bytes")
    try:
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=_each_once, parse_constant=_no_number)
    except UnicodeDecodeError as broken:
        raise SchemaError("not UTF-8", "a file in UTF-8") from broken
    except json.JSONDecodeError as broken:
        raise SchemaError(f"JSON: {broken.msg}", "well-formed JSON", broken.lineno, broken.colno) from broken
    except RecursionError as broken:
        raise SchemaError("nested too deeply", f"at most {MAX_SCHEMA_DEPTH} levels") from broken


def checked(schema: Any) -> str:
    """The schema as JSON text, once it is known to compile. Raises SchemaError."""
    if not isinstance(schema, dict | bool):
        raise SchemaError("no JSON Schema", "a mapping, or true or false")
    for reference in _references(schema, 0):
        if not reference.startswith("#"):
            raise SchemaError(f"a reference to {reference!r}", "references within this schema alone: #/$defs/NAME")
    dialect = schema.get("$schema", DIALECT) if isinstance(schema, dict) else DIALECT
    if dialect not in (DIALECT, DIALECT + "#"):
        raise SchemaError(f"the dialect {dialect!r}", DIALECT)
    text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    try:
        jsonschema_rs.meta.validate({**schema, "$schema": DIALECT} if isinstance(schema, dict) else schema)
        compiled(text)
    except (ValueError, jsonschema_rs.ReferencingError) as invalid:
        what = str(invalid).partition("\n")[0][:300]
        raise SchemaError(f"no JSON Schema of draft 2020-12: {what}", DIALECT) from invalid
    return text


def compiled(text: str) -> jsonschema_rs.Draft202012Validator:
    """Raises ValueError or ReferencingError for a text that `checked` did not make."""
    return jsonschema_rs.Draft202012Validator(
        text,
        validate_formats=True,
        ignore_unknown_formats=False,
        pattern_options=jsonschema_rs.RegexOptions(size_limit=1024 * 1024),
        offline=True,
    )


def _references(node: Any, depth: int) -> Iterator[str]:
    if depth > MAX_SCHEMA_DEPTH:
        raise SchemaError("nested too deeply", f"at most {MAX_SCHEMA_DEPTH} levels")
    if isinstance(node, dict):
        for key, value in node.items():
            if key in _REFERENCES and isinstance(value, str):
                yield value
            yield from _references(value, depth + 1)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value, depth + 1)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for at, (key, _) in enumerate(pairs) if key in dict(pairs[:at]))
        raise SchemaError(f"the key {twice!r} twice", "each key once")
    return found


def _no_number(text: str) -> Any:
    raise SchemaError(f"{text} is no JSON", "a number")
