"""RabbitMQ that hangs, dies, refuses and is full, met by the connector."""

import asyncio
import contextlib
import itertools
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aio_pika
import pytest

from connectors.conformance.message_harness import failed, outgoing, published, taken
from connectors.contract import Acked, ConnectorConfig, Failure, Severity
from connectors.rabbitmq import RabbitConnector, connector
from tests.broker_servers import RabbitServer, rabbit_server
from tests.servers import free_port

_numbers = itertools.count(1)
LONG_S = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[RabbitServer]:
    with rabbit_server() as running:
        yield running


@contextlib.asynccontextmanager
async def connected(server: RabbitServer, user: str = "agent", **options: Any) -> AsyncIterator[RabbitConnector]:
    made = connector(
        ConnectorConfig(name="rabbit", options=options, secrets={"url": lambda: server.url(user)}, timeout_s=5.0)
    )
    await made.open()
    try:
        yield made
    finally:
        await made.close()


@contextlib.asynccontextmanager
async def administered(server: RabbitServer) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    connection = await aio_pika.connect(server.url("root_of_tests"))
    async with connection, connection.channel() as channel:
        yield channel


async def declared(server: RabbitServer, name: str = "orders", **arguments: Any) -> str:
    queue = f"{name}.{next(_numbers)}"
    async with administered(server) as channel:
        await channel.declare_queue(
            queue, durable=True, arguments={k.replace("_", "-"): v for k, v in arguments.items()}
        )
    return queue


async def depth(server: RabbitServer, queue: str) -> int:
    """Messages that are ready, not those that are out."""
    async with administered(server) as channel:
        found = await channel.declare_queue(queue, passive=True)
        return found.declaration_result.message_count or 0


async def test_a_publish_whose_confirm_never_comes_has_an_unknown_outcome(server: RabbitServer) -> None:
    queue = await declared(server)
    async with connected(server) as rabbit:
        await published(rabbit, outgoing(queue, "first"))
        server.pause()
        try:
            error = await failed(rabbit.publish(outgoing(queue, "second"), timeout_s=1.0))
        finally:
            server.resume()
        assert error.failure is Failure.OUTCOME_UNKNOWN
        assert not error.retryable
        # It was in the broker's socket all the time: unknown was the truth.
        assert [m.body for m in await taken(rabbit, queue, 2)] == [b"first", b"second"]
        assert (await rabbit.publish(outgoing(queue, "third"), timeout_s=5.0)).message_id


async def test_a_publish_that_dies_with_the_broker_has_an_unknown_outcome(server: RabbitServer) -> None:
    queue = await declared(server)
    async with connected(server) as rabbit:
        await published(rabbit, outgoing(queue, "first"))
        server.pause()
        publishing = asyncio.create_task(rabbit.publish(outgoing(queue, "second"), timeout_s=20.0))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(_killed_and_started, server)
        error = await failed(publishing)
        assert error.failure is Failure.OUTCOME_UNKNOWN
        # What was confirmed is there, by the same connector, which connects anew.
        assert (await taken(rabbit, queue, 1))[0].body == b"first"


def _killed_and_started(server: RabbitServer) -> None:
    server.pause()
    server.restart(signal.SIGKILL)


async def test_no_connection_in_time_is_surely_not_published(server: RabbitServer) -> None:
    queue = await declared(server)
    server.pause()
    try:
        async with connected(server) as rabbit:
            error = await failed(rabbit.publish(outgoing(queue), timeout_s=1.0))
            assert error.failure is Failure.UNAVAILABLE
            assert error.retryable
    finally:
        server.resume()
    assert await depth(server, queue) == 0


async def test_confirmed_messages_outlive_a_crash_and_handles_from_before_are_gone(server: RabbitServer) -> None:
    queue = await declared(server)
    async with connected(server) as rabbit:
        await published(rabbit, outgoing(queue, "1"), outgoing(queue, "2"))
        (first,) = await rabbit.receive(queue, limit=1, visibility_s=LONG_S, wait_s=5.0)
        await asyncio.to_thread(server.restart, signal.SIGKILL)
        again = await taken(rabbit, queue, 2)
        assert sorted(m.body for m in again) == [b"1", b"2"]
        assert await rabbit.ack(queue, [first.handle], timeout_s=5.0) == (Acked.GONE,)
        handles = [m.handle for m in again]
        assert await rabbit.ack(queue, handles, timeout_s=5.0) == (Acked.DONE, Acked.DONE)


