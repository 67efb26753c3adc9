"""What a message connector's own tests give to the suite, and the small tools that the suite and such tests share."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from connectors.contract import (
    Acked,
    ConnectorConfig,
    ConnectorError,
    Failure,
    Incoming,
    MessageConnector,
    MessageConnectorFactory,
    Outgoing,
)

GENEROUS_S = 20.0
"""For one call that is to succeed."""
LONG_S = 60.0
"""A visibility that does not end while a test runs."""

_T = TypeVar("_T")
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What the broker behind the harness does; the suite asks no more of it, and no less.

    `brief_s`: the shortest visibility that it honours. `again_s`: how long after its visibility, or after its receiver
    died, a message may take to come again. `counts`: it counts deliveries. `orders`: messages of one topic (and key)
    come in the order in which they were published. `keys`: it carries `key`. `outlives`: messages outlive the connector
    that published them, for another one to receive. `stops`: `stop` and `start` of the harness work. `keeps`: messages
    outlive a stop. `lists`: `topics` tells. `roams`: what one connector received another one can ack.
    `shares`: it never hands one message to two who ask at the same moment.
    """

    brief_s: float
    again_s: float = 15.0
    counts: bool
    orders: bool
    keys: bool = True
    outlives: bool = True
    stops: bool = True
    keeps: bool = True
    lists: bool = True
    roams: bool = True
    shares: bool = True


class MessageHarness(Protocol):
    """One broker of the connector's kind."""

    factory: MessageConnectorFactory
    can: Abilities
    unknown_topic: str
    """Well formed, and not there."""

    def config(self) -> ConnectorConfig: ...

    def config_of_nothing(self) -> ConnectorConfig:
        """Of a broker that is not there."""

    async def make_topic(self) -> str:
        """A new topic without messages, made without the connector."""

    async def has_topic(self, topic: str) -> bool:
        """What the broker itself says."""

    async def stop(self) -> None: ...

    async def start(self) -> None:
        """After `stop`, at the same address. Topics are there again where the broker keeps them."""


@contextlib.asynccontextmanager
async def opened(harness: MessageHarness) -> AsyncIterator[MessageConnector]:
    connector = harness.factory(harness.config())
    await connector.open()
    try:
        yield connector
    finally:
        await connector.close()


def outgoing(topic: str, body: bytes | str = b"{}", **more: Any) -> Outgoing:
    """A message with an id of its own."""
    fields: dict[str, Any] = {"message_id": f"m-{next(_numbers):06}", "content_type": "application/json"} | more
    return Outgoing(topic=topic, body=body.encode() if isinstance(body, str) else body, **fields)


async def failed(call: Awaitable[object]) -> ConnectorError:
    """The error that the call ends with."""
    try:
        answer = await call
    except ConnectorError as e:
        return e
    raise AssertionError(f"no failure but {answer!r}")


async def outcome(call: Awaitable[_T]) -> _T | Failure:
    """What the call gives, or how it fails."""
    try:
        return await call
    except ConnectorError as e:
        return e.failure


async def published(connector: MessageConnector, *messages: Outgoing) -> None:
    """One after the other, each confirmed."""
    for message in messages:
        await connector.publish(message, timeout_s=GENEROUS_S)


async def taken(
    connector: MessageConnector, topic: str, count: int, *, within_s: float = GENEROUS_S, visibility_s: float = LONG_S
) -> list[Incoming]:
    """`count` messages, received in as many calls as it takes, or the fewer that came in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    got: list[Incoming] = []
    while len(got) < count and (left := deadline - loop.time()) > 0:
        limit = min(10, count - len(got))
        got += await connector.receive(topic, limit=limit, visibility_s=visibility_s, wait_s=min(left, 2.0))
    return got


async def emptied(connector: MessageConnector, topic: str, count: int, *, within_s: float = 30.0) -> list[Incoming]:
    """What comes until `count` different messages are acked, each delivery in it; duplicates included."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    got: list[Incoming] = []
    while len({m.body for m in got}) < count and loop.time() < deadline:
        batch = await connector.receive(topic, limit=10, visibility_s=LONG_S, wait_s=1.0)
        if batch:
            answers = await connector.ack(topic, [m.handle for m in batch], timeout_s=GENEROUS_S)
            assert answers == (Acked.DONE,) * len(batch)
        got += batch
    return got


async def nothing_comes(connector: MessageConnector, topic: str, *, wait_s: float = 0.5) -> bool:
    return await connector.receive(topic, limit=10, visibility_s=LONG_S, wait_s=wait_s) == ()
