"""Steps of approvals become deliveries, one for each target that wants them, and are tried until the target knows."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.approval.approval import Approval, Happening
from app.gateway.links import PREFIX, Ticket, Tickets, summary
from app.gateway.record import rfc3339
from app.ports import (
    Approvals,
    Attempt,
    Change,
    Courier,
    Delivery,
    DeliveryQueue,
    DeliveryState,
    Message,
    Sent,
    StoreUnavailable,
)

EVENTS = frozenset(
    happening.value for happening in Happening if happening not in {Happening.VOTED, Happening.STARTED, Happening.USED}
)
BACK_OFF_S = (5, 30, 120, 600, 3_600, 6 * 3_600, 8 * 3_600, 8 * 3_600)
"""Between tries: with the first, nine in about 23 hours."""
JITTER = 0.2
STALE_AFTER_S = 24 * 3_600
"""Nobody is told of what is older, after whatever outage."""
FEED_SIZE = 100
AT_ONCE = 4
LEASE_S = 120.0
"""Longer than an attempt may take: a delivery whose process died waits this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one attempt went, for the operator's log."""

    target: str
    attempt: int
    state: DeliveryState
    status: int | None
    error: str | None


class Postman:
    """`audiences`: target to the events that it wants. `random(n)` gives n unguessable bytes, `jitter` a number from 0
    to 1. `report` is told of faults of our own. Methods raise StoreUnavailable."""

    def __init__(
        self,
        *,
        approvals: Approvals,
        queue: DeliveryQueue,
        courier: Courier,
        tickets: Tickets,
        audiences: Mapping[str, Collection[str]],
        public_url: str,
        link_lifetime_s: float,
        now: Callable[[], float],
        random: Callable[[int], bytes],
        jitter: Callable[[], float],
        report: Callable[[BaseException], None],
        lease_s: float = LEASE_S,
    ) -> None:
        self._approvals = approvals
        self._queue = queue
        self._courier = courier
        self._tickets = tickets
        self._audiences = audiences
        self._public_url = public_url
        self._link_lifetime_s = link_lifetime_s
        self._now = now
        self._random = random
        self._jitter = jitter
        self._report = report
        self._lease_s = lease_s

    async def begin(self) -> None:
        """What happened before anybody was to be told stays untold."""
        if await self._queue.position() is None:
            await self._queue.enqueue((), position=await self._approvals.last_change())

    async def collect(self) -> int:
        """Reads a piece of the feed; how many steps it had."""
        position = await self._queue.position() or 0
        changes = await self._approvals.changes(position, FEED_SIZE)
        if changes:
            new = [delivery for change in changes for delivery in await self._readable(change)]
            await self._queue.enqueue(new, position=changes[-1].seq)
        return len(changes)

    async def bury(self) -> int:
        return await self._queue.bury(rfc3339(self._now() - STALE_AFTER_S))

    async def due(self) -> frozenset[str]:
        """Those of our targets that something is due for: another process may know others."""
        return await self._queue.due(rfc3339(self._now())) & frozenset(self._audiences)

    async def deliver(self, target: str) -> Sequence[Outcome]:
        """One attempt at each of a few due deliveries; empty: nothing was due, or others have it."""
        now = self._now()
        claimed = await self._queue.claim(
            target,
            now=rfc3339(now),
            leased_until=rfc3339(now + self._lease_s),
            lease=self._random(16).hex(),
            size=AT_ONCE,
        )
        return await asyncio.gather(*(self._attempt(delivery) for delivery in claimed))

    async def _readable(self, change: Change) -> Sequence[Delivery]:
        try:
            return await self._deliveries(change)
        except StoreUnavailable:
            raise
        except Exception as fault:
            # Reported: one step that cannot be told must not keep all that follow from being told
            self._report(fault)
            return ()

    async def _deliveries(self, change: Change) -> list[Delivery]:
        event = change.step.happening.value
        wanted = [target for target, events in self._audiences.items() if event in events and event in EVENTS]
        now = self._now()
        if not wanted or change.step.at < rfc3339(now - STALE_AFTER_S):
            return []
        approval = await self._approvals.get(change.approval_id)
        if approval is None:
            return []
        notice = _notice(approval, change, self._public_url)
        return [
            Delivery(
                delivery_id=f"dlv_{self._random(16).hex()}",
                target=target,
                seq=change.seq,
                approval_id=change.approval_id,
                event=event,
                created_at=rfc3339(now),
                notice=notice,
                nonce=self._random(16).hex(),
                link_expires_at=rfc3339(now + self._link_lifetime_s),
                due_at=rfc3339(now),
            )
            for target in wanted
        ]

    async def _attempt(self, delivery: Delivery) -> Outcome:
        at = rfc3339(self._now())
        sent = await self._send(delivery)
        state, due_at = self._next(delivery, sent)
        attempt = Attempt(
            number=len(delivery.attempts) + 1,
            at=at,
            status=sent.status,
            error=sent.error,
            duration_ms=sent.duration_ms,
        )
        await self._queue.settle(delivery, attempt, state=state, due_at=due_at)
        return Outcome(
            target=delivery.target, attempt=delivery.tries, state=state, status=sent.status, error=sent.error
        )

    async def _send(self, delivery: Delivery) -> Sent:
        try:
            return await self._courier.send(delivery.target, self._message(delivery))
        except Exception as fault:
            # Reported, logged as an attempt and tried again: one message that cannot be made must not stop the others
            self._report(fault)
            return Sent(error="fault")

    def _message(self, delivery: Delivery) -> Message:
        ticket = Ticket(
            nonce=delivery.nonce,
            approval_id=delivery.approval_id,
            target=delivery.target,
            expires_at=delivery.link_expires_at,
        )
        link = f"{self._public_url}{PREFIX}{self._tickets.issue(ticket)}"
        return Message(
            message_id=delivery.delivery_id,
            event=delivery.event,
            at=str(delivery.notice["at"]),
            data={**delivery.notice, "link": link},
        )

    def _next(self, delivery: Delivery, sent: Sent) -> tuple[DeliveryState, str]:
        now = self._now()
        if sent.error is None:
            return DeliveryState.DELIVERED, rfc3339(now)
        if sent.gone or delivery.tries > len(BACK_OFF_S):
            return DeliveryState.DEAD, rfc3339(now)
        return DeliveryState.PENDING, rfc3339(now + back_off_s(delivery.tries, self._jitter(), sent.retry_after_s))


def back_off_s(tries: int, jitter: float, retry_after_s: int | None) -> float:
    """After that many tries; never sooner than the receiver asks."""
    planned = BACK_OFF_S[min(tries, len(BACK_OFF_S)) - 1]
    return max(planned * (1 - JITTER + 2 * JITTER * jitter), retry_after_s or 0)


def _notice(approval: Approval, change: Change, public_url: str) -> dict[str, Any]:
    return {
        **summary(approval),
        "at": change.step.at,
        "state": change.step.state.value,
        "by": change.step.by or None,
        "reason": change.step.reason,
        "approval_url": f"{public_url}/v1/approvals/{approval.approval_id}",
    }
