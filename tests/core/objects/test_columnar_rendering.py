import gzip
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.masking.masks import Constant, Generalise, Mask, Pseudonym, Redact, Step
from app.masking.values import Kind, masker
from app.objects.plan import RenderLimits
from app.objects.refusal import ContentFault, ContentRefused
from app.policy.content import ContentView, FieldView
from tests.core.objects.renderings import EMAIL, GONE, GZIP, KEYS, MASKS, NAME, NOTE, RAW, refusal, rendered, shown

KINDS = ("parquet", "arrow")
VIEW = ContentView(
    columns={
        "id": RAW,
        "email": EMAIL,
        "name": NAME,
        "note": NOTE,
        "salary": GONE,
        "customer.city": RAW,
        "customer.name": NAME,
        "items[].sku": RAW,
        "tags": NAME,
        "kept": RAW,
    }
)


def parquet(table: pa.Table, **how: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **how)
    return out.getvalue()


def arrow(table: pa.Table, rows: int | None = None, compression: str | None = None, stream: bool = False) -> bytes:
    out = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(out, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=rows)
    return out.getvalue()


def written(kind: str, table: pa.Table) -> bytes:
    return parquet(table) if kind == "parquet" else arrow(table)


def read(kind: str, content: bytes) -> pa.Table:
    if kind == "parquet":
        return pq.read_table(io.BytesIO(content))
    return pa.ipc.open_file(io.BytesIO(content)).read_all()


def after(kind: str, table: pa.Table, view: ContentView = VIEW) -> pa.Table:
    return read(kind, shown(kind, written(kind, table), view))


def moment(year: int, month: int, day: int, hour: int) -> datetime:
    return datetime(year, month, day, hour)  # noqa: DTZ001 - columns without a zone hold times without one


