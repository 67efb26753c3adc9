"""What object connectors share: keys, counted bodies, and calls on threads that end with a word."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.objects.keys import KeyRefused, parse_key
from connectors.contract import ConnectorError, Failure, Fault
from connectors.object_keys import is_folded, is_key
from connectors.object_streams import blocks, streamed
from connectors.threads import Threads


@given(st.text(max_size=40) | st.from_regex(r"[a-z./ ]{1,12}", fullmatch=True))
def test_every_key_of_the_gateway_is_one_of_the_connectors(raw: str) -> None:
    try:
        key = parse_key(raw)
    except KeyRefused:
        return
    assert is_key(key)
    assert is_folded(f"{key}/")


@given(st.text(max_size=20))
def test_what_a_file_system_would_read_otherwise_is_no_key(text: str) -> None:
    for bad in (
        f"/{text}",
        f"{text}/",
        f"a/../{text}",
        f"./{text}",
        f"a//{text}",
        f"{text}\x00",
        f"{text}\n",
        f"{text}\ud800",
    ):
        assert not is_key(bad)


async def _body(parts: list[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@given(st.lists(st.binary(max_size=30), max_size=30), st.integers(1, 40))
def test_blocks_hold_every_byte_however_it_came(parts: list[bytes], block_bytes: int) -> None:
    async def collected(size: int) -> list[bytes]:
        return [block async for block in blocks(_body(parts), size=size, block_bytes=block_bytes)]

    data = b"".join(parts)
    made = asyncio.run(collected(len(data)))
    assert b"".join(made) == data
    assert all(len(block) == block_bytes for block in made[:-1])
    assert all(0 < len(block) <= block_bytes for block in made[-1:])
    for size in {len(data) - 1, len(data) + 1} - {-1}:
        with pytest.raises(ConnectorError) as caught:
            asyncio.run(collected(size))
        assert (caught.value.failure, caught.value.fault) == (Failure.STATEMENT, Fault.INVALID_VALUE)


class Busy:
    """One thread, and a call on it that ends when told."""

    def __init__(self) -> None:
        self.threads = Threads("test", 1)
        self.began = threading.Event()
        self.go = threading.Event()

    def call(self) -> str:
        self.began.set()
        self.go.wait(10)
        return "done"

    async def until_began(self) -> None:
        await asyncio.to_thread(self.began.wait, 10)


@pytest.fixture
async def busy() -> AsyncIterator[Busy]:
    made = Busy()
    yield made
    made.go.set()
    await made.threads.close()


async def test_a_late_call_is_a_timeout_and_its_result_is_undone(busy: Busy) -> None:
    undone: list[str] = []
    with pytest.raises(ConnectorError) as caught:
        await busy.threads.run(busy.call, timeout_s=0.05, undo=undone.append)
    assert caught.value.failure is Failure.TIMEOUT
    assert undone == []
    busy.go.set()
    await busy.threads.close()
    assert undone == ["done"]


async def test_a_cancelled_call_is_left_and_its_result_is_undone(busy: Busy) -> None:
    undone: list[str] = []
    running = asyncio.create_task(busy.threads.run(busy.call, timeout_s=10, undo=undone.append))
    await busy.until_began()
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()
    busy.go.set()
    await busy.threads.close()
    assert undone == ["done"]


@pytest.mark.parametrize("way", [Threads.run, Threads.step, Threads.finish])
async def test_a_call_that_waits_for_its_turn_never_runs_once_it_was_left(
    busy: Busy, way: Callable[..., object]
) -> None:
    ran: list[int] = []
    first = asyncio.create_task(busy.threads.finish(busy.call, timeout_s=10))
    await busy.until_began()
    second = asyncio.create_task(way(busy.threads, lambda: ran.append(1), timeout_s=10))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait({second})
    assert second.cancelled()
    with pytest.raises(ConnectorError) as caught:
        await way(busy.threads, lambda: ran.append(2), timeout_s=0.05)  # type: ignore[misc]
    assert caught.value.failure is Failure.TIMEOUT
    busy.go.set()
    assert await first == "done"
    assert ran == []


async def test_a_change_outlives_its_cancellation_and_tells_its_outcome(busy: Busy) -> None:
    changing = asyncio.create_task(busy.threads.finish(busy.call, timeout_s=10))
    await busy.until_began()
    changing.cancel()
    await asyncio.sleep(0)
    busy.go.set()
    assert await changing == "done"


async def test_a_cancelled_change_that_failed_is_cancelled(busy: Busy) -> None:
    def failing() -> None:
        busy.call()
        raise ConnectorError(Failure.CHANGED)

    changing = asyncio.create_task(busy.threads.finish(failing, timeout_s=10))
    await busy.until_began()
    changing.cancel()
    await asyncio.sleep(0)
    busy.go.set()
    await asyncio.wait({changing})
    assert changing.cancelled()


async def test_a_change_without_an_end_in_time_may_have_happened(busy: Busy) -> None:
    with pytest.raises(ConnectorError) as caught:
        await busy.threads.finish(busy.call, timeout_s=0.05)
    assert caught.value.failure is Failure.OUTCOME_UNKNOWN


async def test_a_step_ends_before_its_cancellation_is_raised(busy: Busy) -> None:
    ended: list[int] = []

    def working() -> None:
        busy.call()
        ended.append(1)

    stepping = asyncio.create_task(busy.threads.step(working, timeout_s=10))
    await busy.until_began()
    stepping.cancel()
    await asyncio.sleep(0)
    assert not stepping.done()
    busy.go.set()
    await asyncio.wait({stepping})
    assert stepping.cancelled()
    assert ended == [1]


async def test_a_source_is_closed_only_when_nobody_reads_it(busy: Busy) -> None:
    happened: list[str] = []

    def read() -> bytes:
        busy.call()
        happened.append("read")
        return b"1"

    async with streamed(busy.threads, read, lambda: happened.append("closed"), timeout_s=10) as chunks:
        reading = asyncio.create_task(anext(chunks))  # type: ignore[arg-type]
        await busy.until_began()
        reading.cancel()
        await asyncio.wait({reading})
    assert happened == []
    busy.go.set()
    await busy.threads.close()
    assert happened == ["read", "closed"]
