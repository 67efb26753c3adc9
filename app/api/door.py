"""The ASGI door: routes, reads and answers data requests without a framework in between; the rest goes to FastAPI.

A FastAPI handler costs a tenth of a millisecond, which is more than the whole warm path of a query. The endpoints are
declared as FastAPI routes all the same (app.api.operations): one source makes the document and this routing table.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any

from app.api.endpoint import Arrived, Endpoint
from app.api.incoming import BodyStream
from app.api.reading import body_too_large, preferred_wait_s, require_acceptable
from app.api.routing import Routes, Wired, nowhere
from app.api.sending import Send, send_stream, send_whole
from app.api.watching import Receive, Watch, Watches
from app.gateway.answer import Answer
from app.gateway.errors import (
    HeadersTooLarge,
    HostNotAllowed,
    InvalidToken,
    OriginNotAllowed,
    Overloaded,
    Refused,
    SlowBody,
    UriTooLong,
)
from app.gateway.pipeline import Customs, Operation, Passage, UseCase
from app.gateway.waiting import WaitingRoom

Scope = MutableMapping[str, Any]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_TIMEOUT_S = 20.0
MAX_KNOWN_HOSTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """What the door accepts. `hosts`: Host headers in lower case, without port; `origins`: Origin values."""

    hosts: frozenset[str]
    origins: frozenset[str]
    max_body_bytes: int
    max_url_bytes: int
    max_headers_bytes: int
    max_in_flight: int
    """More requests at once are turned away, recorded, before they cost anything."""


class _ClientLeft(Exception):  # noqa: N818
    pass


class Door:
    """`trace` makes a trace id from the traceparent header (None: a new one). Paths for which `elsewhere` is true are
    `rest`'s; every other request is a data request, and recorded, also when there is nothing at its path. Who sits in
    `room` waits for a human, and is no load. `draining` wakes all who wait."""

    def __init__(
        self,
        *,
        customs: Customs,
        endpoints: Iterable[Endpoint],
        use_cases: Mapping[str, UseCase],
        entrance: Entrance,
        trace: Callable[[bytes | None], str],
        rest: AsgiApp,
        elsewhere: Callable[[str], bool],
        room: WaitingRoom | None = None,
        draining: Callable[[], None] = lambda: None,
    ) -> None:
        self._room = room or WaitingRoom()
        self._draining = draining
        self._customs = customs
        self._entrance = entrance
        self._trace = trace
        self._rest = rest
        self._elsewhere = elsewhere
        self._routes = Routes(endpoints, use_cases)
        self._known_hosts: set[bytes] = set()
        self._watches = Watches()
        self._present = 0
        self._streaming = 0
        self._empty: asyncio.Event | None = None
        self._nowhere = Operation(name="unknown", scopes=frozenset(), use_case=_never)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._elsewhere(scope["path"]):
            await self._rest(scope, receive, send)
            return
        headers = dict(scope["headers"])
        wired, path_args, refused = self._routes.match(scope["method"], scope["path"], scope["raw_path"] or b"")
        refused = self._unwelcome(scope, headers) or refused
        self._present += 1
        try:
            await self._pass(scope, receive, send, headers, wired, path_args, refused)
        finally:
            self._present -= 1
            if self._empty is not None and not self._present:
                self._empty.set()

    @property
    def in_flight(self) -> int:
        """Data requests that are at work: those that wait for a human, and streams, are not."""
        return self._present - self._room.waiting - self._streaming

    def drain(self) -> None:
        """No request comes in any more: those that wait for a human go on with what is known."""
        self._draining()

    async def emptied(self, timeout_s: float) -> None:
        """Ends when no data request is under way any more, or when waiting longer helps nobody."""
        if self._present:
            self._empty = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), timeout_s)

    async def _pass(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: Mapping[bytes, bytes],
        wired: Wired | None,
        path_args: Mapping[str, str],
        refused: Refused | None,
    ) -> None:
        body = b""
        late: Refused | None = None
        watch: Watch | None = None
        stream: BodyStream | None = None
        command: Any = None
        trace_id = self._trace(headers.get(b"traceparent"))

        def parse() -> Any:
            # Runs after authentication; a refusal that needs no token to be true was raised before.
            nonlocal command
            assert wired is not None
            require_acceptable(headers, wired.endpoint.media_type)
            if late is not None:
                raise late
            command = wired.endpoint.parse(
                Arrived(path_args=path_args, query=scope["query_string"], body=body, headers=headers, stream=stream)
            )
            return command

        passage = Passage(
            operation=self._nowhere if wired is None else wired.operation,
            method=scope["method"],
            path=scope["path"],
            trace_id=trace_id,
            bearer=lambda: _bearer(scope["headers"]),
            parse=parse,
            refused=refused,
            client_left=lambda: (watch is not None and watch.client_left) or (stream is not None and stream.left),
        )
        if wired is not None and refused is None and wired.endpoint.streams_body(headers):
            # Whoever watched for the client to leave would take pieces of the body.
            stream = BodyStream(headers, receive, now=time.monotonic)
        elif wired is not None and refused is None and wired.endpoint.reads_body:
            try:
                body, late = await self._read(headers, receive)
            except _ClientLeft:
                await self._customs.abandoned(passage)
                return
            except asyncio.CancelledError:
                await self._customs.abandoned(passage)
                raise
        if stream is None and (body or (wired is not None and wired.endpoint.waits)):
            watch = Watch(receive)
            self._watches.add(watch)
        try:
            answer = await self._customs.passage(passage)
            if answer.stream is not None:
                if watch is not None:
                    # A server takes what is sent to a client that left as if it had been sent: nobody else would tell.
                    watch.start()
                await self._stream(answer, trace_id, send)
                return
        except asyncio.CancelledError:
            if not passage.client_left():
                raise
            # Recorded as cancelled by the pipeline, and nobody is left to answer.
            return
        finally:
            if watch is not None:
                self._watches.remove(watch)
        if stream is not None and not stream.whole:
            # What is left of the body is not read: the next request needs a connection of its own.
            answer.headers["connection"] = "close"
        if b"prefer" in headers and command is not None and answer.status < 300:
            _say_preference(answer, headers, command)
        await send_whole(answer, trace_id, send, head=scope["method"] == "HEAD")

    async def _stream(self, answer: Answer, trace_id: str, send: Send) -> None:
        if answer.length is not None:
            # Content has an end, and is work.
            await send_stream(answer, trace_id, send)
            return
        self._streaming += 1
        try:
            await send_stream(answer, trace_id, send)
        finally:
            self._streaming -= 1

    def _unwelcome(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Refused | None:
        if self.in_flight >= self._entrance.max_in_flight:
            return Overloaded("Too many requests at once: retry after a moment.", retry_after_s=1)
        if len(scope["raw_path"] or b"") + len(scope["query_string"]) > self._entrance.max_url_bytes:
            return UriTooLong(
                f"The limit is {self._entrance.max_url_bytes} bytes of URL: send long values in the body."
            )
        if sum(map(len, chain.from_iterable(scope["headers"]))) > self._entrance.max_headers_bytes:
            return HeadersTooLarge(f"The limit is {self._entrance.max_headers_bytes} bytes of headers.")
        if len(headers) != len(scope["headers"]) and (twice := _sent_twice(scope["headers"])):
            return HostNotAllowed(f"The header {twice} came twice: send it once.")
        if not self._served(headers.get(b"host", b"")):
            return HostNotAllowed("This host name is not served here: use the public URL of the gateway.")
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower() not in self._entrance.origins:
            return OriginNotAllowed("Requests from pages of other origins are not accepted.")
        return None

    def _served(self, host: bytes) -> bool:
        if host in self._known_hosts:
            return True
        if _hostname(host.decode("latin-1").lower()) not in self._entrance.hosts:
            return False
        if len(self._known_hosts) < MAX_KNOWN_HOSTS:
            self._known_hosts.add(host)
        return True

    async def _read(self, headers: Mapping[bytes, bytes], receive: Receive) -> tuple[bytes, Refused | None]:
        limit = self._entrance.max_body_bytes
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > limit:
            return b"", body_too_large(limit)
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            whole: bytes = message.get("body", b"")
            return (whole, None) if len(whole) <= limit else (b"", body_too_large(limit))
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                return await self._read_rest(message, limit, receive)
        except TimeoutError:
            return b"", SlowBody(f"The body must arrive within {BODY_TIMEOUT_S:g} s: send it again in one go.")

    async def _read_rest(
        self, message: MutableMapping[str, Any], limit: int, receive: Receive
    ) -> tuple[bytes, Refused | None]:
        chunks: list[bytes] = []
        size = 0
        while True:
            if message["type"] == "http.disconnect":
                raise _ClientLeft
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > limit:
                return b"", body_too_large(limit)
            if not message.get("more_body", False):
                return b"".join(chunks), None
            message = await receive()


def _say_preference(answer: Answer, headers: Mapping[bytes, bytes], command: Any) -> None:
    """RFC 7240: which preference was honoured. A twin in the body or query that says otherwise has precedence."""
    wait_s = preferred_wait_s(headers)
    if wait_s and getattr(command, "wait_seconds", 0) == wait_s:
        answer.headers["preference-applied"] = f"wait={wait_s}"


def _bearer(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The token of the one Authorization header; None without one. Raises InvalidToken."""
    found = [value for name, value in headers if name == b"authorization"]
    if not found:
        return None
    if len(found) > 1:
        raise InvalidToken("Send exactly one Authorization header.", reason="several_tokens")
    scheme, _, token = found[0].decode("latin-1").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        return None
    return token


def _sent_twice(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """A header that must not have two readings: which one counts would depend on who reads."""
    names = [name for name, _ in headers]
    return next((name.decode("ascii") for name in (b"host", b"origin", b"content-type") if names.count(name) > 1), None)


def _hostname(host: str) -> str:
    """Host header without its port; IPv6 literals keep their brackets."""
    if host.startswith("["):
        return host.split("]", 1)[0] + "]"
    return host.rsplit(":", 1)[0] if ":" in host else host


async def _never(caller: Any, command: Any, record: Any) -> Answer:
    raise nowhere()
