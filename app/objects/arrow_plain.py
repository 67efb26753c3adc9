"""Arrays as their values alone, with no encoding, no name of an application and no metadata at any depth.

Nested arrays are built anew from their inner ones, without what lies under a null.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

_LONG_LISTS = (pa.types.is_large_list, pa.types.is_large_list_view)
_LISTS = (pa.types.is_list, pa.types.is_fixed_size_list, pa.types.is_list_view, *_LONG_LISTS)


def unencoded(kind: pa.DataType) -> pa.DataType:
    """What the values have as their type; what is inside of them stays as it is."""
    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
            kind = kind.value_type
        else:
            return kind


def is_list(kind: pa.DataType) -> bool:
    """Of any layout; a map is none."""
    return any(is_one(kind) for is_one in _LISTS)


def is_long_list(kind: pa.DataType) -> bool:
    return any(is_one(kind) for is_one in _LONG_LISTS)


def plain(kind: pa.DataType) -> pa.DataType:
    """The type of what comes of such an array. Everything in it may be null. A union has no plain values: null."""
    kind = unencoded(kind)
    if pa.types.is_struct(kind):
        return struct_type([(field.name, plain(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(plain(kind.key_type), plain(kind.item_type))
    if is_list(kind):
        return list_type(kind, plain(kind.value_type))
    if pa.types.is_union(kind):
        return pa.null()
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_decimal32(kind) or pa.types.is_decimal64(kind):
        return pa.decimal128(kind.precision, kind.scale)
    return kind


def struct_type(fields: Sequence[tuple[str, pa.DataType]]) -> pa.DataType:
    return pa.struct([pa.field(name, kind) for name, kind in fields])


def list_type(like: pa.DataType, items: pa.DataType) -> pa.DataType:
    return pa.large_list(items) if is_long_list(like) else pa.list_(items)


def as_plain(array: pa.Array) -> pa.Array:
    """The same values as an array of the type that `plain` says."""
    array = decoded(array)
    kind = plain(array.type)
    if pa.types.is_struct(array.type):
        return as_struct(array, [as_plain(child) for child in array.flatten()], kind)
    if pa.types.is_map(array.type):
        keys, items = map_entries(array)
        return as_map(array, as_plain(keys), as_plain(items), kind)
    if is_list(array.type):
        return as_list(array, as_plain(array.flatten()), kind)
    if pa.types.is_union(array.type):
        return pa.nulls(len(array), kind)
    return array if array.type == kind else array.cast(kind)


def decoded(array: pa.Array) -> pa.Array:
    """The array in the type that `unencoded` says, or in the plain one."""
    while True:
        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        elif isinstance(array, pa.DictionaryArray):
            array = as_plain(array.dictionary).take(array.indices)
        elif isinstance(array, pa.RunEndEncodedArray):
            array = _runs(array)
        else:
            return array


def _runs(array: pa.RunEndEncodedArray) -> pa.Array:
    """Numbers of the runs are decoded, because not every type of values can be."""
    values = as_plain(array.values)
    if not len(array):
        return values.slice(0, 0)
    runs = pa.RunEndEncodedArray.from_arrays(array.run_ends, pa.arange(0, len(values)))
    return values.take(pc.run_end_decode(runs.slice(array.offset, len(array))))


def copied(array: pa.Array) -> pa.Array:
    """Nothing lies under a null, nothing before and behind the values: a copy by position writes zeros there. The array
    is a plain one."""
    return array.take(pa.arange(0, len(array)))


def map_entries(array: pa.MapArray) -> tuple[pa.Array, pa.Array]:
    """Keys and values of all maps but of those that are null."""
    entries = array.cast(_as_list(array.type)).flatten()
    keys, items = entries.flatten()
    return keys, items


def without_entries(array: pa.MapArray, gone: pa.Array) -> pa.MapArray:
    """A map that holds an entry which is gone is null. `gone`: of all entries, as `map_entries` gives them."""
    array = as_plain(array)
    maps = pc.list_parent_indices(as_list(array.cast(_as_list(array.type)), gone, pa.list_(pa.bool_())))
    at = pa.arange(0, len(array))
    return array.take(pc.if_else(pc.is_in(at, value_set=maps.filter(gone).cast(at.type)), None, at))


def _as_list(kind: pa.MapType) -> pa.DataType:
    return pa.list_(pa.struct([kind.key_field, kind.item_field]))


def as_struct(array: pa.StructArray, children: Sequence[pa.Array], kind: pa.DataType) -> pa.Array:
    return pa.StructArray.from_arrays(children, fields=list(kind), mask=pc.is_null(array))


def as_list(array: pa.Array, values: pa.Array, kind: pa.DataType) -> pa.Array:
    """`values`: of all lists but of those that are null."""
    made = pa.LargeListArray if pa.types.is_large_list(kind) else pa.ListArray
    return made.from_arrays(_offsets(array, kind), values, type=kind, mask=pc.is_null(array))


def as_map(array: pa.MapArray, keys: pa.Array, items: pa.Array, kind: pa.DataType) -> pa.Array:
    offsets = _offsets(array.cast(_as_list(array.type)), kind)
    return pa.MapArray.from_arrays(offsets, keys, items, type=kind, mask=pc.is_null(array))


def _offsets(array: pa.Array, kind: pa.DataType) -> pa.Array:
    lengths = pc.fill_null(pc.list_value_length(array), 0)
    offset_type = pa.int64() if pa.types.is_large_list(kind) else pa.int32()
    ends = pc.cumulative_sum(lengths.cast(offset_type))
    return pa.concat_arrays([pa.array([0], offset_type), ends])
