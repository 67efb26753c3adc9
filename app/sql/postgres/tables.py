"""Which table a written name stands for. What the catalog does not hold does not exist, and always reads the same."""

from typing import Any

from app.sql.statement import Refusal, SqlRefused
from connectors.contract import Catalog, TableKey

_SYSTEM = frozenset({"pg_catalog", "information_schema"})


def resolve(schema: str, name: str, catalog: Catalog, position: int | None) -> TableKey:
    """Unqualified names: `public` first, else the only schema that has one."""
    if schema in _SYSTEM or schema.startswith(("pg_toast", "pg_temp")):
        raise _system_refused(position)
    if schema:
        if (schema, name) in catalog.tables:
            return (schema, name)
        raise _unknown(f"{schema}.{name}", position)
    if ("public", name) in catalog.tables:
        return ("public", name)
    found = [key for key in catalog.tables if key[1] == name]
    if len(found) == 1:
        return found[0]
    if not found and name.startswith("pg_"):
        raise _system_refused(position)
    raise _unknown(name, position)


def new_table(relation: Any) -> TableKey:
    """Of CREATE: `public` where no schema is written. The name gets its schema, in place."""
    if relation.catalogname or relation.relpersistence != "p":
        raise SqlRefused(Refusal.CONSTRUCT, "Temporary and unlogged tables and three-part names are not allowed.")
    if relation.schemaname in _SYSTEM or relation.schemaname.startswith("pg_"):
        raise _system_refused(None)
    relation.schemaname = relation.schemaname or "public"
    return (relation.schemaname, relation.relname)


def _unknown(shown: str, position: int | None) -> SqlRefused:
    return SqlRefused(
        Refusal.UNKNOWN_TABLE,
        f"The table {shown!r} was not found. Write schema.table, and ask the schema endpoint which tables there are.",
        position=position,
    )


def _system_refused(position: int | None) -> SqlRefused:
    return SqlRefused(
        Refusal.CATALOG,
        "System catalogs cannot be read here. Ask the schema endpoint which tables and columns there are.",
        position=position,
    )
