"""The sessions of one database: opened lazily, reused without a RESET, retired when the secret changes.

No RESET on release: a read-only session whose statements call allowlisted functions alone cannot set anything that
outlives a statement, and every read that did not end cleanly is settled (or closed) before the session is used again.
"""

import asyncio
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any

import asyncpg

from connectors.contract import ConnectorError, SecretSource
from connectors.postgres.faults import unavailable
from connectors.postgres.session import Session, SessionRefused, connect
from connectors.postgres.types import TypeCache

_SECRET_CHECK_S = 1.0
_WAIT_FOR_SESSION_S = 5.0
_REFUSED_CREDENTIALS = (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)
_MISCONFIGURED = (asyncpg.InterfaceError, ValueError)


class Pool:
    def __init__(self, secret: SecretSource, *, size: int, statement_timeout_s: float) -> None:
        self._read_secret = secret
        self._size = max(1, size)
        self._statement_timeout_s = statement_timeout_s
        self._idle: list[Session] = []
        self._count = 0
        self._waiting: deque[asyncio.Future[Session | None]] = deque()
        self._secret: str | None = None
        self._secret_checked = float("-inf")
        self._generation = 0
        self._types = TypeCache()
        self._background: set[asyncio.Task[None]] = set()
        self._open = False

    def open(self) -> None:
        self._open = True

    async def close(self) -> None:
        """Idle sessions say goodbye; sessions in use end with their reads."""
        self._open = False
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        while self._idle:
            await self._idle.pop().close()
            self._count -= 1
        while self._background:
            await asyncio.wait(self._background)

    def at_once(self, *, scan_order: bool) -> Session | None:
        """An idle session of that kind, without any IO; None: `take` one."""
        if not self._waiting and self._secret_is_current():
            idle = self._idle
            while idle:
                session = idle[-1]
                if session.scan_order is not scan_order:
                    return None
                idle.pop()
                if session.usable and session.generation == self._generation:
                    return session
                self._discard(session)
        return None

    async def take(self, *, scan_order: bool, timeout_s: float, fresh: bool = False) -> Session:
        """A session of that kind. Raises ConnectorError(UNAVAILABLE) when there is none to be had in time."""
        try:
            async with asyncio.timeout(min(_WAIT_FOR_SESSION_S, timeout_s)):
                session = None
                while session is None:
                    if not self._open:
                        raise unavailable()
                    session = self._pop(scan_order, fresh=fresh)
                    if session is None and self._count < self._size:
                        session = await self._connect()
                    if session is None:
                        session = await self._wait()
        except TimeoutError as e:
            raise unavailable() from e
        if session.scan_order is not scan_order:
            try:
                await session.set_scan_order(scan_order)
            except BaseException as e:
                self._discard(session)
                if isinstance(e, Exception):
                    raise unavailable() from e
                raise
        return session

    def _pop(self, scan_order: bool, *, fresh: bool) -> Session | None:
        self._secret_is_current()
        other = None
        while self._idle:
            session = self._idle.pop()
            if fresh or not session.usable or session.generation != self._generation:
                self._discard(session)
            elif session.scan_order is scan_order:
                if other is not None:
                    self._idle.append(other)
                return session
            elif other is None:
                other = session
            else:
                # Rare: three or more idle sessions of the other kind on top. Keep them, look no deeper.
                self._idle.append(session)
                break
        if other is not None and self._count < self._size:
            self._idle.append(other)
            return None
        return other

    async def _wait(self) -> Session | None:
        """The next session that comes back, in order of asking; None: look again."""
        waiter: asyncio.Future[Session | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                session = waiter.result()
                if session is None:
                    self._wake(None)
                else:
                    self.give_back(session)
            raise
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def _wake(self, session: Session | None) -> bool:
        """Whether somebody waited."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(session)
                return True
        return False

    def give_back(self, session: Session) -> None:
        """After a read that ended cleanly."""
        if self._open and session.usable and not session.in_transaction and session.generation == self._generation:
            if not self._waiting or not self._wake(session):
                self._idle.append(session)
        else:
            self._discard(session)

    def release(self, session: Session) -> None:
        """After any read: at once when the session is idle, in the background when something still runs on it."""
        if session.idle:
            self.give_back(session)
        else:
            self.settle(session)

    def settle(self, session: Session) -> None:
        """After a read that did not: in the background, because the caller need not wait."""
        self._spawn(self._settled(session))

    async def _settled(self, session: Session) -> None:
        clean = False
        try:
            clean = session.usable and await session.settle()
        finally:
            if clean:
                self.give_back(session)
            else:
                session.abort()
                self._forgotten()

    def _discard(self, session: Session) -> None:
        if session.usable and not session.in_transaction:
            self._spawn(session.close())
        else:
            session.abort()
        self._forgotten()

    def _forgotten(self) -> None:
        self._count -= 1
        self._wake(None)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _secret_is_current(self) -> bool:
        """Reads the secret at most once a second; a changed one retires every session opened before."""
        now = time.monotonic()
        if now - self._secret_checked < _SECRET_CHECK_S:
            return self._secret is not None
        self._secret_checked = now
        try:
            secret = self._read_secret()
        except Exception:  # a file in the middle of its rotation: what is open stays in use, the next second asks again
            return self._secret is not None
        if secret != self._secret:
            self._secret = secret
            self._generation += 1
            retired, self._idle = self._idle, []
            for session in retired:
                self._discard(session)
        return True

    async def _connect(self) -> Session:
        self._count += 1
        try:
            try:
                return await self._connect_once()
            except _REFUSED_CREDENTIALS:
                return await self._connect_once()
        except BaseException as e:
            self._forgotten()
            if isinstance(e, asyncio.CancelledError | ConnectorError) or not isinstance(e, Exception):
                raise
            raise unavailable(retryable=not isinstance(e, _MISCONFIGURED)) from e

    async def _connect_once(self) -> Session:
        self._secret_checked = float("-inf")
        if not self._secret_is_current() or self._secret is None:
            raise SessionRefused("secret")
        return await connect(
            self._secret, self._types, statement_timeout_s=self._statement_timeout_s, generation=self._generation
        )
