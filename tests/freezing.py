"""Processes that stop in their tracks: they stay connected and say nothing any more."""

import os
import signal
import time
from pathlib import Path


def freeze(pid: int) -> None:
    """Until SIGCONT."""
    os.kill(pid, signal.SIGSTOP)
    # The signal returns before every thread has heard of it, and one that has not still answers.
    while not all(_stopped(thread) for thread in Path(f"/proc/{pid}/task").iterdir()):
        time.sleep(0.005)


def thaw(pid: int) -> None:
    os.kill(pid, signal.SIGCONT)


def _stopped(thread: Path) -> bool:
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0] == "T"
    except FileNotFoundError:
        return True  # that thread ended
