"""Answers on their way out: whole ones, and streams that end as soon as nobody takes them."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from blake3 import blake3

from app.gateway.answer import Answer, ContentBrokeOff, Ended

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

TAKE_WITHIN_S = 20.0
"""A client that takes no piece for so long is cut: what it does not read must not pile up here."""
CONTENT_TAKEN_WITHIN_S = 40.0
"""The same of content, whose pieces are megabytes: who takes 53 KB/s keeps up."""


async def send_whole(answer: Answer, trace_id: str, send: Send, *, head: bool) -> None:
    body = answer.opening
    headers = _headers(answer, trace_id)
    headers.append((b"content-length", str(body.size).encode("ascii")))
    with body:
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if head:
            await send({"type": "http.response.body", "body": b""})
            return
        pieces = body.pieces()
        current = next(pieces, b"")
        for piece in pieces:
            await send({"type": "http.response.body", "body": current, "more_body": True})
            current = piece
        await send({"type": "http.response.body", "body": current})


async def send_stream(answer: Answer, trace_id: str, send: Send) -> None:
    """Piece by piece, each only when the one before was taken."""
    if answer.length is not None:
        await _send_content(answer, answer.length, trace_id, send)
        return
    stream = answer.stream
    assert stream is not None
    # Proxies that wait for a buffer to fill would keep events from those who follow.
    headers = [*_headers(answer, trace_id), (b"x-accel-buffering", b"no")]
    with answer.opening:
        try:
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            async for piece in stream:
                async with asyncio.timeout(TAKE_WITHIN_S):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            # Without its end: the client sees that it was cut, and resumes.
            return
        finally:
            await stream.aclose()


async def _send_content(answer: Answer, length: int, trace_id: str, send: Send) -> None:
    """Content of a known length, hashed beside its way out. What breaks off leaves the connection without its end, so
    that no client takes a part for the whole; how it ended goes on record."""
    stream, ended = answer.stream, answer.ended
    assert stream is not None
    assert ended is not None
    headers = [*_headers(answer, trace_id), (b"content-length", str(length).encode("ascii"))]
    # BLAKE3 on the loop, a third of a millisecond a piece: a thread costs more than that, and SHA-256 as much as all
    # the rest together (ADR 10).
    digest = blake3()
    size = 0
    whole = not length
    code: str | None = "client_left"
    try:
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        async for piece in stream:
            digest.update(piece)
            # Before it is sent: of a piece that breaks off some may have left, and the record must not say less.
            size += len(piece)
            async with asyncio.timeout(CONTENT_TAKEN_WITHIN_S):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            if size == length:
                async with asyncio.timeout(CONTENT_TAKEN_WITHIN_S):
                    # Comes back once what was sent before is on its way, and not to whose client left before that.
                    await send({"type": "http.response.body", "body": b"", "more_body": True})
                whole = True
        if whole:
            await send({"type": "http.response.body", "body": b""})
        else:
            code = "content_broke_off"
    except TimeoutError:
        code = "client_too_slow"
    except ContentBrokeOff as broken:
        code = broken.code
    finally:
        if whole:
            # A client may leave as soon as it has everything.
            code = None
        await asyncio.shield(_close(answer, digest.hexdigest() if code is None else None, size, code, ended))


async def _close(answer: Answer, digest: str | None, size: int, code: str | None, ended: Ended) -> None:
    assert answer.stream is not None
    answer.opening.close()
    try:
        await answer.stream.aclose()
    finally:
        await ended(size, digest, code)


def _headers(answer: Answer, trace_id: str) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-type", answer.media_type.encode("ascii")),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-trace-id", trace_id.encode("ascii")),
    ]
    if answer.headers:
        headers += [
            (name.encode("ascii"), value.encode("latin-1", "replace")) for name, value in answer.headers.items()
        ]
    return headers
