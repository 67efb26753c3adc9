"""Which tables a text can be talking of: all that a large database needs to show for one statement.

A name stands in a text word by word, however it is quoted or cased. A table that is missed (an escaped spelling) does
not exist for that statement: the error is on the safe side.
"""

import re
from collections.abc import Iterable

from connectors.contract import Catalog, Table, TableKey

_WORD = re.compile(r"\w+")


class Mentions:
    """Built once per catalog: every table under the longest word of its name and of its indexes' names."""

    def __init__(self, catalog: Catalog) -> None:
        self.version = catalog.version
        self._always: list[TableKey] = []
        self._by_word: dict[str, list[TableKey]] = {}
        for table in catalog.tables.values():
            for name in _names(table):
                words = _WORD.findall(name.casefold())
                place = self._by_word.setdefault(max(words, key=len), []) if words else self._always
                place.append(table.key)

    def within(self, text: str) -> tuple[TableKey, ...]:
        found = set(self._always)
        for word in set(_WORD.findall(text.casefold())):
            found.update(self._by_word.get(word, ()))
        return tuple(sorted(found))


def _names(table: Table) -> Iterable[str]:
    yield table.name
    # DROP INDEX names the index alone.
    yield from (index.name for index in table.indexes)
