import json
from enum import StrEnum
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from app.audit.canonical import MAX_DEPTH, NotCanonical, canonical, canonical_of_anything, recordable

EXACT_INTS = st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1)
VALUES = st.recursive(
    st.none() | st.booleans() | EXACT_INTS | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=[]))
    | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=[]), max_size=4) | st.integers(), inner, max_size=4)
        | st.frozensets(st.integers(), max_size=3)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_the_fast_path_gives_the_bytes_of_rfc_8785(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=6))
def test_the_fast_path_gives_the_bytes_of_rfc_8785_for_documents(value: dict[str, Any]) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(ANYTHING)
def test_anything_can_be_recorded_and_is_json(value: Any) -> None:
    data = canonical_of_anything(value)
    assert canonical(json.loads(data, parse_int=as_javascript_does)) == data


def as_javascript_does(digits: str) -> int | float:
    return int(digits) if abs(int(digits)) < 2**53 else float(digits)


@given(VALUES)
def test_what_is_exact_is_recorded_unchanged(value: Any) -> None:
    assert recordable(value) == value


def test_keys_sort_by_utf16_units() -> None:
    assert canonical({"\ufb33": 1, "\U0001f600": 2, "a": 3}) == '{"a":3,"\U0001f600":2,"\ufb33":1}'.encode()


def test_integers_beyond_53_bits_become_text_exactly() -> None:
    assert canonical({"n": 2**53, "m": 2**53 - 1, "x": [-(10**30)]}) == (
        b'{"m":9007199254740991,"n":"9007199254740992","x":["-1000000000000000000000000000000"]}'
    )


@given(st.integers(min_value=2**53, max_value=2**64 - 1))
def test_integers_that_the_fast_path_could_print_become_text_too(number: int) -> None:
    assert canonical({"n": number, "m": -number}) == b'{"m":"-%d","n":"%d"}' % (number, number)


def test_an_integer_of_any_length_is_recorded() -> None:
    assert json.loads(canonical_of_anything([10**10_000]))[0].startswith("0x")


def test_a_lone_surrogate_is_refused_strictly_and_recorded_visibly() -> None:
    with pytest.raises(NotCanonical):
        canonical({"s": "a\ud800"})
    assert canonical_of_anything({"s": "a\ud800"}) == rb'{"s":"a\\ud800"}'
    assert canonical_of_anything({"a\ud800": 1}) == rb'{"a\\ud800":1}'


def test_nan_is_refused_strictly_and_recorded_as_a_word() -> None:
    with pytest.raises(NotCanonical):
        canonical([float("nan")])
    assert canonical_of_anything([float("nan"), float("-inf")]) == b'["nan","-inf"]'


def test_bottomless_nesting_is_refused_strictly_and_recorded_as_a_sentence() -> None:
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(NotCanonical):
        canonical(deep)
    assert canonical_of_anything({"params": deep}).count(b"[") == MAX_DEPTH - 1


def test_an_enum_is_its_value_and_a_tuple_is_a_list() -> None:
    class Word(StrEnum):
        A = "a"

    assert canonical({"w": Word.A, "t": (Word.A, "b")}) == b'{"t":["a","b"],"w":"a"}'
