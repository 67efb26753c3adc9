"""A Kafka cluster that hangs, dies and rebalances, met by the connector."""

import asyncio
import contextlib
import itertools
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from connectors.conformance.message_harness import failed, outgoing, published, taken
from connectors.contract import Acked, ConnectorConfig, Failure, Severity
from connectors.kafka import KafkaConnector, connector
from connectors.kafka.cluster import Cluster
from connectors.kafka.desk import Desk
from connectors.kafka.settings import reach_of
from tests.authority import Authority
from tests.broker_servers import KafkaServer, kafka_server
from tests.servers import free_port
from tests.tcp_gate import gate_to

_numbers = itertools.count(1)
LONG_S = 60.0
JOIN_S = 30.0
"""For a group to give a member its partitions."""


@pytest.fixture(scope="module")
def server() -> Iterator[KafkaServer]:
    with kafka_server() as running:
        yield running


@contextlib.asynccontextmanager
async def connected(server: KafkaServer, **options: Any) -> AsyncIterator[KafkaConnector]:
    reach = {"bootstrap": server.bootstrap, "idempotent": False, "session_timeout_s": 6.0}
    made = connector(ConnectorConfig(name="kafka", options=reach | options, timeout_s=5.0))
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def made_topic(server: KafkaServer, partitions: int = 1, **reach: Any) -> str:
    name = f"orders.{next(_numbers)}"
    admin = AIOKafkaAdminClient(**{"bootstrap_servers": server.bootstrap, **reach})
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1)])
    finally:
        await admin.close()
    return name


async def test_a_publish_whose_answer_never_comes_has_an_unknown_outcome(server: KafkaServer) -> None:
    topic = await made_topic(server)
    async with connected(server) as kafka:
        await published(kafka, outgoing(topic, "first"))
        server.pause()
        try:
            # The connection to the leader still seems to be there, so the message is on its way.
            error = await failed(kafka.publish(outgoing(topic, "second"), timeout_s=1.0))
        finally:
            server.resume()
        assert error.failure is Failure.OUTCOME_UNKNOWN
        assert not error.retryable
        assert {m.body for m in await taken(kafka, topic, 2, within_s=JOIN_S)} == {b"first", b"second"}
        assert (await kafka.publish(outgoing(topic, "third"), timeout_s=5.0)).message_id


async def test_over_tls_a_known_authority_must_vouch_for_the_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = Authority(tmp_path), Authority(tmp_path)
    port = free_port()
    with kafka_server(advertised_port=port) as server:
        async with gate_to(server.port, at=port, tls=theirs.server("127.0.0.1")):
            encrypted = {"bootstrap": f"127.0.0.1:{port}", "security_protocol": "SSL"}
            monkeypatch.setenv("SSL_CERT_FILE", str(ours.file))
            async with connected(server, **encrypted) as kafka:
                assert (await failed(kafka.publish(outgoing("t"), timeout_s=3.0))).failure is Failure.UNAVAILABLE
            monkeypatch.setenv("SSL_CERT_FILE", str(theirs.file))
            topic = await made_topic(
                server, bootstrap_servers=encrypted["bootstrap"], security_protocol="SSL", ssl_context=theirs.client
            )
            async with connected(server, **encrypted) as kafka:
                await published(kafka, outgoing(topic, "over TLS"))
                assert {m.body for m in await taken(kafka, topic, 1, within_s=JOIN_S)} == {b"over TLS"}


async def test_a_publish_that_dies_with_the_broker_has_an_unknown_outcome(server: KafkaServer) -> None:
    topic = await made_topic(server)
    async with connected(server) as kafka:
        await published(kafka, outgoing(topic, "first"))
        server.pause()
        publishing = asyncio.create_task(kafka.publish(outgoing(topic, "second"), timeout_s=4.0))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(server.stop, signal.SIGKILL)
        try:
            assert (await failed(publishing)).failure is Failure.OUTCOME_UNKNOWN
            error = await failed(kafka.publish(outgoing(topic, "third"), timeout_s=2.0))
            assert error.failure is Failure.UNAVAILABLE
            assert error.retryable
        finally:
            await asyncio.to_thread(server.start)
        again = await made_topic(server)
        assert (await kafka.publish(outgoing(again, "fourth"), timeout_s=5.0)).message_id == f"{again}-0-0"


async def test_no_connection_in_time_is_surely_not_published(server: KafkaServer) -> None:
    topic = await made_topic(server)
    server.pause()
    try:
        async with connected(server) as kafka:
            assert (await failed(kafka.publish(outgoing(topic, "1"), timeout_s=1.0))).failure is Failure.UNAVAILABLE
    finally:
        server.resume()
    async with connected(server) as kafka:
        await published(kafka, outgoing(topic, "2"))
        (came,) = await taken(kafka, topic, 1, within_s=JOIN_S)
        assert (came.body, came.message_id) == (b"2", f"{topic}-0-0")


