"""The second wall: what SQLite itself asks before it prepares anything, whatever the guard let through."""

import sqlite3

from connectors.sqlite.functions import HARMLESS

_READABLE_MODULES = frozenset({"json_each", "json_tree"})
_INTERNAL_PREFIXES = ("sqlite_", "pragma_")


class Wall:
    """An authorizer callback. `refused` says whether it denied anything since it was last cleared.

    `modules`: names of every virtual-table module; those of the same name are engine internals (dbstat, bytecode),
    not tables of the user.
    """

    __slots__ = ("_modules", "refused")

    def __init__(self, modules: frozenset[str]) -> None:
        self._modules = modules - _READABLE_MODULES
        self.refused = False

    def __call__(self, action: int, first: str | None, second: str | None, database: str | None, _: str | None) -> int:
        if self._permits(action, first, second, database):
            return sqlite3.SQLITE_OK
        self.refused = True
        return sqlite3.SQLITE_DENY

    def _permits(self, action: int, first: str | None, second: str | None, database: str | None) -> bool:
        match action:
            case sqlite3.SQLITE_SELECT | sqlite3.SQLITE_RECURSIVE:
                return True
            case sqlite3.SQLITE_READ:
                return self._permits_read(first, second, database)
            case sqlite3.SQLITE_FUNCTION:
                return second is not None and second.lower() in HARMLESS
            case sqlite3.SQLITE_PRAGMA:
                # FTS5 asks it of its own accord while it reads; it tells nothing and changes nothing.
                return first == "data_version" and second is None
            case _:
                return False

    def _permits_read(self, table: str | None, column: str | None, database: str | None) -> bool:
        # A relation of which no column is read comes with the database as it was written: none, mostly.
        if table is None or not (database == "main" or (database is None and column == "")):
            return False
        name = table.lower()
        return not name.startswith(_INTERNAL_PREFIXES) and name not in self._modules
