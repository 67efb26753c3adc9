"""The process that renders masked content: `python -m app.workers.rendering_child SOCKET MEMORY_BYTES`.

It meets content that may be hostile, so it holds nothing: no token, no connection, no file but those of its job, no
environment of the gateway; the masking keys of one job at a time. It answers in JSON, so that its parent never
unpickles anything of it, and it ends with its parent.
"""

import errno
import gc
import json
import os
import pickle
import resource
import select
import signal
import socket
import struct
import sys
import threading
from typing import Any, BinaryIO

LENGTH = struct.Struct("!I")
MOST_FILES = 3
_OPEN_FILES = 64
_WRITE_BUFFER_BYTES = 1 << 18
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def main(control_fd: int, memory_bytes: int) -> None:
    _bound(memory_bytes)
    control = socket.socket(fileno=control_fd)
    threading.Thread(target=_end_with_parent, args=(control_fd,), daemon=True).start()
    _load()
    _answer(control, {"ready": True})
    while (job := _next_job(control)) is not None:
        answer, reusable = _outcome(*job)
        del job
        gc.collect()
        _answer(control, answer)
        if not reusable:
            return


def _bound(memory_bytes: int) -> None:
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # The terminal's and the supervisor's signals are for the gateway, which ends this process itself.
        signal.signal(each, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    # Memory that is written to; what is only mapped, such as libraries, does not count.
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


def _end_with_parent(control_fd: int) -> None:
    waiting = select.poll()
    waiting.register(control_fd, 0)
    waiting.poll()
    os._exit(0)


def _load() -> None:
    """Before the first job waits for it."""
    import pyarrow as pa

    import app.objects.columnar
    import app.objects.csv_rendering
    import app.objects.json_document
    import app.objects.ndjson  # noqa: F401

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    gc.freeze()


def _next_job(control: socket.socket) -> tuple[bytes, list[int]] | None:
    header, fds, _, _ = socket.recv_fds(control, LENGTH.size, MOST_FILES)
    if not header:
        return None
    header += _exactly(control, LENGTH.size - len(header))
    return _exactly(control, LENGTH.unpack(header)[0]), fds


def _exactly(control: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        more = control.recv(size - len(data))
        if not more:
            os._exit(0)
        data += more
    return bytes(data)


def _answer(control: socket.socket, answer: dict[str, Any]) -> None:
    data = json.dumps(answer).encode()
    control.sendall(LENGTH.pack(len(data)) + data)


class _OutputFailed(Exception):  # noqa: N818
    """The disk's fault, not the content's."""


class _Output:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: Any) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            raise _OutputFailed from error


def _outcome(job: bytes, fds: list[int]) -> tuple[dict[str, Any], bool]:
    """The answer, and whether this process may take another job."""
    from app.objects.refusal import ContentRefused
    from app.objects.render import render

    with _Files(fds) as files:
        try:
            done = render(pickle.loads(job), files.source, files.sink, files.scratch)  # noqa: S301 - from the parent
            files.output.flush()
        except ContentRefused as refused:
            return {"refused": refused.code.value, "detail": refused.detail, "place": refused.place}, True
        except MemoryError:
            return {"exhausted": True}, False
        except Exception as fault:
            return {"no_room": True} if _lacks_room(fault) else {"fault": type(fault).__name__}, False
    return {
        "rows": done.rows,
        "labels_masked": list(done.labels_masked),
        "bytes_out": done.bytes_out,
        "sha256": done.sha256,
    }, True


def _lacks_room(fault: Exception) -> bool:
    cause = fault.__cause__ if isinstance(fault, _OutputFailed) else fault
    return isinstance(cause, OSError) and cause.errno in _NO_ROOM


class _Files:
    """Of one job: where it reads, where it writes, and perhaps a third to lay things down in."""

    def __init__(self, fds: list[int]) -> None:
        self.source: BinaryIO = open(fds[0], "rb", buffering=0)  # noqa: SIM115 - closed with the job
        self.output: BinaryIO = open(fds[1], "wb", buffering=_WRITE_BUFFER_BYTES)  # noqa: SIM115
        self.scratch: BinaryIO | None = open(fds[2], "w+b", buffering=0) if len(fds) > 2 else None  # noqa: SIM115
        self.sink: Any = _Output(self.output)

    def __enter__(self) -> "_Files":
        return self

    def __exit__(self, *_: object) -> None:
        # The parent waits for the end of its pipe's reader, so the source goes first.
        for file in (self.source, self.output, self.scratch):
            if file is not None:
                _close(file)


def _close(file: BinaryIO) -> None:
    try:
        file.close()
    except OSError:
        # What the buffer held could not be written: the answer says already that the job failed.
        return


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