async def test_a_driver_that_gives_up_is_replaced_and_its_late_publishes_die_with_it(server: KafkaServer) -> None:
    topic = await made_topic(server)
    async with connected(server) as kafka:
        await published(kafka, outgoing(topic, "first"))
        server.pause()
        try:
            errors = await asyncio.gather(
                *(failed(kafka.publish(outgoing(topic, f"{n}"), timeout_s=1.0)) for n in range(5))
            )
            assert {e.failure for e in errors} <= {Failure.OUTCOME_UNKNOWN, Failure.UNAVAILABLE}
            # Longer than the driver's own timeout: it looked, nobody answered, and it was given up.
            await asyncio.sleep(6.0)
        finally:
            server.resume()
        assert (await kafka.publish(outgoing(topic, "last"), timeout_s=5.0)).message_id


async def test_acks_out_of_order_are_committed_when_the_gap_closes(server: KafkaServer) -> None:
    topic = await made_topic(server)
    async with connected(server) as kafka:
        await published(kafka, *(outgoing(topic, f"{n}") for n in range(3)))
        first, second, third = await taken(kafka, topic, 3, within_s=JOIN_S)
        assert await kafka.ack(topic, [second.handle], timeout_s=5.0) == (Acked.DONE,)
        assert await kafka.ack(topic, [first.handle], timeout_s=5.0) == (Acked.DONE,)
    async with connected(server) as kafka:
        # Committed up to the third, which nobody acked.
        again = await taken(kafka, topic, 1, within_s=JOIN_S)
        assert [m.body for m in again] == [third.body]


async def test_an_ack_behind_a_gap_comes_again_after_a_crash(server: KafkaServer) -> None:
    topic = await made_topic(server)
    async with connected(server) as kafka:
        await published(kafka, *(outgoing(topic, f"{n}") for n in range(3)))
        _, second, third = await taken(kafka, topic, 3, within_s=JOIN_S)
        assert await kafka.ack(topic, [second.handle, third.handle], timeout_s=5.0) == (Acked.DONE, Acked.DONE)
    async with connected(server) as kafka:
        again = await taken(kafka, topic, 3, within_s=JOIN_S)
        assert [m.body for m in again] == [b"0", b"1", b"2"]
        assert await kafka.ack(topic, [second.handle], timeout_s=5.0) == (Acked.GONE,)


async def test_a_poison_message_comes_again_and_blocks_no_other_until_the_window_is_full(server: KafkaServer) -> None:
    topic = await made_topic(server)
    async with connected(server, max_unacked=5) as kafka:
        await published(kafka, outgoing(topic, "poison"), *(outgoing(topic, f"{n}") for n in range(6)))
        seen: dict[bytes, int] = {}
        while len(seen) < 5 or seen[b"poison"] < 2:
            (came,) = await taken(kafka, topic, 1, within_s=JOIN_S, visibility_s=0.2)
            seen[came.body] = seen.get(came.body, 0) + 1
            assert came.deliveries == seen[came.body]
            if came.body != b"poison":
                assert await kafka.ack(topic, [came.handle], timeout_s=5.0) == (Acked.DONE,)
        (poison,) = await taken(kafka, topic, 1, visibility_s=LONG_S)
        assert poison.body == b"poison"
        error = await failed(kafka.receive(topic, limit=1, visibility_s=LONG_S, wait_s=0))
        assert error.failure is Failure.OUT_OF_RESOURCES
        assert await kafka.ack(topic, [poison.handle], timeout_s=5.0) == (Acked.DONE,)
        assert {m.body for m in await taken(kafka, topic, 2)} == {b"4", b"5"}


async def test_a_second_member_takes_over_and_the_leases_of_what_stayed_stay(server: KafkaServer) -> None:
    topic = await made_topic(server, partitions=2)
    async with connected(server) as first, connected(server) as second:
        await published(first, *(outgoing(topic, f"{n}", key=f"k{n}") for n in range(12)))
        came = await taken(first, topic, 12, within_s=JOIN_S)
        partitions = {m.message_id.rpartition("-")[0] for m in came}
        assert len(partitions) == 2
        again = await taken(second, topic, 1, within_s=JOIN_S)
        # One partition went to the second member, with everything that nobody acked; the other one kept its leases.
        lost = again[0].message_id.rpartition("-")[0]
        answers = await first.ack(topic, [m.handle for m in came], timeout_s=10.0)
        expected = [Acked.GONE if m.message_id.rpartition("-")[0] == lost else Acked.DONE for m in came]
        assert list(answers) == expected
        rest = await taken(second, topic, expected.count(Acked.GONE) - 1)
        assert {m.message_id.rpartition("-")[0] for m in rest} <= {lost}
        assert await first.receive(topic, limit=10, visibility_s=LONG_S, wait_s=1.0) == ()


