"""A proxy for tests of lost answers: what is sent passes, what is answered can be withheld or cut off."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from enum import StrEnum


class Mode(StrEnum):
    PASS = "pass"
    MUTE = "mute"
    """Answers do not come back."""
    CUT = "cut"
    """The connection ends instead of the next answer."""


class Gate:
    def __init__(self, port: int) -> None:
        self._to = port
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.mode = Mode.PASS
        self.sent = bytearray()
        """Everything that came from the clients."""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._open |= {writer, back}
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError):
            await asyncio.gather(self._forth(reader, back), self._back(there, writer))
        for end in (writer, back):
            end.close()
            with contextlib.suppress(OSError):
                await end.wait_closed()
            self._open.discard(end)
        self._tasks.discard(task)

    async def _forth(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            self.sent += data
            writer.write(data)
        writer.close()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if self.mode is Mode.CUT:
                break
            if self.mode is Mode.PASS:
                writer.write(data)
        writer.close()

    async def close(self) -> None:
        for end in tuple(self._open):
            end.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)


@contextlib.asynccontextmanager
async def gate_to(port: int, *, at: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[Gate]:
    """`at`: the gate's own port, 0: any. `tls`: what clients must speak; behind the gate it is plain text."""
    gate = Gate(port)
    server = await asyncio.start_server(gate.serve, "127.0.0.1", at, ssl=tls)
    gate.port = server.sockets[0].getsockname()[1]
    try:
        yield gate
    finally:
        server.close()
        await gate.close()
        await server.wait_closed()
