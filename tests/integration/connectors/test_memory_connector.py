"""What the memory connector does beyond the suite: it is bounded, and its time is the clock that it is given."""

import asyncio
from datetime import UTC, datetime

import pytest

from connectors.conformance.message_harness import failed, outgoing, published
from connectors.contract import Acked, ConnectorConfig, Failure
from connectors.memory import MemoryConnector

_NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def queue(clock: Clock, **options: object) -> MemoryConnector:
    config = ConnectorConfig(name="queue", options={"topics": ["t"], **options})
    return MemoryConnector(config, now_s=clock, today=lambda: _NOON)


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_a_full_topic_takes_no_more_and_drops_none(clock: Clock) -> None:
    connector = queue(clock, max_messages=2)
    await connector.open()
    await published(connector, outgoing("t", "1"), outgoing("t", "2"))
    error = await failed(connector.publish(outgoing("t", "3"), timeout_s=1))
    assert (error.failure, error.retryable) == (Failure.OUT_OF_RESOURCES, True)
    first, second = await connector.receive("t", limit=9, visibility_s=60, wait_s=0)
    assert (first.body, second.body) == (b"1", b"2")
    # What is only hidden still takes its place.
    assert (await failed(connector.publish(outgoing("t", "3"), timeout_s=1))).failure is Failure.OUT_OF_RESOURCES
    assert await connector.ack("t", [first.handle], timeout_s=1) == (Acked.DONE,)
    await published(connector, outgoing("t", "3"))


async def test_a_dedup_id_is_forgotten_after_its_window(clock: Clock) -> None:
    connector = queue(clock, dedup_window_s=60)
    await connector.open()
    first = await connector.publish(outgoing("t", "1", dedup_id="d"), timeout_s=1)
    clock.now_s += 59.9
    again = await connector.publish(outgoing("t", "1", dedup_id="d"), timeout_s=1)
    assert (again.message_id, again.duplicate) == (first.message_id, True)
    clock.now_s += 0.1
    later = await connector.publish(outgoing("t", "1", dedup_id="d"), timeout_s=1)
    assert (later.message_id != first.message_id, later.duplicate) == (True, False)


async def test_a_dedup_id_is_remembered_after_its_message_was_acked(clock: Clock) -> None:
    connector = queue(clock)
    await connector.open()
    await published(connector, outgoing("t", "1", dedup_id="d"))
    (came,) = await connector.receive("t", limit=1, visibility_s=60, wait_s=0)
    assert await connector.ack("t", [came.handle], timeout_s=1) == (Acked.DONE,)
    assert (await connector.publish(outgoing("t", "1", dedup_id="d"), timeout_s=1)).duplicate
    assert await connector.receive("t", limit=1, visibility_s=60, wait_s=0) == ()


async def test_visibility_ends_at_its_moment(clock: Clock) -> None:
    connector = queue(clock)
    await connector.open()
    await published(connector, outgoing("t", "1"))
    (first,) = await connector.receive("t", limit=1, visibility_s=30, wait_s=0)
    assert first.published_at == "2026-11-28T12:00:00Z"
    clock.now_s += 29.9
    assert await connector.receive("t", limit=1, visibility_s=30, wait_s=0) == ()
    clock.now_s += 0.1
    assert await connector.ack("t", [first.handle], timeout_s=1) == (Acked.GONE,)
    (second,) = await connector.receive("t", limit=1, visibility_s=30, wait_s=0)
    assert second.deliveries == 2
    # The first receiver's handle neither acks nor releases what is the second's now.
    await connector.release("t", [first.handle])
    assert await connector.receive("t", limit=1, visibility_s=30, wait_s=0) == ()
    assert await connector.ack("t", [first.handle, second.handle], timeout_s=1) == (Acked.GONE, Acked.DONE)


async def test_one_message_wakes_many_waiters_and_one_has_it(clock: Clock) -> None:
    connector = queue(clock)
    await connector.open()
    waiting = [asyncio.create_task(connector.receive("t", limit=1, visibility_s=60, wait_s=1_000)) for _ in range(20)]
    await asyncio.sleep(0)
    await published(connector, outgoing("t", "1"))
    done, pending = await asyncio.wait(waiting, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    assert [m.body for task in done for m in task.result()] == [b"1"]
    await connector.close()
    for task in pending:
        assert (await failed(task)).failure is Failure.UNAVAILABLE


async def test_a_trial_is_told_that_its_messages_are_lost(clock: Clock) -> None:
    connector = queue(clock)
    await connector.open()
    assert {f.code for f in await connector.probe()} == {"reachable", "messages_in_memory"}
