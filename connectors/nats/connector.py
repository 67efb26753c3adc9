"""NATS JetStream behind the connector contract: a topic is a subject of the configured stream."""

import asyncio
import contextlib
from collections.abc import Sequence
from urllib.parse import urlsplit

from connectors.contract import (
    Acked,
    Confirmed,
    ConnectorConfig,
    ConnectorError,
    Failure,
    Family,
    Finding,
    Incoming,
    Outgoing,
    Severity,
)
from connectors.driver_logs import silence
from connectors.exposure import exposed
from connectors.nats.faults import EXPECTED, before_publishing, of_call, of_publish, unavailable
from connectors.nats.handles import reply_of
from connectors.nats.link import Link
from connectors.nats.management import ApiError, Consumer, Management, NoResponders, no_responders
from connectors.nats.publishing import answered
from connectors.nats.receiving import Receiving
from connectors.nats.subjects import literal
from connectors.nats.wire import size, to_headers

_MAX_BODY_BYTES = 1_000_000
"""The server's usual maximum is 1 MiB, headers included."""
_ASK_S = 5.0
_RELEASE_S = 2.0
_LOOK_S = 0.25
"""Between two looks whether a subject holds its first message."""


class NatsConnector:
    """Options: `url`, `stream`, `durable`, `max_deliver`. Secrets: `user` and `password`, or `token`."""

    family = Family.MESSAGES
    deduplicates = True
    max_body_bytes = _MAX_BODY_BYTES

    def __init__(self, config: ConnectorConfig) -> None:
        silence("nats")
        self._servers = [server.strip() for server in config.options["url"].split(",")]
        self._stream: str = config.options["stream"]
        self._durable: str = config.options.get("durable") or "douane"
        self._max_deliver: int | None = config.options.get("max_deliver")
        self._secrets = config.secrets
        self._timeout_s = config.timeout_s
        self._connected: tuple[Link, Management] | None = None
        self._connecting: asyncio.Task[tuple[Link, Management]] | None = None
        self._open = False

    async def open(self) -> None:
        self._open = True

    async def close(self) -> None:
        self._open = False
        if self._connecting is not None:
            self._connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectorError):
                await self._connecting
        connected, self._connected = self._connected, None
        if connected is not None:
            await connected[0].close()

    async def publish(self, message: Outgoing, *, timeout_s: float) -> Confirmed:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        if not literal(message.topic):
            raise ConnectorError(Failure.NOT_FOUND)
        try:
            link, management = await self._link(timeout_s)
            await management.must_have(message.topic, _left(deadline))
        except EXPECTED as e:
            raise before_publishing(e) from e
        headers = to_headers(message, self._stream)
        if len(message.body) > _MAX_BODY_BYTES or len(message.body) + size(headers) > link.max_payload:
            raise ConnectorError(Failure.OUT_OF_RESOURCES)
        try:
            answer = await link.request(
                message.topic,
                message.body,
                timeout_s=_left(deadline),
                headers=headers,
                takes=lambda came: no_responders(came.headers) or answered(came.data, self._stream) is not None,
            )
        except EXPECTED as e:
            raise of_publish(e) from e
        match answered(answer.data, self._stream):
            case Confirmed() as confirmed:
                return confirmed
            case ApiError() as refused:
                raise of_publish(refused) from refused
        # Nobody took it: the stream is gone, or knows the subject no more, or has no leader for the moment.
        try:
            await management.must_have(message.topic, _left(deadline), anew=True)
        except EXPECTED as e:
            raise before_publishing(e) from e
        # It is there and takes the subject: somebody else may have said so in its place.
        raise ConnectorError(Failure.OUTCOME_UNKNOWN)

    async def receive(self, topic: str, *, limit: int, visibility_s: float, wait_s: float) -> tuple[Incoming, ...]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        again = False
        while True:
            try:
                link, management = await self._link(self._timeout_s)
                consumer = await management.receiving(topic, _ASK_S)
            except EXPECTED as e:
                raise before_publishing(e) from e
            if consumer is None:
                if (left_s := deadline - loop.time()) <= 0:
                    return ()
                await asyncio.sleep(min(left_s, _LOOK_S))
                continue
            try:
                left_s = max(deadline - loop.time(), 0)
                return await Receiving(link, consumer).run(limit=limit, visibility_s=visibility_s, wait_s=left_s)
            except (NoResponders, TimeoutError) as e:
                # Somebody deleted the consumer, which older servers say nothing of: it is made anew, once.
                management.forget(topic)
                if again:
                    raise unavailable() from e
                again = True
            except EXPECTED as e:
                raise before_publishing(e) from e

    async def ack(self, topic: str, handles: Sequence[str], *, timeout_s: float) -> tuple[Acked, ...]:
        deadline = asyncio.get_running_loop().time() + timeout_s
        if not handles:
            return ()
        try:
            link, management = await self._link(timeout_s)
            consumer = await management.consumer(topic, _left(deadline))
            if consumer is None:
                return (Acked.GONE,) * len(handles)
            return tuple(await asyncio.gather(*(_ack(link, management, consumer, topic, h, deadline) for h in handles)))
        except EXPECTED as e:
            raise of_call(e) from e

    async def release(self, topic: str, handles: Sequence[str]) -> None:
        with contextlib.suppress(ConnectorError, *EXPECTED):
            link, management = await self._link(_RELEASE_S)
            consumer = await management.consumer(topic, _RELEASE_S)
            for handle in handles:
                if consumer is not None and (reply := reply_of(handle, consumer)) is not None:
                    await link.request(reply, b"-NAK", timeout_s=_RELEASE_S)

    async def topics(self) -> tuple[str, ...] | None:
        """Subjects of the stream that are one topic each, and of its patterns those that hold messages."""
        try:
            _, management = await self._link(self._timeout_s)
            subjects = await management.subjects(_ASK_S)
            found = {s for s in subjects if literal(s)}
            if len(found) < len(subjects):
                found |= {s for s in await management.in_use(_ASK_S) if literal(s)}
        except EXPECTED as e:
            raise of_call(e) from e
        return tuple(sorted(found))

    async def probe(self) -> tuple[Finding, ...]:
        try:
            _, management = await self._link(self._timeout_s)
            subjects = await management.subjects(_ASK_S)
        except (ConnectorError, *EXPECTED):
            return (
                Finding(
                    code="unreachable",
                    severity=Severity.WARNING,
                    text="no JetStream: check url, credentials and that the server runs with JetStream",
                ),
            )
        findings = [Finding(code="reachable", severity=Severity.OK, text="JetStream answers")]
        if not subjects:
            findings.append(
                Finding(code="no_stream", severity=Severity.WARNING, text="there is no such stream: create it")
            )
        for server in self._servers:
            parts = urlsplit(server if "://" in server else f"nats://{server}")
            credentials = bool(self._secrets) or parts.username is not None
            findings += exposed(parts.hostname or "", encrypted=parts.scheme in ("tls", "wss"), credentials=credentials)
        return tuple({finding.code: finding for finding in findings}.values())

    async def _link(self, timeout_s: float) -> tuple[Link, Management]:
        """The connection, made anew where there is none. Raises ConnectorError(UNAVAILABLE)."""
        if not self._open:
            raise unavailable()
        if self._connected is not None and self._connected[0].alive:
            return self._connected
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
            # Those who asked may all have given up.
            self._connecting.add_done_callback(_looked_at)
        # One attempt for all who wait; it goes on for the others when one gives up.
        done, _ = await asyncio.wait({self._connecting}, timeout=timeout_s)
        if not done:
            raise unavailable()
        (attempt,) = done
        if attempt.cancelled():
            raise unavailable()
        return attempt.result()

    async def _connect(self) -> tuple[Link, Management]:
        try:
            former, self._connected = self._connected, None
            if former is not None:
                await former[0].close()
            link = Link()
            try:
                credentials = {name: read() for name, read in self._secrets.items()}
                await link.connect(self._servers, credentials)
            except EXPECTED as e:
                raise unavailable() from e
            management = Management(link, stream=self._stream, durable=self._durable, max_deliver=self._max_deliver)
            self._connected = link, management
            return self._connected
        finally:
            self._connecting = None


def _looked_at(attempt: "asyncio.Task[tuple[Link, Management]]") -> None:
    """asyncio complains of errors that nobody took."""
    if not attempt.cancelled():
        attempt.exception()


async def _ack(
    link: Link, management: Management, consumer: Consumer, topic: str, handle: str, deadline: float
) -> Acked:
    reply = reply_of(handle, consumer)
    if reply is None:
        return Acked.GONE
    # The server answers an ack that asks for it when it has taken it in, also when there was none to take.
    answer = await link.request(reply, b"+ACK", timeout_s=_left(deadline))
    if not no_responders(answer.headers):
        return Acked.DONE
    management.forget(topic)
    raise NoResponders


def _left(deadline: float) -> float:
    """Raises TimeoutError."""
    left = deadline - asyncio.get_running_loop().time()
    if left <= 0:
        raise TimeoutError
    return left
