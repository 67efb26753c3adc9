"""What the SQS connector does beyond the suite: lost answers, queues that go, names, and what SQS can carry."""

import asyncio
import contextlib
import itertools
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.conformance.message_harness import LONG_S, failed, outgoing, published, taken
from connectors.contract import Acked, ConnectorConfig, Failure, MessageConnector
from connectors.sqs import connector
from connectors.sqs.handles import handle, receipt_of
from connectors.sqs.names import Names
from connectors.sqs.wire import incoming, sent
from tests.message_servers import MotoServer, moto_server
from tests.tcp_gate import Mode, gate_to

_REGION = "eu-central-1"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[MotoServer]:
    with moto_server() as running:
        yield running


@pytest.fixture
def sqs(server: MotoServer) -> Iterator[Any]:
    client = boto3.client(
        "sqs", endpoint_url=server.url, region_name=_REGION, aws_access_key_id="k", aws_secret_access_key="s"
    )
    yield client
    client.close()


@pytest.fixture
def topic(sqs: Any) -> str:
    name = f"topic-{next(_numbers)}"
    sqs.create_queue(QueueName=name)
    return name


@contextlib.asynccontextmanager
async def opened(url: str, secrets: dict[str, str] | None = None, **options: Any) -> AsyncIterator[MessageConnector]:
    known = {"access_key": "k", "secret_key": "s"} if secrets is None else secrets
    config = ConnectorConfig(
        name="queue",
        options={"region": _REGION, "endpoint_url": url, **options},
        secrets={name: (lambda name=name: known[name]) for name in known},
        timeout_s=5.0,
    )
    made = connector(config)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


def held(sqs: Any, topic: str) -> int:
    url = sqs.get_queue_url(QueueName=topic)["QueueUrl"]
    told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(told["Attributes"]["ApproximateNumberOfMessages"])


async def test_a_lost_answer_is_an_unknown_outcome_and_is_sent_once(server: MotoServer, sqs: Any, topic: str) -> None:
    async with gate_to(server.port) as gate, opened(f"http://127.0.0.1:{gate.port}") as connected:
        await published(connected, outgoing(topic, "0"))
        gate.sent.clear()
        gate.mode = Mode.CUT
        error = await failed(connected.publish(outgoing(topic, "1"), timeout_s=10))
        assert error.failure is Failure.OUTCOME_UNKNOWN
        assert gate.sent.count(b"AmazonSQS.SendMessage") == 1
        gate.mode = Mode.PASS
        await published(connected, outgoing(topic, "2"))
        assert await asyncio.to_thread(held, sqs, topic) == 3


async def test_an_answer_that_does_not_come_in_time_is_an_unknown_outcome(server: MotoServer, topic: str) -> None:
    async with gate_to(server.port) as gate, opened(f"http://127.0.0.1:{gate.port}") as connected:
        await published(connected, outgoing(topic, "0"))
        gate.mode = Mode.MUTE
        error = await failed(connected.publish(outgoing(topic, "1"), timeout_s=0.5))
        assert error.failure is Failure.OUTCOME_UNKNOWN
        await gate.close()


async def test_a_queue_that_is_not_looked_up_yet_is_surely_not_written_to(server: MotoServer, topic: str) -> None:
    async with gate_to(server.port) as gate, opened(f"http://127.0.0.1:{gate.port}") as connected:
        gate.mode = Mode.CUT
        error = await failed(connected.publish(outgoing(topic, "1"), timeout_s=10))
        assert error.failure is Failure.UNAVAILABLE
        assert b"AmazonSQS.SendMessage" not in gate.sent


async def test_what_a_cancelled_poll_fetched_is_there_at_once_for_others(server: MotoServer, topic: str) -> None:
    async with opened(server.url) as connected:
        waiting = asyncio.create_task(connected.receive(topic, limit=10, visibility_s=LONG_S, wait_s=20))
        await asyncio.sleep(0.5)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        await published(connected, outgoing(topic, "1"))
        # Well before the minute for which the abandoned poll took it.
        (came,) = await taken(connected, topic, 1, within_s=20)
        assert came.body == b"1"


async def test_a_queue_that_is_deleted_is_not_found_and_found_again(server: MotoServer, sqs: Any, topic: str) -> None:
    async with opened(server.url) as connected:
        await published(connected, outgoing(topic, "1"))
        url = sqs.get_queue_url(QueueName=topic)["QueueUrl"]
        await asyncio.to_thread(sqs.delete_queue, QueueUrl=url)
        assert (await failed(connected.publish(outgoing(topic, "2"), timeout_s=10))).failure is Failure.NOT_FOUND
        await asyncio.to_thread(sqs.create_queue, QueueName=topic)
        await published(connected, outgoing(topic, "3"))


