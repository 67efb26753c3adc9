"""The suite for message connectors.

A test class inherits `MessageConformance` and gives a fixture (or attribute) `harness`. The suite itself needs no test
framework: every method takes the harness and asserts. Every test makes topics of its own. This part: what is published
and how it arrives; `message_delivery` has visibility and acks, `message_faults` what goes wrong.
"""

import os

from connectors.conformance.message_delivery import DeliveryConformance
from connectors.conformance.message_faults import FaultConformance
from connectors.conformance.message_harness import (
    GENEROUS_S,
    LONG_S,
    MessageHarness,
    failed,
    nothing_comes,
    opened,
    outcome,
    outgoing,
    published,
    taken,
)
from connectors.contract import Acked, Failure


class MessageConformance(DeliveryConformance, FaultConformance):
    """Inherit, give `harness`, and every method that starts with `test_` must pass."""

    async def test_what_was_published_is_received_whole(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        headers = {"traceparent": "00-ab-cd-01", "x-greeting": "größe 漢字 🎈", "x-json": '{"a": "b"}', "x-empty": ""}
        message = outgoing(topic, '{"größe": 7}', headers=headers, key="k-7", content_type="application/json")
        async with opened(harness) as connector:
            confirmed = await connector.publish(message, timeout_s=GENEROUS_S)
            assert confirmed.message_id
            assert not confirmed.duplicate
            (came,) = await connector.receive(topic, limit=10, visibility_s=LONG_S, wait_s=GENEROUS_S)
            assert came.body == message.body
            assert came.content_type == "application/json"
            assert dict(came.headers) == headers
            assert came.message_id == confirmed.message_id
            assert came.handle
            # Also a broker that does not count may tell a first delivery from others.
            assert came.deliveries == 1 or (came.deliveries is None and not harness.can.counts)
            assert came.key == ("k-7" if harness.can.keys else None)
            assert came.published_at is None or came.published_at[10] == "T"

    async def test_a_message_without_key_and_headers_has_none(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        async with opened(harness) as connector:
            await published(connector, outgoing(topic, "{}"))
            (came,) = await connector.receive(topic, limit=1, visibility_s=LONG_S, wait_s=GENEROUS_S)
            assert came.headers == {}
            assert came.key is None

    async def test_any_bytes_come_back_as_they_were(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        bodies = (
            bytes(range(256)), b"", b"\x00", b" ", b"\n", b"\xff\xfe", b"<a>&amp;</a>", "\ufeff\uffff\ud7ff🎈".encode(),
            b"a\r\nb\rc\td\x1b", b"\xed\xa0\x80", b"aGVsbG8=",
        )  # fmt: skip
        async with opened(harness) as connector:
            for body in bodies:
                await published(connector, outgoing(topic, body, content_type="application/octet-stream"))
                (came,) = await connector.receive(topic, limit=1, visibility_s=LONG_S, wait_s=GENEROUS_S)
                assert came.body == body
                assert came.content_type == "application/octet-stream"
                assert await connector.ack(topic, [came.handle], timeout_s=GENEROUS_S) == (Acked.DONE,)

    async def test_headers_of_any_text_and_number_come_back(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        headers = {f"x-h{n}": f"value {n}" for n in range(25)}
        headers |= {"x-lines": "a\r\nx-injected: b\n\n", "x-control": "\x00\x01\x7f", "x-space": "  padded  "}
        async with opened(harness) as connector:
            await published(connector, outgoing(topic, "{}", headers=headers))
            (came,) = await connector.receive(topic, limit=1, visibility_s=LONG_S, wait_s=GENEROUS_S)
            assert dict(came.headers) == headers

    async def test_what_one_connector_publishes_another_receives(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        async with opened(harness) as first, opened(harness) as second:
            await published(first, outgoing(topic, "1"))
            came = await taken(second, topic, 1, within_s=GENEROUS_S if harness.can.outlives else 2.0)
            assert [m.body for m in came] == ([b"1"] if harness.can.outlives else [])
            # A handle is no secret of the connector that was given it, but may be of no use in another one.
            if came:
                expected = Acked.DONE if harness.can.roams else Acked.GONE
                assert await first.ack(topic, [came[0].handle], timeout_s=GENEROUS_S) == (expected,)
                if not harness.can.roams:
                    assert await second.ack(topic, [came[0].handle], timeout_s=GENEROUS_S) == (Acked.DONE,)
                assert await nothing_comes(second, topic)

    async def test_a_dedup_id_is_one_message(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        async with opened(harness) as connector:
            once = outgoing(topic, "same", dedup_id="d-1", key="k")
            again = outgoing(topic, "same", dedup_id="d-1", key="k")
            other = outgoing(topic, "other", dedup_id="d-2", key="k")
            answers = [await connector.publish(m, timeout_s=GENEROUS_S) for m in (once, again, other)]
            came = await taken(connector, topic, 2)
            came += await taken(connector, topic, 2, within_s=3.0)
            if connector.deduplicates:
                assert not answers[0].duplicate
                assert not answers[2].duplicate
                assert sorted(m.body for m in came) == [b"other", b"same"]
            else:
                assert [a.duplicate for a in answers] == [False, False, False]
                assert sorted(m.body for m in came) == [b"other", b"same", b"same"]

    async def test_publishes_without_a_dedup_id_are_all_messages(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        async with opened(harness) as connector:
            await published(connector, outgoing(topic, "same"), outgoing(topic, "same"))
            assert len(await taken(connector, topic, 2)) == 2

    async def test_an_unknown_topic_is_not_found_and_is_not_made(self, harness: MessageHarness) -> None:
        unknown = harness.unknown_topic
        async with opened(harness) as connector:
            for _ in range(2):
                error = await failed(connector.publish(outgoing(unknown), timeout_s=GENEROUS_S))
                assert error.failure is Failure.NOT_FOUND
                error = await failed(connector.receive(unknown, limit=1, visibility_s=LONG_S, wait_s=0))
                assert error.failure is Failure.NOT_FOUND
            told = await outcome(connector.ack(unknown, ["no-handle"], timeout_s=GENEROUS_S))
            assert told in (Failure.NOT_FOUND, (Acked.GONE,))
            await connector.release(unknown, ["no-handle"])
            assert not await harness.has_topic(unknown)

    async def test_names_that_no_topic_has_are_not_found(self, harness: MessageHarness) -> None:
        async with opened(harness) as connector:
            for name in ("", "*", ">", "a.*", "a..b", ".", "a b", "a\r\nPUB b 0", "#", "../up", "ä" * 300, "$SYS.x"):
                error = await failed(connector.publish(outgoing(name), timeout_s=GENEROUS_S))
                assert error.failure is Failure.NOT_FOUND, name
                error = await failed(connector.receive(name, limit=1, visibility_s=LONG_S, wait_s=0))
                assert error.failure is Failure.NOT_FOUND, name

    async def test_the_topics_told_are_there(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        async with opened(harness) as connector:
            topics = await connector.topics()
            if harness.can.lists:
                assert topics is not None
                assert topic in topics
                assert harness.unknown_topic not in topics
            else:
                assert topics is None

    async def test_a_body_up_to_the_maximum_arrives_and_none_above_it(self, harness: MessageHarness) -> None:
        topic = await harness.make_topic()
        async with opened(harness) as connector:
            largest = os.urandom(connector.max_body_bytes)
            await published(connector, outgoing(topic, largest, headers={"x-one": "1"}, content_type="text/plain"))
            (came,) = await taken(connector, topic, 1)
            assert came.body == largest
            for more in (1, 5_000_000):
                error = await failed(connector.publish(outgoing(topic, largest + b"x" * more), timeout_s=GENEROUS_S))
                assert error.failure is Failure.OUT_OF_RESOURCES
            await published(connector, outgoing(topic, "small"))
            (came,) = await taken(connector, topic, 1)
            assert came.body == b"small"
