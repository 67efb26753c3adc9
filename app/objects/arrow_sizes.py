"""How many bytes values take once they are decoded, whatever an array shares with others and keeps beside its rows."""

import pyarrow as pa
import pyarrow.compute as pc

from app.objects.arrow_plain import is_list, map_entries

_OFFSET_BYTES = 4
_VIEWS = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


def size_of(batch: pa.RecordBatch) -> int:
    """Of plain columns: as much for all rows as for their parts together. What says where values are null does not
    count, since it depends on how rows were cut. Of encoded columns: about as much as is decoded of them."""
    return sum(map(_bytes, batch.columns))


def _bytes(array: pa.Array) -> int:
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return _bytes(array.storage)
    if isinstance(array, pa.DictionaryArray):
        return _times(len(array), array.dictionary)
    if isinstance(array, pa.RunEndEncodedArray):
        return _times(len(array), array.values)
    if pa.types.is_struct(kind):
        return sum(map(_bytes, array.flatten()))
    if pa.types.is_map(kind):
        return _OFFSET_BYTES * len(array) + sum(map(_bytes, map_entries(array)))
    if is_list(kind):
        return _OFFSET_BYTES * len(array) + _bytes(array.flatten())
    if kind in _VIEWS:
        return _bytes(array.cast(_VIEWS[kind]))
    if pa.types.is_null(kind) or pa.types.is_union(kind):
        return len(array)
    try:
        return int(max(kind.bit_width // 8, 1)) * len(array)
    except ValueError:
        return _OFFSET_BYTES * len(array) + (pc.sum(pc.binary_length(array)).as_py() or 0)


def _times(length: int, values: pa.Array) -> int:
    return _bytes(values) * length // max(len(values), 1)
