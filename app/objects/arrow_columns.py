"""Columns of Parquet and Arrow under masks, nested ones by path. A mask keeps the type of its column or gives null.

Everything that comes out is built anew: nothing lies under a null, no dictionary holds a value that no row has, no
metadata comes along.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.masking.masks import Constant, Generalise, Hide, Mask, Null, Redact, Step
from app.masking.values import Kind, Redactor, masker
from app.objects.arrow_masks import array_keeper, text_array_masker
from app.objects.arrow_plain import (
    as_list,
    as_map,
    as_plain,
    as_struct,
    decoded,
    is_list,
    list_type,
    map_entries,
    plain,
    struct_type,
    unencoded,
    without_entries,
)
from app.objects.column_names import ColumnViews
from app.objects.refusal import ContentFault, ContentRefused
from app.objects.repeating import over_columns
from app.policy.content import FieldView

_RAW = FieldView()
_NOTHING = FieldView(mask=Null())
_NO_TEXT = (Kind.BOOLEAN, Kind.DATE, Kind.TIMESTAMP, Kind.ZONED, Kind.OTHER)
"""Nobody is found in these."""
_GONE = FieldView(mask=Hide())
ArrayMask = Callable[[pa.Array], pa.Array]


def _goes_through(mask: Mask | None) -> bool:
    return isinstance(mask, Redact) and mask.keep_others


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`type`: of what comes. `labels`: of what is masked in it. `render` takes an array of the type that is read; with
    `blind`, all that it takes of it is its length."""

    name: str
    type: pa.DataType
    labels: frozenset[str]
    render: ArrayMask
    blind: bool = False


