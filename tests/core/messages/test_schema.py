"""A schema tells by rule and place what is wrong, and repeats no value."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.messages.payload import Complaint
from app.messages.schema import MAX_COMPLAINTS, complaints_of

SECRET = "hunter2-hunter2"
RULES: list[tuple[dict[str, Any], Any]] = [
    ({"type": "integer"}, SECRET),
    ({"const": 1}, SECRET),
    ({"enum": [1, 2]}, SECRET),
    ({"pattern": "^[0-9]+$"}, SECRET),
    ({"maxLength": 3}, SECRET),
    ({"minLength": 99}, SECRET),
    ({"format": "email"}, SECRET),
    ({"maximum": 3}, 98765432),
    ({"exclusiveMaximum": 3}, 98765432),
    ({"minimum": 98765433}, 98765432),
    ({"exclusiveMinimum": 98765432}, 98765432.0),
    ({"multipleOf": 5}, 98765432),
    ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, SECRET),
    ({"oneOf": [{"type": "integer"}, {"type": "null"}]}, SECRET),
    ({"not": {"type": "string"}}, SECRET),
    ({"contains": {"type": "integer"}}, [SECRET]),
    ({"items": {"type": "integer"}}, [SECRET]),
    ({"maxItems": 1}, [SECRET, SECRET]),
    ({"minItems": 3}, [SECRET]),
    ({"uniqueItems": True}, [SECRET, SECRET]),
    ({"unevaluatedItems": False}, [SECRET]),
    ({"required": ["b"]}, {"a": SECRET}),
    ({"maxProperties": 0}, {"a": SECRET}),
    ({"minProperties": 2}, {"a": SECRET}),
    ({"additionalProperties": False}, {SECRET: SECRET}),
    ({"unevaluatedProperties": False}, {SECRET: SECRET}),
    ({"propertyNames": {"maxLength": 2}}, {SECRET: 1}),
    ({"dependentRequired": {"a": ["b"]}}, {"a": SECRET}),
    ({"if": {"type": "string"}, "then": {"const": 1}}, SECRET),
    (False, SECRET),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("schema", "value"), RULES, ids=lambda case: json.dumps(case)[:30])
def test_every_rule_is_told_without_a_value(schema: Any, value: Any) -> None:
    found = complaints_of(json.dumps(schema), value, "payload")
    assert found
    assert "hunter2" not in repr(found)
    assert not any(
        "98765432" in each.detail and "least" not in each.detail and "more" not in each.detail for each in found
    )


def test_complaints_point_into_the_body() -> None:
    schema = json.dumps({"properties": {"a": {"items": {"properties": {"b/c": {"type": "integer"}}}}}})
    assert complaints_of(schema, {"a": [{}, {"b/c": "x"}]}, "payload") == (
        Complaint(pointer="/payload/a/1/b~1c", detail="must be of type integer"),
    )


def test_complaints_are_bounded_in_number_and_length() -> None:
    schema = json.dumps({"additionalProperties": {"type": "integer"}})
    found = complaints_of(schema, {f"{n}": "x" for n in range(1_000)}, "payload")
    assert len(found) == MAX_COMPLAINTS
    (one,) = complaints_of(schema, {"n" * 1_000: "x"}, "payload")
    assert one.pointer == "/payload"


def test_a_pattern_that_would_take_forever_elsewhere_takes_no_time() -> None:
    schema = json.dumps({"pattern": "^(a+)+$"})
    assert complaints_of(schema, "a" * 50_000 + "b", "payload")


@given(st.integers())
def test_integers_of_any_size_are_compared(number: int) -> None:
    fits = not complaints_of('{"maximum": 1000}', number, "payload")
    assert fits is (number <= 1000)
