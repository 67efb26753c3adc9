"""Pulling messages, each away for as long as its own receive asked.

A consumer has one ack wait for all its messages. A delayed nak is the server's own way to say for one message when it
may come again: sent right after the delivery it is a lease that the server keeps, also when this process dies, and an
ack is good while it runs. Until the lease is confirmed the consumer's ack wait holds. Source: NATS ADR-15, "-NAK" with
a delay; nats-server 2.7.1 and later.
"""

import asyncio
import json
from dataclasses import dataclass

from nats.aio.msg import Msg

from connectors.contract import Incoming
from connectors.nats.handles import Delivery, delivery
from connectors.nats.link import Link, Lost
from connectors.nats.management import Consumer, NoResponders
from connectors.nats.wire import incoming

_STEP_S = 5.0
"""A pull that nobody waits for any more ends with its step."""
_ANSWER_S = 5.0
_NOTHING_THERE = frozenset({"404", "408"})


@dataclass(frozen=True, slots=True)
class Pulled:
    message: Msg
    told: Delivery


class Receiving:
    """One receive. What it pulled and did not hand out goes back at once, whatever ends it."""

    def __init__(self, link: Link, consumer: Consumer) -> None:
        self._link = link
        self._consumer = consumer
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{consumer.stream}.{consumer.name}"
        self._got: list[Pulled] = []

    async def run(self, *, limit: int, visibility_s: float, wait_s: float) -> tuple[Incoming, ...]:
        """Raises what Link.request raises; NoResponders and TimeoutError: the consumer may be gone."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        try:
            await self._pull_what_is_there(limit)
            while not self._got and (left_s := deadline - loop.time()) > 0:
                await self._await_one(min(left_s, _STEP_S))
                if self._got and limit > 1:
                    await self._pull_what_is_there(limit - 1)
            await asyncio.gather(*(self._lease(pulled, visibility_s) for pulled in self._got))
        except BaseException:
            for pulled in self._got:
                await self._link.hand_back(pulled.message)
            raise
        return tuple(incoming(pulled.message, pulled.told, self._consumer) for pulled in self._got)

    async def _pull_what_is_there(self, batch: int) -> None:
        request = json.dumps({"batch": batch, "no_wait": True}).encode()
        wanted = len(self._got) + batch
        async with self._link.pull(self._subject, request) as pull, asyncio.timeout(_ANSWER_S):
            # The server says when there is no more, unless it has given the whole batch.
            while len(self._got) < wanted and self._take(await pull.messages.get()):
                pass
            pull.complete = True

    async def _await_one(self, within_s: float) -> None:
        request = json.dumps({"batch": 1, "expires": int(within_s * 1e9)}).encode()
        async with self._link.pull(self._subject, request) as pull, asyncio.timeout(within_s + _ANSWER_S):
            self._take(await pull.messages.get())
            pull.complete = True

    def _take(self, message: Msg | None) -> bool:
        """Whether it is one; False: the pull is over."""
        if message is None:
            raise Lost
        told = delivery(message.reply)
        if told is not None:
            self._got.append(Pulled(message, told))
            return True
        status = (message.headers or {}).get("Status")
        if status not in _NOTHING_THERE:
            # 409: the consumer was deleted, or has too many pulls; 503: there is none.
            raise NoResponders
        return False

    async def _lease(self, pulled: Pulled, visibility_s: float) -> None:
        body = b"-NAK " + json.dumps({"delay": int(visibility_s * 1e9)}).encode()
        await self._link.request(pulled.message.reply, body, timeout_s=_ANSWER_S)
