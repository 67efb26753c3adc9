"""Records as producers of every kind write them: each is read, or handed out without its body, and keeps none back."""

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import cramjam
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.producer import message_accumulator
from aiokafka.producer import producer as producer_module
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy as Builder
from aiokafka.record.legacy_records import _LegacyRecordBatchBuilderPy as OldBuilder

from connectors.conformance.message_harness import taken
from connectors.contract import Acked, ConnectorConfig, Unread
from connectors.kafka import KafkaConnector, codecs, connector
from connectors.kafka.records import Batches, NoBody
from tests.broker_servers import KafkaServer, kafka_server

_numbers = itertools.count(1)
JOIN_S = 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[KafkaServer]:
    with kafka_server() as running:
        yield running


@contextlib.asynccontextmanager
async def connected(server: KafkaServer) -> AsyncIterator[KafkaConnector]:
    options = {"bootstrap": server.bootstrap, "idempotent": False, "session_timeout_s": 6.0}
    made = connector(ConnectorConfig(name="kafka", options=options, timeout_s=5.0))
    await made.open()
    try:
        yield made
    finally:
        await made.close()


@contextlib.asynccontextmanager
async def produced(
    server: KafkaServer, compression: str | None = None, **more: Any
) -> AsyncIterator[tuple[str, AIOKafkaProducer]]:
    """A new topic of one partition, and somebody else's producer."""
    topic = f"records.{next(_numbers)}"
    admin = AIOKafkaAdminClient(bootstrap_servers=server.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(
        bootstrap_servers=server.bootstrap, enable_idempotence=False, compression_type=compression, linger_ms=50, **more
    )
    await producer.start()
    try:
        yield topic, producer
    finally:
        await producer.stop()


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
async def test_records_are_read_however_they_are_compressed(server: KafkaServer, compression: str) -> None:
    bodies = [b'{"n":%d,"padding":"%s"}' % (number, b"x" * 500) for number in range(3)]
    async with produced(server, compression) as (topic, producer):
        for sent in [await producer.send(topic, body, headers=[("n", b"1")]) for body in bodies]:
            await sent
    async with connected(server) as kafka:
        came = await taken(kafka, topic, 3, within_s=JOIN_S)
        assert [(each.body, each.headers) for each in came] == [(body, {"n": "1"}) for body in bodies]


class NoText(str):
    """Encoded as a client in C writes it, which takes bytes for names."""

    def encode(self, *_: str) -> bytes:
        return b"x-\xff"


async def test_a_header_whose_name_is_no_text_keeps_nothing_back(
    server: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (message_accumulator, producer_module):
        monkeypatch.setattr(module, "DefaultRecordBatchBuilder", Builder)
    async with produced(server) as (topic, producer):
        await producer.send_and_wait(topic, b"broken", headers=[(NoText("x"), b"v"), ("y", b"w")])
        await producer.send_and_wait(topic, b"behind it")
    async with connected(server) as kafka:
        broken, behind = await taken(kafka, topic, 2, within_s=JOIN_S)
        assert (broken.body, broken.headers, behind.body) == (b"broken", {"x-\ufffd": "v", "y": "w"}, b"behind it")


async def test_what_is_too_large_unpacked_comes_without_its_body_and_can_be_acked(
    server: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.kafka.records.MOST_BYTES", 1_000_000)
    async with produced(server, "gzip", max_request_size=3_000_000, max_batch_size=3_000_000) as (topic, producer):
        await producer.send_and_wait(topic, b"0" * 2_000_000)
        await producer.send_and_wait(topic, b"behind it")
    async with connected(server) as kafka:
        large, behind = await taken(kafka, topic, 2, within_s=JOIN_S)
        assert (large.body, large.unread) == (b"", Unread.TOO_LARGE)
        assert (behind.body, behind.unread) == (b"behind it", None)
        done = await kafka.ack(topic, [large.handle, behind.handle], timeout_s=5.0)
        assert done == (Acked.DONE, Acked.DONE)


def batch(*bodies: bytes, codec: int = 0, headers: int = 0) -> bytearray:
    made = Builder(
        magic=2, compression_type=codec, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=10**9,
    )  # fmt: skip
    for offset, body in enumerate(bodies):
        made.append(offset, 1_000, b"k", body, [("h", b"v")] * headers)
    return made.build()


def told(written: bytes) -> list[tuple[int, Any]]:
    """Offsets and bodies, or why there is none."""
    batches = Batches(bytes(written))
    found: list[tuple[int, Any]] = []
    while batches.has_next():
        records = batches.next_batch()
        found += [(r.offset, r.value.why if isinstance(r.value, NoBody) else r.value) for r in records]
    return found


@pytest.mark.parametrize("codec", [0, 1, 2, 3, 4])
def test_a_batch_is_read_up_to_the_bound_whatever_packed_it(monkeypatch: pytest.MonkeyPatch, codec: int) -> None:
    written = batch(b"one", b"2" * 90_000, b"", codec=codec)
    assert told(written) == [(0, b"one"), (1, b"2" * 90_000), (2, b"")]
    monkeypatch.setattr("connectors.kafka.records.MOST_BYTES", 90_000)
    if codec:
        assert told(written + batch(b"behind")) == [(n, Unread.TOO_LARGE) for n in range(3)] + [(0, b"behind")]


@pytest.mark.parametrize("codec", [0, 1, 2, 3, 4])
def test_what_is_broken_comes_without_its_body_from_there_on(codec: int) -> None:
    whole = batch(*(b"body %d" % n for n in range(5)), codec=codec)
    behind = batch(b"behind")
    for at in range(61, len(whole)):
        for written in (0x00, 0x7F, 0xFF):
            broken = bytearray(whole)
            broken[at] = written
            *found, last = told(broken + behind)
            offsets = [offset for offset, _ in found]
            # An offset that is missing may have been compacted away.
            assert offsets == sorted(set(offsets))
            assert (offsets[-1], last) == (4, (0, b"behind"))
            bodies = [body for _, body in found]
            unread = [body for body in bodies if isinstance(body, Unread)]
            assert unread == bodies[len(bodies) - len(unread) :]


def test_a_codec_that_nobody_knows_and_a_wrong_count_are_broken() -> None:
    unknown, short, long = batch(b"a", b"b"), batch(b"a", b"b"), batch(b"a", b"b")
    unknown[22] = 5
    short[60], long[60] = 1, 3
    assert told(unknown) == [(0, Unread.BROKEN), (1, Unread.BROKEN)]
    assert told(short) == [(0, b"a"), (1, Unread.BROKEN)]
    assert told(long) == [(0, b"a"), (1, b"b")]


def test_headers_without_end_are_too_large() -> None:
    assert told(batch(b"x", headers=10_000)) == [(0, b"x")]
    assert told(batch(b"x", headers=10_001)) == [(0, Unread.TOO_LARGE)]


@pytest.mark.parametrize("codec", [1, 2, 3])
def test_older_batches_are_bounded_too(monkeypatch: pytest.MonkeyPatch, codec: int) -> None:
    made = OldBuilder(magic=1, compression_type=codec, batch_size=10**9)
    for offset, body in enumerate((b"one", b"2" * 90_000)):
        made.append(offset, timestamp=1_000, key=b"k", value=body)
    written = bytes(made.build())
    assert told(written) == [(0, b"one"), (1, b"2" * 90_000)]
    monkeypatch.setattr("connectors.kafka.records.MOST_BYTES", 90_000)
    assert [why for _, why in told(written)] == [Unread.TOO_LARGE]


@pytest.mark.parametrize(
    ("codec", "packed"),
    [
        (1, gzip_encode(b"x" * 500) + gzip_encode(b"y" * 500)),
        (2, cramjam.snappy.compress_raw(b"x" * 1_000)),
        (2, snappy_encode(b"x" * 1_000, xerial_blocksize=100)),
        (3, lz4_encode(b"x" * 1_000)),
        (4, zstd_encode(b"x" * 1_000)),
    ],
)
def test_unpacking_ends_at_the_bound(codec: int, packed: bytes) -> None:
    packed = bytes(packed)
    assert len(codecs.unpack(codec, packed, 1_000)) == 1_000
    with pytest.raises(codecs.TooLarge):
        codecs.unpack(codec, packed, 999)
    with pytest.raises(Exception, match=r"."):
        codecs.unpack(codec, packed[:-1], 1_000)
