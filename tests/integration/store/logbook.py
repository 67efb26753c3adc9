"""What the log's tests share: entries, a closed log to damage, and a clever forger."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.audit.batch import Batch, batches, encode
from app.store.trail import FileTrail

ORIGIN = "douane.example/log"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def entry(number: int, **more: Any) -> dict[str, Any]:
    return {"v": 1, "operation": "query_sql", "trace_id": f"{number:032x}", **more}


async def opened(directory: Path, **more: Any) -> FileTrail:
    return await FileTrail.open(directory, origin=ORIGIN, key=KEY, **more)


async def written(directory: Path, count: int, *, group: int = 10, large: Sequence[int] = ()) -> Path:
    """A closed log of `count` entries, flushed in groups; the entries in `large` keep their statement beside it."""
    async with await opened(directory) as trail:
        start = trail.next_index()
        for first in range(start, start + count, group):
            waits = [
                trail.append(entry(n, statement="s" * 70_000) if n in large else entry(n))
                for n in range(first, min(first + group, start + count))
            ]
            for wait in waits:
                await wait
        return trail.directory


def entries_in(log: Path) -> list[bytes]:
    return [e for batch in batches_in(log) for e in batch.entries]


def batches_in(log: Path) -> list[Batch]:
    with (log / "journal").open("rb") as file:
        found = list(batches(lambda offset, count: os.pread(file.fileno(), count, offset)))
    return [b for b in found if isinstance(b, Batch)]


def forge(log: Path, change: Callable[[list[bytes]], None], group: int = 10) -> None:
    """Rewrites the journal with perfect frames around changed entries."""
    entries = entries_in(log)
    change(entries)
    data = b"".join(encode(at, entries[at : at + group]) for at in range(0, len(entries), group))
    (log / "journal").write_bytes(data)


async def until(condition: Callable[[], bool], attempts: int = 1000) -> None:
    for _ in range(attempts):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never happened")


async def failed(wait: Awaitable[None]) -> Exception | None:
    try:
        await wait
    except Exception as problem:
        return problem
    return None
