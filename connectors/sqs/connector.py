"""Amazon SQS behind the connector contract: a topic is a queue."""

import asyncio
import contextlib
import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from connectors.contract import (
    Acked,
    Confirmed,
    ConnectorConfig,
    ConnectorError,
    Failure,
    Family,
    Finding,
    Incoming,
    Outgoing,
    Severity,
)
from connectors.driver_logs import silence
from connectors.exposure import exposed
from connectors.sqs import batches
from connectors.sqs.client import Client
from connectors.sqs.faults import throttled, translated, translated_send, unavailable
from connectors.sqs.handles import handle, receipt_of
from connectors.sqs.names import Names
from connectors.sqs.wire import body_digest, incoming, sent, size
from connectors.threads import Threads

if TYPE_CHECKING:
    from types_boto3_sqs.type_defs import MessageTypeDef

T = TypeVar("T")

_MAX_MESSAGE_BYTES = 1024 * 1024
_MAX_BODY_BYTES = 768_000
"""Of any bytes: a body that is no text grows by a third, and headers count, too."""
_MOST_AT_ONCE = 10
_STEP_S = 5
"""Of one long poll: a receive that nobody waits for ends with its step, and so does `close`."""
_MAX_VISIBILITY_S = 43_200
_RELEASE_S = 3.0
_PAUSE_S = 0.2
_PAUSES_S = (0.1, 0.4)
"""Before SQS that throttled is asked again."""


