"""Where a put is masked, what holds nobody is stored as it came: to the last nanosecond."""

import io
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from app.masking.masks import Generalise, Mask, Null, Pseudonym, Redact, Step
from app.policy.content import ContentView, FieldView
from tests.core.objects.renderings import MASKS, shown

REST = FieldView(mask=Redact(keep_others=True))
VIEW = ContentView(default=REST, default_found=FieldView(mask=Null()))
ADDRESS = "ada@example.org"
CARD = 4_111_111_111_111_111
LAST = 2**63 - 1


def arrow(table: pa.Table) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def after(array: pa.Array, view: ContentView = VIEW) -> pa.Array:
    content = shown("arrow", arrow(pa.table({"c": array})), view)
    return pa.ipc.open_file(content).read_all().column("c").combine_chunks()


@pytest.mark.parametrize(
    "array",
    [
        pa.array([1_588_760_000_123_456_789, -1, LAST, -LAST, None], pa.timestamp("ns")),
        pa.array([1_588_760_000_123_456_789, None], pa.timestamp("ns", "Europe/Paris")),
        pa.array([10**15, None], pa.timestamp("s")),
        pa.array([10**9, None], pa.int32()).cast(pa.date32()),
        pa.array([10**15, None], pa.int64()).cast(pa.duration("s")),
        pa.array([True, None]),
        pa.array([float("inf"), 0.1, None]),
        pa.array([0.1, None], pa.float32()),
        pa.array([1.5, None], pa.float16()),
        pa.array([2**64 - 1, None], pa.uint64()),
        pa.array([Decimal("1.50"), None], pa.decimal128(5, 2)),
        pa.array([Decimal("1.50"), None], pa.decimal256(50, 2)),
        pa.array([b"\xff\x00", b"ab", None]),
        pa.array([b"\xff\x00", None], pa.binary(2)),
        pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.timestamp("ns"))),
        pa.array([[(7, "x")], None, []], pa.map_(pa.int64(), pa.string())),
        pa.array([{"t": 1}, None], pa.struct([("t", pa.timestamp("ns"))])),
    ],
    ids=lambda array: str(array.type),
)
def test_what_holds_nobody_is_stored_as_it_came(array: pa.Array) -> None:
    result = after(array)
    assert result.type == array.type
    assert result.equals(array)


def test_a_zero_keeps_its_sign() -> None:
    assert str(after(pa.array([0.0, -0.0])).to_pylist()) == "[0.0, -0.0]"


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([CARD, 12, None]), [None, 12, None]),
        (pa.array([Decimal(CARD), Decimal(1)]), [None, Decimal(1)]),
        (pa.array([b"of " + ADDRESS.encode(), b"\xff"]), [None, b"\xff"]),
        (pa.array([ADDRESS.encode()], pa.binary(len(ADDRESS))), [None]),
        (
            pa.array([[(CARD, "x"), (2, "y")], None, [(1, "z")], []], pa.map_(pa.int64(), pa.string())),
            [None, None, [(1, "z")], []],
        ),
    ],
    ids=lambda one: str(one.type) if isinstance(one, pa.Array) else "",
)
def test_numbers_and_bytes_that_are_somebodys_are_null(array: pa.Array, expected: list[Any]) -> None:
    assert after(array).to_pylist() == expected


def test_texts_are_redacted_beside_what_is_kept() -> None:
    maps = pa.array([[(f"of {ADDRESS}", ADDRESS)]], pa.map_(pa.string(), pa.string()))
    out = io.BytesIO()
    table = pa.table({"d": [date(9999, 12, 31)], "x": [f"mail {ADDRESS}"], "m": maps})
    pq.write_table(table, out)
    content = shown("parquet", out.getvalue(), VIEW)
    assert ADDRESS.encode() not in content
    row = pq.read_table(io.BytesIO(content)).to_pylist()[0]
    assert row["d"] == date(9999, 12, 31)
    assert row["x"].startswith("mail ")
    assert row["m"][0][0].startswith("of ")


@pytest.mark.parametrize("mask", [*MASKS, Generalise(step=Step.MONTH), Pseudonym(domain="people")], ids=repr)
def test_the_first_and_the_last_nanosecond_have_a_mask(mask: Mask) -> None:
    array = pa.array([-LAST - 1, LAST, -1, 0, None], pa.timestamp("ns"))
    assert len(after(array, ContentView(columns={"c": FieldView(mask=mask)}))) == 5