VALUES: tuple[tuple[pa.DataType, Kind, list[Any]], ...] = (
    (pa.string(), Kind.TEXT, ["ada@example.org", "", "2026-11-28", "12.5", None, "é😀"]),
    (pa.large_string(), Kind.TEXT, ["ada@example.org", None]),
    (pa.bool_(), Kind.BOOLEAN, [True, False, None]),
    (pa.int8(), Kind.SMALLINT, [-120, 0, 127, None]),
    (pa.int16(), Kind.SMALLINT, [-32768, 0, 32767, None]),
    (pa.int32(), Kind.INTEGER, [-(2**31), 0, 41, None]),
    (pa.int64(), Kind.BIGINT, [-(2**63), 0, 41, 2**63 - 1, None]),
    (pa.float64(), Kind.FLOAT, [0.5, -0.5, 1e300, None]),
    (pa.decimal128(20, 3), Kind.NUMERIC, [Decimal("12.345"), Decimal("-0.001"), None]),
    (pa.date32(), Kind.DATE, [date(2026, 11, 28), date(1, 1, 1), None]),
    (pa.timestamp("us"), Kind.TIMESTAMP, [moment(2026, 11, 28, 15), moment(1950, 1, 1, 1), None]),
    (pa.timestamp("ms", "UTC"), Kind.ZONED, [datetime(2026, 11, 28, 15, tzinfo=UTC), None]),
    (pa.binary(), Kind.BINARY, [b"ada", b"", None]),
    (pa.time64("us"), Kind.OTHER, [time(10, 30), None]),
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mask", [mask for mask in MASKS if not isinstance(mask, Redact)], ids=repr)
@pytest.mark.parametrize(("type_", "column", "values"), VALUES, ids=[str(one[0]) for one in VALUES])
def test_masked_values_keep_their_type_or_are_null(
    kind: str, mask: Mask, type_: pa.DataType, column: Kind, values: list[Any]
) -> None:
    table = pa.table({"id": range(len(values)), "masked": pa.array(values, type_)})
    result = after(kind, table, ContentView(columns={"id": RAW, "masked": FieldView(mask=mask)}))
    each = masker(mask, KEYS, lambda text: text, column)
    expected = [None if column is Kind.OTHER else each(value) for value in values]
    assert result.column("id").to_pylist() == list(range(len(values)))
    if kind == "arrow":
        assert result.column("masked").type == type_
    for got, want in zip(result.column("masked").to_pylist(), expected, strict=True):
        assert got == want
        assert want is None or type(got) is type(want)


@pytest.mark.parametrize("kind", KINDS)
def test_nested_columns_are_masked_by_path(kind: str) -> None:
    table = pa.table(
        {
            "customer": [{"name": "Ada", "city": "Paris", "age": 36}, None, {"name": None, "city": "Rome", "age": 1}],
            "items": [[{"sku": "a", "price": 1.0}, None], None, []],
            "tags": [["x", "y"], [], None],
            "unknown": [{"a": 1}, {"a": 2}, None],
        }
    )
    result = after(kind, table).to_pylist()
    assert [row["customer"] and row["customer"]["city"] for row in result] == ["Paris", None, "Rome"]
    assert len(result[0]["customer"]["name"]) == 32
    assert result[0]["customer"]["age"] is None
    assert result[1]["customer"] is None
    assert result[0]["items"] == [{"sku": "a", "price": None}, None]
    assert [row["items"] for row in result[1:]] == [None, []]
    assert [row["tags"] for row in result] == [None, None, None]
    assert [row["unknown"] for row in result] == [None, None, None]


@pytest.mark.parametrize("kind", KINDS)
def test_a_map_comes_whole_with_masked_values_or_not_at_all(kind: str) -> None:
    maps = pa.array([[("a", "x")], None, []], pa.map_(pa.string(), pa.string()))
    table = pa.table({"m": maps})
    assert after(kind, table, ContentView(columns={"m": RAW})).column("m").to_pylist() == [[("a", "x")], None, []]
    values = after(kind, table, ContentView(columns={"m": RAW, "m.value": NOTE})).column("m").to_pylist()
    assert values == [[("a", None)], None, []]
    keys = after(kind, table, ContentView(columns={"m": RAW, "m.key": NAME})).column("m").to_pylist()
    assert keys == [None, None, None]


def test_a_denied_column_is_not_there_and_what_is_not_named_is_null() -> None:
    table = pa.table({"id": [1], "salary": [2], "unknown": ["x"]})
    for kind in KINDS:
        assert after(kind, table).to_pylist() == [{"id": 1, "unknown": None}]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_counted_when_no_column_is_read(kind: str) -> None:
    table = pa.table({"note": ["x"] * 70_000})
    result, content = rendered(kind, written(kind, table), VIEW)
    assert result.rows == read(kind, content).num_rows == 70_000
    assert result.labels_masked == ("pii.note",)


TEXTS = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.one_of(st.none(), st.integers(-5, 5)),
            "note": TEXTS,
            "salary": st.one_of(st.none(), st.integers(0, 9)),
            "unknown": st.one_of(st.none(), st.lists(st.integers(0, 9), max_size=3)),
            "kept": st.one_of(st.none(), st.lists(TEXTS, max_size=3)),
            "flag": st.booleans(),
        }
    ),
    min_size=1,
    max_size=20,
)
SCHEMA = pa.schema(
    {
        "id": pa.int32(),
        "note": pa.string(),
        "salary": pa.int64(),
        "unknown": pa.list_(pa.int8()),
        "kept": pa.list_(pa.string()),
        "flag": pa.bool_(),
    }
)
TWIN_VIEW = ContentView(columns={**VIEW.columns, "flag": RAW})


