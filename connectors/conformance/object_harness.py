"""What an object connector's own tests give to the suite, and the small tools that the suite and such tests share."""

import contextlib
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Protocol

from connectors.contract import (
    CHUNK_BYTES,
    ConnectorConfig,
    ConnectorError,
    Failure,
    ObjectConnector,
    ObjectConnectorFactory,
    ObjectInfo,
    ObjectPage,
)

MIB = 1024 * 1024


class ObjectHarness(Protocol):
    """One bucket or folder of the connector's kind, empty when a test begins."""

    factory: ObjectConnectorFactory
    keeps_content_types: bool
    sorts_by_bytes: bool
    """False: of a store that sorts folder by folder; then names may come twice, and pages start behind names alone."""

    def config(self, pool_max: int = 4) -> ConnectorConfig: ...

    def config_of_nothing(self) -> ConnectorConfig:
        """Of a store that is not there."""

    async def unfinished(self) -> int:
        """What puts that ended without an object have left behind, whatever it is."""


@contextlib.asynccontextmanager
async def opened(harness: ObjectHarness, pool_max: int = 4) -> AsyncIterator[ObjectConnector]:
    connector = harness.factory(harness.config(pool_max))
    await connector.open()
    try:
        yield connector
    finally:
        await connector.close()


async def refused(call: Awaitable[Any]) -> ConnectorError:
    """The error that the call ends with."""
    try:
        await call
    except ConnectorError as e:
        return e
    raise AssertionError("not refused")


async def came_first(call: Awaitable[Any]) -> bool:
    """False: somebody else changed the object before. Any other error is raised."""
    try:
        await call
    except ConnectorError as e:
        if e.failure is not Failure.CHANGED:
            raise
        return False
    return True


async def sent(data: bytes, chunk_bytes: int = CHUNK_BYTES) -> AsyncIterator[bytes]:
    for place in range(0, len(data), chunk_bytes):
        yield data[place : place + chunk_bytes]


async def stored(
    connector: ObjectConnector, key: str, data: bytes, content_type: str = "text/plain", **conditions: Any
) -> ObjectInfo:
    return await connector.put(key, sent(data), size=len(data), content_type=content_type, **conditions)


async def fetched(connector: ObjectConnector, key: str, **options: Any) -> bytes:
    async with connector.read(key, **options) as reading:
        return b"".join([chunk async for chunk in reading.chunks])


async def keys_of(connector: ObjectConnector, prefix: str = "", *, limit: int = 1_000) -> list[str]:
    """Every key, page by page."""
    return [name for page in await pages_of(connector, prefix, limit=limit) for name in names_of(page)]


async def pages_of(
    connector: ObjectConnector, prefix: str = "", *, limit: int = 1_000, shallow: bool = False
) -> list[ObjectPage]:
    pages: list[ObjectPage] = []
    after = ""
    while True:
        page = await connector.list(prefix, after=after, limit=limit, shallow=shallow)
        pages.append(page)
        if not page.more:
            return pages
        after = names_of(page)[-1]


def names_of(page: ObjectPage) -> list[str]:
    """Objects of a page in the order they came; prefixes among them where both are there."""
    keys = [found.key for found in page.objects]
    return sorted([*keys, *page.prefixes], key=str.encode) if page.prefixes else keys


class LargeBody:
    """Repeatable bytes of any size that never stand in memory at once."""

    def __init__(self, size: int, seed: int = 0) -> None:
        self.size = size
        self._block = random.Random(seed).randbytes(CHUNK_BYTES)  # noqa: S311 - test data
        self.digest = hashlib.sha256()

    async def chunks(self) -> AsyncIterator[bytes]:
        left = self.size
        while left:
            part = self._block[: min(left, CHUNK_BYTES)]
            self.digest.update(part)
            left -= len(part)
            yield part

    async def put_into(self, connector: ObjectConnector, key: str, **conditions: Any) -> ObjectInfo:
        return await connector.put(key, self.chunks(), size=self.size, content_type="text/plain", **conditions)
