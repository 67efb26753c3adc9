"""The content of one object on its way out: raw as it is, or masked as a whole before its first byte leaves."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import sha256
from typing import IO, Any

import orjson

from app.gateway.answer import Answer, ContentBrokeOff, Spool, as_text
from app.gateway.envelope import Closing, closing_members
from app.gateway.errors import ConditionFailed, NoSpaceForAnswer, RangeNotSatisfiable, ResultTooLarge
from app.gateway.lru import Lru
from app.gateway.object_commands import FetchContent
from app.gateway.object_faults import not_maskable, refusal_of_content, refusal_of_store
from app.gateway.object_planning import ObjectPlan
from app.gateway.object_tags import ObjectTags
from app.gateway.record import Record
from app.masking.masks import Pseudonym, Redact
from app.objects.formats import ContentFormat, FormatKind, format_of, is_media_type
from app.objects.plan import Rendered, RenderLimits, RenderPlan
from app.objects.refusal import ContentFault, ContentRefused
from app.policy.content import ContentView
from app.ports import MaskKeys, Renderer
from connectors.contract import ConnectorError, ObjectInfo

INLINE_BYTES = 256 * 1024
"""A larger content is put into JSON beside the loop."""
_ENCODINGS = re.compile(r"[a-z0-9-]{1,20}(?:, [a-z0-9-]{1,20}){0,3}")
_SAFE = {
    # Content is somebody else's: no browser may take it for a page of ours.
    "content-security-policy": "default-src 'none'; sandbox",
    "content-disposition": "attachment",
}


class ObjectReads:
    def __init__(self, *, renderer: Renderer, mask_keys: MaskKeys, tags: ObjectTags) -> None:
        self._renderer = renderer
        self._mask_keys = mask_keys
        self._tags = tags
        self._rendered: Lru[tuple[str, ...], str] = Lru(4_096)
        """ETags of renderings, so that a client that has one already is told without rendering it again."""

    async def envelope(
        self,
        plan: ObjectPlan,
        record: Record,
        *,
        if_match: frozenset[str] | None = None,
        closing: Closing | None = None,
        max_bytes: int | None = None,
    ) -> Answer:
        """The content inside a JSON answer, of at most what the connection allows there. Raises Refused."""
        info, view = _there(plan)
        limit = plan.bucket.max_bytes if max_bytes is None else min(max_bytes, plan.bucket.max_bytes)
        if view.raw:
            etag = self._tags.of(plan.bucket.name, info)
            _require_meant(if_match, etag)
            if info.size > limit:
                raise _too_large_for_json(limit)
            content = await self._whole(plan, info)
            # What is inside JSON is the bytes as they are stored, packed or not.
            served = _served_type(info) if info.content_encoding is None else _packed_type(info)
            facts = {"content_type": served, "etag": etag}
            rows = None
        else:
            try:
                form = _format(plan, info, view)
                rendered, file = await self._masked(plan, record, info, view, form, max_output_bytes=limit)
            except ResultTooLarge as refused:
                if refused.stable_code == ContentFault.TOO_LARGE.value and info.size <= plan.bucket.max_object_bytes:
                    raise _too_large_for_json(limit) from refused
                raise
            with file:
                _require_meant(if_match, rendered.sha256)
                content = await asyncio.to_thread(file.read)
            facts = {"content_type": form.content_type, "etag": rendered.sha256}
            rows = rendered.rows
        record.facts |= {"content_bytes": len(content), "content_type": facts["content_type"]}
        record.rows = rows or 0
        document = {
            "status": "completed",
            "connection": plan.bucket.name,
            "key": plan.key,
            **facts,
            "size": len(content),
            "last_modified": info.last_modified,
            "version": info.version if view.raw else None,
            "masked": not view.raw,
            "labels": plan.labels,
            "masks": plan.masks,
            "row_count": rows,
        }
        rest = closing_members(plan.policy_version, closing)
        spool = Spool()
        if len(content) > INLINE_BYTES:
            spool.add(await asyncio.to_thread(_encoded, document, content, rest))
        else:
            spool.add(_encoded(document, content, rest))
        return Answer(status=200, opening=spool, headers={"etag": f'"{facts["etag"]}"'})

    async def content(self, plan: ObjectPlan, command: FetchContent, record: Record) -> Answer:
        """The content as it is. Raises Refused."""
        info, view = _there(plan)
        if view.raw:
            return await self._raw(plan, command, record, info)
        form = _format(plan, info, view)
        known = (
            plan.bucket.name, plan.key, info.etag, info.version or "", info.content_type or "",
            info.content_encoding or "", plan.policy_version, _digest(view),
        )  # fmt: skip
        etag = self._rendered.get(known)
        if etag is not None and _is_known(command, etag):
            return _unchanged(etag)
        rendered, file = await self._masked(plan, record, info, view, form)
        self._rendered.put(known, rendered.sha256)
        try:
            unchanged = _is_known(command, rendered.sha256)
        except ConditionFailed:
            file.close()
            raise
        if unchanged:
            file.close()
            return _unchanged(rendered.sha256)
        record.facts |= {"content_bytes": rendered.bytes_out, "content_type": form.content_type}
        record.rows = rendered.rows or 0
        spool = Spool()
        spool.adopt(file, rendered.bytes_out, rendered.sha256)
        headers = {"etag": f'"{rendered.sha256}"', "accept-ranges": "none", **_SAFE}
        return Answer(status=200, opening=spool, bare=True, media_type=form.content_type, headers=headers)

    async def _raw(self, plan: ObjectPlan, command: FetchContent, record: Record, info: ObjectInfo) -> Answer:
        etag = self._tags.of(plan.bucket.name, info)
        if _is_known(command, etag):
            return _unchanged(etag)
        first, count = 0, info.size
        ranged = command.span is not None and command.if_range in (None, etag)
        headers = {"etag": f'"{etag}"', "accept-ranges": "bytes", "last-modified": _http_date(info), **_SAFE}
        if info.content_encoding is not None and _ENCODINGS.fullmatch(info.content_encoding):
            headers["content-encoding"] = info.content_encoding
        if ranged:
            assert command.span is not None
            first, count = _span(command.span, info.size)
            headers["content-range"] = f"bytes {first}-{first + count - 1}/{info.size}"
        media_type = _served_type(info)
        record.facts |= {"content_bytes": count, "content_type": media_type, "object_etag": info.etag}
        if info.version is not None:
            record.facts["object_version"] = info.version
        stack = AsyncExitStack()
        try:
            read = await stack.enter_async_context(
                plan.bucket.connector.read(plan.key, first=first, count=count, etag=info.etag)
            )
        except ConnectorError as error:
            raise refusal_of_store(error) from error
        return Answer(
            status=206 if ranged else 200,
            opening=Spool(),
            media_type=media_type,
            headers=headers,
            stream=_Flow(stack, read.chunks),
            length=count,
        )

    async def _whole(self, plan: ObjectPlan, info: ObjectInfo) -> bytes:
        try:
            async with plan.bucket.connector.read(plan.key, etag=info.etag) as read:
                return b"".join([chunk async for chunk in read.chunks])
        except ConnectorError as error:
            raise refusal_of_store(error) from error

    async def _masked(
        self,
        plan: ObjectPlan,
        record: Record,
        info: ObjectInfo,
        view: ContentView,
        form: ContentFormat,
        *,
        max_output_bytes: int | None = None,
    ) -> tuple[Rendered, IO[bytes]]:
        most = plan.bucket.max_object_bytes
        limits = RenderLimits(
            max_input_bytes=most,
            max_expanded_bytes=most,
            max_output_bytes=most if max_output_bytes is None else min(most, max_output_bytes),
        )
        record.facts["object_etag"] = info.etag
        try:
            # The turn first: a read that waits for one would hold a connection to the store, which the store ends.
            async with (
                self._renderer.job(render_plan(form, view, limits, self._mask_keys)) as job,
                plan.bucket.connector.read(plan.key, etag=info.etag) as read,
            ):
                async for chunk in read.chunks:
                    await job.write(chunk)
                rendered, file = await job.finish()
        except ContentRefused as refused:
            raise refusal_of_content(refused) from refused
        except ConnectorError as error:
            raise refusal_of_store(error) from error
        except OSError as error:
            raise NoSpaceForAnswer(
                "There is no room to hold the masked content right now: ask for a smaller object, or retry later.",
                retry_after_s=5,
            ) from error
        return rendered, file


class _Flow:
    """The pieces of an open read. What breaks off says why in a word for the record."""

    def __init__(self, stack: AsyncExitStack, chunks: AsyncIterator[bytes]) -> None:
        self._stack = stack
        self._chunks = chunks

    def __aiter__(self) -> "_Flow":
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._chunks)
        except ConnectorError as error:
            raise ContentBrokeOff(f"store_{error.failure.value}") from error

    async def aclose(self) -> None:
        await self._stack.aclose()


def require_maskable(plan: ObjectPlan) -> None:
    """What cannot come raw has to be of a kind that can be masked. Raises ContentNotMaskable."""
    info, view = _there(plan)
    if not view.raw:
        _format(plan, info, view)


def render_plan(form: ContentFormat, view: ContentView, limits: RenderLimits, mask_keys: MaskKeys) -> RenderPlan:
    views = [
        view.default, view.text, view.default_found, *view.columns.values(), *view.paths.values(), *view.found.values()
    ]  # fmt: skip
    domains = {each.mask.domain for each in views if isinstance(each.mask, Pseudonym)}
    return RenderPlan(
        format=form, view=view, keys={domain: mask_keys.key(domain) for domain in sorted(domains)}, limits=limits
    )


def _there(plan: ObjectPlan) -> tuple[ObjectInfo, ContentView]:
    assert plan.info is not None
    assert plan.view is not None
    return plan.info, plan.view


def _format(plan: ObjectPlan, info: ObjectInfo, view: ContentView) -> ContentFormat:
    """Raises ContentNotMaskable."""
    form = format_of(plan.key, info.content_type, view.format, info.content_encoding)
    if form is None or (form.kind is FormatKind.TEXT and not isinstance(view.text.mask, Redact | None)):
        raise not_maskable()
    return form


def _require_meant(if_match: frozenset[str] | None, etag: str) -> None:
    """RFC 9110, 13.1.1. Raises ConditionFailed."""
    if if_match is not None and if_match.isdisjoint({etag, "*"}):
        raise ConditionFailed(
            "The content has none of the ETags in If-Match (a weak one, W/, never matches), so it is not given: fetch "
            "it without If-Match, and go on with its present ETag."
        )


def _is_known(command: FetchContent, etag: str) -> bool:
    """Whether the client has it already. If-Match is looked at first (RFC 9110, 13.2.2). Raises ConditionFailed."""
    _require_meant(command.fetch.if_match, etag)
    return not command.if_none_match.isdisjoint({etag, "*"})


def _unchanged(etag: str) -> Answer:
    return Answer(status=304, opening=Spool(), bare=True, headers={"etag": f'"{etag}"'})


def _served_type(info: ObjectInfo) -> str:
    """What a store says may be nothing that a header can hold."""
    return info.content_type if info.content_type and is_media_type(info.content_type) else "application/octet-stream"


def _packed_type(info: ObjectInfo) -> str:
    return "application/gzip" if info.content_encoding in ("gzip", "x-gzip") else "application/octet-stream"


def _digest(view: ContentView) -> str:
    """What is remembered of thousands of views must not take their place."""
    return sha256(repr(view).encode()).hexdigest()


def _http_date(info: ObjectInfo) -> str:
    """RFC 9110, 5.6.7."""
    return format_datetime(datetime.fromisoformat(info.last_modified).astimezone(UTC), usegmt=True)


def _span(span: tuple[int | None, int | None], size: int) -> tuple[int, int]:
    """First byte and how many (RFC 9110, 14.1.2). Raises RangeNotSatisfiable."""
    first, last = span
    if first is None:
        count = min(last or 0, size)
        first = size - count
    else:
        count = (size if last is None else min(last + 1, size)) - first
    if count <= 0:
        raise RangeNotSatisfiable(f"The object has {size} bytes: ask for a range within them.", size=size)
    return first, count


def _encoded(document: dict[str, Any], content: bytes, rest: dict[str, Any]) -> bytes:
    return orjson.dumps(document | as_text(content) | rest)[:-1]


def _too_large_for_json(limit: int) -> ResultTooLarge:
    return ResultTooLarge(
        f"The content is larger than the {limit} bytes that fit into a JSON answer: use fetch_content.",
        code=ContentFault.TOO_LARGE.value,
    )
