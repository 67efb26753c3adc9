"""Samples of objects, each taken in a process of its own with bounded memory and time, as content is rendered."""

import asyncio
import os
import pickle
import subprocess
import sys

from app.objects.refusal import ContentFault
from app.objects.sampling import Sampled, SampleJob, read
from app.workers.sampling_child import REFUSED

MEMORY_BYTES = 768 << 20
TIMEOUT_S = 30
_MAX_ANSWER_BYTES = 64 << 20


class SampleFailed(Exception):  # noqa: N818 - names what happened to the sample
    """Nothing can be said of the content. `code`: why, one of ContentFault."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


async def sample(job: SampleJob, data: bytes) -> list[Sampled]:
    """Raises SampleFailed."""
    answer = await asyncio.to_thread(_answer, pickle.dumps(job) + data)
    if answer.startswith(REFUSED):
        raise SampleFailed(answer.removeprefix(REFUSED).decode("ascii", "replace"))
    try:
        return list(read(answer))
    except ValueError as broken:
        raise SampleFailed(ContentFault.TOO_EXPENSIVE.value) from broken


def _answer(given: bytes) -> bytes:
    command = [sys.executable, "-m", "app.workers.sampling_child", str(MEMORY_BYTES), str(TIMEOUT_S)]
    environment = {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OMP_NUM_THREADS": "1",
        "LC_ALL": "C.UTF-8",
    }
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            command,
            input=given,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise SampleFailed(ContentFault.TOO_EXPENSIVE.value) from late
    if done.returncode != 0 or len(done.stdout) > _MAX_ANSWER_BYTES:
        raise SampleFailed(ContentFault.TOO_EXPENSIVE.value)
    return done.stdout
