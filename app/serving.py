"""How a gateway is served: one process or several workers, started, drained and closed in order."""

import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from math import ceil
from typing import Any, Protocol

import uvicorn
import uvloop

from app.api.door import AsgiApp
from app.settings.model import Server


class Gateway(Protocol):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def drain(self) -> None:
        """The server comes to an end: whoever waits for a human is to be answered now."""


OpenGateway = Callable[[], AbstractAsyncContextManager[Gateway]]


class StartRefused(Exception):  # noqa: N818
    """The server does not start: unsafe findings that nobody acknowledged, or a part that cannot work."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def run(opened: OpenGateway, host: str, port: int, drain_s: float, started: Callable[[], None] = lambda: None) -> None:
    """One process: gateway and server on one loop, until SIGTERM or SIGINT. Raises StartRefused."""

    async def main() -> None:
        async with opened() as app:
            config = uvicorn.Config(app, host=host, port=port, lifespan="off", **_options(drain_s))
            server = _Server(config, started, app.drain)
            # uvicorn re-raises the signal that stopped it: it must find a handler that lets us close in order.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: None)
            try:
                await server.serve()
            except SystemExit as error:
                # uvicorn ends the process when the port is taken; we still have a log to close.
                raise StartRefused([f"cannot listen on {host}:{port}: is another process using it?"]) from error

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def run_workers(factory: str, server: Server, drain_s: float) -> None:
    """Several processes behind one socket, each with its own pools, caches and log."""
    uvicorn.run(
        factory,
        factory=True,
        workers=server.workers,
        host=server.host,
        port=server.port,
        lifespan="on",
        loop="uvloop",
        **_options(drain_s),
    )


def with_lifespan(opened: OpenGateway) -> AsgiApp:
    """An ASGI application that opens its gateway at startup and closes it at shutdown."""
    stack = AsyncExitStack()
    running: list[Gateway] = []

    async def root(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await running[0](scope, receive, send)
            return
        await receive()
        try:
            running.append(await stack.enter_async_context(opened()))
        except StartRefused as refused:
            print("\n".join(refused.problems), file=sys.stderr)
            await send({"type": "lifespan.startup.failed", "message": "start refused"})
            return
        _drain_on_signals(running[0].drain)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await stack.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    return root


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None], on_draining: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._on_draining = on_draining

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()

    async def shutdown(self, sockets: Any = None) -> None:
        self._on_draining()
        await super().shutdown(sockets)


def _drain_on_signals(drain: Callable[[], None]) -> None:
    """A worker's server is uvicorn's own: it tells its application only when all requests are over."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)

        def drained(taken: int, frame: Any, before: Any = before) -> None:
            loop.call_soon_threadsafe(drain)
            if callable(before):
                before(taken, frame)

        signal.signal(number, drained)


def _options(drain_s: float) -> dict[str, Any]:
    return {
        "http": "httptools",
        "ws": "none",
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,
        # 0 is a limit too: None would wait for ever.
        "timeout_graceful_shutdown": ceil(drain_s),
        "backlog": 2048,
    }