@settings(max_examples=60, deadline=None)
@given(ROWS, st.data())
def test_twins_that_differ_in_what_is_hidden_and_in_their_layout_render_to_the_same_bytes(
    rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    twin_rows = [
        {
            **row,
            "note": data.draw(TEXTS),
            "salary": data.draw(st.integers(0, 9)),
            "unknown": data.draw(st.just([1] * 5)),
        }
        for row in rows
    ]
    one, twin = (pa.Table.from_pylist(each, SCHEMA) for each in (rows, twin_rows))
    cut = data.draw(st.integers(1, 20))
    twin = twin.replace_schema_metadata({"owner": "somebody"})
    assert rendered("parquet", parquet(one), TWIN_VIEW) == rendered(
        "parquet",
        parquet(twin, row_group_size=cut, compression="gzip", use_dictionary=False, data_page_version="2.0"),
        TWIN_VIEW,
    )
    # Cut out of larger ones, so that what lies before, behind and under the values differs as well.
    sliced = pa.concat_tables([twin, twin]).combine_chunks().slice(len(rows), len(rows))
    assert rendered("arrow", arrow(one), TWIN_VIEW) == rendered("arrow", arrow(sliced, cut, "zstd", True), TWIN_VIEW)


def test_twins_of_many_row_groups_render_to_the_same_bytes() -> None:
    def table(hidden: str) -> pa.Table:
        return pa.table({"id": range(150_000), "note": [hidden * (n % 7) for n in range(150_000)]})

    one = rendered("parquet", parquet(table("secret"), row_group_size=150_000), VIEW)
    twin = rendered("parquet", parquet(table(""), row_group_size=10_001, compression="none"), VIEW)
    assert one == twin
    assert rendered("arrow", arrow(table("secret")), VIEW) == rendered("arrow", arrow(table(""), 10_001), VIEW)


def test_nothing_of_the_file_that_was_read_comes_along() -> None:
    values = pa.array(["ada", "bob", "eve"]).dictionary_encode().slice(0, 1)
    field = pa.field("kept", values.type, metadata={"comment": "secret"})
    table = pa.Table.from_arrays([values, pa.array(["secret"])], schema=pa.schema([field, ("note", pa.string())]))
    table = table.replace_schema_metadata({"pandas": "secret", "geo": "secret"})
    for kind in KINDS:
        content = shown(kind, written(kind, table), VIEW)
        assert b"eve" not in content
        assert b"secret" not in content
    metadata = pq.ParquetFile(io.BytesIO(shown("parquet", parquet(table), VIEW))).metadata
    assert metadata.metadata is None
    assert metadata.row_group(0).column(0).statistics is None


def test_what_lies_under_a_null_does_not_come_along() -> None:
    offsets = pa.array([0, 6, 9], pa.int32()).buffers()[1]
    texts = pa.Array.from_buffers(pa.string(), 2, [pa.py_buffer(b"\x02"), offsets, pa.py_buffer(b"hiddenabc")])
    structs = pa.StructArray.from_arrays([pa.array(["hidden", "shown"])], ["x"], mask=pa.array([True, False]))
    lists = pa.ListArray.from_arrays(
        pa.array([0, 1, 2], pa.int32()), pa.array(["hidden", "shown"]), mask=pa.array([True, False])
    )
    maps = pa.MapArray.from_arrays(
        pa.array([0, 1, 2], pa.int32()), pa.array(["hidden", "shown"]), structs, mask=pa.array([True, False])
    )
    table = pa.table({"t": texts, "s": structs, "l": lists, "m": maps})
    content = arrow(table)
    assert b"hidden" in content
    view = ContentView(default=RAW)
    assert b"hidden" not in shown("arrow", content, view)
    assert after("arrow", table, view).to_pylist() == table.to_pylist()


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["a", None]).dictionary_encode(),
        pa.array(["a", None], pa.string_view()),
        pa.array([b"a", None], pa.binary_view()),
        pa.array([[1], None], pa.list_(pa.int64(), 1)),
        pa.array([[1], None], pa.large_list(pa.int64())),
        pa.array([b"ab", None], pa.binary(2)),
        pa.RunEndEncodedArray.from_arrays(pa.array([1, 2], pa.int32()), pa.array([5, 6])),
        pa.array([1.5, None], pa.float16()),
        pa.array([None, None]),
        pa.array([1, None], pa.duration("s")),
    ],
    ids=lambda array: str(array.type),
)  # fmt: skip
def test_every_type_comes_raw_as_its_plain_values(array: pa.Array) -> None:
    table = pa.table({"kept": array})
    assert after("arrow", table).column("kept").to_pylist() == array.to_pylist()
    assert after("arrow", table, ContentView()).column("kept").to_pylist() == [None, None]


def test_a_union_is_refused() -> None:
    union = pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])])
    assert refusal("arrow", arrow(pa.table({"kept": union})), VIEW).code is ContentFault.UNKNOWN_TYPE


def test_times_finer_or_further_than_pythons_have_a_mask_all_the_same() -> None:
    view = ContentView(columns={"t": FieldView(mask=Generalise(step=Step.YEAR))})
    fine = pa.table({"t": pa.array([-1, 10**18 + 1, None], pa.timestamp("ns"))})
    assert [str(value)[:10] for value in after("arrow", fine, view).column("t").cast(pa.timestamp("s"))] == [
        "1969-01-01", "2001-01-01", "None",
    ]  # fmt: skip
    far = pa.table({"t": pa.array([10**12, 0], pa.timestamp("s"))})
    assert after("arrow", far, view).column("t").to_pylist() == [None, moment(1970, 1, 1, 0)]


