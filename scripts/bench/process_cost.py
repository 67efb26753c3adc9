"""What a server process and everything below it cost: processor time and peak resident memory, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
RESET_PEAK = "5"


def _fields_after_name(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def family(root: int) -> list[int]:
    """The process and its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int(_fields_after_name(int(entry.name))[1])
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended while the listing was read
            children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def cpu_s(root: int) -> float:
    """User and system time of the family, reaped children included."""
    ticks = 0
    for pid in family(root):
        try:
            ticks += sum(int(n) for n in _fields_after_name(pid)[11:15])
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended in between: its time moved to its parent's reaped children
    return ticks / TICKS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """`largest_mb`: the peak of the one process that had the highest. `family_mb`: the sum of all peaks."""

    largest_mb: float
    family_mb: float


def forget_peak(root: int) -> None:
    """Start a new peak at what is resident now, so that one scenario's memory is not blamed on the next."""
    for pid in family(root):
        try:
            Path(f"/proc/{pid}/clear_refs").write_text(RESET_PEAK)
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended while the family was listed


def peak(root: int) -> Memory:
    """The highest resident size since `forget_peak`, or since the start."""
    peaks = [_peak_mb(pid) for pid in family(root)]
    return Memory(largest_mb=max(peaks), family_mb=sum(peaks))


def _peak_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # ended while the family was listed
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0.0)
