"""Brokers that go away, receivers that die or are cancelled, many at once: part of the suite for message connectors."""

import asyncio
import contextlib

from connectors.conformance.message_harness import (
    GENEROUS_S,
    LONG_S,
    MessageHarness,
    emptied,
    failed,
    nothing_comes,
    opened,
    outcome,
    outgoing,
    published,
    taken,
)
from connectors.contract import Acked, Confirmed, Failure, Family, MessageConnector

_MANY = 500
_AWAY_S = 4.0
"""What a call may take that finds no broker."""
_SLACK_S = 6.0
"""On top of it, on a busy machine, before the suite calls it too long."""


class FaultConformance:
    """Inherited by `MessageConformance`."""

    async def test_it_opens_and_closes_with_the_broker_away(self, harness: MessageHarness) -> None:
        connector = harness.factory(harness.config_of_nothing())
        await connector.open()
        try:
            assert isinstance(connector, MessageConnector)
            assert connector.family is Family.MESSAGES
            assert harness.factory.family is Family.MESSAGES
            await _finds_no_broker(connector, harness.unknown_topic, "no-handle")
            assert all(f.code != "reachable" for f in await connector.probe())
        finally:
            await connector.close()

    async def test_the_probe_reaches_the_broker(self, harness: MessageHarness) -> None:
        async with opened(harness) as connector:
            assert any(f.code == "reachable" for f in await connector.probe())

    async def test_a_message_comes_again_when_its_receiver_died(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        brief_s = harness.can.brief_s
        dead = harness.factory(harness.config())
        await dead.open()
        await published(dead, outgoing(topic, "1"), outgoing(topic, "2"))
        came = await taken(dead, topic, 2, visibility_s=brief_s)
        assert sorted(m.body for m in came) == [b"1", b"2"]
        await dead.close()
        async with opened(harness) as other:
            expected = [b"1", b"2"] if harness.can.outlives else []
            again = await taken(other, topic, 2, within_s=brief_s + (harness.can.again_s if expected else 0))
            assert sorted(m.body for m in again) == expected
            if not expected:
                assert await other.ack(topic, [came[0].handle], timeout_s=GENEROUS_S) == (Acked.GONE,)

    async def test_a_cancelled_receive_takes_nothing(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        async with opened(harness) as connector:
            for turn in range(3):
                waiting = asyncio.create_task(
                    connector.receive(topic, limit=10, visibility_s=harness.can.brief_s, wait_s=GENEROUS_S)
                )
                await asyncio.sleep(0.3)
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await waiting
                assert waiting.cancelled()
                await published(connector, outgoing(topic, f"{turn}"))
                within_s = harness.can.brief_s + harness.can.again_s
                (came,) = await taken(connector, topic, 1, within_s=within_s)
                assert came.body == b"%d" % turn
                assert await connector.ack(topic, [came.handle], timeout_s=GENEROUS_S) == (Acked.DONE,)

    async def test_receives_cancelled_at_any_moment_lose_nothing(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        count = 40
        async with opened(harness) as connector:
            for n in range(count):
                receiving = asyncio.create_task(
                    connector.receive(topic, limit=3, visibility_s=harness.can.brief_s, wait_s=2.0)
                )
                await asyncio.sleep(0.0004 * (n % 10))
                await published(connector, outgoing(topic, f"{n}"))
                await asyncio.sleep(0.0007 * (n % 7))
                receiving.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await receiving
            got = await emptied(connector, topic, count, within_s=harness.can.brief_s + harness.can.again_s + 15.0)
            assert {m.body for m in got} == {b"%d" % n for n in range(count)}

    async def test_many_publishes_at_once_all_arrive_once(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        async with opened(harness) as connector:
            messages = [outgoing(topic, f"{n}", dedup_id=f"many-{n}") for n in range(_MANY)]
            confirmed = await asyncio.gather(*(connector.publish(m, timeout_s=60.0) for m in messages))
            assert len({c.message_id for c in confirmed}) == _MANY
            got = await emptied(connector, topic, _MANY, within_s=60.0)
            assert sorted(m.body for m in got) == sorted(m.body for m in messages)
            assert await nothing_comes(connector, topic)

    async def test_a_broker_that_goes_away_is_told_and_found_again(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        async with opened(harness) as connector:
            await published(connector, outgoing(topic, "before"))
            (came,) = await taken(connector, topic, 1)
            if not harness.can.stops:
                return
            await harness.stop()
            try:
                await asyncio.sleep(0.3)
                await _finds_no_broker(connector, topic, came.handle)
                assert all(f.code != "reachable" for f in await connector.probe())
            finally:
                await harness.start()
            if not harness.can.keeps:
                topic = await harness.make_topic()
            # The same connector, without anybody's help.
            deadline = asyncio.get_running_loop().time() + 30.0
            while not await _publishes(connector, topic):
                assert asyncio.get_running_loop().time() < deadline
                await asyncio.sleep(0.2)
            got = [m.body for m in await taken(connector, topic, 1)]
            if got == [b"before"]:
                # Some brokers give back at once what was out when they went away.
                got = [m.body for m in await taken(connector, topic, 1)]
            assert got == [b"after"]
            assert any(f.code == "reachable" for f in await connector.probe())

    async def test_a_waiting_receive_ends_when_the_broker_goes_away(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        async with opened(harness) as connector:
            waiting = asyncio.create_task(connector.receive(topic, limit=1, visibility_s=LONG_S, wait_s=10.0))
            await asyncio.sleep(0.5)
            if harness.can.stops:
                await harness.stop()
            try:
                async with asyncio.timeout(10.0 + _SLACK_S):
                    if harness.can.stops:
                        assert (await failed(waiting)).failure is Failure.UNAVAILABLE
                    else:
                        assert await waiting == ()
            finally:
                if harness.can.stops:
                    await harness.start()

    async def test_a_closed_connector_is_unavailable(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        async with opened(harness) as connector:
            await published(connector, outgoing(topic, "1"))
        await _finds_no_broker(connector, topic, "no-handle")


async def _finds_no_broker(connector: MessageConnector, topic: str, handle: str) -> None:
    """Every call says so, in its time."""
    async with asyncio.timeout(3 * (_AWAY_S + _SLACK_S)):
        error = await failed(connector.publish(outgoing(topic), timeout_s=_AWAY_S))
        assert error.failure is Failure.UNAVAILABLE
        assert error.retryable
        error = await failed(connector.receive(topic, limit=1, visibility_s=LONG_S, wait_s=0))
        assert error.failure is Failure.UNAVAILABLE
        # A handle that is none needs no broker to say so.
        told = await outcome(connector.ack(topic, [handle], timeout_s=_AWAY_S))
        assert told in (Failure.UNAVAILABLE, (Acked.GONE,))
        await connector.release(topic, [handle])


async def _publishes(connector: MessageConnector, topic: str) -> bool:
    told = await outcome(connector.publish(outgoing(topic, "after"), timeout_s=_AWAY_S))
    assert isinstance(told, Confirmed) or told in (Failure.UNAVAILABLE, Failure.OUTCOME_UNKNOWN)
    return isinstance(told, Confirmed)