def test_constants_come_in_the_type_of_the_column() -> None:
    table = pa.table({"a": [1, None], "b": ["x", None]})
    view = ContentView(columns={"a": FieldView(mask=Constant(value="x")), "b": FieldView(mask=Constant(value=7))})
    assert after("parquet", table, view).to_pylist() == [{"a": None, "b": "7"}] * 2


def test_a_pseudonym_of_a_file_is_that_of_a_table() -> None:
    view = ContentView(columns={"n": FieldView(mask=Pseudonym(domain="people"))})
    each = masker(Pseudonym(domain="people"), KEYS, lambda text: text, Kind.BIGINT)
    repeated = [41, 42] * 500
    assert after("parquet", pa.table({"n": repeated}), view).column("n").to_pylist() == [each(n) for n in repeated]


def test_two_columns_of_one_name_are_masked_alike() -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array([1]), pa.array(["b"])], names=["note", "id", "note"])
    for kind in KINDS:
        content = shown(kind, written(kind, table), VIEW)
        parsed = pq.ParquetFile(io.BytesIO(content)).read() if kind == "parquet" else read(kind, content)
        assert [column.to_pylist() for column in parsed.columns] == [[None], [1], [None]]


def test_a_stream_comes_as_a_stream_and_compressed_as_compressed() -> None:
    table = pa.table({"id": [1, 2], "note": ["x", "y"]})
    stream = shown("arrow", arrow(table, stream=True), VIEW, streamed=True)
    assert pa.ipc.open_stream(stream).read_all().to_pylist() == [{"id": 1, "note": None}, {"id": 2, "note": None}]
    wrapped = shown("parquet", gzip.compress(parquet(table)), VIEW, **GZIP)
    assert gzip.decompress(wrapped) == shown("parquet", parquet(table), VIEW)


TABLE = pa.table({"id": range(1_000), "note": ["x"] * 1_000})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "broken",
    [
        lambda content: b"",
        lambda content: b"garbage " * 100,
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: content[:4],
        lambda content: content[:-8] + b"\xff\xff\xff\x7f" + content[-4:],
        lambda content: content[:-4] + b"PARE",
        lambda content: b"FEA1" + content[4:-4] + b"FEA1",
    ],
)
def test_what_is_cut_or_broken_is_refused(kind: str, broken: Callable[[bytes], bytes]) -> None:
    assert refusal(kind, broken(written(kind, TABLE)), VIEW).code is ContentFault.UNDECODABLE


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(KINDS), st.data())
def test_flipped_bytes_are_refused_or_rendered_but_nothing_else(kind: str, data: st.DataObject) -> None:
    content = bytearray(written(kind, TABLE.slice(0, 50)))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        outcome: object = rendered(kind, bytes(content), VIEW)[0].rows
    except ContentRefused as refused:
        outcome = refused.code
    assert isinstance(outcome, int | ContentFault)


def test_an_encrypted_file_is_refused() -> None:
    content = parquet(TABLE)
    assert refusal("parquet", b"PARE" + content[4:-4] + b"PARE", VIEW).code is ContentFault.UNDECODABLE


def test_columns_rows_and_sizes_have_bounds() -> None:
    content = parquet(TABLE)
    assert refusal("parquet", content, VIEW, RenderLimits(max_columns=1)).code is ContentFault.TOO_LARGE
    assert refusal("parquet", content, VIEW, RenderLimits(max_input_bytes=100)).code is ContentFault.TOO_LARGE
    assert refusal("parquet", content, VIEW, RenderLimits(max_output_bytes=100)).code is ContentFault.TOO_LARGE


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_bytes_that_stand_for_very_many_values_are_a_bomb(kind: str) -> None:
    table = pa.table({"kept": pa.array(["x" * 1_000]).take(pa.array([0] * 100_000))})
    content = parquet(table) if kind == "parquet" else arrow(table, compression="zstd")
    assert len(content) < 1_000_000
    assert refusal(kind, content, VIEW, RenderLimits(max_expanded_bytes=10_000_000)).code is ContentFault.BOMB
