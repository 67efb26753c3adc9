"""Request bodies that are not held in memory: read piece by piece, by the use case, after authentication."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

from app.api.reading import body_too_large
from app.api.watching import Receive
from app.gateway.errors import InvalidRequest, SlowBody

PATIENCE_S = 20.0
SLOWEST_BYTES_PER_S = 16 * 1024
"""A body may take PATIENCE_S, and longer as long as it keeps coming at this rate."""


class BodyStream:
    """`declared`: Content-Length, None when it comes chunked. `left`: the client went away before it was whole."""

    def __init__(self, headers: Mapping[bytes, bytes], receive: Receive, *, now: Callable[[], float]) -> None:
        length = headers.get(b"content-length", b"")
        self.declared = int(length) if length.isdigit() else None
        self.content_type = headers.get(b"content-type", b"").decode("latin-1")
        self._receive = receive
        self._now = now
        self.left = False
        self.whole = False

    async def chunks(self, max_bytes: int) -> AsyncIterator[bytes]:
        """Raises BodyTooLarge, SlowBody, InvalidRequest; ends in CancelledError when the client left."""
        if self.declared is not None and self.declared > max_bytes:
            raise body_too_large(max_bytes)
        size = 0
        started = self._now()
        while not self.whole:
            allowed_s = started + PATIENCE_S + size / SLOWEST_BYTES_PER_S - self._now()
            try:
                async with asyncio.timeout(min(PATIENCE_S, allowed_s)):
                    message = await self._receive()
            except TimeoutError as error:
                raise SlowBody(
                    f"The body must keep coming, at {SLOWEST_BYTES_PER_S} bytes a second at least: send it again."
                ) from error
            if message["type"] == "http.disconnect":
                self.left = True
                raise asyncio.CancelledError
            chunk: bytes = message.get("body", b"")
            self.whole = not message.get("more_body", False)
            size += len(chunk)
            if size > max_bytes:
                raise body_too_large(max_bytes)
            if chunk:
                yield chunk
        if self.declared is not None and size != self.declared:
            raise InvalidRequest("The body is shorter than its Content-Length: send it again.")
