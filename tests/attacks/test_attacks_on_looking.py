"""Content that is put and hides what it holds from the look through it."""

import gzip
import io
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from app.objects.refusal import ContentFault, ContentRefused
from app.objects.render import render
from app.policy.content import ContentView
from tests.core.objects.renderings import EMAIL, GZIP, NAME, NOTE, RAW, ZSTD, plan, rendered, shown

VIEW = ContentView(columns={"name": NAME, "email": EMAIL}, default=RAW)


class Slow(io.BytesIO):
    """Gives few bytes at a time."""

    def __init__(self, content: bytes, step: int) -> None:
        super().__init__(content)
        self._step = step

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._step if size is None or size < 0 else min(size, self._step))


def labels(
    kind: str, content: bytes, view: ContentView = VIEW, *, step: int = 1 << 30, **of_format: Any
) -> tuple[str, ...]:
    looking = replace(plan(kind, view, **of_format), looks=True)
    raw = io.BytesIO(content) if looking.format.seekable else Slow(content, step)
    return render(looking, raw, io.BytesIO(), io.BytesIO()).labels_masked


@pytest.mark.parametrize(
    "content",
    [
        b"id,name\n1,Al\n",
        b"\n\r\nid,name\n1,Al\n",
        b'"i\nd",name\n1,Al\n',
        b'"i""d,\r\n",name\n1,Al\n',
        b"id,name\r1,Al\r",
        b'id,"name"',
        "id,name\n1,Al\n".encode("utf-16"),
        "\ufeff\ufeffname,id\nAl,1\n".encode(),
        "id,na\u200bme\u00ad\n1,Al\n".encode(),
    ],
)
def test_a_look_sees_the_columns_that_a_rendering_has(content: bytes) -> None:
    assert labels("csv", content) == ("pii.name",)


def member(flags: int, beside: bytes, content: bytes = b"id,x\n1,2\n") -> bytes:
    """Of gzip, with what is written into its header."""
    whole = gzip.compress(content, mtime=0)
    return whole[:3] + bytes([flags]) + whole[4:10] + beside + whole[10:]


def skipped(content: bytes, kind: int = 0) -> bytes:
    """A frame of zstd that nobody decompresses."""
    return (0x184D2A50 + kind).to_bytes(4, "little") + len(content).to_bytes(4, "little") + content


FRAME = zstandard.ZstdCompressor().compress(b"id,x\n1,2\n")
MEMBER = member(0, b"")
BGZIP = b"\x06\0BC\x02\0\x1b\0"


@pytest.mark.parametrize(
    "content",
    [
        member(16, b"ada@example.org\0"),
        member(24, b"a.csv\0ada@example.org\0"),
        MEMBER + member(16, b"\0"),
        member(4, b"\x13\0AB\x0f\0ada@example.org"),
        member(4, b"\x06\0AB\x02\0xy"),
        member(4, b"\x0a\0BC\x02\0\x1b\0AB\0\0"),
        member(8, b"a" * 256 + b"\0"),
        member(8, b"a" * 100_000 + b"\0"),
    ],
)
@pytest.mark.parametrize("step", [1, 1 << 18])
def test_what_gzip_carries_beside_the_content_is_refused_by_a_look(content: bytes, step: int) -> None:
    with pytest.raises(ContentRefused) as refused:
        labels("csv", content, step=step, **GZIP)
    assert refused.value.code is ContentFault.UNDECODABLE
    assert "beside" in refused.value.detail


@pytest.mark.parametrize(
    "content", [skipped(b"ada@example.org") + FRAME, FRAME + skipped(b"", 15), FRAME + skipped(b"x", 7) + FRAME]
)
@pytest.mark.parametrize("step", [1, 1 << 18])
def test_frames_of_zstd_that_are_skipped_are_refused_by_a_look(content: bytes, step: int) -> None:
    with pytest.raises(ContentRefused) as refused:
        labels("csv", content, step=step, **ZSTD)
    assert "skipped" in refused.value.detail


def test_the_name_of_a_file_in_gzip_is_looked_through() -> None:
    for name in (
        b"ada@example.org.csv",
        b"call +44 20 7946 0018",
        "ﬁle ada@example.org".encode(),
        b"\xff ada@example.org",
    ):
        assert labels("csv", MEMBER + member(8, name + b"\0"), **GZIP) in (("pii.email",), ("pii.phone",))
    table = io.BytesIO()
    pq.write_table(pa.table({"id": ["x"]}), table)
    assert labels("parquet", member(8, b"ada@example.org\0", table.getvalue()), **GZIP) == ("pii.email",)


@pytest.mark.parametrize("step", [1, 1 << 18])
def test_honest_compressed_content_is_looked_through(step: int) -> None:
    named = member(8, b"export_2026-11-28_120000.csv\0")
    bgzip = member(4, BGZIP) + member(12, BGZIP + b"may.csv\0")
    for content in (MEMBER, named, named + MEMBER + named, member(0, b"") * 3, bgzip):
        assert labels("csv", content, step=step, **GZIP) == ()
    assert labels("csv", FRAME * 3, step=step, **ZSTD) == ()


