"""What the wall of writes must know of a schema beyond names: where a write to one table may reach on its own."""

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

_QUOTED_OR_COMMENT = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
_REPLACES = re.compile(r"\bON\s+CONFLICT\s+REPLACE\b", re.IGNORECASE)
_DEFERS = re.compile(r"\bINITIALLY\s+DEFERRED\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaFacts:
    """Names are lower case. `followers`: tables that foreign keys tie to a table, however far. `shadows`: where
    virtual tables keep their content. `replacing`: tables whose own definition deletes rows that stand in the way.
    `defers`: some foreign key is checked at the commit only."""

    version: int
    followers: Mapping[str, frozenset[str]]
    shadows: frozenset[str]
    replacing: frozenset[str]
    defers: bool


def read_facts(connection: sqlite3.Connection) -> SchemaFacts:
    """Raises sqlite3.Error. Not behind the wall."""
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    listed = connection.execute("SELECT name, type FROM pragma_table_list WHERE schema = 'main'").fetchall()
    definitions = {
        name.lower(): _QUOTED_OR_COMMENT.sub(" ", sql or "")
        for name, sql in connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'")
    }
    parents = connection.execute(
        'SELECT l.name, k."table" FROM pragma_table_list AS l, pragma_foreign_key_list(l.name) AS k '
        "WHERE l.schema = 'main' AND l.type = 'table'"
    ).fetchall()
    children: dict[str, set[str]] = {}
    for child, parent in parents:
        children.setdefault(parent.lower(), set()).add(child.lower())
    return SchemaFacts(
        version=version,
        followers={parent: _reached(parent, children) for parent in children},
        shadows=frozenset(name.lower() for name, kind in listed if kind == "shadow"),
        replacing=frozenset(name for name, sql in definitions.items() if _REPLACES.search(sql)),
        defers=any(_DEFERS.search(sql) for sql in definitions.values()),
    )


def _reached(start: str, children: Mapping[str, set[str]]) -> frozenset[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in reached:
                reached.add(child)
                waiting.append(child)
    return frozenset(reached)
