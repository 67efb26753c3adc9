"""Masked content is rendered in processes with bounded memory and time: hostile content takes nothing with it, and the
event loop waits for none of it.

The output is complete in a temporary file before anybody sees the first byte of it.
"""

import asyncio
import contextlib
import fcntl
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import BinaryIO, Protocol, TypeVar

from app.masking.detectors import Detectors
from app.objects.formats import Wrapping
from app.objects.plan import Rendered, RenderPlan
from app.objects.refusal import ContentFault, ContentRefused
from app.objects.unwrapping import too_large
from app.workers.rendering_process import ProcessLost, RenderingProcess

_Result = TypeVar("_Result")

_PIPE_BYTES = 1 << 20
_WRITE_BYTES = 1 << 18
_SETTLE_TIMEOUT_S = 2.0
"""How long a process whose job was given up may take to notice, before it is killed."""


class Job(Protocol):
    async def write(self, chunk: bytes) -> None:
        """The next bytes of the content. Raises ContentRefused as soon as the rendering is."""
        ...

    async def finish(self) -> tuple[Rendered, BinaryIO]:
        """After the last byte: what was rendered, and the file that holds it, at its beginning; the caller closes it.
        Raises ContentRefused."""
        ...


class RenderingWorkers:
    """`size` processes; more jobs wait for their turn. `timeout_s` bounds the time that one job waits for its process,
    so that a source that is slow costs nothing of it."""

    def __init__(self, *, size: int, memory_bytes: int, timeout_s: float, detectors: Detectors | None = None) -> None:
        self._timeout_s = timeout_s
        self._detectors = detectors
        self._processes = [RenderingProcess(memory_bytes) for _ in range(size)]
        self._free: asyncio.LifoQueue[RenderingProcess] = asyncio.LifoQueue()
        for process in self._processes:
            self._free.put_nowait(process)
        self._settling: set[asyncio.Task[None]] = set()

    async def warm(self) -> None:
        """Start every process before content waits for it."""
        taken = [self._free.get_nowait() for _ in range(self._free.qsize())]
        try:
            await asyncio.gather(*(asyncio.to_thread(process.start) for process in taken))
        finally:
            for process in taken:
                self._free.put_nowait(process)

    def pids(self) -> tuple[int, ...]:
        """Of the processes that run, for who watches what they cost."""
        return tuple(process.pid for process in self._processes if process.pid is not None)

    async def aclose(self) -> None:
        for process in self._processes:
            process.kill_soon()
        while self._settling:
            await asyncio.wait(set(self._settling))
        await asyncio.gather(*(asyncio.to_thread(process.kill) for process in self._processes))

    @asynccontextmanager
    async def job(self, plan: RenderPlan) -> AsyncIterator[Job]:
        """Left before `finish` came back, the job is given up."""
        if self._detectors is not None:
            plan = replace(plan, detectors=self._detectors)
        output = await _new_file()
        async with contextlib.AsyncExitStack() as held:
            given = held.enter_context(_Given(output))
            if plan.format.seekable:
                spool = held.enter_context(contextlib.closing(await _new_file()))
                yield _SpooledJob(self, plan, spool, given)
            else:
                turn = await held.enter_async_context(self._turn())
                yield held.enter_context(_PipedJob(turn, plan, given))

    async def found(self, plan: RenderPlan, chunks: AsyncIterator[bytes]) -> tuple[str, ...]:
        """The labels that are in the content. Raises ContentRefused."""
        async with self.job(replace(plan, looks=True)) as job:
            async for chunk in chunks:
                await job.write(chunk)
            rendered, file = await job.finish()
        file.close()
        return rendered.labels_masked

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator["_Turn"]:
        process = await self._free.get()
        turn = _Turn(process, self._timeout_s)
        try:
            yield turn
        finally:
            # Not here: who gives up a job does not wait until its process noticed.
            task = asyncio.ensure_future(self._settle(turn))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)

    async def _settle(self, turn: "_Turn") -> None:
        await turn.settled()
        self._free.put_nowait(turn.process)


