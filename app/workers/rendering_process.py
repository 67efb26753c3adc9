"""One process that renders, seen from its parent: started, given jobs by file descriptors, killed."""

import asyncio
import errno
import json
import os
import pickle
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from app.objects.plan import Rendered, RenderPlan
from app.objects.refusal import ContentFault, ContentRefused
from app.workers.rendering_child import LENGTH

START_TIMEOUT_S = 30.0
_MAX_ANSWER_BYTES = 1 << 20
ENVIRONMENT = {
    # One arena that is kept: pages that go back to the system and come again cost more than the work on them. The
    # threshold is the highest that glibc takes.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "OMP_NUM_THREADS": "1",
    "LC_ALL": "C.UTF-8",
}
"""Of the process, and all of it but the path of modules."""


class ProcessLost(Exception):  # noqa: N818
    """It ended by itself, or could not be started."""


class RenderingProcess:
    """`memory_bytes` bounds what it may write to in memory. Not for two jobs at a time."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Blocks. Does nothing while the process lives. Raises ProcessLost."""
        if self._process is not None and self._process.poll() is None:
            return
        self.kill()
        ours, theirs = socket.socketpair()
        with theirs:
            environment = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "app.workers.rendering_child", str(theirs.fileno()), str(self._memory_bytes)],
                pass_fds=(theirs.fileno(),),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._control = ours
        ours.settimeout(START_TIMEOUT_S)
        try:
            ready = ours.recv(LENGTH.size, socket.MSG_WAITALL)
            ready = ready and ours.recv(LENGTH.unpack(ready)[0], socket.MSG_WAITALL)
        except (OSError, struct.error) as error:
            self.kill()
            raise ProcessLost from error
        if not ready:
            self.kill()
            raise ProcessLost
        ours.setblocking(False)

    def kill(self) -> None:
        """Blocks for the moment that the system needs."""
        process, control = self._process, self._control
        self._process = self._control = None
        if process is not None:
            process.kill()
            process.wait()
        if control is not None:
            control.close()

    def kill_soon(self) -> None:
        if self._process is not None:
            self._process.kill()

    async def render(self, plan: RenderPlan, fds: Sequence[int], sent: Callable[[], None]) -> Rendered:
        """`fds`: source, sink and perhaps a scratch file; `sent`: they may be closed. Raises ContentRefused,
        ProcessLost, and OSError where the sink has no room."""
        control = self._control
        if control is None:
            raise ProcessLost
        loop = asyncio.get_running_loop()
        job = pickle.dumps(plan)
        try:
            socket.send_fds(control, [LENGTH.pack(len(job))], list(fds))
            sent()
            await loop.sock_sendall(control, job)
            size = LENGTH.unpack(await _exactly(control, LENGTH.size))[0]
            if size > _MAX_ANSWER_BYTES:
                raise ProcessLost
            answer = json.loads(await _exactly(control, size))
        except (OSError, ValueError) as error:
            raise ProcessLost from error
        return _rendered(answer)


async def _exactly(control: socket.socket, size: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = bytearray()
    while len(data) < size:
        more = await loop.sock_recv(control, size - len(data))
        if not more:
            raise ProcessLost
        data += more
    return bytes(data)


def _rendered(answer: Any) -> Rendered:
    """Raises what the answer says, and ProcessLost for one that is none."""
    match answer:
        case {
            "rows": int() | None as rows,
            "labels_masked": list(labels),
            "bytes_out": int(count),
            "sha256": str(digest),
        }:
            return Rendered(rows=rows, labels_masked=tuple(map(str, labels)), bytes_out=count, sha256=digest)
        case {"refused": str(code), "detail": str(detail), "place": str() | None as place}:
            raise ContentRefused(ContentFault(code), detail, place)
        case {"exhausted": True}:
            raise ProcessLost
        case {"no_room": True}:
            raise OSError(errno.ENOSPC, "no room for what is rendered")
        case {"fault": str(kind)}:
            raise RuntimeError(f"rendering process: {kind}")
        case _:
            raise ProcessLost
