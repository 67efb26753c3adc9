"""Putting an object: at once while it is small, in parts of bounded size when it is large.

A large object is there when its last request is answered, and until then is an upload that is aborted whatever happens.
Only a process that dies leaves one: a lifecycle rule of the bucket (AbortIncompleteMultipartUpload) removes those.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from connectors.contract import ConnectorError, Failure, ObjectInfo
from connectors.object_streams import blocks
from connectors.s3.client import Client
from connectors.s3.facts import bare, info_of, moment, quoted
from connectors.s3.faults import unavailable
from connectors.s3.options import Options

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef

_PART_BYTES = 8 * 1024 * 1024
_MOST_PARTS = 10_000
"""Of one upload; an object above 78 GiB gets larger parts."""


class Upload:
    """One put. `condition`: headers of the request that makes the object visible."""

    def __init__(
        self, client: Client, options: Options, key: str, *, content_type: str, if_match: str | None, if_absent: bool
    ) -> None:
        self._client = client
        self._where = {"Bucket": options.bucket, "Key": key}
        self._key = key
        self._content_type = content_type
        self._kept: dict[str, Any] = {"ContentType": content_type}
        if options.server_side_encryption is not None:
            self._kept["ServerSideEncryption"] = options.server_side_encryption
        if options.kms_key_id is not None:
            self._kept["SSEKMSKeyId"] = options.kms_key_id
        self._condition: dict[str, Any] = {}
        if if_match is not None:
            self._condition["IfMatch"] = quoted(if_match)
        if if_absent:
            self._condition["IfNoneMatch"] = "*"

    async def put(self, body: AsyncIterator[bytes], size: int) -> ObjectInfo:
        """Raises ConnectorError, and what `body` raises."""
        part_bytes = max(_PART_BYTES, -(-size // _MOST_PARTS))
        async with contextlib.aclosing(blocks(body, size=size, block_bytes=part_bytes)) as parts:
            answer = await (self._at_once(parts) if size <= part_bytes else self._in_parts(parts))
        return await self._info(answer, size)

    async def _at_once(self, parts: AsyncIterator[bytes]) -> Any:
        data = b"".join([part async for part in parts])
        request = {**self._where, **self._kept, **self._condition, "Body": data}
        return await self._client.change(lambda client: _named(client.put_object(**request)), body_bytes=len(data))

    async def _in_parts(self, parts: AsyncIterator[bytes]) -> Any:
        upload: dict[str, Any] = {**self._where, "UploadId": None}
        before = _cancellations()
        try:
            upload["UploadId"] = await self._begun()
            _raise_if_cancelled_since(before)
            sent = await self._sent(upload, parts)
            complete = {**upload, **self._condition, "MultipartUpload": {"Parts": sent}}
            return await self._client.change(lambda client: _named(client.complete_multipart_upload(**complete)))
        except BaseException:
            if upload["UploadId"] is not None:
                with contextlib.suppress(ConnectorError):
                    # What went wrong first is told; an upload that completed after all has nothing to abort.
                    await self._client.send(lambda client: client.abort_multipart_upload(**upload))
            raise

    async def _begun(self) -> str:
        request = {**self._where, **self._kept}
        try:
            made = await self._client.change(lambda client: client.create_multipart_upload(**request))
        except ConnectorError as e:
            # Nothing that anybody could see.
            raise (unavailable() if e.failure is Failure.OUTCOME_UNKNOWN else e) from e
        return made["UploadId"]

    async def _sent(self, upload: dict[str, Any], parts: AsyncIterator[bytes]) -> "list[CompletedPartTypeDef]":
        """While one part is on its way the next is gathered, and no more."""
        sent: list[CompletedPartTypeDef] = []
        sending: asyncio.Task[CompletedPartTypeDef] | None = None
        try:
            async for data in parts:
                if sending is not None:
                    sent.append(await sending)
                sending = asyncio.create_task(self._send(upload, len(sent) + 1, data))
            if sending is not None:
                sent.append(await sending)
        finally:
            if sending is not None:
                # An upload is aborted once no part of it is on its way any more.
                sending.cancel()
                await asyncio.wait({sending})
                if not sending.cancelled():
                    sending.exception()
        return sent

    async def _send(self, upload: dict[str, Any], number: int, data: bytes) -> "CompletedPartTypeDef":
        def sending(client: "S3Client") -> "CompletedPartTypeDef":
            answer = client.upload_part(**upload, PartNumber=number, Body=data)
            return {"PartNumber": number, "ETag": answer["ETag"]}

        return await self._client.send(sending, body_bytes=len(data))

    async def _info(self, answer: Any, size: int) -> ObjectInfo:
        """The store's own words about what was put, unless it is already something else or may not be looked at."""
        version = answer.get("VersionId")
        wanted = {**self._where, **({"VersionId": version} if version else {})}
        # The object is there: neither an error nor a cancellation may say otherwise.
        with contextlib.suppress(ConnectorError, asyncio.CancelledError):
            seen = await self._client.call(lambda client: info_of(self._key, client.head_object(**wanted)))
            if seen.etag == answer["ETag"]:
                return seen
        return ObjectInfo(
            key=self._key, size=size, etag=answer["ETag"], last_modified=_dated(answer),
            content_type=self._content_type, version=version,
        )  # fmt: skip


def _named(answer: Any) -> Any:
    """Raises KeyError or ValueError for an answer that was cut: what is not named may not be there."""
    return {**answer, "ETag": bare(answer["ETag"])}


def _cancellations() -> int:
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def _raise_if_cancelled_since(before: int) -> None:
    """A call that outlives its cancellation keeps it to itself; between two calls it is raised again."""
    if _cancellations() > before:
        raise asyncio.CancelledError


def _dated(answer: Any) -> str:
    stated = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    with contextlib.suppress(TypeError, ValueError):
        return moment(parsedate_to_datetime(stated))
    return moment(datetime.now(UTC))
