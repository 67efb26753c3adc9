"""What is at the bottom of columns of Parquet and Arrow: every name, and every value that can be somebody's."""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from app.objects.arrow_plain import as_plain, is_list, unencoded
from app.objects.arrow_unshown import unshown

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


class Leaves:
    """Finds all values that are stored with columns, in batches of one schema."""

    def __init__(self) -> None:
        self._dictionaries: dict[str, pa.Array] = {}

    def of(self, batch: pa.RecordBatch) -> Iterator[pa.Array]:
        """Arrays of plain values. Each value comes, perhaps several times, also those that no row shows: entries of a
        dictionary that none uses, what lies under a null, before and behind. Dates, times and truth values do not."""
        for at, column in enumerate(batch.columns):
            yield from self._of(column, str(at))

    def _of(self, array: pa.Array, place: str) -> Iterator[pa.Array]:
        kind = array.type
        if isinstance(array, pa.ExtensionArray):
            yield from self._of(array.storage, place)
        elif pa.types.is_dictionary(kind):
            known = self._dictionaries.get(place)
            if known is None or not known.equals(array.dictionary):
                # Often every batch has the same one.
                self._dictionaries[place] = array.dictionary
                yield from self._of(array.dictionary, f"{place}d")
        elif pa.types.is_run_end_encoded(kind):
            yield from self._of(array.values, f"{place}r")
        elif pa.types.is_struct(kind) or pa.types.is_union(kind):
            for at in range(kind.num_fields):
                yield from self._of(array.field(at), f"{place}.{at}")
        elif pa.types.is_map(kind):
            yield from self._of(array.keys, f"{place}k")
            yield from self._of(array.items, f"{place}v")
        elif is_list(kind):
            yield from self._of(array.values, f"{place}[]")
        elif not any(says_nothing(kind) for says_nothing in _SAY_NOTHING):
            yield as_plain(array).unique()
            yield from unshown(array)


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
