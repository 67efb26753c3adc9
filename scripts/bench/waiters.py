"""What a thousand requests that wait for a human cost: memory, connections to the store, and the time to tell them all.

    python scripts/bench/waiters.py [--waiters 1000] [--approvals 100]

Starts a demo of its own, asks for approvals, lets the waiters wait, decides, and prints one table.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.running import Running, demo  # noqa: E402

WAIT_S = 55


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def open_files(pid: int, ending: str) -> int:
    """How many descriptors of the process lead to a file of that name."""
    links = Path(f"/proc/{pid}/fd").iterdir()
    return sum(1 for link in links if str(link.resolve()).endswith(ending))


def in_flight(exposition: str) -> float:
    return next(float(line.split()[-1]) for line in exposition.splitlines() if line.startswith("douane_requests_in_f"))


async def waiting(running: Running, name: str, token: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = running.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"GET /v1/approvals/{name}?wait_seconds={WAIT_S} HTTP/1.1\r\nhost: {host}:{port}\r\n"
        f"authorization: Bearer {token}\r\n\r\n".encode()
    )
    await writer.drain()
    return reader, writer


async def state_of(reader: asyncio.StreamReader) -> str:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    size = next(int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length"))
    body = (await reader.readexactly(size)).decode()
    return body.partition('"state":"')[2].partition('"')[0]


async def measure(running: Running, waiters: int, approvals: int) -> dict[str, float]:
    pid, token = running.process.pid, running.token("ana")
    names = [
        running.query("ana", f"DELETE FROM orders WHERE id = {number}").json()["approval_id"]
        for number in range(1, approvals + 1)
    ]
    before_mb, before_files = resident_mb(pid), open_files(pid, ".db")
    streams = [await waiting(running, names[number % approvals], token) for number in range(waiters)]
    with running.client() as client:
        while in_flight(client.get("/metrics").text) < waiters:
            await asyncio.sleep(0.2)
        await asyncio.sleep(2)
        during_mb, during_files = resident_mb(pid), open_files(pid, ".db")
        asked = time.perf_counter()
        client.get("/v1/me", headers=running.auth("ana"))
        beside_ms = (time.perf_counter() - asked) * 1e3
        started = time.perf_counter()
        answers = asyncio.gather(*(state_of(reader) for reader, _ in streams))

        def decide() -> None:
            headers = running.auth("max")
            for name in names:
                client.post(f"/v1/approvals/{name}/decision", json={"decision": "approve"}, headers=headers)

        await asyncio.to_thread(decide)
        decided_s = time.perf_counter() - started
        states = await answers
        told_s = time.perf_counter() - started
    for _, writer in streams:
        writer.close()
    assert set(states) == {"approved"}, set(states)
    return {
        "waiters": waiters,
        "approvals waited for": approvals,
        "memory before, MB": before_mb,
        "memory while they wait, MB": during_mb,
        "more for all of them, MB": during_mb - before_mb,
        "files of the databases open before": before_files,
        "files of the databases open meanwhile": during_files,
        "another request meanwhile, ms": beside_ms,
        "all decisions taken after, s": decided_s,
        "all waiters answered after, s": told_s,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waiters", type=int, default=1_000)
    parser.add_argument("--approvals", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, demo(Path(folder)) as running:
        figures = asyncio.run(measure(running, given.waiters, given.approvals))
    for name, value in figures.items():
        print(f"{name:<40} {value:>10.2f}" if isinstance(value, float) else f"{name:<40} {value:>10}")


if __name__ == "__main__":
    main()
