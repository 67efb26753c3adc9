"""A bucket behind the contract of object connectors."""

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from connectors.contract import (
    ConnectorConfig,
    ConnectorError,
    Failure,
    Family,
    Finding,
    ObjectInfo,
    ObjectPage,
    ObjectRead,
)
from connectors.object_keys import is_key
from connectors.object_streams import streamed
from connectors.s3.client import Client
from connectors.s3.facts import info_of, quoted
from connectors.s3.faults import code_of, status_of
from connectors.s3.listing import page_of
from connectors.s3.options import Options
from connectors.s3.probing import probe_bucket
from connectors.s3.reading import Body, range_header
from connectors.s3.uploading import Upload
from connectors.threads import Threads

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client
    from types_boto3_s3.type_defs import HeadObjectOutputTypeDef

_NOT_IMPLEMENTED = 501


class S3Connector:
    family = Family.OBJECTS

    def __init__(self, config: ConnectorConfig) -> None:
        self._options = Options.of(config)
        self._timeout_s = config.timeout_s
        self._threads = Threads("douane-s3", max(1, config.pool_max))
        self._client = Client(config, self._options, self._threads)

    async def open(self) -> None:
        """Nothing to do: the client is made on a thread when it is first needed."""

    async def close(self) -> None:
        await self._threads.close()
        self._client.close()

    async def list(self, prefix: str, *, after: str, limit: int, shallow: bool) -> ObjectPage:
        bucket = self._options.bucket
        return await page_of(self._client, bucket, prefix, after=after, limit=limit, shallow=shallow)

    async def head(self, key: str) -> ObjectInfo:
        request = self._request(key)
        return await self._client.call(lambda client: info_of(key, _head(client, request)))

    @contextlib.asynccontextmanager
    async def read(
        self, key: str, *, first: int = 0, count: int | None = None, etag: str | None = None
    ) -> AsyncIterator[ObjectRead]:
        body = None if count == 0 else await self._opened(key, first, count, etag)
        if body is None:
            yield ObjectRead(info=await self._unchanged(key, etag), chunks=_nothing())
            return
        async with streamed(self._threads, body.chunk, body.close, timeout_s=self._timeout_s) as chunks:
            yield ObjectRead(info=body.info, chunks=chunks)

    async def _opened(self, key: str, first: int, count: int | None, etag: str | None) -> Body | None:
        """None: the object ends before `first`."""
        request = self._request(key)
        if (wanted := range_header(first, count)) is not None:
            request["Range"] = wanted
        if etag is not None:
            request["IfMatch"] = quoted(etag)

        def opening(client: "S3Client") -> Body | None:
            try:
                answer = client.get_object(**request)
            except ClientError as e:
                if code_of(e) == "InvalidRange":
                    return None
                raise
            try:
                return Body(key, answer, first=first, count=count)
            except BaseException:
                answer["Body"].close()
                raise

        return await self._client.call(opening, undo=_closed)

    async def _unchanged(self, key: str, etag: str | None) -> ObjectInfo:
        info = await self.head(key)
        if etag is not None and info.etag != etag:
            raise ConnectorError(Failure.CHANGED)
        return info

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
        if not is_key(key):
            raise ConnectorError(Failure.REFUSED_BY_WALL)
        upload = Upload(
            self._client, self._options, key, content_type=content_type, if_match=if_match, if_absent=if_absent
        )
        return await upload.put(body, size)

    async def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Where versions are kept the store hides the object behind a marker. A store that has no conditional delete
        (it answers 501, or ignores the condition) may lose a change made in the moment between the look at the object
        and its deletion."""
        await self._unchanged(key, if_match)
        request = self._request(key)

        def deleting(client: "S3Client") -> None:
            if if_match is not None:
                try:
                    client.delete_object(**request, IfMatch=quoted(if_match))
                except ClientError as e:
                    if status_of(e) != _NOT_IMPLEMENTED:
                        raise
                else:
                    return
            client.delete_object(**request)

        await self._client.change(deleting)

    async def probe(self) -> tuple[Finding, ...]:
        return await probe_bucket(self._client, self._options)

    def _request(self, key: str) -> dict[str, Any]:
        """Raises NOT_FOUND for what is no key."""
        if not is_key(key):
            raise ConnectorError(Failure.NOT_FOUND)
        return {"Bucket": self._options.bucket, "Key": key}


def _head(client: "S3Client", request: dict[str, Any]) -> "HeadObjectOutputTypeDef":
    try:
        return client.head_object(**request)
    except ClientError as e:
        if status_of(e) not in (400, 403):
            raise
        # An answer to HEAD has no body: whether credentials or rights were refused, the answer to GET tells.
        client.get_object(**request, Range="bytes=0-0")["Body"].close()
        raise


def _closed(body: Body | None) -> None:
    if body is not None:
        body.close()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