class SqsConnector:
    """Options: `region`, `endpoint_url`, `prefix`, `fifo`. Secrets: `access_key`, `secret_key`, `session_token`."""

    family = Family.MESSAGES
    max_body_bytes = _MAX_BODY_BYTES

    def __init__(self, config: ConnectorConfig) -> None:
        silence("boto3", "botocore", "urllib3")
        self._names = Names(prefix=config.options.get("prefix") or "", fifo=bool(config.options.get("fifo", False)))
        self._endpoint_url: str | None = config.options.get("endpoint_url")
        self._timeout_s = config.timeout_s
        self._config = config
        self.deduplicates = self._names.fifo
        self._running: _Running | None = None

    async def open(self) -> None:
        self._running = _Running(self._config)

    async def close(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running.close()

    async def publish(self, message: Outgoing, *, timeout_s: float) -> Confirmed:
        queue = self._queue(message.topic)
        running = self._opened()
        parameters = sent(message, fifo=self._names.fifo)
        if len(message.body) > _MAX_BODY_BYTES or size(parameters) > _MAX_MESSAGE_BYTES:
            raise ConnectorError(Failure.OUT_OF_RESOURCES)
        send = functools.partial(_send, running.client, queue, parameters)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        for pause_s in (*_PAUSES_S, None):
            try:
                message_id = await running.sending.finish(send, timeout_s=deadline - loop.time())
            except _Throttled as e:
                if pause_s is None or loop.time() + pause_s >= deadline:
                    raise unavailable() from e
            except ConnectorError as e:
                if e.failure is Failure.TIMEOUT:
                    # No thread came to it.
                    raise unavailable() from e
                raise
            else:
                return Confirmed(message_id=message_id)
            await asyncio.sleep(pause_s)
        raise AssertionError("the last attempt returns or raises")

    async def receive(self, topic: str, *, limit: int, visibility_s: float, wait_s: float) -> tuple[Incoming, ...]:
        queue = self._queue(topic)
        visibility = min(max(math.ceil(visibility_s), 1), _MAX_VISIBILITY_S)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while True:
            left_s = max(deadline - loop.time(), 0)
            poll_s = int(min(left_s, _STEP_S))
            came = await self._polled(queue, min(limit, _MOST_AT_ONCE), visibility, poll_s)
            until_s = time.time() + visibility
            left_s = deadline - loop.time()
            if came or left_s <= 0:
                return tuple(incoming(m, handle(queue, m["ReceiptHandle"], until_s)) for m in came)
            if poll_s == 0:
                # SQS waits whole seconds only.
                await asyncio.sleep(min(left_s, _PAUSE_S))

    async def ack(self, topic: str, handles: Sequence[str], *, timeout_s: float) -> tuple[Acked, ...]:
        queue = self._queue(topic)
        running = self._opened()
        receipts = [receipt_of(h, queue, time.time()) for h in handles]
        known = [r for r in receipts if r is not None]
        delete = functools.partial(batches.delete, running.client, queue, known)
        deleted = await self._asked(running, delete, timeout_s) if known else frozenset[str]()
        return tuple(Acked.DONE if r in deleted else Acked.GONE for r in receipts)

    async def release(self, topic: str, handles: Sequence[str]) -> None:
        with contextlib.suppress(ConnectorError):
            queue = self._queue(topic)
            running = self._opened()
            receipts = [r for h in handles if (r := receipt_of(h, queue, time.time())) is not None]
            if receipts:
                await self._asked(running, functools.partial(batches.show, running.client, queue, receipts), _RELEASE_S)

    async def topics(self) -> tuple[str, ...] | None:
        running = self._opened()
        names = await self._asked(running, functools.partial(_queues, running.client, self._names.prefix), 0)
        return tuple(sorted(topic for name in names if (topic := self._names.topic(name)) is not None))

    async def probe(self) -> tuple[Finding, ...]:
        try:
            running = self._opened()
            await self._asked(running, functools.partial(_answers, running.client), 0)
        except ConnectorError:
            return (
                Finding(
                    code="unreachable",
                    severity=Severity.WARNING,
                    text="no answer from SQS: check region, endpoint and credentials",
                ),
            )
        reachable = Finding(code="reachable", severity=Severity.OK, text="SQS answers")
        if self._endpoint_url is None:
            return (reachable,)
        endpoint = urlsplit(self._endpoint_url)
        return reachable, *exposed(endpoint.hostname or "", encrypted=endpoint.scheme == "https", credentials=True)

    def _queue(self, topic: str) -> str:
        if (queue := self._names.queue(topic)) is None:
            raise ConnectorError(Failure.NOT_FOUND)
        return queue

    def _opened(self) -> "_Running":
        if self._running is None:
            raise unavailable()
        return self._running

    async def _polled(self, queue: str, limit: int, visibility_s: int, wait_s: int) -> "Sequence[MessageTypeDef]":
        running = self._opened()

        def hand_back(came: "Sequence[MessageTypeDef]") -> None:
            receipts = [m["ReceiptHandle"] for m in came]
            if receipts:
                running.polling.later(functools.partial(_shown_at_best, running.client, queue, receipts))

        poll = functools.partial(_poll, running.client, queue, limit, visibility_s, wait_s)
        try:
            return await running.polling.run(poll, timeout_s=wait_s + self._timeout_s, undo=hand_back)
        except Exception as e:
            raise translated(e) from e

    async def _asked(self, running: "_Running", call: Callable[[], T], timeout_s: float) -> T:
        try:
            return await running.sending.run(call, timeout_s=timeout_s or self._timeout_s)
        except Exception as e:
            raise translated(e) from e


class _Running:
    """What an open connector holds. Polls have threads of their own: they wait, and nobody shall wait for them."""

    def __init__(self, config: ConnectorConfig) -> None:
        size = max(1, config.pool_max)
        self.client = Client(config, connections=2 * size)
        self.sending = Threads("douane-sqs", size)
        self.polling = Threads("douane-sqs-poll", size)

    async def close(self) -> None:
        await self.sending.close()
        await self.polling.close()
        self.client.close()


class _Throttled(Exception):  # noqa: N818 - says what is so
    pass


def _send(client: Client, queue: str, parameters: Mapping[str, Any]) -> str:
    """The broker's name for the message. Raises ConnectorError and _Throttled, after which it is surely not there."""
    try:
        client.url(queue)
    except Exception as e:
        failed = translated(e)
        raise unavailable() if failed.failure is Failure.TIMEOUT else failed from e
    try:
        answer = client.on_queue(queue, lambda sqs, url: sqs.send_message(QueueUrl=url, **parameters))
    except Exception as e:
        if throttled(e):
            raise _Throttled from e
        raise translated_send(e) from e
    if answer["MD5OfMessageBody"] != body_digest(parameters):
        # Something is there, and it is not what was sent.
        raise ConnectorError(Failure.OUTCOME_UNKNOWN)
    return answer["MessageId"]


def _poll(client: Client, queue: str, limit: int, visibility_s: int, wait_s: int) -> "Sequence[MessageTypeDef]":
    return client.on_queue(
        queue,
        lambda sqs, url: sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=limit,
            VisibilityTimeout=visibility_s,
            WaitTimeSeconds=wait_s,
            MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp", "MessageGroupId"],
            MessageAttributeNames=["All"],
        ).get("Messages", []),
    )


def _shown_at_best(client: Client, queue: str, receipts: Sequence[str]) -> None:
    # Without it they come again when their visibility is over.
    with contextlib.suppress(Exception):
        batches.show(client, queue, receipts)


def _queues(client: Client, prefix: str) -> list[str]:
    """Names of the queues that begin with `prefix`."""
    urls: list[str] = []
    for page in client.call(lambda sqs: list(sqs.get_paginator("list_queues").paginate(QueueNamePrefix=prefix))):
        urls += page.get("QueueUrls", [])
    return [url.rpartition("/")[2] for url in urls]


def _answers(client: Client) -> None:
    """Any answer but a refusal of the credentials will do: to list queues may well be forbidden."""
    try:
        client.call(lambda sqs: sqs.list_queues(MaxResults=1))
    except Exception as e:
        if translated(e).failure is not Failure.REFUSED_BY_WALL:
            raise
