"""Who receives which message, for how long, and what an ack means: part of the suite for message connectors."""

import asyncio

from connectors.conformance.message_harness import (
    GENEROUS_S,
    LONG_S,
    MessageHarness,
    emptied,
    nothing_comes,
    opened,
    outgoing,
    published,
    taken,
)
from connectors.contract import Acked


class DeliveryConformance:
    """Inherited by `MessageConformance`."""

    async def test_no_more_than_the_limit_comes(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        async with opened(harness) as connector:
            await published(connector, *(outgoing(topic, f"{n}") for n in range(25)))
            got = []
            for limit in (1, 3, 10, 25):
                came = await connector.receive(topic, limit=limit, visibility_s=LONG_S, wait_s=GENEROUS_S)
                assert 1 <= len(came) <= limit
                got += [m.body for m in came]
            got += [m.body for m in await taken(connector, topic, 25 - len(got))]
            assert sorted(got) == sorted(b"%d" % n for n in range(25))

    async def test_a_receive_waits_and_returns_when_a_message_comes(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        loop = asyncio.get_running_loop()
        async with opened(harness) as connector:
            assert await connector.receive(topic, limit=10, visibility_s=LONG_S, wait_s=0) == ()
            began = loop.time()
            assert await connector.receive(topic, limit=10, visibility_s=LONG_S, wait_s=1.0) == ()
            assert loop.time() - began > 0.9
            waiting = asyncio.create_task(connector.receive(topic, limit=10, visibility_s=LONG_S, wait_s=GENEROUS_S))
            await asyncio.sleep(0.5)
            assert not waiting.done()
            await published(connector, outgoing(topic, "1"))
            # Far below the wait: what came is handed out, however many more were asked for.
            async with asyncio.timeout(GENEROUS_S / 2):
                assert [m.body for m in await waiting] == [b"1"]

    async def test_what_one_received_no_other_receives_until_its_visibility_ends(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        brief_s = harness.can.brief_s
        async with opened(harness) as connector:
            await published(connector, outgoing(topic, "1"))
            (first,) = await connector.receive(topic, limit=1, visibility_s=brief_s, wait_s=GENEROUS_S)
            assert await connector.receive(topic, limit=1, visibility_s=LONG_S, wait_s=0) == ()
            (second,) = await taken(connector, topic, 1, within_s=brief_s + harness.can.again_s)
            assert (second.body, second.message_id) == (first.body, first.message_id)
            assert second.handle != first.handle
            if harness.can.counts:
                assert (first.deliveries, second.deliveries) == (1, 2)

    async def test_each_message_keeps_the_visibility_it_was_received_with(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        brief_s = harness.can.brief_s
        async with opened(harness) as connector:
            await published(connector, outgoing(topic, "long"), outgoing(topic, "brief"))
            (one,) = await connector.receive(topic, limit=1, visibility_s=LONG_S, wait_s=GENEROUS_S)
            (two,) = await connector.receive(topic, limit=1, visibility_s=brief_s, wait_s=GENEROUS_S)
            assert one.body != two.body
            again = await taken(connector, topic, 1, within_s=brief_s + harness.can.again_s)
            assert [m.body for m in again] == [two.body]
            assert await nothing_comes(connector, topic, wait_s=1.0)
            assert await connector.ack(topic, [one.handle], timeout_s=GENEROUS_S) == (Acked.DONE,)

    async def test_what_is_acked_never_comes_again(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        brief_s = harness.can.brief_s
        async with opened(harness) as connector:
            await published(connector, *(outgoing(topic, f"{n}") for n in range(3)))
            came = await taken(connector, topic, 3, visibility_s=brief_s + 2.0)
            handles = [m.handle for m in came]
            assert len(set(handles)) == 3
            assert await connector.ack(topic, handles, timeout_s=GENEROUS_S) == (Acked.DONE,) * 3
            # Acked twice is acked.
            assert await connector.ack(topic, handles[:1], timeout_s=GENEROUS_S) == (Acked.DONE,)
            assert await nothing_comes(connector, topic, wait_s=brief_s + 3.0)

    async def test_an_ack_of_some_leaves_the_others(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        async with opened(harness) as connector:
            await published(connector, *(outgoing(topic, f"{n}") for n in range(4)))
            came = await taken(connector, topic, 4, visibility_s=harness.can.brief_s + 1.0)
            acked = [came[3], came[1]]
            assert await connector.ack(topic, [m.handle for m in acked], timeout_s=GENEROUS_S) == (Acked.DONE,) * 2
            again = await taken(connector, topic, 2, within_s=harness.can.brief_s + 1.0 + harness.can.again_s)
            assert sorted(m.body for m in again) == sorted(m.body for m in (came[0], came[2]))

    async def test_what_is_no_handle_is_gone_and_spoils_no_other(self, harness: MessageHarness) -> None:
        topic, other = await harness.make_topic(), await harness.make_topic()
        async with opened(harness) as connector:
            assert await connector.ack(topic, [], timeout_s=GENEROUS_S) == ()
            await published(connector, outgoing(topic, "1"), outgoing(other, "2"))
            (came,) = await connector.receive(topic, limit=1, visibility_s=LONG_S, wait_s=GENEROUS_S)
            (elsewhere,) = await connector.receive(other, limit=1, visibility_s=harness.can.brief_s, wait_s=GENEROUS_S)
            wrong = ["", "garbage", "1", "a.b.c", "ä\x00\r\n", "x" * 5_000, came.handle[:-3], f"{came.handle}x"]
            answers = await connector.ack(topic, [*wrong, came.handle], timeout_s=GENEROUS_S)
            assert answers == (Acked.GONE,) * len(wrong) + (Acked.DONE,)
            # A handle of one topic does nothing in another.
            assert await connector.ack(topic, [elsewhere.handle], timeout_s=GENEROUS_S) == (Acked.GONE,)
            within_s = harness.can.brief_s + harness.can.again_s
            assert [m.body for m in await taken(connector, other, 1, within_s=within_s)] == [b"2"]

    async def test_a_handle_that_is_too_old_says_what_became_of_its_message(self, harness: MessageHarness) -> None:
        """DONE only where the message really is gone."""
        topic = await harness.make_topic()
        brief_s = harness.can.brief_s
        async with opened(harness) as connector:
            await published(connector, outgoing(topic, "1"))
            (stale,) = await connector.receive(topic, limit=1, visibility_s=brief_s, wait_s=GENEROUS_S)
            (fresh,) = await taken(
                connector, topic, 1, within_s=brief_s + harness.can.again_s, visibility_s=brief_s + 1.0
            )
            (answer,) = await connector.ack(topic, [stale.handle], timeout_s=GENEROUS_S)
            again = await taken(connector, topic, 1, within_s=brief_s + 1.0 + harness.can.again_s)
            if answer is Acked.DONE:
                assert again == []
                assert await connector.ack(topic, [fresh.handle], timeout_s=GENEROUS_S) == (Acked.DONE,)
            else:
                assert [m.body for m in again] == [b"1"]
                assert await connector.ack(topic, [again[0].handle], timeout_s=GENEROUS_S) == (Acked.DONE,)

    async def test_an_ack_after_the_visibility_says_what_became_of_the_message(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        brief_s = harness.can.brief_s
        async with opened(harness) as connector:
            await published(connector, outgoing(topic, "1"))
            (stale,) = await connector.receive(topic, limit=1, visibility_s=brief_s, wait_s=GENEROUS_S)
            await asyncio.sleep(brief_s + 0.5)
            (answer,) = await connector.ack(topic, [stale.handle], timeout_s=GENEROUS_S)
            again = await taken(connector, topic, 1, within_s=harness.can.again_s)
            assert [m.body for m in again] == ([] if answer is Acked.DONE else [b"1"])

    async def test_what_is_released_comes_again_soon(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        async with opened(harness) as connector:
            await published(connector, outgoing(topic, "1"), outgoing(topic, "2"))
            came = await taken(connector, topic, 2)
            await connector.release(topic, [came[0].handle, "garbage"])
            # Long before the visibility, which is a minute.
            again = await taken(connector, topic, 1, within_s=harness.can.again_s)
            assert [m.body for m in again] == [came[0].body]
            assert await nothing_comes(connector, topic)

    async def test_what_was_acked_is_not_released(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        async with opened(harness) as connector:
            await published(connector, outgoing(topic, "1"))
            (came,) = await taken(connector, topic, 1)
            assert await connector.ack(topic, [came.handle], timeout_s=GENEROUS_S) == (Acked.DONE,)
            await connector.release(topic, [came.handle])
            assert await nothing_comes(connector, topic, wait_s=1.5)

    async def test_receivers_at_the_same_time_share_the_messages(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        count = 60
        async with opened(harness) as connector:
            await published(connector, *(outgoing(topic, f"{n}") for n in range(count)))
            got: list[bytes] = []
            at_once = asyncio.Semaphore(5 if harness.can.shares else 1)

            async def receiver() -> None:
                while len(got) < count:
                    async with at_once:
                        came = await connector.receive(topic, limit=4, visibility_s=LONG_S, wait_s=0.3)
                    got.extend(m.body for m in came)
                    await asyncio.sleep(0)

            async with asyncio.timeout(60):
                await asyncio.gather(*(receiver() for _ in range(5)))
            assert sorted(got) == sorted(b"%d" % n for n in range(count))

    async def test_messages_come_in_the_order_of_their_publishing(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        async with opened(harness) as connector:
            await published(connector, *(outgoing(topic, f"{n}", key="k") for n in range(30)))
            got = [m.body for m in await emptied(connector, topic, 30)]
            expected = [b"%d" % n for n in range(30)]
            assert sorted(got) == sorted(expected)
            assert got == expected or not harness.can.orders
