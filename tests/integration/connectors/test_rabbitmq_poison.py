"""Messages whose properties the driver's own decoder does not take are handed out all the same."""

import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import aio_pika
import pytest
from pamqp import encode

from connectors.contract import Acked, ConnectorConfig
from connectors.rabbitmq import connector
from tests.broker_servers import RabbitServer, rabbit_server


@pytest.fixture(scope="module")
def server() -> Iterator[RabbitServer]:
    with rabbit_server() as running:
        yield running


NO_TIME = struct.pack(">Q", 2**62)
NO_TEXT = b"\x02\xff\xfe"
NO_NAMES = struct.pack(">I", 9) + b"\x02\xff\xfeS\x00\x00\x00\x01x"


@pytest.mark.parametrize(
    ("kind", "written", "properties", "shown"),
    [
        ("timestamp", NO_TIME, {"timestamp": datetime(2026, 1, 2, tzinfo=UTC)}, {"published_at": None}),
        ("shortstr", NO_TEXT, {"message_id": "broken"}, {"message_id": "\ufffd\ufffd"}),
        ("table", NO_NAMES, {"headers": {"x": "y"}}, {"headers": {}}),
    ],
)
async def test_a_property_that_cannot_be_read_keeps_no_message_back(
    server: RabbitServer,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    written: bytes,
    properties: dict[str, Any],
    shown: dict[str, Any],
) -> None:
    queue = f"poison.{kind}"
    administering = await aio_pika.connect(server.url("root_of_tests"))
    async with administering, administering.channel() as channel:
        await channel.declare_queue(queue, durable=True)
        usual = encode.METHODS[kind]
        given = next(iter(properties.values()))
        with monkeypatch.context() as patched:
            patched.setitem(encode.METHODS, kind, lambda value: written if value == given else usual(value))
            await channel.default_exchange.publish(aio_pika.Message(b"broken", **properties), queue)
        await channel.default_exchange.publish(aio_pika.Message(b"behind it"), queue)
    made = connector(ConnectorConfig(name="rabbit", secrets={"url": server.url}, timeout_s=5.0))
    await made.open()
    try:
        came = await made.receive(queue, limit=10, visibility_s=30, wait_s=5)
        assert [each.body for each in came] == [b"broken", b"behind it"]
        assert {name: getattr(came[0], name) for name in shown} == shown
        assert await made.ack(queue, [each.handle for each in came], timeout_s=5) == (Acked.DONE, Acked.DONE)
    finally:
        await made.close()
