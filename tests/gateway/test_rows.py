import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gateway.rows import RowEncoder, exact
from connectors.contract import ResultColumn


def encoder(*types: str, dynamic: bool = False) -> RowEncoder:
    return RowEncoder([ResultColumn(name=f"c{i}", type=t) for i, t in enumerate(types)], dynamic=dynamic)


def decoded(encoded: bytes) -> Any:
    return json.loads(b"[" + encoded + b"]")


def test_no_rows_encode_to_nothing() -> None:
    assert encoder("integer").encode([]) == b""


def test_rows_become_arrays_without_the_outer_brackets() -> None:
    assert encoder("integer", "text").encode([(1, "a"), (2, None)]) == b'[1,"a"],[2,null]'


@pytest.mark.parametrize("number", [2**53, -(2**53), 2**63 - 1, 2**70])
def test_an_integer_beyond_two_to_the_53_is_a_string(number: int) -> None:
    assert decoded(encoder("bigint").encode([(number,), (7,)])) == [[str(number)], [7]]


def test_the_largest_safe_integer_stays_a_number() -> None:
    assert decoded(encoder("bigint").encode([(2**53 - 1,)])) == [[2**53 - 1]]


@pytest.mark.parametrize(("value", "text"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")])
@pytest.mark.parametrize(
    ("kind", "dynamic"), [("double precision", False), ("real", False), ("", True), ("TEXT", True)]
)
def test_a_float_that_json_cannot_hold_is_a_string_and_never_null(
    value: float, text: str, kind: str, dynamic: bool
) -> None:
    assert decoded(encoder(kind, dynamic=dynamic).encode([(1.5,), (value,)])) == [[1.5], [text]]


def test_non_finite_floats_inside_arrays_are_strings_too() -> None:
    assert decoded(encoder("double precision[]").encode([([1.0, math.nan],)])) == [[[1.0, "NaN"]]]


def test_bytes_are_base64_also_inside_arrays() -> None:
    assert decoded(encoder("bytea", "bytea[]").encode([(b"\x00\xff", [b"a"])])) == [["AP8=", ["YQ=="]]]


def test_json_fragments_pass_as_they_are() -> None:
    assert encoder("jsonb").encode([(orjson.Fragment(b'{"a":1}'),)]) == b'[{"a":1}]'


def test_a_lone_surrogate_does_not_end_the_request() -> None:
    assert decoded(encoder("text").encode([("a\ud800b",)])) == [["a?b"]]


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="utf-8")) | st.binary()


@given(st.lists(st.lists(plain, min_size=2, max_size=2), max_size=5))
def test_the_quick_way_and_the_exact_way_give_the_same_json(rows: list[list[Any]]) -> None:
    quick = encoder("", "", dynamic=True).encode([tuple(row) for row in rows])
    assert decoded(quick) == json.loads(orjson.dumps([exact(row) for row in rows]))
