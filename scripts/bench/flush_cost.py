"""What one durable write costs on the disk of a run: an audit log on a memory file system would flatter Douane."""

import os
import time
from pathlib import Path
from statistics import median

TRIES = 40
BLOCK = b"\0" * 4096


def file_system(folder: Path) -> str:
    """The type of the file system that holds the folder, as the kernel names it."""
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    holding = [(point, kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(holding, key=lambda mount: len(mount[0]))[1]


def flush_us(folder: Path) -> float:
    """Median of a few appends of 4 KiB, each followed by fdatasync."""
    path, spent_s = folder / "flush", []
    with path.open("wb", buffering=0) as file:
        for _ in range(TRIES):
            started_s = time.perf_counter()
            file.write(BLOCK)
            os.fdatasync(file.fileno())
            spent_s.append(time.perf_counter() - started_s)
    path.unlink()
    return median(spent_s) * 1e6
