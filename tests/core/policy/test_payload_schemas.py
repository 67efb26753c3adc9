"""A topic's schema is checked when the policy loads, and fetches nothing ever."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.policy.payload_schema import SchemaError, checked, compiled, schema_in


def refused(schema: Any) -> str:
    with pytest.raises(SchemaError) as wrong:
        checked(schema)
    assert wrong.value.expected
    return wrong.value.what


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        (None, "no JSON Schema"),
        (3, "no JSON Schema"),
        ([{}], "no JSON Schema"),
        ({"type": "thing"}, "draft 2020-12"),
        ({"minimum": "one"}, "draft 2020-12"),
        ({"pattern": "("}, "draft 2020-12"),
        ({"pattern": "(?=look)"}, "draft 2020-12"),
        ({"format": "colour"}, "draft 2020-12"),
        ({"$ref": "#/$defs/missing"}, "draft 2020-12"),
        ({"$dynamicRef": "#missing"}, "draft 2020-12"),
        ({"$ref": "https://example.com/order.json"}, "a reference"),
        ({"$ref": "order.json"}, "a reference"),
        ({"$ref": "file:///etc/passwd"}, "a reference"),
        ({"properties": {"a": {"items": [{"$ref": "//x"}]}}}, "a reference"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "the dialect"),
        ({"const": float("nan")}, "no JSON"),
    ],
)
def test_what_is_no_schema_of_the_dialect_whole_in_itself_is_refused(schema: Any, what: str) -> None:
    assert what in refused(schema)


def test_a_schema_that_is_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100):
        schema = {"items": schema}
    assert "deeply" in refused(schema)


def test_a_schema_with_references_of_its_own_comes_as_text_that_compiles() -> None:
    schema = {
        "$id": "https://example.com/order",
        "$defs": {"email": {"type": "string", "format": "email", "pattern": "^[^@]+@[^@]+$"}},
        "properties": {"to": {"$ref": "#/$defs/email"}, "$ref": {"type": "integer"}},
    }
    validator = compiled(checked(schema))
    assert validator.is_valid({"to": "ana@example.com", "$ref": 1})
    assert not validator.is_valid({"to": "nobody"})
    assert not validator.is_valid({"$ref": "x"})
    assert checked(True) == "true"


def test_formats_are_asserted() -> None:
    assert not compiled(checked({"format": "date-time"})).is_valid("yesterday")


@pytest.mark.parametrize(
    ("data", "what", "place"),
    [
        (b"{", "JSON", (1, 2)),
        (b'{\n  "a": 1,\n}', "JSON", (3, 1)),
        (b"\xff", "UTF-8", (0, 0)),
        (b'{"a": 1, "a": 2}', "twice", (0, 0)),
        (b'{"minimum": NaN}', "no JSON", (0, 0)),
        (b"[" * 200_000, "deeply", (0, 0)),
    ],
)
def test_a_schema_file_that_is_no_json_is_refused_at_its_place(data: bytes, what: str, place: tuple[int, int]) -> None:
    with pytest.raises(SchemaError) as wrong:
        schema_in(data)
    assert what in wrong.value.what
    assert (wrong.value.line, wrong.value.column) == place


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "$ref", "items", "allOf", "$id", "enum", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON)
def test_any_value_is_refused_or_compiles(schema: Any) -> None:
    try:
        text = checked(schema)
    except SchemaError:
        return
    assert compiled(text).is_valid(1) in (True, False)