def test_a_rendering_leaves_out_what_is_beside_the_content() -> None:
    view = ContentView(columns={"id": RAW})
    plain = shown("csv", MEMBER, view, **GZIP)
    assert shown("csv", member(24, b"ada\0ada@example.org\0"), view, **GZIP) == plain
    assert shown("csv", skipped(b"ada") + FRAME, view, **ZSTD) == shown("csv", FRAME, view, **ZSTD)


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1, 3 << 20])
def test_a_header_without_an_end_is_refused_by_a_look(size: int) -> None:
    content = "é,".encode() * (size // 3)
    with pytest.raises(ContentRefused) as refused:
        labels("csv", content + b"name")
    assert refused.value.place == "line 1"


def test_a_name_that_no_parser_takes_is_refused_by_a_look() -> None:
    with pytest.raises(ContentRefused) as refused:
        labels("csv", b"x" * 300_000 + b",name\n")
    assert refused.value.code is ContentFault.TOO_LARGE


def test_a_header_whose_quotes_have_two_readings_is_refused_by_a_look() -> None:
    with pytest.raises(ContentRefused) as refused:
        labels("csv", b'id,"a"b",name\n1,2,3\n')
    assert refused.value.code is ContentFault.UNDECODABLE


def test_a_look_takes_rows_with_stray_quotes_as_long_as_their_header_has_one_reading() -> None:
    assert labels("csv", b'id,size\n1,6" pipe\n') == ()
    assert labels("csv", b'id,size\n1,6" pipe of ann@example.org\n') == ("pii.email",)


@pytest.mark.parametrize("name", ["\ufeffemail", "em\u200bail", "e\u00admail", "\u2060Email "])
def test_a_column_whose_name_only_looks_the_same_is_masked_as_the_same(name: str) -> None:
    view = ContentView(columns={"email": NOTE}, default=RAW)
    assert b"ann@" not in shown("csv", f"id,{name}\n1,ann@example.org\n".encode(), view)


ADDRESS = "ann@example.org"
PANDAS = (
    b'{"index_columns": [{"kind": "range", "name": null, "start": 0, "stop": 1000000, "step": 1}], "column_indexes": '
    b'[{"name": null, "field_name": null, "pandas_type": "unicode", "numpy_type": "object", "metadata": {"encoding": '
    b'"UTF-8"}}], "creator": {"library": "pyarrow", "version": "24.0.0"}, "pandas_version": "3.0.1"}'
)


def written(kind: str, table: pa.Table) -> bytes:
    out = io.BytesIO()
    if kind == "parquet":
        pq.write_table(table, out)
    else:
        with pa.ipc.new_file(out, table.schema) as writer:
            writer.write_table(table)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@pytest.mark.parametrize(
    "column",
    [
        pa.array([ADDRESS.encode()]),
        pa.array([ADDRESS.encode()], pa.binary(len(ADDRESS))),
        pa.array([ADDRESS]).dictionary_encode(),
        pa.array([[ADDRESS, ADDRESS]], pa.list_(pa.string(), 2)),
        pa.array([[ADDRESS]], pa.list_view(pa.string())),
        pa.array([[{"deep": [{"er": ADDRESS}]}]]),
        pa.array([[(ADDRESS, 1)]], pa.map_(pa.string(), pa.int64())),
        pa.array([[("a", ADDRESS)]], pa.map_(pa.string(), pa.string())),
        pa.StructArray.from_arrays([pa.array(["x"]), pa.array([ADDRESS])], names=["a", "a"]),
        pa.array([None], pa.struct([(ADDRESS, pa.int64())])),
        pa.array([f'{{"a": "{ADDRESS}"}}'], pa.json_()),
    ],
    ids=lambda column: str(column.type)[:20],
)
def test_an_address_is_found_wherever_it_lies_in_a_column(kind: str, column: pa.Array) -> None:
    assert labels(kind, written(kind, pa.table({"other": column}))) == ("pii.email",)


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_an_address_is_found_in_what_a_schema_says(kind: str) -> None:
    plain = pa.table({"other": [1]})
    for metadata in ({"note": ADDRESS}, {ADDRESS: ""}):
        assert labels(kind, written(kind, plain.replace_schema_metadata(metadata))) == ("pii.email",)
    field = pa.field("other", pa.int64(), metadata={"note": ADDRESS})
    assert labels(kind, written(kind, pa.table({"other": [1]}, schema=pa.schema([field])))) == ("pii.email",)
    assert labels(kind, written(kind, plain.replace_schema_metadata({"pandas": PANDAS}))) == ()


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@pytest.mark.parametrize(
    "column",
    [
        pa.array([123_456_789], pa.timestamp("ns")),
        pa.array([2**62], pa.timestamp("us")),
        pa.array([1], pa.timestamp("us", "No/Where")),
        pa.array([2**30], pa.int32()).cast(pa.date32()),
        pa.array([2**62], pa.duration("s")),
        pa.array([123], pa.time64("ns")),
        pa.array([[123]], pa.list_(pa.timestamp("ns"))),
        pa.array([b"0" * 16], pa.uuid()),
        pa.nulls(1),
    ],
    ids=lambda column: str(column.type)[:20],
)
def test_types_that_python_has_no_values_for_are_looked_through_all_the_same(kind: str, column: pa.Array) -> None:
    assert labels(kind, written(kind, pa.table({"at": column, "other": [ADDRESS]}))) == ("pii.email",)


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@pytest.mark.parametrize(
    ("path", "column"),
    [
        ("c.email", pa.array([{"email": "q"}])),
        ("c[].email", pa.array([[{"email": "q"}]])),
        ("c[].email", pa.array([[{"email": "q"}]], pa.list_(pa.struct([("email", pa.string())]), 1))),
        ("c.value.email", pa.array([[("k", {"email": "q"})]], pa.map_("string", pa.struct([("email", "string")])))),
        ("c.key", pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64()))),
        ("c[]", pa.array([["q"]])),
    ],
)  # fmt: skip
def test_a_look_knows_nested_columns_by_the_paths_that_a_rendering_knows(
    kind: str, path: str, column: pa.Array
) -> None:
    view = ContentView(columns={path: NAME}, default=RAW)
    content = written(kind, pa.table({"c": column}))
    assert labels(kind, content, view) == rendered(kind, content, view)[0].labels_masked == ("pii.name",)
