"""A closed-loop HTTP load in a process of its own: every connection sends its next request when the answer is complete.

Reads one JSON order on stdin, prints one JSON account on stdout. Every answer is checked (status 200, and as many rows
as ordered, by counting a byte that each row holds once), because a fast refusal must never pass for a fast answer.
At the end no new request is sent and those under way are waited for, so that requests, time and CPU belong together.
"""

import asyncio
import gc
import json
import sys
import time
from array import array
from typing import Any, cast

import httptools
import uvloop

COPRIME_STRIDE = 611_953
MAX_FAULTS_KEPT = 3
PATIENCE_S = 120


class Run:
    """The shared state of one load: what to send next, and the account."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.template: bytes = order["template"].encode()
        self.slots: int = order["slots"]
        self.rows = order["rows"]
        self.reach = order["reach"]
        self.span = order["span"]
        self.number = order["start"]
        self.budget = order.get("requests")
        self.mark = order["mark"].encode()
        lines = [f"POST {order['path']} HTTP/1.1", f"Host: {order['host']}:{order['port']}"]
        lines += [f"{name}: {value}" for name, value in order["headers"].items()]
        self.head = ("\r\n".join(lines) + "\r\nContent-Type: application/json\r\nContent-Length: ").encode()
        self.deadline = float("inf")
        self.latencies_s = array("d")
        self.first_byte_s = array("d")
        self.body_bytes = 0
        self.faults: list[str] = []
        self.busy = 0
        self.idle = asyncio.Event()

    def next_request(self) -> bytes | None:
        """The next of a sequence in which no key comes twice before `span` requests are through."""
        if self.faults or time.perf_counter() >= self.deadline or (self.budget is not None and self.budget <= 0):
            return None
        if self.budget is not None:
            self.budget -= 1
        low = 1 + self.number * COPRIME_STRIDE % self.span
        self.number += 1
        body = self.template % (low, low + self.reach - 1)[: self.slots]
        return self.head + b"%d\r\n\r\n" % len(body) + body

    def fault(self, text: str) -> None:
        if len(self.faults) < MAX_FAULTS_KEPT:
            self.faults.append(text)


class Client(asyncio.Protocol):
    """One connection; also the callback object of its response parser."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.parser = httptools.HttpResponseParser(self)
        self.transport: asyncio.WriteTransport
        self.working = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)

    def send(self) -> None:
        request = self.run.next_request()
        if request is None:
            self.finish()
            return
        if not self.working:
            self.working = True
            self.run.busy += 1
        self.marks = 0
        self.kept = b""
        self.first_s = 0.0
        self.sent_s = time.perf_counter()
        self.transport.write(request)

    def finish(self) -> None:
        if self.working:
            self.working = False
            self.run.busy -= 1
            if self.run.busy == 0:
                self.run.idle.set()

    def data_received(self, data: bytes) -> None:
        if self.first_s == 0.0:
            self.first_s = time.perf_counter()
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.run.body_bytes += len(body)
        self.marks += body.count(self.run.mark)
        if len(self.kept) < 400:
            self.kept += body[:400]

    def on_message_complete(self) -> None:
        now_s = time.perf_counter()
        run = self.run
        run.latencies_s.append(now_s - self.sent_s)
        run.first_byte_s.append(self.first_s - self.sent_s)
        status = self.parser.get_status_code()
        if status != 200:
            run.fault(f"status {status}: {self.kept.decode(errors='replace')}")
        elif self.marks != run.rows:
            run.fault(f"{self.marks} rows instead of {run.rows}: {self.kept.decode(errors='replace')}")
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.working:
            self.run.fault(f"the server closed the connection under way: {exc!r}")
            self.finish()


def quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def loaded(order: dict[str, Any]) -> dict[str, Any]:
    run = Run(order)
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(order["connections"]):
        _, client = await loop.create_connection(lambda: Client(run), order["host"], order["port"])
        clients.append(client)
    await asyncio.sleep(order.get("delay_s", 0.0))
    gc.collect()
    gc.disable()
    cpu_before_s = time.process_time()
    started_s = time.perf_counter()
    run.deadline = started_s + order["seconds"]
    for client in clients:
        client.send()
    try:
        async with asyncio.timeout(order["seconds"] + PATIENCE_S):
            await run.idle.wait()
    except TimeoutError:
        run.fault(f"{run.busy} requests had no answer {PATIENCE_S} s after the end of the round")
    elapsed_s = time.perf_counter() - started_s
    cpu_used_s = time.process_time() - cpu_before_s
    for client in clients:
        client.transport.close()
    ordered = sorted(run.latencies_s)
    return {
        "requests": len(ordered),
        "elapsed_s": elapsed_s,
        "rps": len(ordered) / elapsed_s,
        "p50_ms": quantile(ordered, 0.50) * 1000 if ordered else 0.0,
        "p99_ms": quantile(ordered, 0.99) * 1000 if ordered else 0.0,
        "first_byte_p50_ms": quantile(sorted(run.first_byte_s), 0.50) * 1000 if ordered else 0.0,
        "body_bytes": run.body_bytes,
        "client_cpu_us": cpu_used_s / max(1, len(ordered)) * 1e6,
        "next": run.number,
        "faults": run.faults,
    }


if __name__ == "__main__":
    json.dump(uvloop.run(loaded(json.load(sys.stdin))), sys.stdout)
