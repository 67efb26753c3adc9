"""list_deliveries and replay_delivery: what became of notifications, and once more."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from app.gateway.answer import Answer, json_answer, next_link
from app.gateway.cursor import Cursors
from app.gateway.errors import AccessDenied, ApprovalsUnavailable, UnknownDelivery
from app.gateway.record import Record, rfc3339
from app.policy.caller import Caller
from app.policy.decision import Action, Allow
from app.ports import Delivery, DeliveryLog, Policies, StoreUnavailable

RESOURCE = "douane/notifications"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListDeliveries:
    limit: int
    cursor: str | None = None
    target: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayDelivery:
    delivery_id: str
    reason: str | None = None


class DeliveryDesk:
    """`intend` makes durable what is about to change the store; `random(n)` gives n unguessable bytes."""

    def __init__(
        self,
        *,
        deliveries: DeliveryLog,
        policies: Policies,
        cursors: Cursors,
        public_url: str,
        link_lifetime_s: float,
        now: Callable[[], float],
        random: Callable[[int], bytes],
        intend: Callable[[Record], Awaitable[None]],
    ) -> None:
        self._deliveries = deliveries
        self._policies = policies
        self._cursors = cursors
        self._public_url = public_url
        self._link_lifetime_s = link_lifetime_s
        self._now = now
        self._random = random
        self._intend = intend

    async def list_deliveries(self, caller: Caller, command: ListDeliveries, record: Record) -> Answer:
        self._require(caller, Action.READ, record)
        binding = (
            "list_deliveries", caller.issuer, caller.principal, caller.actor, command.target or "", command.state or ""
        )  # fmt: skip
        before = None
        if command.cursor is not None:
            created_at, delivery_id = self._cursors.read(binding, command.cursor)
            before = (str(created_at), str(delivery_id))
        try:
            found = await self._deliveries.page(
                target=command.target, state=command.state, before=before, size=command.limit + 1
            )
        except StoreUnavailable as error:
            raise _unavailable() from error
        page = found[: command.limit]
        cursor = None
        if len(found) > len(page):
            cursor = self._cursors.issue(binding, [page[-1].created_at, page[-1].delivery_id])
        asked = {"limit": str(command.limit)}
        asked |= {} if command.target is None else {"target": command.target}
        asked |= {} if command.state is None else {"state": command.state}
        return json_answer(
            200,
            {"deliveries": [_document(delivery) for delivery in page], "next_cursor": cursor},
            headers=next_link(f"{self._public_url}/v1/deliveries", cursor, asked),
        )

    async def replay_delivery(self, caller: Caller, command: ReplayDelivery, record: Record) -> Answer:
        self._require(caller, Action.WRITE, record)
        record.purpose = command.reason
        await self._intend(record)
        now = self._now()
        try:
            delivery = await self._deliveries.replay(
                command.delivery_id,
                now=rfc3339(now),
                nonce=self._random(16).hex(),
                link_expires_at=rfc3339(now + self._link_lifetime_s),
            )
        except StoreUnavailable as error:
            raise _unavailable() from error
        if delivery is None:
            raise UnknownDelivery("There is no such delivery: list_deliveries names them.")
        record.approval_id = delivery.approval_id
        return json_answer(200, _document(delivery))

    def _require(self, caller: Caller, action: Action, record: Record) -> None:
        snapshot = self._policies.current
        record.policy_version = snapshot.version
        record.action, record.resources = action.value, (RESOURCE,)
        context = {"actor": caller.actor, "claims": caller.claims}
        decision = snapshot.decide(caller, RESOURCE, action, context)
        if not isinstance(decision, Allow):
            raise AccessDenied(
                f"Deliveries of notifications are for those whom policy lets {action.value} {RESOURCE}.",
                rules=decision.rules,
            )


def _document(delivery: Delivery) -> dict[str, Any]:
    return {
        "delivery_id": delivery.delivery_id,
        "target": delivery.target,
        "event": delivery.event,
        "approval_id": delivery.approval_id,
        "state": delivery.state.value,
        "created_at": delivery.created_at,
        "next_attempt_at": delivery.due_at if delivery.state.value == "pending" else None,
        "attempts": [
            {
                "number": attempt.number,
                "at": attempt.at,
                "status": attempt.status,
                "error": attempt.error,
                "duration_ms": attempt.duration_ms,
            }
            for attempt in delivery.attempts
        ],
    }


def _unavailable() -> ApprovalsUnavailable:
    return ApprovalsUnavailable("The log of deliveries cannot be read right now: retry later.", retry_after_s=5)
