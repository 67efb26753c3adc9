"""JSON Schema of a topic (draft 2020-12): which payloads it takes, told by rule and place, never by value.

Schemas come from policy files, checked when those load (app.policy.payload_schema).
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import islice
from typing import Any

import jsonschema_rs

from app.messages.payload import Complaint, pointer_to
from app.policy.payload_schema import compiled

MAX_COMPLAINTS = 20
MAX_POINTER_CHARS = 300
_SCHEMAS_KEPT = 256

Words = Callable[[Any], str]


def complaints_of(schema: str, value: Any, *place: str) -> tuple[Complaint, ...]:
    """At most MAX_COMPLAINTS, with pointers below `place` in the request body; empty: it fits."""
    validator = _validator(schema)
    try:
        if validator.is_valid(value):
            return ()
        found = list(islice(validator.iter_errors(value), MAX_COMPLAINTS))
    except (ValueError, RecursionError):
        # What the library cannot take in fits no schema.
        return (Complaint(pointer=pointer_to(*place), detail="cannot be held against the schema of this topic"),)
    return tuple(dict.fromkeys(_complaint(error, place) for error in found))


@lru_cache(maxsize=_SCHEMAS_KEPT)
def _validator(text: str) -> jsonschema_rs.Draft202012Validator:
    return compiled(text)


def _complaint(error: jsonschema_rs.ValidationError, place: tuple[str, ...]) -> Complaint:
    pointer = pointer_to(*place, *error.instance_path)
    if len(pointer) > MAX_POINTER_CHARS:
        pointer = pointer_to(*place)
    words = _WORDS.get(error.kind.name)
    return Complaint(pointer=pointer, detail=f"breaks {error.kind.name}" if words is None else words(error.kind))


_WORDS: dict[str, Words] = {
    "additionalProperties": lambda kind: "has members that the schema does not name",
    "anyOf": lambda kind: "fits none of the forms that the schema offers (anyOf)",
    "oneOf": lambda kind: "must fit exactly one of the forms that the schema offers (oneOf)",
    "const": lambda kind: "must be the one value that the schema names",
    "enum": lambda kind: "must be one of the values that the schema lists",
    "contains": lambda kind: "must contain an item of the form that the schema names",
    "exclusiveMaximum": lambda kind: f"must be less than {kind.limit}",
    "exclusiveMinimum": lambda kind: f"must be more than {kind.limit}",
    "format": lambda kind: f"must have the format {kind.format}",
    "maxItems": lambda kind: f"at most {kind.limit} items",
    "maxLength": lambda kind: f"at most {kind.limit} characters",
    "maxProperties": lambda kind: f"at most {kind.limit} members",
    "maximum": lambda kind: f"must be at most {kind.limit}",
    "minItems": lambda kind: f"at least {kind.limit} items",
    "minLength": lambda kind: f"at least {kind.limit} characters",
    "minProperties": lambda kind: f"at least {kind.limit} members",
    "minimum": lambda kind: f"must be at least {kind.limit}",
    "multipleOf": lambda kind: f"must be a multiple of {kind.multiple_of}",
    "pattern": lambda kind: f"must match {kind.pattern}",
    "propertyNames": lambda kind: "has a member whose name the schema does not take",
    "required": lambda kind: f"needs the member {kind.property}",
    "type": lambda kind: f"must be of type {' or '.join(kind.types)}",
    "unevaluatedItems": lambda kind: "has more items than the schema describes",
    "unevaluatedProperties": lambda kind: "has members that the schema does not name",
    "uniqueItems": lambda kind: "its items must differ",
}