async def test_a_member_that_nobody_asks_leaves_unless_it_has_something_out(server: KafkaServer) -> None:
    topic = await made_topic(server)
    options = {"bootstrap": server.bootstrap, "idempotent": False, "session_timeout_s": 6.0}
    reach = reach_of(ConnectorConfig(name="kafka", options=options, timeout_s=5.0))
    cluster = Cluster(reach)
    cluster.open()
    desk = Desk(reach, cluster, topic, idle_s=0.5)
    try:
        await cluster.publish(outgoing(topic, "1"), timeout_s=5.0)
        (came,) = await desk.receive(limit=1, visibility_s=LONG_S, wait_s=JOIN_S)
        await asyncio.sleep(1.5)
        assert desk.is_member
        assert await desk.ack([came.handle], timeout_s=5.0) == (Acked.DONE,)
        async with asyncio.timeout(5.0):
            while desk.is_member:
                await asyncio.sleep(0.1)
        await cluster.publish(outgoing(topic, "2"), timeout_s=5.0)
        (came,) = await desk.receive(limit=1, visibility_s=LONG_S, wait_s=JOIN_S)
        assert came.body == b"2"
    finally:
        await desk.close()
        await cluster.close()


async def test_a_broker_that_makes_topics_on_demand_makes_none_for_us(server: KafkaServer) -> None:
    topic = await made_topic(server)
    async with connected(server) as kafka:
        assert (await failed(kafka.publish(outgoing("typo"), timeout_s=5.0))).failure is Failure.NOT_FOUND
        await published(kafka, outgoing(topic, "1"))
        assert await taken(kafka, topic, 1, within_s=JOIN_S)
        assert "typo" not in (await kafka.topics() or ())
    # The same broker makes it for a driver that asks by name: what was just shown was not its doing.
    naive = AIOKafkaProducer(bootstrap_servers=server.bootstrap)
    await naive.start()
    try:
        await naive.partitions_for("made.on.demand")
    finally:
        await naive.stop()
    async with connected(server) as kafka:
        assert "made.on.demand" in (await kafka.topics() or ())


async def test_an_idempotent_producer_that_the_broker_lacks_is_unavailable_and_the_probe_says_how(
    server: KafkaServer,
) -> None:
    topic = await made_topic(server)
    async with connected(server, idempotent=True) as kafka:
        assert (await failed(kafka.publish(outgoing(topic), timeout_s=5.0))).failure is Failure.UNAVAILABLE
        (finding,) = await kafka.probe()
        assert (finding.code, "idempotent: false" in finding.text) == ("unreachable", True)


async def test_messages_of_other_publishers_are_read(server: KafkaServer) -> None:
    topic = await made_topic(server)
    strange = AIOKafkaProducer(bootstrap_servers=server.bootstrap)
    await strange.start()
    try:
        headers = [("n", b"\xff"), ("s", b"text"), ("s", b"again")]
        await strange.send_and_wait(topic, b"\x00", key=b"\xff", headers=headers)
        await strange.send_and_wait(topic, None, key=b"tombstone")
    finally:
        await strange.stop()
    async with connected(server) as kafka:
        first, second = await taken(kafka, topic, 2, within_s=JOIN_S)
        assert (first.body, dict(first.headers), first.key) == (b"\x00", {"s": "again"}, None)
        assert (second.body, second.key, second.content_type) == (b"", "tombstone", None)


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        ({"bootstrap": "127.0.0.1:1"}, set()),
        ({"bootstrap": "localhost:1, [::1]:1"}, set()),
        ({"bootstrap": "127.0.0.1:1,broker.invalid:1"}, {"plain_text", "no_credentials"}),
        ({"bootstrap": "broker.invalid:1", "security_protocol": "SSL"}, {"no_credentials"}),
        ({"bootstrap": "broker.invalid:1", "security_protocol": "SASL_PLAINTEXT"}, {"plain_text"}),
        ({"bootstrap": "broker.invalid:1", "security_protocol": "SASL_SSL"}, set()),
    ],
)
async def test_the_probe_says_what_is_unsafe(options: dict[str, Any], codes: set[str]) -> None:
    secrets = {"user": lambda: "agent", "password": lambda: "secret"}
    made = connector(ConnectorConfig(name="kafka", options=options, secrets=secrets, timeout_s=2.0))
    await made.open()
    try:
        findings = await made.probe()
    finally:
        await made.close()
    assert {f.code for f in findings if f.severity is not Severity.OK} == codes | {"unreachable"}
    assert not any("secret" in f.text or "invalid" in f.text for f in findings)


@pytest.mark.parametrize("options", [{}, {"bootstrap": "127.0.0.1:1", "security_protocol": "SASL_SSL"}])
def test_a_cluster_that_cannot_be_reached_as_configured_is_no_connector(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs"):
        connector(ConnectorConfig(name="kafka", options=options))