class _Turn:
    """One job's use of a process."""

    def __init__(self, process: RenderingProcess, timeout_s: float) -> None:
        self.process = process
        self._left_s = timeout_s
        self._task: asyncio.Task[Rendered] | None = None

    def begin(self, plan: RenderPlan, fds: list[int]) -> None:
        """Takes the descriptors and closes them once the process has them."""
        self._task = asyncio.ensure_future(self._run(plan, fds))

    async def _run(self, plan: RenderPlan, fds: list[int]) -> Rendered:
        try:
            await asyncio.to_thread(self.process.start)
            return await self.process.render(plan, fds, sent=lambda: _close_all(fds))
        finally:
            _close_all(fds)

    async def waited(self, what: Callable[[], Awaitable[_Result]]) -> _Result:
        """Against the time that the job has. Raises ContentRefused when it is over; the process is killed then."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._left_s):
                return await what()
        except TimeoutError as late:
            self.process.kill_soon()
            raise _too_expensive() from late
        finally:
            self._left_s = max(self._left_s - (loop.time() - began), 0)

    async def rendered(self) -> Rendered:
        task = self._task
        assert task is not None
        try:
            return await self.waited(lambda: asyncio.shield(task))
        except ProcessLost as lost:
            raise _too_expensive() from lost

    async def settled(self) -> None:
        """The process is ready for another job, or dead."""
        if self._task is None:
            return
        await asyncio.wait({self._task}, timeout=_SETTLE_TIMEOUT_S)
        if not self._task.done():
            self.process.kill_soon()
            await asyncio.wait({self._task})
        if self._task.exception() is not None and not isinstance(self._task.exception(), ContentRefused):
            await asyncio.to_thread(self.process.kill)


class _Given:
    """A file that goes to the caller, or is closed with the job."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.taken = False

    def take(self) -> BinaryIO:
        self.taken = True
        self.file.seek(0)
        return self.file

    def __enter__(self) -> "_Given":
        return self

    def __exit__(self, *_: object) -> None:
        if not self.taken:
            self.file.close()


class _PipedJob:
    """The process reads while the content arrives."""

    def __init__(self, turn: _Turn, plan: RenderPlan, output: _Given) -> None:
        self._turn = turn
        self._output = output
        source, self._pipe = os.pipe()
        os.set_blocking(self._pipe, False)
        with contextlib.suppress(OSError):
            # Beyond what the system allows one user, a smaller pipe does as well.
            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        turn.begin(plan, [source, os.dup(output.file.fileno())])

    async def write(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest:
            try:
                written = os.write(self._pipe, rest[:_WRITE_BYTES])
            except BlockingIOError:
                await self._turn.waited(self._writable)
            except BrokenPipeError:
                # The process stopped reading: its answer says why.
                await self._turn.rendered()
                raise RuntimeError("rendering process: content left over") from None
            else:
                rest = rest[written:]

    async def finish(self) -> tuple[Rendered, BinaryIO]:
        self._end()
        rendered = await self._turn.rendered()
        return rendered, self._output.take()

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        writable: asyncio.Future[None] = loop.create_future()
        loop.add_writer(self._pipe, _set, writable)
        try:
            await writable
        finally:
            loop.remove_writer(self._pipe)

    def _end(self) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def __enter__(self) -> "_PipedJob":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()


class _SpooledJob:
    """The content is laid down first, and a process is taken when it is complete."""

    def __init__(self, workers: RenderingWorkers, plan: RenderPlan, spool: BinaryIO, output: _Given) -> None:
        self._workers = workers
        self._plan = plan
        self._spool = spool
        self._output = output
        self._count = 0

    async def write(self, chunk: bytes) -> None:
        self._count += len(chunk)
        if self._count > self._plan.limits.max_input_bytes:
            raise too_large(self._plan.limits.max_input_bytes)
        await _in_thread(lambda: _write_all(self._spool, chunk))

    async def finish(self) -> tuple[Rendered, BinaryIO]:
        self._spool.seek(0)
        async with contextlib.AsyncExitStack() as held:
            fds = [self._spool.fileno(), self._output.file.fileno()]
            if self._plan.format.wrapping is not Wrapping.NONE:
                scratch = held.enter_context(contextlib.closing(await _new_file()))
                fds.append(scratch.fileno())
            turn = await held.enter_async_context(self._workers._turn())
            turn.begin(self._plan, [os.dup(fd) for fd in fds])
            rendered = await turn.rendered()
        return rendered, self._output.take()


async def _in_thread(work: Callable[[], _Result]) -> _Result:
    """Comes to its end also when it is cancelled: what it works on may be closed after it."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


async def _new_file() -> BinaryIO:
    made: list[BinaryIO] = []
    try:
        await _in_thread(lambda: made.append(tempfile.TemporaryFile(buffering=0)))  # noqa: SIM115 - the job closes it
    except asyncio.CancelledError:
        for file in made:
            file.close()
        raise
    return made[0]


def _write_all(file: BinaryIO, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[file.write(rest) :]


def _set(writable: "asyncio.Future[None]") -> None:
    if not writable.done():
        writable.set_result(None)


def _close_all(fds: list[int]) -> None:
    while fds:
        os.close(fds.pop())


def _too_expensive() -> ContentRefused:
    return ContentRefused(
        ContentFault.TOO_EXPENSIVE,
        "Rendering this content under masks took more memory or time than it may. Ask for an object that holds less, "
        "or split this one.",
    )
