"""What happens to approvals, to all who follow it: one reader of the store's feed per process."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from app.approval.approval import Approval
from app.ports import Approvals, Change, StoreUnavailable

POLL_S = 0.5
PAGE = 100
BACKLOG = 256
"""Steps that a follower may be behind; who is further behind is cut, and resumes where it was."""
CATCHING_UP = 2
"""Followers that read old steps at once: the store's pool is not theirs alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A step, and the approval as it was when the step was read: that may be later than the step."""

    change: Change
    approval: Approval


class Follower:
    """`next` raises TimeoutError, or Cut when it fell too far behind or the server drains."""

    def __init__(self, position: int) -> None:
        self.position = position
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(BACKLOG + 1)
        self._cut = False

    def offer(self, event: Event) -> None:
        if self._cut:
            return
        if self._events.qsize() >= BACKLOG:
            self.cut()
        else:
            self._events.put_nowait(event)

    def cut(self) -> None:
        if not self._cut:
            self._cut = True
            self._events.put_nowait(None)

    async def next(self, timeout_s: float) -> Event:
        async with asyncio.timeout(timeout_s):
            event = await self._events.get()
        if event is None:
            raise Cut
        return event


class Cut(Exception):  # noqa: N818 - an end, not a fault
    """The follower gets no more: it comes back with the last id that it saw."""


class Feed:
    """Of one process; the reader runs only while somebody follows. While the store is away it waits, and misses
    nothing."""

    def __init__(self, approvals: Approvals, *, poll_s: float = POLL_S) -> None:
        self._approvals = approvals
        self._poll_s = poll_s
        self._followers: set[Follower] = set()
        self._reader: asyncio.Task[None] | None = None
        self._position = 0
        self._catching_up = asyncio.Semaphore(CATCHING_UP)
        self._closed = False

    def close(self) -> None:
        self._closed = True
        for follower in self._followers:
            follower.cut()

    async def position(self) -> int:
        """Of the newest step. Raises StoreUnavailable."""
        return await self._approvals.last_change()

    @contextmanager
    def follow(self, position: int) -> Iterator[Follower]:
        """Every step after the follower's own position, which is at least `position`; `older` gives those before."""
        if self._reader is None:
            self._position = position
            self._reader = asyncio.get_running_loop().create_task(self._read())
        # The reader may have gone past `position` since that was looked up.
        follower = Follower(max(position, self._position))
        self._followers.add(follower)
        if self._closed:
            follower.cut()
        try:
            yield follower
        finally:
            self._followers.discard(follower)
            if not self._followers and self._reader is not None:
                reader, self._reader = self._reader, None
                reader.cancel()

    async def older(self, after: int, upto: int) -> AsyncGenerator[Event, None]:
        """Steps after `after` up to `upto`, for one who resumes. Raises StoreUnavailable."""
        while after < upto:
            async with self._catching_up:
                page = await self._approvals.changes(after, PAGE)
                events = await self._events(page)
            for event in events:
                if event.change.seq > upto:
                    return
                yield event
            if len(page) < PAGE:
                return
            after = page[-1].seq

    async def _read(self) -> None:
        try:
            while True:
                with suppress(StoreUnavailable):
                    while page := await self._approvals.changes(self._position, PAGE):
                        events = await self._events(page)
                        self._position = page[-1].seq
                        for follower in self._followers:
                            for event in events:
                                if event.change.seq > follower.position:
                                    follower.offer(event)
                await asyncio.sleep(self._poll_s)
        finally:
            if self._reader is asyncio.current_task():
                # A fault of ours: nobody may think that nothing happens.
                self._reader = None
                for follower in self._followers:
                    follower.cut()

    async def _events(self, page: Sequence[Change]) -> list[Event]:
        """Each approval is read once for all its steps of the page."""
        approvals: dict[str, Approval | None] = {}
        for change in page:
            if change.approval_id not in approvals:
                approvals[change.approval_id] = await self._approvals.get(change.approval_id)
        return [
            Event(change=change, approval=approval)
            for change in page
            if (approval := approvals[change.approval_id]) is not None
        ]
