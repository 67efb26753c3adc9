"""What is at the bottom of columns of Parquet and Arrow: every name, and every value that can be somebody's."""

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from app.objects.arrow_plain import copied, is_list, unencoded

_SAY_NOTHING = (pa.types.is_temporal, pa.types.is_boolean, pa.types.is_null)
"""A date alone is nobody's, and Python has no type for the finest and the furthest ones."""


def paths(fields: Iterable[pa.Field], above: str = "") -> Iterator[str]:
    """As data files name columns, nested ones too."""
    for each in fields:
        yield above + each.name
        yield from _within(each.type, above + each.name)


def names(fields: Iterable[pa.Field]) -> Iterator[str]:
    """Of all columns and of all fields in them, and what their metadata says."""
    for each in fields:
        yield each.name
        yield from metadata_texts(each.metadata)
        kind = unencoded(each.type)
        yield from names(kind.field(at) for at in range(kind.num_fields))


def metadata_texts(metadata: dict[bytes, bytes] | None) -> Iterator[str]:
    for name, value in (metadata or {}).items():
        yield name.decode("utf-8", "replace")
        yield value.decode("utf-8", "replace")


def leaves(array: pa.Array) -> Iterator[pa.Array]:
    """Arrays of plain values. Each value comes, perhaps several times; dates, times and truth values do not."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        yield from leaves(array.storage)
    elif pa.types.is_dictionary(kind):
        yield from leaves(array.dictionary.take(array.indices.unique()))
    elif pa.types.is_run_end_encoded(kind):
        yield from leaves(pc.run_end_decode(array))
    elif pa.types.is_struct(kind):
        for child in array.flatten():
            yield from leaves(child)
    elif pa.types.is_map(kind):
        array = copied(array)
        yield from leaves(array.keys)
        yield from leaves(array.items)
    elif pa.types.is_union(kind):
        for at in range(kind.num_fields):
            yield from leaves(array.field(at))
    elif is_list(kind):
        yield from leaves(array.flatten())
    elif not any(says_nothing(kind) for says_nothing in _SAY_NOTHING):
        yield array.unique()


def _within(kind: pa.DataType, here: str) -> Iterator[str]:
    kind = unencoded(kind)
    if pa.types.is_struct(kind):
        yield from paths([kind.field(at) for at in range(kind.num_fields)], here + ".")
    elif pa.types.is_map(kind):
        yield f"{here}.key"
        yield from _within(kind.key_type, f"{here}.key")
        yield f"{here}.value"
        yield from _within(kind.item_type, f"{here}.value")
    elif is_list(kind):
        yield f"{here}[]"
        yield from _within(kind.value_type, f"{here}[]")