async def test_what_a_dead_process_held_comes_at_once_and_marked(server: RabbitServer) -> None:
    queue = await declared(server, "counted", x_queue_type="quorum")
    async with connected(server) as dying, connected(server) as living:
        await published(dying, outgoing(queue, "1"))
        await taken(dying, queue, 1)
        await dying.close()
        (came,) = await taken(living, queue, 1)
        assert came.body == b"1"
        assert came.deliveries == 2


async def test_a_classic_queue_does_not_say_how_often(server: RabbitServer) -> None:
    queue = await declared(server)
    async with connected(server) as rabbit:
        await published(rabbit, outgoing(queue, "1"))
        (first,) = await taken(rabbit, queue, 1)
        await rabbit.release(queue, [first.handle])
        (second,) = await taken(rabbit, queue, 1)
        assert (first.deliveries, second.deliveries) == (1, None)


async def test_a_poison_message_comes_again_and_again_and_blocks_no_other(server: RabbitServer) -> None:
    queue = await declared(server)
    async with connected(server) as rabbit:
        await published(rabbit, outgoing(queue, "poison"), *(outgoing(queue, f"{n}") for n in range(20)))
        poisoned, good = 0, set()
        while len(good) < 20 or poisoned < 3:
            (came,) = await taken(rabbit, queue, 1, visibility_s=0.1)
            if came.body == b"poison":
                poisoned += 1
            elif await rabbit.ack(queue, [came.handle], timeout_s=5.0) == (Acked.DONE,):
                good.add(came.body)
        assert good == {b"%d" % n for n in range(20)}
        assert (await taken(rabbit, queue, 1))[0].body == b"poison"


async def test_a_full_queue_refuses_and_what_it_refused_is_not_in_it(server: RabbitServer) -> None:
    queue = await declared(server, "full", x_max_length=2, x_overflow="reject-publish")
    async with connected(server) as rabbit:
        await published(rabbit, outgoing(queue, "1"), outgoing(queue, "2"))
        error = await failed(rabbit.publish(outgoing(queue, "3"), timeout_s=5.0))
        assert error.failure is Failure.OUT_OF_RESOURCES
        assert await depth(server, queue) == 2


async def test_what_one_queue_of_an_exchange_refused_another_may_hold(server: RabbitServer) -> None:
    full, other = await declared(server, "full.2", x_max_length=1, x_overflow="reject-publish"), await declared(server)
    async with administered(server) as channel:
        exchange = await channel.declare_exchange("both", aio_pika.ExchangeType.TOPIC, durable=True)
        for queue in (full, other):
            await (await channel.get_queue(queue)).bind(exchange, "orders.#")
    async with connected(server, exchange="both") as rabbit:
        await published(rabbit, outgoing("orders.created", "1"))
        error = await failed(rabbit.publish(outgoing("orders.created", "2"), timeout_s=5.0))
        assert (error.failure, error.retryable) == (Failure.OUTCOME_UNKNOWN, False)
        assert (await depth(server, full), await depth(server, other)) == (1, 2)


async def test_a_broker_that_holds_publishers_back_is_out_of_resources(server: RabbitServer) -> None:
    queue = await declared(server)
    async with connected(server) as rabbit:
        await published(rabbit, outgoing(queue, "1"))
        server.ctl("set_vm_memory_high_watermark", "0")
        try:
            # The broker says so only to those who publish while it is so.
            refused = [await failed(rabbit.publish(outgoing(queue, "2"), timeout_s=1.0)) for _ in range(2)]
            assert refused[-1].failure is Failure.OUT_OF_RESOURCES
            # Who only receives is not held back, and acks are heard.
            (came,) = await taken(rabbit, queue, 1)
            assert await rabbit.ack(queue, [came.handle], timeout_s=5.0) == (Acked.DONE,)
        finally:
            server.ctl("set_vm_memory_high_watermark", "0.4")


async def test_rights_that_are_missing_are_a_refusal(server: RabbitServer) -> None:
    queue, allowed = await declared(server), await declared(server, "allowed")
    async with connected(server, "narrow") as rabbit:
        assert (await failed(rabbit.publish(outgoing(queue), timeout_s=5.0))).failure is Failure.REFUSED_BY_WALL
        error = await failed(rabbit.receive(queue, limit=1, visibility_s=LONG_S, wait_s=0))
        assert error.failure is Failure.REFUSED_BY_WALL
        assert await rabbit.receive(allowed, limit=1, visibility_s=LONG_S, wait_s=0) == ()


