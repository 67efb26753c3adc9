"""The second wall for writes: one table is written, whatever the guard let through; DDL changes one object.

SQLite asks about the table that a statement names before anything that follows from it, so the first write it asks
about is the target. What triggers do comes with the trigger's name; what foreign keys and virtual tables do looks like
the statement's own doing, and is known from the schema.
"""

import sqlite3

from connectors.sqlite.functions import HARMLESS
from connectors.sqlite.schema_facts import SchemaFacts
from connectors.sqlite.wall import Wall

_ROW_CHANGES = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})
_FOLLOWING = frozenset({sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})
_DEFINITIONS = frozenset(
    {
        sqlite3.SQLITE_CREATE_TABLE,
        sqlite3.SQLITE_CREATE_INDEX,
        sqlite3.SQLITE_CREATE_VIEW,
        sqlite3.SQLITE_DROP_TABLE,
        sqlite3.SQLITE_DROP_INDEX,
        sqlite3.SQLITE_DROP_VIEW,
        sqlite3.SQLITE_ALTER_TABLE,
    }
)
_BOOKS = frozenset(
    {
        "sqlite_master",
        "sqlite_schema",
        "sqlite_temp_master",
        "sqlite_temp_schema",
        "sqlite_sequence",
        "sqlite_stat1",
        "sqlite_stat4",
    }
)
_OF_ALTER = frozenset({"sqlite_rename_test", "sqlite_rename_quotefix", "sqlite_drop_column"})
_ROW_NUMBER = "_rowid_"
"""The guard means the row's number by it: a column of that name would be something else."""


class WriteWall:
    """`own`: what the session itself runs passes. `target`: the table that the statement writes to, once
    asked about. `replaces`: refused because that table's definition would delete rows."""

    __slots__ = ("_ddl", "_facts", "_reading", "_subject", "own", "refused", "replaces", "target")

    def __init__(self, modules: frozenset[str]) -> None:
        self._reading = Wall(modules)
        self._facts: SchemaFacts | None = None
        self._ddl = False
        self.target: str | None = None
        self._subject: str | None = None
        self.own = True
        self.refused = False
        self.replaces = False

    def begin(self, facts: SchemaFacts, *, ddl: bool) -> None:
        """Before each statement: nothing is known of it."""
        self._facts = facts
        self._ddl = ddl
        self.target = self._subject = None
        self.refused = self.replaces = False

    def __call__(self, action: int, first: str | None, second: str | None, database: str | None, by: str | None) -> int:
        if self.own or self._permits(action, first, second, database, by):
            return sqlite3.SQLITE_OK
        self.refused = True
        return sqlite3.SQLITE_DENY

    def _permits(
        self, action: int, first: str | None, second: str | None, database: str | None, by: str | None
    ) -> bool:
        if action in _ROW_CHANGES:
            return self._permits_change(action, (first or "").lower(), database, by)
        if self._ddl and self._permits_definition(action, first, second):
            return True
        if action == sqlite3.SQLITE_READ and second is not None and second.lower() == _ROW_NUMBER:
            return False
        return self._reading(action, first, second, database, by) == sqlite3.SQLITE_OK

    def _permits_change(self, action: int, table: str, database: str | None, by: str | None) -> bool:
        assert self._facts is not None
        if self._ddl:
            # Dropping a table deletes its rows first, and foreign keys follow.
            return table in _BOOKS or self._follows(action, table, self._subject)
        if database != "main" or table.startswith("sqlite_"):
            return False
        if self.target is None and by is None and table not in self._facts.shadows:
            self.target = table
            self.replaces = table in self._facts.replacing and action != sqlite3.SQLITE_DELETE
            return not self.replaces
        if self.target is None:
            return False
        if by is not None or table == self.target or table in self._facts.shadows:
            return True
        return self._follows(action, table, self.target)

    def _follows(self, action: int, table: str, start: str | None) -> bool:
        if self._facts is None or start is None or action not in _FOLLOWING:
            return False
        return table == start or table in self._facts.followers.get(start, frozenset())

    def _permits_definition(self, action: int, first: str | None, second: str | None) -> bool:
        match action:
            case sqlite3.SQLITE_READ:
                return (first or "").lower() in _BOOKS
            case sqlite3.SQLITE_FUNCTION:
                name = (second or "").lower()
                return name in _OF_ALTER or name in HARMLESS
            case sqlite3.SQLITE_DROP_TRIGGER:
                # Those of a table go with it.
                return self._subject == (second or "").lower()
            case sqlite3.SQLITE_REINDEX:
                return self._subject == (first or "").lower()
            case _ if action in _DEFINITIONS:
                subject = ((second if action == sqlite3.SQLITE_ALTER_TABLE else first) or "").lower()
                if self._subject is None and not subject.startswith("sqlite_"):
                    self._subject = subject
                # The first table with AUTOINCREMENT brings the engine's own book of numbers with it.
                return subject in (self._subject, "sqlite_sequence") and self._subject is not None
            case _:
                return False