class Columns:
    """`read`: positions of the columns that have to be read; `schema`: of what comes."""

    def __init__(
        self, schema: pa.Schema, views: ColumnViews, default: FieldView, keys: Mapping[str, bytes], redact: Redactor
    ) -> None:
        """Raises ContentRefused for a type that can neither be masked nor copied safely."""
        self._views = views
        self._default = default
        self._keys = keys
        self._redact = redact
        columns = [self._column(field.name, field.name, field.type, default) for field in schema]
        self._shown = [(at, column) for at, column in enumerate(columns) if column is not None]
        # One column at least is read, for the number of rows.
        self.read = [at for at, column in self._shown if not column.blind] or list(range(len(schema)))[:1]
        self._at = {place: number for number, place in enumerate(self.read)}
        self.labels = tuple(sorted(frozenset[str]().union(*(column.labels for _, column in self._shown))))
        self.schema = pa.schema([pa.field(column.name, column.type) for _, column in self._shown])

    def render(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """`batch` holds the columns of `read`, in that order."""
        arrays = [column.render(batch.column(self._at.get(at, 0))) for at, column in self._shown]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _column(self, name: str, path: str, kind: pa.DataType, inherited: FieldView) -> Column | None:
        """None: it is left out."""
        named = self._views.of(path)
        view = inherited if named is None else named
        inner = inherited
        if named is not None:
            inner = _RAW if named.mask is None else _GONE if isinstance(named.mask, Hide) else _NOTHING
        if _goes_through(view.mask):
            inner = view
        held = unencoded(kind)
        through = view.mask is None or _goes_through(view.mask)
        if pa.types.is_nested(held) and (through or self._views.goes_on(path)):
            return self._nested(name, path, held, inner)
        if isinstance(view.mask, Hide):
            return None
        return self._leaf(name, plain(held), view)

    def _leaf(self, name: str, kind: pa.DataType, view: FieldView) -> Column:
        if view.mask is None or (_goes_through(view.mask) and _kind(kind) in _NO_TEXT):
            return Column(name=name, type=kind, labels=frozenset(), render=as_plain)
        render, blind = self._mask(view.mask, kind)
        labels = frozenset((view.label,)) if view.label else frozenset[str]()
        return Column(name=name, type=kind, labels=labels, render=render, blind=blind)

    def _mask(self, mask: Mask, kind: pa.DataType) -> tuple[ArrayMask, bool]:
        column_kind = _kind(kind)
        if isinstance(mask, Null | Hide) or column_kind is Kind.OTHER:
            return lambda array: pa.nulls(len(array), kind), True
        if _goes_through(mask) and column_kind is not Kind.TEXT:
            kept = array_keeper(mask, self._redact)
            return lambda array: kept(as_plain(array)), False
        each = masker(mask, self._keys, self._redact, column_kind)
        if isinstance(mask, Constant):
            constant = _of_type([each("")], kind)
            return lambda array: pa.repeat(constant[0], len(array)), True
        if column_kind is not Kind.TEXT or (isinstance(mask, Generalise) and mask.step is Step.BUCKET):
            many = over_columns(mask, each)
            return lambda array: _of_type(many(_values(as_plain(array))), kind), False
        texts = text_array_masker(mask, self._keys, self._redact)
        return lambda array: texts(as_plain(array)), False

    def _nested(self, name: str, path: str, kind: pa.DataType, inner: FieldView) -> Column | None:
        if pa.types.is_struct(kind):
            return self._struct(name, path, kind, inner)
        if is_list(kind):
            return self._list(name, path, kind, inner)
        if pa.types.is_map(kind):
            return self._map(name, path, kind, inner)
        raise _unknown_type()

    def _struct(self, name: str, path: str, kind: pa.DataType, inner: FieldView) -> Column | None:
        fields = [self._column(one.name, f"{path}.{one.name}", one.type, inner) for one in kind]
        shown = [(at, one) for at, one in enumerate(fields) if one is not None]
        if not shown:
            return None
        struct = struct_type([(one.name, one.type) for _, one in shown])

        def render(array: pa.Array) -> pa.Array:
            array = decoded(array)
            # Flattening puts null where the struct itself is null.
            children = array.flatten()
            return as_struct(array, [one.render(children[at]) for at, one in shown], struct)

        return Column(
            name=name, type=struct, labels=frozenset().union(*(one.labels for _, one in shown)), render=render
        )

    def _list(self, name: str, path: str, kind: pa.DataType, inner: FieldView) -> Column | None:
        items = self._column("item", f"{path}[]", kind.value_type, inner)
        if items is None:
            return None
        listed = list_type(kind, items.type)

        def render(array: pa.Array) -> pa.Array:
            array = decoded(array)
            return as_list(array, items.render(array.flatten()), listed)

        return Column(name=name, type=listed, labels=items.labels, render=render)

    def _map(self, name: str, path: str, kind: pa.DataType, inner: FieldView) -> Column | None:
        """Comes whole or as null: its keys are values, and a map without one of its keys is none."""
        keys = self._column("key", f"{path}.key", kind.key_type, inner)
        items = self._column("value", f"{path}.value", kind.item_type, inner)
        if keys is None or items is None:
            return None
        key_view = self._views.of(f"{path}.key") or inner
        if key_view.mask is not None and not _goes_through(key_view.mask):
            nothing = self._leaf(name, plain(kind), _NOTHING)
            return replace(nothing, labels=keys.labels | items.labels)
        mapped = pa.map_(keys.type, items.type)

        def render(array: pa.Array) -> pa.Array:
            array = decoded(array)
            of_keys, of_items = map_entries(array)
            shown_keys = keys.render(of_keys)
            if shown_keys.null_count:
                array = without_entries(array, pc.is_null(shown_keys))
                of_keys, of_items = map_entries(array)
                shown_keys = keys.render(of_keys)
            return as_map(array, shown_keys, items.render(of_items), mapped)

        return Column(name=name, type=mapped, labels=items.labels, render=render)


def _unknown_type() -> ContentRefused:
    return ContentRefused(
        ContentFault.UNKNOWN_TYPE, "A column has a type that is not rendered under masks. Store it as a plain type."
    )


def _values(array: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(array.type) and array.type.unit == "ns":
        # Python's times hold no finer part, and masks none that is finer than a day.
        array = _microseconds(array.cast(pa.int64())).cast(pa.timestamp("us", array.type.tz))
    try:
        return array.to_pylist()  # type: ignore[no-any-return]
    except (ValueError, OverflowError):
        return [_value(scalar) for scalar in array]


def _microseconds(nanoseconds: pa.Array) -> pa.Array:
    """Rounded down; Arrow's own way overflows at the ends of the calendar."""
    towards_zero = pc.divide(nanoseconds, 1_000)
    is_above = pc.greater(pc.multiply(towards_zero, 1_000), nanoseconds)
    return pc.subtract(towards_zero, is_above.cast(pa.int64()))


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        # Beyond Python's calendar, where no mask has a meaning.
        return None


def _of_type(values: Iterable[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, pa.ArrowNotImplementedError):
        return pa.array([_fitting(value, kind) for value in values], kind)


def _fitting(value: Any, kind: pa.DataType) -> Any:
    try:
        pa.scalar(value, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, pa.ArrowNotImplementedError):
        return None
    return value


def _kind(kind: pa.DataType) -> Kind:
    for is_one, found in _KINDS:
        if is_one(kind):
            return found
    if pa.types.is_timestamp(kind):
        return Kind.TIMESTAMP if kind.tz is None else Kind.ZONED
    return Kind.OTHER


_KINDS: tuple[tuple[Callable[[pa.DataType], bool], Kind], ...] = (
    (pa.types.is_string, Kind.TEXT),
    (pa.types.is_large_string, Kind.TEXT),
    (pa.types.is_boolean, Kind.BOOLEAN),
    (pa.types.is_int8, Kind.SMALLINT),
    (pa.types.is_uint8, Kind.SMALLINT),
    (pa.types.is_int16, Kind.SMALLINT),
    (pa.types.is_uint16, Kind.INTEGER),
    (pa.types.is_int32, Kind.INTEGER),
    (pa.types.is_uint32, Kind.BIGINT),
    (pa.types.is_int64, Kind.BIGINT),
    (pa.types.is_uint64, Kind.BIGINT),
    (pa.types.is_floating, Kind.FLOAT),
    (pa.types.is_decimal, Kind.NUMERIC),
    (pa.types.is_date, Kind.DATE),
    (pa.types.is_binary, Kind.BINARY),
    (pa.types.is_large_binary, Kind.BINARY),
    (pa.types.is_fixed_size_binary, Kind.BINARY),
)
