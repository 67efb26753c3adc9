"""Lenses made once and kept: whole ones for descriptions, and of large databases just what a statement can mean."""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass

from app.gateway.lens import Lens, lens
from app.gateway.lru import Lru
from app.gateway.mentions import Mentions
from app.policy.caller import Caller
from app.policy.decision import Context
from app.policy.snapshot import PolicySnapshot
from connectors.contract import Catalog, TableKey

INLINE_TABLES = 40
"""More tables than these are looked at in a thread, one lens at a time."""
MAX_LENSES = 1_024
MAX_TABLES = 25_000
"""In all lenses together; a table of twenty columns takes about 2.5 KB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Who looks at what. `key` names everything a lens depends on; `context` holds the values of volatile names and
    the caller's own."""

    key: Hashable
    connection: str
    caller: Caller
    snapshot: PolicySnapshot
    catalog: Catalog
    context: Context
    unmask: tuple[str, ...]


class Lenses:
    def __init__(self) -> None:
        self._kept: Lru[Hashable, Lens] = Lru(MAX_LENSES, MAX_TABLES)
        self._mentions: dict[str, Mentions] = {}
        self._alone = asyncio.Lock()

    async def whole(self, look: Look) -> Lens:
        return await self._made(look, None, len(look.catalog.tables))

    async def around(self, look: Look, text: str) -> Lens:
        """Enough of the database to read `text`."""
        if len(look.catalog.tables) <= INLINE_TABLES:
            return await self.whole(look)
        mentions = self._mentions.get(look.connection)
        if mentions is None or mentions.version != look.catalog.version:
            mentions = await asyncio.to_thread(Mentions, look.catalog)
            self._mentions[look.connection] = mentions
        only = mentions.within(text)
        return await self._made(look, only, len(only))

    async def _made(self, look: Look, only: tuple[TableKey, ...] | None, size: int) -> Lens:
        key = (look.key, only)
        known = self._kept.get(key)
        if known is not None:
            return known
        if size <= INLINE_TABLES:
            made = _lens(look, only)
        else:
            async with self._alone:
                again = self._kept.get(key)
                made = await asyncio.to_thread(_lens, look, only) if again is None else again
        self._kept.put(key, made, len(made.views))
        return made


def _lens(look: Look, only: tuple[TableKey, ...] | None) -> Lens:
    return lens(
        look.snapshot,
        look.caller,
        look.connection,
        look.catalog,
        look.context,
        look.unmask,
        repr((look.key, only)),
        only,
    )
