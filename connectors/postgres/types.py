"""What each type OID of one database is called and how its values travel; learned once, shared by all sessions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.postgres.values import codec_of

BUILTIN_BELOW = 16_384
_VECTORS = frozenset({22, 30})
"""int2vector and oidvector look like arrays in pg_type and read like text."""

DESCRIBE = """
SELECT t.oid, pg_catalog.format_type(t.oid, NULL), t.typtype::text, t.typcategory::text, t.typlen::int4,
       t.typelem, t.typdelim::text, t.typbasetype
FROM pg_catalog.pg_type AS t
WHERE t.oid < 16384 AND $2::bool OR t.oid = ANY ($1::oid[])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeInfo:
    oid: int
    name: str
    element: int
    """OID of the element type of an array, else 0."""
    delimiter: str
    base: int
    """OID of the type under a domain, else 0."""


def _info(row: Sequence[Any]) -> TypeInfo:
    oid, name, kind, category, length, element, delimiter, base = row
    is_array = category == "A" and length == -1 and element != 0 and oid not in _VECTORS
    return TypeInfo(
        oid=oid, name=name, element=element if is_array else 0, delimiter=delimiter, base=base if kind == "d" else 0
    )


class TypeCache:
    def __init__(self) -> None:
        self._known: dict[int, TypeInfo] = {}

    @property
    def empty(self) -> bool:
        return not self._known

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        for row in rows:
            info = _info(row)
            self._known[info.oid] = info

    def unknown(self, oids: Iterable[int]) -> list[int]:
        """Those of the types, and of what they are made of, that were never described."""
        wanted = {part for oid in oids for part in self._parts(oid)}
        return sorted(wanted - self._known.keys())

    def _parts(self, oid: int) -> tuple[int, ...]:
        info = self._known.get(oid)
        if info is None:
            return (oid,)
        inner = info.element or info.base
        return (oid, *self._parts(inner)) if inner else (oid,)

    def name(self, oid: int) -> str:
        info = self._known.get(oid)
        return "" if info is None else info.name

    def register_builtin(self, settings: Any) -> None:
        """The codecs of every built-in scalar, on a new session: no round trip."""
        for oid, info in self._known.items():
            if oid < BUILTIN_BELOW and not info.element and not info.base:
                _register_scalar(settings, oid, info.name)

    def register(self, settings: Any, oids: Iterable[int]) -> None:
        """The codecs of these types: scalars first, because each registration drops what is derived from others."""
        wanted = {part for oid in oids for part in self._parts(oid)}
        derived = []
        for oid in sorted(wanted):
            info = self._known.get(oid)
            if info is not None and (info.element or info.base):
                derived.append(info)
            elif oid >= BUILTIN_BELOW or info is None:
                _register_scalar(settings, oid, self.name(oid))
        for info in sorted(derived, key=lambda i: len(self._parts(i.oid))):
            settings.register_data_types([self._derived(info)])

    def _derived(self, info: TypeInfo) -> dict[str, Any]:
        """In the form of a row of asyncpg's own introspection."""
        return {
            "oid": info.oid,
            "ns": "",
            "name": info.name,
            "kind": b"d" if info.base else b"b",
            "basetype": info.base,
            "basetype_name": self.name(info.base),
            "elemtype": info.element,
            "elemtype_name": self.name(info.element),
            "elemdelim": info.delimiter,
            "range_subtype": 0,
            "attrtypoids": None,
            "attrnames": None,
        }


def _register_scalar(settings: Any, oid: int, name: str) -> None:
    codec = codec_of(oid)
    if codec is not None:
        encode, decode = codec
        settings.add_python_codec(oid, name or "unknown", "", [], "scalar", encode, decode, "text")
