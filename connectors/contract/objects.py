"""What an object connector promises: named byte sequences in one bucket or below one root.

Keys are the gateway's normalised form: relative, "/" between segments, no empty, "." or ".." segment, no control
character, NFC. A connector that cannot hold a key raises NOT_FOUND (reading) or REFUSED_BY_WALL (writing).
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from connectors.contract.shared import ConnectorConfig, Family, Finding

CHUNK_BYTES = 2 * 1024 * 1024
"""The most that one chunk of a stream holds. Each is a hop between threads; halves cost a tenth of the throughput."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """`etag`: opaque, without quotes, another one whenever the bytes are others. `last_modified`: RFC 3339, UTC.
    `version`: of a bucket that keeps versions. `content_encoding`: what the bytes were packed with, as the store keeps
    it beside the type of what is inside."""

    key: str
    size: int
    etag: str
    last_modified: str
    content_type: str | None = None
    version: str | None = None
    content_encoding: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPage:
    """`objects` and `prefixes` together are at most `limit` names. `more`: names follow after the last one of both."""

    objects: tuple[ObjectInfo, ...]
    prefixes: tuple[str, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRead:
    """`chunks` gives every byte that was asked for, in order, or raises ConnectorError: it never ends early in
    silence. `info` is of the very object that the chunks come from."""

    info: ObjectInfo
    chunks: AsyncIterator[bytes]


@runtime_checkable
class ObjectConnector(Protocol):
    """Lifetime: `open` once, `close` once; `open` succeeds with the store away.

    Failures: NOT_FOUND, CHANGED, UNAVAILABLE, TIMEOUT, OUT_OF_RESOURCES (the store or disk is full), REFUSED_BY_WALL
    (the store's own access control, a symlink that leads out), OUTCOME_UNKNOWN (a put or delete may have happened),
    STATEMENT with INVALID_VALUE (a body of another size than was said).
    """

    family: Family

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def list(self, prefix: str, *, after: str, limit: int, shallow: bool) -> ObjectPage:
        """Names that begin with `prefix` and come behind `after` ("": from the start), by their UTF-8 bytes.
        `shallow`: names that have a "/" behind the prefix are folded into one prefix that ends with it; `after` may be
        such a prefix and then everything below it is skipped. Objects carry size, etag and last_modified; their
        content type may be None here."""

    async def head(self, key: str) -> ObjectInfo: ...

    def read(
        self, key: str, *, first: int = 0, count: int | None = None, etag: str | None = None
    ) -> AbstractAsyncContextManager[ObjectRead]:
        """The bytes from `first` on, `count` of them (None: to the end); behind the end there are none. `etag`: of
        exactly this object, else CHANGED. Leaving the context early closes the stream. The bytes are of one state of
        the object: if it changes meanwhile they are of the old one, or CHANGED is raised."""

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
        """Atomic: readers see the old object or all of the new one. `size` bytes come from `body`; fewer or more, or an
        exception of `body`, and nothing is changed. `if_match`: only over the object with this etag; `if_absent`: only
        where there is none; else CHANGED. Private, never with an access list of its own. What is being committed
        outlives a cancellation, so that CancelledError means that nothing was changed; `delete` likewise."""

    async def delete(self, key: str, *, if_match: str | None = None) -> None:
        """NOT_FOUND when there is none. CHANGED when it has another etag."""

    async def probe(self) -> tuple[Finding, ...]:
        """Reachability ("reachable"), and what is unsafe about how it is reached or shared."""


class ObjectConnectorFactory(Protocol):
    """The object that an entry point of group "douane.connectors" names."""

    kind: str
    family: Family

    def __call__(self, config: ConnectorConfig) -> ObjectConnector: ...
