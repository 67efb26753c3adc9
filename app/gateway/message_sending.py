"""One planned message to its broker: on record before, told as published only once the broker confirmed it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from hashlib import sha256
from typing import Any, TypeVar

from app.gateway.answer import Answer, json_answer
from app.gateway.envelope import Closing, closing_members
from app.gateway.errors import Refused
from app.gateway.idempotency import StoredKeys, Ticket
from app.gateway.message_plans import PublishPlan
from app.gateway.message_topics import refusal_of_broker
from app.gateway.record import Record
from connectors.contract import Confirmed, ConnectorError, Failure, Outgoing

_Result = TypeVar("_Result")


class Sending:
    """`intend` makes an intent durable: nothing reaches a broker without one."""

    def __init__(self, *, keys: StoredKeys, intend: Callable[[Record], Awaitable[None]]) -> None:
        self._keys = keys
        self._intend = intend

    async def allowed(self, plan: PublishPlan, record: Record, ticket: Ticket | None) -> Answer:
        """What needs nobody's approval: at once. `ticket`: of its idempotency key."""
        note(plan, record)
        if ticket is None:
            await self._intend(record)
            return await self.send(plan, record, dedup_id=None)
        async with self._keys.using(ticket):
            await self._intend(record)
            try:
                answer = await self.send(plan, record, dedup_id=ticket.scope)
            except (Refused, asyncio.CancelledError):
                raise
            except BaseException:
                # A fault of ours: nobody can say how far the message came, so its key sends nothing again.
                ticket.settled = True
                raise
        await self._keys.settle(ticket, answer, Closing(affected_rows=record.affected_rows), plan.policy_version)
        return answer

    async def send(
        self,
        plan: PublishPlan,
        record: Record,
        *,
        dedup_id: str | None,
        left_s: float | None = None,
        closing: Closing | None = None,
    ) -> Answer:
        """`closing`: of the approval that it was sent under. Raises Refused when the broker has it not, and
        OutcomeUnknown."""
        timeout_s = plan.at.broker.timeout_s
        sending = _confirmed(plan, dedup_id, timeout_s if left_s is None else min(timeout_s, left_s))
        confirmed = await though_cancelled(sending)
        record.affected_rows = 1
        record.facts["message_id"] = confirmed.message_id
        return json_answer(200, _document(plan, confirmed, closing))


def note(plan: PublishPlan, record: Record) -> None:
    """What goes on record of the message: not what is in it."""
    record.facts |= {
        "message_id": plan.message_id,
        "content_sha256": sha256(plan.body).hexdigest(),
        "content_bytes": len(plan.body),
        "content_type": plan.draft.content_type,
        "masked_labels": plan.masked_labels,
    }


async def though_cancelled(work: Coroutine[Any, Any, _Result]) -> _Result:
    """What reached the broker has an outcome, whoever waits for it: a request that is cancelled meanwhile hears it all
    the same, so that it goes on record."""
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            continue
    if task.cancelled():
        # The process ends in the middle of it.
        raise refusal_of_broker(ConnectorError(Failure.OUTCOME_UNKNOWN))
    return task.result()


async def _confirmed(plan: PublishPlan, dedup_id: str | None, timeout_s: float) -> Confirmed:
    message = Outgoing(
        topic=plan.at.topic,
        body=plan.body,
        message_id=plan.message_id,
        content_type=plan.draft.content_type,
        headers=dict(plan.draft.headers),
        key=plan.draft.key,
        dedup_id=dedup_id,
    )
    try:
        return await plan.at.broker.connector.publish(message, timeout_s=timeout_s)
    except ConnectorError as error:
        # Nobody says that it was not sent when time ran out.
        unsaid = error.failure is Failure.TIMEOUT
        raise refusal_of_broker(ConnectorError(Failure.OUTCOME_UNKNOWN) if unsaid else error) from error


def _document(plan: PublishPlan, confirmed: Confirmed, closing: Closing | None) -> dict[str, Any]:
    return {
        "status": "completed",
        "connection": plan.at.broker.name,
        "topic": plan.at.topic,
        "message_id": confirmed.message_id,
        "duplicate": confirmed.duplicate,
        "masked_labels": plan.masked_labels,
        "content_type": plan.draft.content_type,
        "size": len(plan.body),
        **closing_members(plan.policy_version, closing),
        "notice": _notice(plan, confirmed),
    }


def _notice(plan: PublishPlan, confirmed: Confirmed) -> str | None:
    masked = f"Policy masked {', '.join(plan.masked_labels)} in what was published." if plan.masked_labels else None
    if confirmed.duplicate:
        again = "The broker had this message already, and kept that one."
        return again if masked is None else f"{again} {masked}"
    return masked