async def test_wrong_credentials_are_unavailable(server: RabbitServer) -> None:
    config = ConnectorConfig(name="rabbit", secrets={"url": lambda: server.url("agent", "wrong")}, timeout_s=5.0)
    made = connector(config)
    await made.open()
    try:
        assert (await failed(made.publish(outgoing("orders"), timeout_s=5.0))).failure is Failure.UNAVAILABLE
        assert "unreachable" in {f.code for f in await made.probe()}
    finally:
        await made.close()


async def test_a_password_that_changes_is_read_with_the_next_connection(server: RabbitServer) -> None:
    queue = await declared(server)
    urls = [server.url("agent", "old"), server.url()]
    made = connector(ConnectorConfig(name="rabbit", secrets={"url": lambda: urls[0]}, timeout_s=5.0))
    await made.open()
    try:
        assert (await failed(made.publish(outgoing(queue), timeout_s=5.0))).failure is Failure.UNAVAILABLE
        urls.pop(0)
        assert await made.publish(outgoing(queue), timeout_s=5.0)
    finally:
        await made.close()


async def test_topics_are_routing_keys_of_a_configured_exchange(server: RabbitServer) -> None:
    queue = await declared(server)
    async with administered(server) as channel:
        exchange = await channel.declare_exchange("partners", aio_pika.ExchangeType.TOPIC, durable=True)
        await (await channel.get_queue(queue)).bind(exchange, "orders.created")
    async with connected(server, exchange="partners") as rabbit:
        await published(rabbit, outgoing("orders.created", "routed"))
        assert (await failed(rabbit.publish(outgoing("orders.other"), timeout_s=5.0))).failure is Failure.NOT_FOUND
        assert (await taken(rabbit, queue, 1))[0].body == b"routed"
    async with connected(server, exchange="no-such-exchange") as rabbit:
        assert (await failed(rabbit.publish(outgoing(queue), timeout_s=5.0))).failure is Failure.NOT_FOUND


async def test_no_more_is_out_than_the_bound(server: RabbitServer) -> None:
    queue = await declared(server)
    async with connected(server, max_unacked=3) as rabbit:
        await published(rabbit, *(outgoing(queue, f"{n}") for n in range(5)))
        came = await rabbit.receive(queue, limit=10, visibility_s=LONG_S, wait_s=5.0)
        assert len(came) == 3
        error = await failed(rabbit.receive(queue, limit=1, visibility_s=LONG_S, wait_s=0))
        assert error.failure is Failure.OUT_OF_RESOURCES
        assert await rabbit.ack(queue, [came[0].handle], timeout_s=5.0) == (Acked.DONE,)
        assert len(await rabbit.receive(queue, limit=10, visibility_s=LONG_S, wait_s=5.0)) == 1


async def test_a_broker_that_hangs_is_a_timeout_and_loses_nothing(server: RabbitServer) -> None:
    queue = await declared(server)
    async with connected(server) as rabbit:
        await published(rabbit, outgoing(queue, "1"), outgoing(queue, "2"))
        (came,) = await rabbit.receive(queue, limit=1, visibility_s=LONG_S, wait_s=5.0)
        server.pause()
        try:
            assert (await failed(rabbit.ack(queue, [came.handle], timeout_s=0.5))).failure is Failure.TIMEOUT
            hung = await failed(rabbit.receive(queue, limit=1, visibility_s=LONG_S, wait_s=0))
            assert hung.failure in (Failure.TIMEOUT, Failure.UNAVAILABLE)
        finally:
            server.resume()
        # The ack may or may not have been heard; the other message is there in any case.
        assert b"2" in {m.body for m in await taken(rabbit, queue, 2, within_s=8.0)}


