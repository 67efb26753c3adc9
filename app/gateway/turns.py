"""Fair use of what there is one of: each user waits in a line of their own, and long turns are followed by a rest."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from app.gateway.errors import Overloaded

REST_ABOVE_S = 0.25


class _Line:
    __slots__ = ("length", "lock")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.length = 0


class Turns:
    """One turn per user at a time; after a long one the user's next turn waits as long again, so that a single user
    never has more than half of the whole, however many requests they send."""

    def __init__(self, max_waiting: int = 256) -> None:
        self._lines: dict[Hashable, _Line] = {}
        self._max_waiting = max_waiting

    @asynccontextmanager
    async def of(self, user: Hashable) -> AsyncIterator[None]:
        """Raises Overloaded when the user's line is full."""
        line = self._lines.setdefault(user, _Line())
        if line.length >= self._max_waiting:
            raise Overloaded("Too many large statements of yours at once: retry after a moment.", retry_after_s=5)
        line.length += 1
        try:
            await line.lock.acquire()
        except BaseException:
            self._gone(user, line)
            raise
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            yield
        finally:
            took_s = loop.time() - began_s
            if took_s > REST_ABOVE_S:
                loop.call_later(took_s, self._leave, user, line)
            else:
                self._leave(user, line)

    def _leave(self, user: Hashable, line: _Line) -> None:
        line.lock.release()
        self._gone(user, line)

    def _gone(self, user: Hashable, line: _Line) -> None:
        line.length -= 1
        if line.length == 0:
            del self._lines[user]

    def __len__(self) -> int:
        return len(self._lines)
