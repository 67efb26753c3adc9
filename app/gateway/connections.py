"""The configured connections, and what is known of each database: its catalog, kept fresh beside the requests."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.gateway.errors import ConnectionUnavailable
from app.sql.statement import Shapes, SqlGuard
from connectors.contract import Catalog, ConnectorError, MessageConnector, ObjectConnector, SqlConnector


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """`max_value_bytes` bounds a single value, the other limits a whole answer."""

    name: str
    kind: str
    connector: SqlConnector
    guard: SqlGuard
    max_rows: int
    max_bytes: int
    max_value_bytes: int
    timeout_s: float
    shapes: Shapes | None = None
    """None: the dialect reads every new text the long way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Objects. `max_bytes`: of content in a JSON answer; `max_object_bytes`: of an object that is put, or whose content
    is masked. Raw content streams whatever its size."""

    name: str
    kind: str
    connector: ObjectConnector
    max_bytes: int
    max_object_bytes: int
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Messages. `max_bytes`: of one message's payload."""

    name: str
    kind: str
    connector: MessageConnector
    max_bytes: int
    timeout_s: float


class Catalogs:
    """One refresh per connection at a time; `changed` hears of every new version."""

    def __init__(self, connections: Mapping[str, Connection], changed: Callable[[str, Catalog], None]) -> None:
        self._connections = connections
        self._changed = changed
        self._running: dict[str, asyncio.Task[Catalog]] = {}

    async def of(self, connection: Connection) -> Catalog:
        """The catalog at hand, or the first one; raises ConnectionUnavailable."""
        known = connection.connector.catalog()
        if known is not None:
            return known
        try:
            return await self.refresh(connection)
        except ConnectorError as error:
            raise ConnectionUnavailable(
                "The database behind this connection cannot be reached right now: retry later.",
                retry_after_s=error.retry_after_s or 5,
            ) from error

    async def refresh(self, connection: Connection) -> Catalog:
        """Raises ConnectorError. A caller that leaves does not end the refresh for the others."""
        task = self._running.get(connection.name)
        if task is None:
            task = asyncio.create_task(self._read(connection))
            self._running[connection.name] = task
            task.add_done_callback(lambda done: self._finished(connection.name, done))
        return await asyncio.shield(task)

    def _finished(self, name: str, task: asyncio.Task[Catalog]) -> None:
        self._running.pop(name, None)
        if not task.cancelled():
            # A failed refresh that nobody awaits any more is no unhandled exception: the next request tries again.
            task.exception()

    async def _read(self, connection: Connection) -> Catalog:
        before = connection.connector.catalog()
        catalog = await connection.connector.refresh()
        if before is None or before.version != catalog.version:
            self._changed(connection.name, catalog)
        return catalog

    async def keep_fresh(self, every_s: float) -> None:
        """Runs until cancelled. A database that is down keeps its last catalog; its requests answer for themselves."""
        while True:
            await asyncio.gather(*(self.refresh(c) for c in self._connections.values()), return_exceptions=True)
            await asyncio.sleep(every_s)