async def test_nothing_is_kept_of_queues_that_were_never_met(server: RabbitServer) -> None:
    queue = await declared(server)
    nowhere = f"amqp://x:y@127.0.0.1:{free_port()}/"
    reached = nowhere
    made = connector(ConnectorConfig(name="rabbit", secrets={"url": lambda: reached}, timeout_s=2.0))
    await made.open()
    try:
        for number in range(20):
            await failed(made.receive(f"nobody.{number}", limit=1, visibility_s=1, wait_s=0))
        assert len(made._desks) == 1
        reached = server.url()
        await published(made, outgoing(queue, "1"))
        (came,) = await taken(made, queue, 1)
        await failed(made.receive("nobody.20", limit=1, visibility_s=1, wait_s=0))
        assert await made.ack(queue, [came.handle], timeout_s=5.0) == (Acked.DONE,)
    finally:
        await made.close()


async def test_a_queue_that_is_deleted_is_not_found_and_harms_no_other(server: RabbitServer) -> None:
    doomed, kept = await declared(server), await declared(server)
    async with connected(server) as rabbit:
        await published(rabbit, outgoing(doomed, "1"), outgoing(kept, "2"))
        (lost,) = await taken(rabbit, doomed, 1)
        (held,) = await taken(rabbit, kept, 1)
        async with administered(server) as channel:
            await channel.queue_delete(doomed)
        error = await failed(rabbit.receive(doomed, limit=1, visibility_s=LONG_S, wait_s=0))
        assert error.failure is Failure.NOT_FOUND
        assert await rabbit.ack(doomed, [lost.handle], timeout_s=5.0) == (Acked.GONE,)
        assert await rabbit.ack(kept, [held.handle], timeout_s=5.0) == (Acked.DONE,)


async def test_headers_that_fit_into_no_frame_harm_no_other_publish(server: RabbitServer) -> None:
    queue = await declared(server)
    async with connected(server) as rabbit:
        large = outgoing(queue, headers={"x-large": "x" * 200_000})
        long_name = outgoing(queue, headers={"x" * 129: "1"})
        refused = await asyncio.gather(
            *(failed(rabbit.publish(m, timeout_s=5.0)) for m in (large, long_name)),
            *(rabbit.publish(outgoing(queue, f"{n}"), timeout_s=5.0) for n in range(5)),
        )
        assert [e.failure for e in refused[:2]] == [Failure.OUT_OF_RESOURCES] * 2
        assert await depth(server, queue) == 5


async def test_messages_of_other_publishers_are_read(server: RabbitServer) -> None:
    queue = await declared(server)
    async with administered(server) as channel:
        strange = aio_pika.Message(b"\x00", headers={"n": 7, "t": {"a": 1}, "s": "text", "l": ["a"]})
        await channel.default_exchange.publish(strange, queue)
    async with connected(server) as rabbit:
        (came,) = await taken(rabbit, queue, 1)
        assert (came.body, dict(came.headers), came.published_at) == (b"\x00", {"s": "text"}, None)


@pytest.mark.parametrize(
    ("url", "codes"),
    [
        ("amqp://agent:secret@127.0.0.1:1/", set()),
        ("amqp://agent:secret@[::1]:1/", set()),
        ("amqp://agent:secret@broker.invalid:1/", {"plain_text"}),
        ("amqps://agent:secret@127.0.0.1:1/", set()),
        ("amqps://agent:secret@127.0.0.1:1/?no_verify_ssl=1", {"unverified_tls"}),
        ("amqp://guest:guest@localhost:1/", {"default_credentials"}),
        ("amqp://127.0.0.1:1/", {"default_credentials"}),
        ("amqp://agent:secret@[::1", set()),
    ],
)
async def test_the_probe_says_what_is_unsafe(url: str, codes: set[str]) -> None:
    made = connector(ConnectorConfig(name="rabbit", secrets={"url": lambda: url}, timeout_s=2.0))
    await made.open()
    try:
        findings = await made.probe()
    finally:
        await made.close()
    assert {f.code for f in findings if f.severity is Severity.UNSAFE} == codes
    assert "unreachable" in {f.code for f in findings}
    assert not any("secret" in f.text or "127" in f.text for f in findings)


async def test_large_messages_come_few_at_a_time(server: RabbitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.rabbitmq.desk._MOST_BYTES", 150)
    queue = await declared(server)
    async with connected(server) as made:
        await published(made, *(outgoing(queue, b"x" * 100) for _ in range(5)))
        first = await made.receive(queue, limit=10, visibility_s=LONG_S, wait_s=5)
        assert len(first) == 2
        assert await depth(server, queue) == 3
        assert len(await taken(made, queue, 3)) == 3
