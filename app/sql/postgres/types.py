"""Which types a statement may name: scalars and arrays of them. Nothing that looks a name up (reg*), no row types."""

from typing import Any, Final

from app.sql.statement import Refusal, SqlRefused


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ALLOWED_TYPES: Final = _words(
    """
    bool int2 int4 int8 float4 float8 numeric money text varchar bpchar date time timetz timestamp timestamptz
    interval uuid json jsonb jsonpath bytea bit varbit inet cidr macaddr macaddr8 tsvector tsquery int4range
    int8range numrange tsrange tstzrange daterange int4multirange int8multirange nummultirange tsmultirange
    tstzmultirange datemultirange point line lseg box path polygon circle
    """
)

BUILT_IN_TYPES: Final = ALLOWED_TYPES | _words(
    """
    aclitem any anyarray anycompatible anycompatiblearray anycompatiblemultirange anycompatiblenonarray
    anycompatiblerange anyelement anyenum anymultirange anynonarray anyrange char cid cstring event_trigger
    fdw_handler gtsvector index_am_handler int2vector internal language_handler name oid oid8 oidvector record
    refcursor regclass regcollation regconfig regdatabase regdictionary regnamespace regoper regoperator regproc
    regprocedure regrole regtype table_am_handler tid trigger tsm_handler txid_snapshot unknown void xid xid8 xml
    """
)


def looks_like_type(name: str) -> bool:
    """Whether attribute notation with this name could be a cast (catalog rows and arrays are types too)."""
    return name in BUILT_IN_TYPES or name.startswith(("pg_", "_"))


def check_type(type_name: Any) -> str:
    """The allowed type's own name; raises SqlRefused for any other."""
    names = [part.string.sval for part in type_name.names]
    if len(names) == 2 and names[0] == "pg_catalog":
        del names[0]
    if (
        len(names) != 1
        or names[0] not in ALLOWED_TYPES
        or type_name.setof
        or type_name.pct_type
        or type_name.type_oid
        or any(modifier.WhichOneof("node") != "a_const" for modifier in type_name.typmods)
        or any(bound.WhichOneof("node") != "integer" for bound in type_name.array_bounds)
    ):
        shown = ".".join(names) or "?"
        raise SqlRefused(
            Refusal.TYPE,
            f"The type {shown!r} is not allowed here. Use a plain type such as text, integer, numeric or timestamptz.",
        )
    return str(names[0])
