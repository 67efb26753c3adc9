"""Files below one folder behind the contract of object connectors."""

import contextlib
import functools
import os
from collections.abc import AsyncIterator

from connectors.contract import (
    CHUNK_BYTES,
    ConnectorConfig,
    ConnectorError,
    Family,
    Finding,
    ObjectInfo,
    ObjectPage,
    ObjectRead,
)
from connectors.filesystem.incoming import sweep
from connectors.filesystem.listing import page_of
from connectors.filesystem.probing import probe_root
from connectors.filesystem.reading import OpenFile
from connectors.filesystem.storing import Condition, Staged, delete_file
from connectors.filesystem.tree import info_of, open_file
from connectors.object_streams import blocks, streamed
from connectors.threads import Threads


class FilesystemConnector:
    family = Family.OBJECTS

    def __init__(self, config: ConnectorConfig) -> None:
        self._root = os.fspath(config.options["root"])
        self._timeout_s = config.timeout_s
        self._threads = Threads("douane-filesystem", max(1, config.pool_max))

    async def open(self) -> None:
        with contextlib.suppress(ConnectorError, OSError):
            # A root that is away, or read-only, is found out by whoever wants something of it.
            await self._threads.run(functools.partial(sweep, self._root), timeout_s=self._timeout_s)

    async def close(self) -> None:
        await self._threads.close()

    async def list(self, prefix: str, *, after: str, limit: int, shallow: bool) -> ObjectPage:
        page = functools.partial(page_of, self._root, prefix, after=after, limit=limit, shallow=shallow)
        return await self._threads.run(page, timeout_s=self._timeout_s)

    async def head(self, key: str) -> ObjectInfo:
        return await self._threads.run(functools.partial(_head, self._root, key), timeout_s=self._timeout_s)

    @contextlib.asynccontextmanager
    async def read(
        self, key: str, *, first: int = 0, count: int | None = None, etag: str | None = None
    ) -> AsyncIterator[ObjectRead]:
        opening = functools.partial(OpenFile, self._root, key, first=first, count=count, etag=etag)
        file = await self._threads.run(opening, timeout_s=self._timeout_s, undo=OpenFile.close)
        async with streamed(self._threads, file.chunk, file.close, timeout_s=self._timeout_s) as chunks:
            yield ObjectRead(info=file.info, chunks=chunks)

    async def put(
        self,
        key: str,
        body: AsyncIterator[bytes],
        *,
        size: int,
        content_type: str,
        if_match: str | None = None,
        if_absent: bool = False,
    ) -> ObjectInfo:
        """`content_type` is not kept: what a file is, its name says."""
        staging = functools.partial(Staged, self._root, key)
        staged = await self._threads.run(staging, timeout_s=self._timeout_s, undo=Staged.discard)
        try:
            async for block in blocks(body, size=size, block_bytes=CHUNK_BYTES):
                await self._threads.step(functools.partial(staged.write, block), timeout_s=self._timeout_s)
            committing = functools.partial(staged.commit, Condition(if_match=if_match, if_absent=if_absent))
            info = await self._threads.finish(committing, timeout_s=self._timeout_s)
        except BaseException:
            with contextlib.suppress(ConnectorError):
                # A file that cannot be removed now is swept when a connector opens; what went wrong first is told.
                await self._threads.finish(staged.discard, timeout_s=self._timeout_s)
            raise
        self._threads.later(staged.discard)
        return info

    async def delete(self, key: str, *, if_match: str | None = None) -> None:
        deleting = functools.partial(delete_file, self._root, key, if_match)
        await self._threads.finish(deleting, timeout_s=self._timeout_s)

    async def probe(self) -> tuple[Finding, ...]:
        return await self._threads.run(functools.partial(probe_root, self._root), timeout_s=self._timeout_s)


def _head(root: str, key: str) -> ObjectInfo:
    descriptor, seen = open_file(root, key)
    os.close(descriptor)
    return info_of(key, seen)
