"""Skip, row cap and byte cap: whatever the batches, the same rows reach the sink."""

from collections.abc import Sequence
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import Limits, Stopped
from connectors.delivery import Delivery, too_large

WIDTHS = st.lists(st.integers(0, 60), max_size=120)


def delivered(
    widths: list[int], size: int, *, max_rows: int, max_bytes: int, skip: int
) -> tuple[list[Any], Delivery, int]:
    rows = [(i, "\x01" * width) for i, width in enumerate(widths)]
    seen: list[Any] = []
    largest = 0

    def sink(batch: Sequence[Sequence[Any]]) -> int:
        nonlocal largest
        assert batch
        seen.extend(batch)
        encoded = [len(orjson.dumps(row)) for row in batch]
        largest = max(largest, *encoded)
        return sum(encoded)

    limits = Limits(max_rows=max_rows, max_bytes=max_bytes, max_value_bytes=1000, timeout_s=1)
    delivery = Delivery(sink, limits, skip)
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        raw = sum(len(text) + 8 for _, text in batch)
        if not delivery.push(batch, raw, last=start + size >= len(rows)):
            break
    return seen, delivery, largest


@given(WIDTHS, st.integers(1, 50), st.integers(1, 130), st.integers(1, 4000), st.integers(0, 130))
def test_what_is_delivered_is_a_prefix_within_the_caps(
    widths: list[int], size: int, max_rows: int, max_bytes: int, skip: int
) -> None:
    seen, delivery, largest = delivered(widths, size, max_rows=max_rows, max_bytes=max_bytes, skip=skip)
    expected = [(i, "\x01" * width) for i, width in enumerate(widths)][skip:]
    assert seen == expected[: len(seen)]
    assert len(seen) <= max_rows
    assert delivery.row_count == len(seen)
    if delivery.stopped is None:
        assert seen == expected
    if delivery.stopped is Stopped.ROWS:
        assert len(seen) == max_rows < len(expected)
    if delivery.stopped is Stopped.BYTES:
        assert delivery.byte_count >= max_bytes
    assert delivery.byte_count <= max_bytes + largest


@given(WIDTHS, st.integers(1, 50), st.integers(1, 130))
def test_generous_byte_caps_never_cut(widths: list[int], size: int, max_rows: int) -> None:
    seen, delivery, _ = delivered(widths, size, max_rows=max_rows, max_bytes=10**9, skip=0)
    assert len(seen) == min(max_rows, len(widths))
    assert (delivery.stopped is Stopped.ROWS) == (len(widths) > max_rows)


def test_values_are_measured_as_their_bytes() -> None:
    fragment = orjson.Fragment(b'"' + b"x" * 20 + b'"')
    assert too_large([(1, "é" * 5)], 10) is None
    assert too_large([(1, "é" * 6)], 10) == 1
    assert too_large([(b"x" * 11,)], 10) == 0
    assert too_large([(None, 1.5, ["x" * 6, ["y" * 5]])], 10) == 2
    assert too_large([(fragment,)], 22) is None
    assert too_large([(1, 2, fragment)], 21) == 2
