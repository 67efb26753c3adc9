"""Arrow and Parquet that is put and holds what none of its rows shows: it is stored as it came, so it is looked at."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.objects.arrow_unshown import unshown
from tests.attacks.test_attacks_on_looking import ADDRESS, labels, written

CARD = 4_111_111_111_111_111


def under_null(array: pa.Array) -> pa.Array:
    """Its first value lies under a null, whose bit is cleared alone."""
    children = [array.field(at) for at in range(array.type.num_fields)] if pa.types.is_struct(array.type) else None
    if pa.types.is_list(array.type):
        children = [array.values]
    valid = pa.py_buffer(b"\x02")
    return pa.Array.from_buffers(array.type, 2, [valid, *array.buffers()[1 : _own(array)]], children=children)


def _own(array: pa.Array) -> int:
    """How many buffers are its own and not its children's."""
    if pa.types.is_struct(array.type):
        return 1
    return 2 if pa.types.is_list(array.type) else len(array.buffers())


CATEGORIES = pa.array([f"category {n}" for n in range(5)] + [ADDRESS]).dictionary_encode().slice(0, 2)
TEXTS = pa.array([ADDRESS, "b"])
LONG = pa.array([f"mail to {ADDRESS}", "longer than a view is"], pa.string_view())


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@pytest.mark.parametrize("column", [CATEGORIES, pa.array([[{"a": 1}]] * 2)], ids=["categories", "nested"])
def test_entries_of_a_dictionary_that_no_row_uses_are_looked_at(kind: str, column: pa.Array) -> None:
    if not isinstance(column, pa.DictionaryArray):
        column = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), CATEGORIES)
    assert ADDRESS not in str(column.to_pylist())
    assert labels(kind, written(kind, pa.table({"c": column}))) == ("pii.email",)


@pytest.mark.parametrize(
    "column",
    [
        under_null(TEXTS),
        under_null(TEXTS.cast(pa.large_string())),
        under_null(TEXTS.cast(pa.binary())),
        under_null(pa.array([ADDRESS.encode(), b"b" * len(ADDRESS)], pa.binary(len(ADDRESS)))),
        under_null(LONG),
        under_null(pa.array(["a@b.example", "b"], pa.binary_view())),
        under_null(pa.StructArray.from_arrays([TEXTS], ["a"])),
        under_null(pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), TEXTS)),
        LONG.slice(1),
        pa.RunEndEncodedArray.from_arrays(pa.array([1, 2], pa.int32()), under_null(TEXTS)),
    ],
    ids=lambda column: str(column.type),
)  # fmt: skip
def test_what_no_row_shows_is_looked_at(column: pa.Array) -> None:
    assert ADDRESS not in str(column.to_pylist())
    assert labels("arrow", written("arrow", pa.table({"c": column}))) == ("pii.email",)


@pytest.mark.parametrize("offsets", [[0, 1], [len(ADDRESS) + 2, len(ADDRESS) + 3]])
def test_bytes_before_and_behind_the_values_are_unshown(offsets: list[int]) -> None:
    # PyArrow leaves them out when it writes; others do not.
    data = pa.py_buffer(b"b " + ADDRESS.encode() + b"b")
    array = pa.Array.from_buffers(pa.string(), 1, [None, pa.array(offsets, pa.int32()).buffers()[1], data])
    assert array.to_pylist() == ["b"]
    assert ADDRESS in str([found.to_pylist() for found in unshown(array)])


def test_numbers_under_nulls_are_looked_at() -> None:
    shown = labels("arrow", written("arrow", pa.table({"c": [CARD, 1]})))
    assert shown
    assert labels("arrow", written("arrow", pa.table({"c": under_null(pa.array([CARD, 1]))}))) == shown


def test_a_batch_is_looked_at_with_the_dictionary_that_it_has() -> None:
    pieces = [pa.array(texts).dictionary_encode() for texts in (["x", "y"], ["x", ADDRESS])]
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, pa.schema([("c", pieces[0].type)])) as writer:
        for piece in pieces:
            writer.write_batch(pa.record_batch({"c": piece}))
    assert labels("arrow", out.getvalue().to_pybytes()) == ("pii.email",)


def test_values_that_lie_beside_each_other_are_not_read_as_one() -> None:
    halves = ["4111111111111", "111" + " " * 12, None, "ann", "@example.org"] * 3
    for kind in (pa.string(), pa.string_view(), pa.large_string()):
        assert labels("arrow", written("arrow", pa.table({"c": pa.array(halves, kind)}))) == ()


@given(st.lists(st.one_of(st.none(), st.text("ab", max_size=30)), max_size=12), st.integers(0, 12))
def test_an_array_made_of_values_alone_has_nothing_unshown(texts: list[str | None], cut: int) -> None:
    for kind in (pa.string(), pa.large_binary(), pa.string_view(), pa.binary_view()):
        array = pa.array(texts, kind)
        assert not [one for found in unshown(array) for one in found.to_pylist() if one]
        for part in (array.slice(cut), array.slice(0, cut)):
            text = b"".join(one for found in unshown(part) for one in found.to_pylist() if one)
            assert set(text) <= set(b"ab")
