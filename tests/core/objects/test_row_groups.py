"""Wide values are read and written a few rows at a time, and where groups end says nothing of what is hidden."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.objects import columnar, columnar_groups
from app.objects.arrow_sizes import size_of
from app.objects.columnar_groups import RowGroups
from app.objects.plan import RenderLimits
from app.policy.content import ContentView
from tests.core.objects.renderings import NOTE, RAW, UNHURRIED, rendered, shown

VIEW = ContentView(columns={"id": RAW, "kept": RAW, "note": NOTE})
SIZE = 2_000
WIDE = pa.array([letter * SIZE for letter in "abcde"])
ROWS = 30_000
REPEATED = WIDE.take(pa.array([n % 5 for n in range(ROWS)]))


def parquet(table: pa.Table, **how: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **how)
    return out.getvalue()


def arrow(table: pa.Table, rows: int | None = None) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)
    return out.getvalue()


def group_rows(content: bytes) -> list[int]:
    metadata = pq.ParquetFile(io.BytesIO(content)).metadata
    return [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)]


@pytest.fixture
def rendered_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sizes: list[int] = []

    class Watched(RowGroups):
        def add(self, batch: pa.RecordBatch) -> Any:
            sizes.append(batch.nbytes)
            return super().add(batch)

    monkeypatch.setattr(columnar, "RowGroups", Watched)
    return sizes


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("parquet", parquet(pa.table({"kept": REPEATED}))),
        ("parquet", parquet(pa.table({"kept": REPEATED.dictionary_encode()}))),
        ("arrow", arrow(pa.table({"kept": REPEATED.dictionary_encode()}))),
        ("arrow", arrow(pa.table({"kept": REPEATED.cast(pa.string_view())}))),
        ("arrow", arrow(pa.table({"kept": pa.RunEndEncodedArray.from_arrays([ROWS], WIDE.slice(0, 1))}))),
    ],
    ids=["parquet", "parquet of categories", "dictionary", "views", "runs"],
)
def test_of_wide_values_a_few_rows_are_held_at_once(kind: str, content: bytes, rendered_sizes: list[int]) -> None:
    result, _ = rendered(kind, content, VIEW)
    assert result.rows == ROWS
    assert sum(rendered_sizes) > SIZE * ROWS
    assert max(rendered_sizes) < 16 << 20


def test_a_large_dictionary_does_not_count_again_with_every_few_rows(rendered_sizes: list[int]) -> None:
    names = pa.array([f"{n:0100}" for n in range(100_000)])
    table = pa.table({"kept": pa.DictionaryArray.from_arrays(pa.array(range(100_000), pa.int32()), names)})
    result, _ = rendered("arrow", arrow(table), VIEW, RenderLimits(max_expanded_bytes=12_000_000))
    assert result.rows == 100_000
    assert len(rendered_sizes) < 10


def test_groups_of_wide_rows_are_as_large_as_what_shows_of_them() -> None:
    def table(note: str) -> pa.Table:
        return pa.table({"id": range(ROWS), "kept": REPEATED, "note": [note * (n % 7) for n in range(ROWS)]})

    one, twin = table("hidden" * 100), table("")
    content = shown("parquet", parquet(one), VIEW)
    assert content == shown("parquet", parquet(twin, row_group_size=7_001, use_dictionary=False), VIEW)
    assert shown("arrow", arrow(one), VIEW) == shown("arrow", arrow(twin, 999), VIEW)
    sizes = group_rows(content)
    assert sum(sizes) == ROWS
    assert len(sizes) == 2
    assert sizes[0] * SIZE < columnar_groups.MOST_BYTES < (sizes[0] + 1) * (SIZE + 100)
    assert group_rows(shown("parquet", parquet(one), ContentView(columns={"id": RAW}))) == [ROWS]


def test_a_row_that_is_larger_than_a_group_has_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columnar_groups, "MOST_BYTES", 100)
    table = pa.table({"kept": ["x" * 1_000, "y" * 1_000, "a", "b", "c" * 200, "d"]})
    assert group_rows(shown("parquet", parquet(table), VIEW)) == [1, 1, 2, 1, 1]


TEXTS = st.one_of(st.none(), st.text("aé", max_size=9))
NESTED = pa.schema(
    {
        "text": pa.string(),
        "flag": pa.bool_(),
        "list": pa.list_(pa.string()),
        "struct": pa.struct([("a", pa.string()), ("n", pa.int32())]),
        "map": pa.map_(pa.string(), pa.string()),
        "fixed": pa.decimal128(9, 2),
        "nothing": pa.null(),
    }
)
MADE = st.fixed_dictionaries(
    {
        "text": TEXTS,
        "flag": st.booleans(),
        "list": st.one_of(st.none(), st.lists(TEXTS, max_size=3)),
        "struct": st.one_of(st.none(), st.fixed_dictionaries({"a": TEXTS, "n": st.just(1)})),
        "map": st.one_of(st.none(), st.lists(st.tuples(st.text("k", max_size=3), TEXTS), max_size=3)),
        "fixed": st.none(),
        "nothing": st.none(),
    }
)


@UNHURRIED
@given(st.lists(MADE, min_size=1, max_size=9), st.data())
def test_rows_are_as_large_together_as_they_are_apart(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    batch = pa.RecordBatch.from_pylist(rows, NESTED)
    cut = data.draw(st.integers(0, len(rows)))
    assert size_of(batch) == size_of(batch.slice(0, cut)) + size_of(batch.slice(cut))
    copied = pa.RecordBatch.from_pylist(rows[:cut], NESTED)
    assert size_of(copied) == size_of(batch.slice(0, cut))


def test_a_fault_of_writing_is_not_told_as_one_of_the_content(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: RowGroups, __: pa.RecordBatch) -> Any:
        raise pa.ArrowInvalid("ours")

    monkeypatch.setattr(RowGroups, "add", broken)
    with pytest.raises(pa.ArrowInvalid):
        shown("parquet", parquet(pa.table({"id": [1]})), VIEW)