async def test_a_prefix_shows_its_own_queues_alone(server: MotoServer, sqs: Any) -> None:
    for name in ("shop-orders", "shop-orders.fifo", "other"):
        attributes = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        await asyncio.to_thread(sqs.create_queue, QueueName=name, Attributes=attributes)
    async with opened(server.url, prefix="shop-") as connected:
        assert await connected.topics() == ("orders",)
        assert (await failed(connected.publish(outgoing("other"), timeout_s=10))).failure is Failure.NOT_FOUND
    async with opened(server.url, prefix="shop-", fifo=True) as connected:
        assert await connected.topics() == ("orders",)
        assert connected.deduplicates


async def test_what_others_send_is_received_as_it_is(server: MotoServer, sqs: Any, topic: str) -> None:
    url = sqs.get_queue_url(QueueName=topic)["QueueUrl"]
    attributes = {
        "douane-encoding": {"DataType": "String", "StringValue": "base64"},
        "Number": {"DataType": "Number", "StringValue": "7"},
        "Bytes": {"DataType": "Binary", "BinaryValue": b"\x00"},
    }
    await asyncio.to_thread(sqs.send_message, QueueUrl=url, MessageBody="no base64", MessageAttributes=attributes)
    async with opened(server.url) as connected:
        (came,) = await taken(connected, topic, 1)
        assert (came.body, came.content_type, dict(came.headers)) == (b"no base64", None, {"number": "7"})


async def test_an_endpoint_in_plain_text_off_this_machine_is_unsafe(server: MotoServer) -> None:
    async with opened(server.url) as connected:
        assert {f.code for f in await connected.probe()} == {"reachable"}


def test_a_topic_has_one_queue_and_a_queue_one_topic() -> None:
    for fifo in (False, True):
        names = Names(prefix="shop-", fifo=fifo)
        for topic in ("orders", "orders-created", "a_b", "shop-orders", "X"):
            queue = names.queue(topic)
            assert queue is not None
            assert names.topic(queue) == topic
            assert Names(prefix="shop-", fifo=not fifo).topic(queue) is None
        for topic in ("", "a.b", "orders.fifo", "a b", "ä", "x" * 80, "a/b", "a\n"):
            assert names.queue(topic) is None
        assert names.topic("other") is None


def test_a_handle_is_good_in_its_time_for_its_queue() -> None:
    given_out = handle("orders", "receipt+/=", 1_000.0)
    assert receipt_of(given_out, "orders", 999.0) == "receipt+/="
    assert receipt_of(given_out, "orders", 1_000.0) is None
    assert receipt_of(given_out, "other", 999.0) is None
    for wrong in ("", "x", "receipt", f" {given_out}", f"{given_out}\n", ":orders:receipt"):
        assert receipt_of(wrong, "orders", 0.0) is None


@given(
    body=st.binary(max_size=200) | st.text(max_size=50).map(lambda text: text.encode("utf-8", "surrogatepass")),
    headers=st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=50), max_size=20),
    key=st.none() | st.text(max_size=20),
    fifo=st.booleans(),
)
def test_whatever_is_sent_fits_and_comes_back(
    body: bytes, headers: dict[str, str], key: str | None, fifo: bool
) -> None:
    message = outgoing("t", body, headers=headers, key=key)
    parameters = sent(message, fifo=fifo)
    attributes = parameters["MessageAttributes"]
    assert len(attributes) <= 10
    texts = [parameters["MessageBody"], *(value["StringValue"] for value in attributes.values())]
    for text in texts:
        assert text
        # XML 1.0, production 2, without the carriage return that its readers change.
        assert not re.search("[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
    came: Any = {"MessageId": "1", "Body": parameters["MessageBody"], "MessageAttributes": attributes}
    back = incoming(came, "h")
    assert (back.body, dict(back.headers), back.key) == (body, headers, key)


async def test_acks_beyond_one_batch_are_all_answered(server: MotoServer, topic: str) -> None:
    async with opened(server.url) as connected:
        await published(connected, *(outgoing(topic, f"{n}") for n in range(23)))
        handles = [m.handle for m in await taken(connected, topic, 23)]
        asked = [handles[0], "garbage", *handles[1:], handles[0]]
        answers = await connected.ack(topic, asked, timeout_s=10)
        assert answers == (Acked.DONE, Acked.GONE, *(Acked.DONE,) * 23)
