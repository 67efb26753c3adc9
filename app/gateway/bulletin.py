"""Who waits for an approval, and is told when it changed: no waiter holds a connection to the store."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from app.approval.approval import Approval, State
from app.gateway.waiting import WaitingRoom
from app.ports import Approvals, StoreUnavailable

POLL_S = 0.5
CHUNK = 500
"""Approvals per question to the store."""
READERS = 4
"""Changed approvals that are read at once: however many changed, the store's pool stays free for requests."""
UNSETTLED = frozenset({State.PENDING, State.EXECUTING})


class _Waiter:
    __slots__ = ("changed", "version")

    def __init__(self, version: int) -> None:
        self.version = version
        self.changed: asyncio.Future[Approval | None] = asyncio.get_running_loop().create_future()

    def tell(self, approval: Approval | None) -> None:
        if not self.changed.done():
            self.changed.set_result(approval)


class Bulletin:
    """Of one process. Changes made by others are seen by one reader of the store for all who wait; it runs only while
    somebody waits, and each approval that changed is read once for all who wait for it. While the store is away nobody
    is told anything, and everybody goes on waiting."""

    def __init__(self, approvals: Approvals, *, room: WaitingRoom | None = None, poll_s: float = POLL_S) -> None:
        self._approvals = approvals
        self._room = room or WaitingRoom()
        self._poll_s = poll_s
        self._waiters: dict[str, set[_Waiter]] = {}
        self._hints: set[str] = set()
        self._nudge = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._closed = False

    def changed(self, approval_id: str) -> None:
        """This process just made a step: its waiters look at once."""
        if approval_id in self._waiters:
            self._hints.add(approval_id)
            self._nudge.set()

    def close(self) -> None:
        """The server drains: whoever waits goes on with what was known last, and nobody waits any more."""
        self._closed = True
        self._tell_everybody()
        self._nudge.set()

    async def wait(self, approval: Approval, timeout_s: float) -> Approval:
        """The newest version: as soon as it is neither pending nor executing, at the latest after `timeout_s`, and at
        once when the server drains or too many wait already."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        while approval.state in UNSETTLED and (left := until - loop.time()) > 0:
            newer = await self.watch(approval, left)
            if newer is None:
                break
            approval = newer
        return approval

    async def watch(self, approval: Approval, timeout_s: float) -> Approval | None:
        """The next version after `approval`, whatever its state; None: it did not change in time, the server drains, or
        too many wait already."""
        if self._closed or timeout_s <= 0:
            return None
        with self._room.seat() as seated:
            if not seated:
                return None
            waiter = _Waiter(approval.version)
            waiters = self._waiters.setdefault(approval.approval_id, set())
            waiters.add(waiter)
            if self._reader is None:
                self._reader = asyncio.get_running_loop().create_task(self._read())
            try:
                async with asyncio.timeout(timeout_s):
                    return await waiter.changed
            except TimeoutError:
                return None
            finally:
                waiters.discard(waiter)
                if not waiters and self._waiters.get(approval.approval_id) is waiters:
                    del self._waiters[approval.approval_id]
                if not self._waiters:
                    self._nudge.set()

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        everybody_at = loop.time()
        try:
            while self._waiters and not self._closed:
                wanted: Iterable[str] = self._hints
                if loop.time() >= everybody_at:
                    # The version that a waiter came with may be old already, and others change approvals as well.
                    wanted, everybody_at = self._waiters, loop.time() + self._poll_s
                self._hints = set()
                with suppress(StoreUnavailable):
                    await self._look(tuple(wanted))
                with suppress(TimeoutError):
                    async with asyncio.timeout(everybody_at - loop.time()):
                        await self._nudge.wait()
                self._nudge.clear()
        finally:
            self._reader = None
            # Only after a fault of ours is anybody left: they go on with what they know.
            self._tell_everybody()

    async def _look(self, approval_ids: tuple[str, ...]) -> None:
        changed: list[str] = []
        for start in range(0, len(approval_ids), CHUNK):
            stored = await self._approvals.versions(approval_ids[start : start + CHUNK])
            changed += [name for name, version in stored.items() if self._behind(name, version)]
        for start in range(0, len(changed), READERS):
            found = await asyncio.gather(
                *(self._approvals.get(name) for name in changed[start : start + READERS]), return_exceptions=True
            )
            for approval in found:
                match approval:
                    case Approval():
                        for waiter in self._waiters.get(approval.approval_id, ()):
                            if waiter.version != approval.version:
                                waiter.tell(approval)
                    case None | StoreUnavailable():
                        # Who waits for it is told by a later look.
                        pass
                    case BaseException() as fault:
                        raise fault

    def _tell_everybody(self) -> None:
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.tell(None)

    def _behind(self, approval_id: str, version: int) -> bool:
        return any(waiter.version != version for waiter in self._waiters.get(approval_id, ()))
