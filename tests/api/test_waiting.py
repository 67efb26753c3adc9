"""Hundreds wait for a human at one gateway: they cost little, hinder nobody, may leave, and are told when it stops."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.running import Running, demo

WAITERS = 200
MANY_S = 60


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with demo(tmp_path_factory.mktemp("waiting")) as running:
        yield running


class Waiter:
    """One connection that asks, and reads the answer when it comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def answer(self) -> Any:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        size = next(int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length"))
        return json.loads(await self._reader.readexactly(size))

    async def rest(self) -> bytes:
        return await self._reader.read()


@asynccontextmanager
async def asking(running: Running, path: str, who: str) -> AsyncIterator[Waiter]:
    host, port = running.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"GET {path} HTTP/1.1\r\nhost: {host}:{port}\r\nauthorization: Bearer {running.token(who)}\r\n\r\n".encode()
    )
    try:
        yield Waiter(reader, writer)
    finally:
        writer.close()


def asked(running: Running, number: int) -> str:
    return str(running.query("ana", f"DELETE FROM orders WHERE id = {number}").json()["approval_id"])


def gauge(running: Running, name: str) -> float:
    with running.client() as client:
        text = client.get("/metrics").text
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


async def until_waiting(running: Running, number: int) -> None:
    until = time.monotonic() + MANY_S
    while await asyncio.to_thread(gauge, running, "douane_requests_in_flight") < number:
        assert time.monotonic() < until
        await asyncio.sleep(0.1)


def resident_mb(running: Running) -> float:
    return int(Path(f"/proc/{running.process.pid}/statm").read_text().split()[1]) * 4096 / 1e6


async def test_two_hundred_wait_for_one_decision_in_little_memory_and_hinder_nobody(gateway: Running) -> None:
    name = asked(gateway, 31)
    before_mb = resident_mb(gateway)
    async with AsyncExitStack() as stack:
        waiters = [
            await stack.enter_async_context(asking(gateway, f"/v1/approvals/{name}?wait_seconds=60", "ana"))
            for _ in range(WAITERS)
        ]
        await until_waiting(gateway, WAITERS)
        assert resident_mb(gateway) - before_mb < 100 * WAITERS / 1_000 + 20
        meanwhile = await asyncio.to_thread(gateway.query, "ana", "SELECT 1 AS one")
        assert meanwhile.status_code == 200
        await asyncio.to_thread(_decide, gateway, name)
        answers = await asyncio.wait_for(asyncio.gather(*(waiter.answer() for waiter in waiters)), MANY_S)
    assert {answer["state"] for answer in answers} == {"approved"}


async def test_who_leaves_while_waiting_is_on_record_and_waits_no_more(gateway: Running) -> None:
    name = asked(gateway, 32)
    await until_waiting(gateway, 0)
    async with asking(gateway, f"/v1/approvals/{name}?wait_seconds=60", "ana"):
        await until_waiting(gateway, 1)
        await asyncio.sleep(0.5)
    until = time.monotonic() + 20
    while await asyncio.to_thread(gauge, gateway, "douane_requests_in_flight"):
        assert time.monotonic() < until, "it waits on"
        await asyncio.sleep(0.1)
    with gateway.client() as client:
        text = client.get("/metrics").text
    counted = [line for line in text.splitlines() if 'operation="get_approval",outcome="cancelled"' in line]
    assert [float(line.split()[-1]) for line in counted if "requests_total" in line] == [1.0]


async def test_when_the_gateway_stops_those_who_wait_are_answered_and_streams_end(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        name = asked(running, 33)
        async with (
            asking(running, f"/v1/approvals/{name}?wait_seconds=60", "ana") as waiter,
            asking(running, "/v1/approvals/events", "max") as stream,
        ):
            await until_waiting(running, 1)
            await asyncio.sleep(1)
            stopping = asyncio.create_task(asyncio.to_thread(running.stop))
            assert (await asyncio.wait_for(waiter.answer(), 15))["state"] == "pending"
            assert (await asyncio.wait_for(stream.rest(), 15)).endswith(b"0\r\n\r\n")
            await stopping
        log = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
        assert any(b"stream_ended" in text for text in log)


def _decide(running: Running, name: str) -> None:
    with running.client() as client:
        answer = client.post(
            f"/v1/approvals/{name}/decision", json={"decision": "approve"}, headers=running.auth("max")
        )
    assert answer.status_code == 200
