"""Answers on their way out: whole ones, and streams that end as soon as nobody takes them."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from app.gateway.answer import Answer

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

TAKE_WITHIN_S = 20.0
"""A client that takes no piece for so long is cut: what it does not read must not pile up here."""


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
