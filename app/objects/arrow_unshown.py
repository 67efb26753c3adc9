"""What is stored with an array although none of its values shows it: other software reads it, or whoever opens the file
as bytes."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from app.objects.arrow_plain import as_plain

_OF_TEXT = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}
_OFFSETS = {pa.binary(): pa.int32(), pa.large_binary(): pa.int64()}
_VIEW_PARTS = 4
_LONGEST_INLINE = 12
"""Bytes of a value that lies in the view itself."""


def unshown(array: pa.Array) -> Iterator[pa.Array]:
    """Values under nulls, and bytes between, before and behind the values. The array has plain values."""
    kind = array.type
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        yield from _of_bytes(_between_views(array))
        return
    kind = _OF_TEXT.get(kind, kind)
    if array.null_count:
        bare = pa.Array.from_buffers(kind, len(array), [None, *array.buffers()[1:]], 0, array.offset)
        yield as_plain(bare.filter(pc.is_null(array))).unique()
    if kind in _OFFSETS:
        yield from _of_bytes(_around(array, _OFFSETS[kind]))


def _of_bytes(pieces: Iterator[bytes]) -> Iterator[pa.Array]:
    found = [piece for piece in pieces if piece.strip(b"\0")]
    if found:
        yield pa.array(found, pa.large_binary())


def _around(array: pa.Array, offset_type: pa.DataType) -> Iterator[bytes]:
    _, offsets, data = array.buffers()
    if data is None or not data.size or offsets is None or not offsets.size:
        return
    ends = pa.Array.from_buffers(offset_type, len(array) + 1, [None, offsets], 0, array.offset)
    yield data[: ends[0].as_py()].to_pybytes()
    yield data[ends[-1].as_py() :].to_pybytes()


def _between_views(array: pa.Array) -> Iterator[bytes]:
    """What no view points to; views under nulls included, a value that lies in one as well."""
    _, views, *data = array.buffers()
    if views is None or not len(array):
        return
    parts = pa.Array.from_buffers(pa.int32(), _VIEW_PARTS * (len(array) + array.offset), [None, views])
    first = pa.arange(0, len(array)).cast(pa.int64())
    length, _, number, start = (
        parts.take(pc.add(pc.multiply(pc.add(first, array.offset), _VIEW_PARTS), part)) for part in range(_VIEW_PARTS)
    )
    for at in first.filter(pc.is_null(array)).to_pylist():
        place = 4 * _VIEW_PARTS * (at + array.offset)
        yield views[place + 4 : place + 4 + _LONGEST_INLINE].to_pybytes()
    is_shown = pc.and_(pc.greater(length, _LONGEST_INLINE), pc.is_valid(array))
    for at, buffer in enumerate(data):
        here = pc.and_(is_shown, pc.equal(number, at))
        starts, lengths = (part.filter(here).cast(pa.int64()) for part in (start, length))
        order = pc.sort_indices(starts)
        starts = starts.take(order)
        ends = pc.cumulative_max(pc.add(starts, lengths.take(order)))
        # Where the one ends, and the next begins.
        upto = pa.concat_arrays([pa.array([0], pa.int64()), ends])
        onwards = pa.concat_arrays([starts, pa.array([buffer.size], pa.int64())])
        is_gap = pc.greater(onwards, upto)
        for begin, end in zip(upto.filter(is_gap).to_pylist(), onwards.filter(is_gap).to_pylist(), strict=True):
            yield buffer[begin:end].to_pybytes()
