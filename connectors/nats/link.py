"""One connection to NATS: requests with answers, and pulls. It ends with its socket and is never mended: who needs
another makes one, with credentials read anew, so that nothing is ever buffered while nobody listens."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

_CONNECT_TIMEOUT_S = 5
_PING_INTERVAL_S = 5
"""A server that misses three is given up."""
_ACK = "$JS.ACK."


class NotSent(Exception):  # noqa: N818 - says what is so
    """There is no connection (any more): nothing was sent."""


class Lost(Exception):  # noqa: N818
    """The connection ended after the request was sent."""


class Denied(Exception):  # noqa: N818
    """The server does not let this user send there."""


class TooLarge(Exception):  # noqa: N818
    """Above what the server takes in one message, headers included."""


class _Client(Client):
    """A TLS address means TLS: a server that does not ask for it is not told the credentials."""

    must_encrypt = False

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection and self.must_encrypt and not info.get("tls_required"):
            raise nats.errors.Error("nats: no TLS")
        await super()._process_info(info, initial_connection)


@dataclass(slots=True, eq=False)
class Pull:
    """`messages`: what came; None: the connection is lost. `complete`: nothing more will come."""

    messages: asyncio.Queue[Msg | None] = field(default_factory=asyncio.Queue)
    complete: bool = False
    over: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """`takes`: whether an answer is one; what is none is passed over."""

    subject: str
    takes: Callable[[Msg], bool]
    answer: "asyncio.Future[Msg | Exception]"


class Link:
    """`connect` once, `close` once."""

    def __init__(self) -> None:
        self._client = _Client()
        self._numbers = itertools.count(1)
        self._inbox = ""
        self._asked: dict[str, _Asked] = {}
        self._pulls: set[Pull] = set()
        self._ending: set[asyncio.Task[None]] = set()

    async def connect(self, servers: list[str], credentials: Mapping[str, str]) -> None:
        """Raises what nats-py raises, OSError and TimeoutError."""
        self._client.must_encrypt = any(server.startswith(("tls://", "wss://")) for server in servers)
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S * len(servers) + 1):
                await self._client.connect(
                    servers=servers,
                    name="douane",
                    error_cb=self._told,
                    closed_cb=self._ended,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=_CONNECT_TIMEOUT_S,
                    ping_interval=_PING_INTERVAL_S,
                    # Without a buffer what cannot be sent now is refused now.
                    pending_size=0,
                    **credentials,  # type: ignore[arg-type]  # user, password, token
                )
                self._inbox = self._client.new_inbox()
                await self._client.subscribe(
                    f"{self._inbox}.*", cb=self._came, pending_msgs_limit=0, pending_bytes_limit=0
                )
        except BaseException:
            await self.close()
            raise

    @property
    def alive(self) -> bool:
        return self._client.is_connected

    @property
    def max_payload(self) -> int:
        return self._client.max_payload

    async def close(self) -> None:
        with contextlib.suppress(nats.errors.Error, OSError):
            await self._client.close()
        await self._ended()
        if self._ending:
            await asyncio.wait(self._ending)

    async def send(self, subject: str, payload: bytes, reply: str = "", headers: dict[str, str] | None = None) -> None:
        """Raises NotSent and TooLarge."""
        if not self.alive:
            raise NotSent
        try:
            await self._client.publish(subject, payload, reply=reply, headers=headers)
        except nats.errors.MaxPayloadError as e:
            raise TooLarge from e
        except (nats.errors.ConnectionClosedError, nats.errors.OutboundBufferLimitError) as e:
            raise NotSent from e

    async def request(
        self,
        subject: str,
        payload: bytes,
        *,
        timeout_s: float,
        headers: dict[str, str] | None = None,
        takes: Callable[[Msg], bool] = lambda _: True,
    ) -> Msg:
        """The first answer that `takes` takes: whoever may subscribe to the subject can answer, too.

        Raises NotSent, TooLarge, Lost, Denied, TimeoutError.
        """
        loop = asyncio.get_running_loop()
        token = str(next(self._numbers))
        future: asyncio.Future[Msg | Exception] = loop.create_future()
        # Not by cancelling: nats-py swallows a cancellation in some places.
        timer = loop.call_later(timeout_s, _settle, future, TimeoutError())
        self._asked[token] = _Asked(subject, takes, future)
        try:
            await self.send(subject, payload, f"{self._inbox}.{token}", headers)
            answer = await future
        finally:
            timer.cancel()
            del self._asked[token]
        if isinstance(answer, Exception):
            raise answer
        return answer

    @contextlib.asynccontextmanager
    async def pull(self, subject: str, payload: bytes) -> AsyncIterator[Pull]:
        """What the server sends upon one request. What it sends when nobody waits any more goes back at once."""
        pull = Pull()

        async def came(message: Msg) -> None:
            if pull.over:
                await self.hand_back(message)
            else:
                pull.messages.put_nowait(message)

        # What JetStream delivers bears its own subject: only a subscription of its own tells whose it is.
        inbox = self._client.new_inbox()
        subscription = await self._client.subscribe(inbox, cb=came, pending_msgs_limit=0, pending_bytes_limit=0)
        self._pulls.add(pull)
        try:
            await self.send(subject, payload, inbox)
            yield pull
        finally:
            pull.over = True
            self._pulls.discard(pull)
            ending = asyncio.create_task(self._end(subscription, pull))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def _end(self, subscription: Subscription, pull: Pull) -> None:
        with contextlib.suppress(nats.errors.Error, OSError):
            while not pull.messages.empty():
                await self.hand_back(pull.messages.get_nowait())
            if pull.complete:
                await subscription.unsubscribe()
            else:
                # What the server sent until it knows still arrives, and goes back.
                await subscription.drain()  # type: ignore[no-untyped-call]

    async def hand_back(self, message: Msg | None) -> None:
        """Best effort: without it the message comes again when the consumer's own wait is over."""
        if message is not None and message.reply.startswith(_ACK):
            with contextlib.suppress(NotSent):
                await self.send(message.reply, b"-NAK")

    async def _came(self, message: Msg) -> None:
        token = message.subject.rpartition(".")[2]
        if (asked := self._asked.get(token)) is not None and asked.takes(message):
            _settle(asked.answer, message)

    async def _told(self, error: Exception) -> None:
        """Errors without a request to belong to. The server names the subject that it did not let pass, once."""
        text = str(error)
        if "permissions violation" not in text.lower():
            return
        everything = "subscription" in text.lower()
        for asked in self._asked.values():
            if everything or f'"{asked.subject}"' in text:
                _settle(asked.answer, Denied())

    async def _ended(self) -> None:
        for asked in self._asked.values():
            _settle(asked.answer, Lost())
        for pull in self._pulls:
            pull.messages.put_nowait(None)
        for ending in tuple(self._ending):
            ending.cancel()


def _settle(future: "asyncio.Future[Msg | Exception]", outcome: Msg | Exception) -> None:
    if not future.done():
        future.set_result(outcome)
