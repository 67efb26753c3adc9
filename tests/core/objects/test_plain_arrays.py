"""Of the types of Arrow and Parquet, what comes is their values: nothing that stands beside them, at any depth."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from app.objects.refusal import ContentFault
from app.policy.content import ContentView
from tests.core.objects.renderings import EMAIL, GONE, NAME, NOTE, RAW, refusal, rendered, shown

SECRET = "topsecret"
ADDRESS = "ada@example.org"
HIDDEN = ContentView(columns={"id": RAW})
SHOWN = ContentView(default=RAW)


def parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def arrow(table: pa.Table) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def column(array: pa.Array) -> pa.Table:
    return pa.table({"id": range(len(array)), "c": array})


def after(array: pa.Array, view: ContentView) -> list[Any]:
    content = shown("arrow", arrow(column(array)), view)
    return pa.ipc.open_file(content).read_all().column("c").to_pylist()  # type: ignore[no-any-return]


class Told(pa.ExtensionType):
    def __init__(self, storage: pa.DataType) -> None:
        super().__init__(storage, "test.told")

    def __arrow_ext_serialize__(self) -> bytes:
        return SECRET.encode()

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, _: bytes) -> "Told":
        return cls(storage)


INNER = pa.field("a", pa.string(), metadata={"k": SECRET})
STRUCT = pa.struct([INNER])
TOLD = Told(pa.string())


@pytest.mark.parametrize("view", [HIDDEN, SHOWN, ContentView(columns={"c.a": EMAIL}, default=RAW)])
@pytest.mark.parametrize(
    "kind",
    [
        STRUCT,
        pa.list_(INNER),
        pa.large_list(INNER),
        pa.list_(INNER, 1),
        pa.list_view(INNER),
        pa.large_list_view(INNER),
        pa.list_(STRUCT),
        pa.map_(pa.string(), INNER),
        pa.map_(pa.string(), pa.list_(STRUCT)),
        pa.struct([pa.field("a", pa.dictionary(pa.int8(), pa.string()), metadata={"k": SECRET})]),
        TOLD,
        pa.struct([pa.field("a", TOLD)]),
        pa.list_(TOLD),
        Told(STRUCT),
    ],
    ids=str,
)
def test_no_metadata_comes_along_from_inside_a_column(kind: pa.DataType, view: ContentView) -> None:
    content = arrow(column(pa.nulls(1, kind)))
    assert SECRET.encode() in content
    assert SECRET.encode() not in shown("arrow", content, view)


@pytest.mark.parametrize("kind", ["arrow", "parquet"])
def test_a_column_with_fields_that_may_not_be_null_comes_as_null(kind: str) -> None:
    needed = pa.field("a", pa.string(), nullable=False)
    deeper = pa.field("l", pa.list_(pa.field("item", pa.struct([needed]), nullable=False)), nullable=False)
    array = pa.array([{"a": "x", "l": [{"a": "y"}]}], pa.struct([needed, deeper]))
    table = pa.table([pa.array([1]), array], schema=pa.schema([("id", pa.int64()), pa.field("c", array.type, False)]))
    for view, expected in ((HIDDEN, None), (SHOWN, array[0].as_py())):
        content = shown(kind, parquet(table) if kind == "parquet" else arrow(table), view)
        result = pq.read_table(io.BytesIO(content)) if kind == "parquet" else pa.ipc.open_file(content).read_all()
        assert result.to_pylist() == [{"id": 1, "c": expected}]


VIEWED = pa.array([ADDRESS, None, "x"], pa.string_view())
RUNS = pa.array([2, 3, 5], pa.int32())
KEYS = pa.array(["k", "l", "m"])


@pytest.mark.parametrize(
    "array",
    [
        pa.DictionaryArray.from_arrays(pa.array([0, None, 2, 1], pa.uint32()), VIEWED),
        pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.int8()), pa.array([[ADDRESS], None])),
        pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), pa.array([{"a": "x"}, {"a": None}])),
        pa.RunEndEncodedArray.from_arrays(RUNS, VIEWED),
        pa.RunEndEncodedArray.from_arrays(RUNS, VIEWED).slice(1, 3),
        pa.RunEndEncodedArray.from_arrays(RUNS, VIEWED).slice(0, 0),
        pa.RunEndEncodedArray.from_arrays(RUNS, pa.array([{"a": [1]}, None, {"a": None}])),
        pa.RunEndEncodedArray.from_arrays(RUNS, VIEWED.dictionary_encode()),
        pa.ListArray.from_arrays(pa.array([0, 2, 3], pa.int32()), VIEWED),
        pa.FixedSizeListArray.from_arrays(VIEWED, 3),
        pa.StructArray.from_arrays([VIEWED, VIEWED.cast(pa.binary_view())], ["a", "b"]),
        pa.MapArray.from_arrays(pa.array([0, 1, 3], pa.int32()), KEYS.cast(pa.string_view()), VIEWED),
        pa.MapArray.from_arrays(
            pa.array([0, 1, 3], pa.int32()), KEYS.dictionary_encode(), pa.RunEndEncodedArray.from_arrays([3], [7])
        ).slice(1),
        pa.array([1, None], pa.decimal32(5, 2)),
        pa.array([1, None], pa.decimal64(12, 2)),
        pa.array([(1, 2, 3), None], pa.month_day_nano_interval()),
    ],
    ids=lambda array: str(array.type),
)  # fmt: skip
def test_encodings_within_encodings_come_as_their_values(array: pa.Array) -> None:
    assert after(array, SHOWN) == array.to_pylist()
    assert after(array, HIDDEN) == [None] * len(array)


@pytest.mark.parametrize(
    "array",
    [
        pa.DictionaryArray.from_arrays(pa.array([0, None], pa.uint32()), VIEWED),
        pa.RunEndEncodedArray.from_arrays(pa.array([1, 2], pa.int32()), VIEWED.slice(0, 2)),
    ],
    ids=lambda array: str(array.type)[:10],
)
def test_encoded_texts_are_masked_as_others_are(array: pa.Array) -> None:
    assert after(array, ContentView(columns={"c": EMAIL})) == ["***@example.org", None]


UNION = pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])])


def test_a_union_is_left_out_or_null_where_nothing_of_it_may_come() -> None:
    within = pa.StructArray.from_arrays([UNION, pa.array([1, 2])], ["u", "n"])
    encoded = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), within)
    for array in (UNION, within):
        content = arrow(column(array))
        gone = shown("arrow", content, ContentView(columns={"id": RAW, "c": GONE}))
        assert pa.ipc.open_file(gone).read_all().to_pylist() == [{"id": 0}, {"id": 1}]
        assert after(array, ContentView(columns={"id": RAW, "c": NOTE})) == [None, None]
        assert refusal("arrow", content, SHOWN).code is ContentFault.UNKNOWN_TYPE
    for array in (within, encoded):
        assert after(array, ContentView(columns={"c.u": NAME}, default=RAW)) == [
            {"u": None, "n": 1},
            {"u": None, "n": 2},
        ]


@pytest.mark.parametrize("kind", ["arrow", "parquet"])
def test_a_table_all_of_whose_columns_are_denied_comes_without_columns(kind: str) -> None:
    table = pa.table({"a": [1, 2], "b": ["x", "y"]})
    result, content = rendered(kind, parquet(table) if kind == "parquet" else arrow(table), ContentView(default=GONE))
    read = pq.read_table(io.BytesIO(content)) if kind == "parquet" else pa.ipc.open_file(content).read_all()
    assert (result.rows, read.num_columns) == (2, 0)
