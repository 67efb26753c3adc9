"""Steps of approvals reach their targets: once per success, again after each failure, under one id, on either store."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from office import LINK_KEY, PUBLIC_URL, SECRET, Office, agreed, asked, office, postman
from receivers import Handler, receiver, status
from standardwebhooks import Webhook

from app.approval.approval import Approval
from app.gateway.links import PREFIX, Tickets
from app.gateway.notifying import BACK_OFF_S, STALE_AFTER_S, Outcome
from app.gateway.record import rfc3339
from app.ports import Attempt, Delivery, DeliveryState, Message, Sent
from app.store.approvals import ApprovalStore
from tests.servers import free_port


async def everything(there: Office, target: str = "ops") -> list[Outcome]:
    while await there.postman.collect():
        pass
    outcomes: list[Outcome] = []
    while found := await there.postman.deliver(target):
        outcomes += found
    return outcomes


async def all_of(there: Office, **wanted: str) -> Sequence[Delivery]:
    return await there.deliveries.page(target=wanted.get("target"), state=wanted.get("state"), before=None, size=1_000)


async def test_every_step_is_told_signed_and_without_statement_or_values(store_url: str) -> None:
    async with receiver(status(200)) as hook, office(store_url, {"ops": hook.port}) as there:
        made = asked()
        await there.approvals.create(made)
        await there.approvals.replace(made, agreed(made))
        outcomes = await everything(there)
        assert [(o.state, o.status, o.error) for o in outcomes] == [(DeliveryState.DELIVERED, 200, None)] * 2
        assert await everything(there) == []
        bodies = [Webhook(SECRET).verify(got.body, got.headers) for got in hook.got]
        first, second = sorted(bodies, key=lambda body: body["timestamp"])
        assert (first["type"], second["type"]) == ("approval.requested", "approval.approved")
        assert (first["data"]["state"], second["data"]["state"]) == ("pending", "approved")
        assert (second["data"]["by"], second["data"]["reason"]) == ("user:dee", "looks right")
        assert first["data"]["purpose"] == "Close order 42."
        assert first["data"]["rows"] == 3
        assert not any(b"hunter" in got.body for got in hook.got)
        assert len({got.headers["webhook-id"] for got in hook.got}) == 2
        ticket = Tickets(LINK_KEY).read(first["data"]["link"].removeprefix(PUBLIC_URL + PREFIX))
        assert ticket is not None
        assert (ticket.approval_id, ticket.target) == (made.approval_id, "ops")
        assert there.faults == []


async def test_a_target_is_told_only_what_it_asked_for(store_url: str) -> None:
    async with (
        receiver(status(200)) as hook,
        receiver(status(200)) as chat,
        office(store_url, {"ops": hook.port, "chat": chat.port}, chat=("approved",)) as there,
    ):
        made = asked()
        await there.approvals.create(made)
        await there.approvals.replace(made, agreed(made))
        await everything(there, "chat")
        await everything(there, "ops")
        assert [json.loads(got.body)["type"] for got in chat.got] == ["approval.approved"]
        assert len(hook.got) == 2


async def test_a_failure_is_tried_again_under_the_same_id_with_a_new_time_and_the_same_body(store_url: str) -> None:
    answers: list[Handler] = [status(500), status(503, retry_after="600"), status(200)]

    async def one_after_the_other(got: object, writer: object) -> None:
        await answers.pop(0)(got, writer)  # type: ignore[arg-type]

    async with receiver(one_after_the_other) as hook, office(store_url, {"ops": hook.port}) as there:
        await there.approvals.create(asked())
        assert (await everything(there))[0].state is DeliveryState.PENDING
        assert await there.postman.due() == frozenset()
        there.clock.ahead_s += BACK_OFF_S[0] * 1.3
        assert await there.postman.due() == {"ops"}
        assert len(await everything(there)) == 1
        there.clock.ahead_s += BACK_OFF_S[1] * 1.3
        assert await everything(there) == [], "the receiver asked for ten minutes"
        there.clock.ahead_s += 600
        assert (await everything(there))[0].state is DeliveryState.DELIVERED
        assert len({got.headers["webhook-id"] for got in hook.got}) == 1
        assert len({got.body for got in hook.got}) == 1
        (delivery,) = await all_of(there)
        assert [(a.number, a.status, a.error) for a in delivery.attempts] == [
            (1, 500, "status"), (2, 503, "status"), (3, 200, None)
        ]  # fmt: skip
        assert all(a.duration_ms is not None for a in delivery.attempts)


async def test_a_target_that_is_down_is_given_up_after_its_last_try_and_a_replay_reaches_it(store_url: str) -> None:
    port = free_port()
    async with office(store_url, {"ops": port}) as there:
        await there.approvals.create(asked())
        for _ in range(len(BACK_OFF_S)):
            assert [o.state for o in await everything(there)] == [DeliveryState.PENDING]
            there.clock.ahead_s += 9 * 3_600
        (last,) = await everything(there)
        assert (last.state, last.error, last.attempt) == (DeliveryState.DEAD, "connection_failed", 9)
        there.clock.ahead_s += 1_000_000
        assert await everything(there) == []
        (dead,) = await all_of(there, state="dead")
        there.clock.ahead_s = 0
        replayed = await there.deliveries.replay(
            dead.delivery_id, now=rfc3339(time.time()), nonce="cd" * 16, link_expires_at=rfc3339(time.time() + 60)
        )
        assert replayed is not None
        assert (replayed.state, replayed.tries, len(replayed.attempts)) == (DeliveryState.PENDING, 0, 9)
        async with receiver(status(200), port=port) as hook:
            assert [o.state for o in await everything(there)] == [DeliveryState.DELIVERED]
        got = hook.got[0]
        assert got.headers["webhook-id"] == dead.delivery_id
        ticket = Tickets(LINK_KEY).read(json.loads(got.body)["data"]["link"].rpartition("/")[2])
        assert ticket is not None
        assert ticket.nonce == "cd" * 16


async def test_gone_ends_this_delivery_and_the_next_one_is_tried_all_the_same(store_url: str) -> None:
    async with receiver(status(410)) as hook, office(store_url, {"ops": hook.port}) as there:
        for _ in range(2):
            await there.approvals.create(asked())
            (outcome,) = await everything(there)
            assert (outcome.state, outcome.error) == (DeliveryState.DEAD, "gone")
        assert len(hook.got) == 2


async def test_what_happened_before_anybody_was_to_be_told_and_what_is_a_day_old_stays_untold(store_url: str) -> None:
    async with receiver(status(200)) as hook:
        async with office(store_url, {"ops": hook.port}) as there:
            await there.approvals.create(asked(age_s=STALE_AFTER_S + 60))
            await there.approvals.create(asked())
            assert len(await everything(there)) == 1
        async with office(store_url, {"ops": hook.port, "new": hook.port}) as there:
            assert await everything(there, "new") == []


async def test_what_nobody_served_for_a_day_is_given_up(store_url: str) -> None:
    async with office(store_url, {"removed": free_port()}) as there:
        await there.approvals.create(asked())
        await there.postman.collect()
        assert await there.postman.bury() == 0
        there.clock.ahead_s = STALE_AFTER_S + 60
        assert await there.postman.bury() == 1
        assert [each.state for each in await all_of(there)] == [DeliveryState.DEAD]


async def test_two_readers_of_the_feed_make_each_delivery_once(store_url: str) -> None:
    async with office(store_url, {"ops": 1}) as one, office(store_url, {"ops": 1}) as two:
        for _ in range(5):
            await one.approvals.create(asked())
        position = await one.deliveries.position()
        changes = await one.approvals.changes(position or 0, 100)
        made = [delivery for change in changes for delivery in await one.postman._deliveries(change)]
        again = [delivery for change in changes for delivery in await two.postman._deliveries(change)]
        await one.deliveries.enqueue(made, position=changes[-1].seq)
        await two.deliveries.enqueue(again, position=changes[1].seq)
        assert {each.delivery_id for each in await all_of(one)} == {each.delivery_id for each in made}
        assert await one.deliveries.position() == changes[-1].seq, "the position never falls"


async def test_a_lost_lease_does_not_undo_what_another_process_settled(store_url: str) -> None:
    async with office(store_url, {"ops": 1}) as there:
        await there.approvals.create(asked())
        await there.postman.collect()

        async def claim(ahead_s: float, lease: str) -> Sequence[Delivery]:
            now = time.time() + ahead_s
            return await there.deliveries.claim(
                "ops", now=rfc3339(now), leased_until=rfc3339(now + 10), lease=lease, size=4
            )

        (slow,) = await claim(1, "slow")
        assert await claim(2, "early") == ()
        (quick,) = await claim(12, "quick")
        assert (quick.tries, quick.attempts[0].error) == (2, "interrupted")
        done = Attempt(number=2, at=rfc3339(time.time()), status=200, duration_ms=5)
        assert await there.deliveries.settle(quick, done, state=DeliveryState.DELIVERED, due_at=quick.due_at)
        late = Attempt(number=1, at=rfc3339(time.time()), error="timeout", duration_ms=10_000)
        assert not await there.deliveries.settle(slow, late, state=DeliveryState.PENDING, due_at=slow.due_at)
        (found,) = await all_of(there)
        assert found.state is DeliveryState.DELIVERED
        assert [a.error for a in found.attempts] == ["timeout", None]


async def test_pages_of_the_log_join_without_gap_and_filter(store_url: str) -> None:
    async with office(store_url, {"ops": 1, "chat": 1}) as there:
        for _ in range(7):
            await there.approvals.create(asked())
        await there.postman.collect()
        seen: list[Delivery] = []
        before = None
        while page := await there.deliveries.page(target=None, state="pending", before=before, size=4):
            seen += page
            before = (page[-1].created_at, page[-1].delivery_id)
        assert len({each.delivery_id for each in seen}) == 14
        assert len(await all_of(there, target="chat")) == 7
        assert list(await all_of(there, target="nobody")) == list(await all_of(there, target="\x00")) == []
        assert list(await all_of(there, state="dead")) == []
        assert await there.deliveries.replay("dlv_\x00", now="", nonce="", link_expires_at="") is None
        assert await there.deliveries.replay("dlv_none", now="", nonce="", link_expires_at="") is None


async def test_a_link_is_used_once_however_many_ask(store_url: str) -> None:
    async with office(store_url, {}) as there:

        async def use(nonce: str, at: float = 0) -> bool:
            now = time.time() + at
            return await there.deliveries.use(
                nonce, approval_id="apr_1", target="ops", used_at=rfc3339(now), expires_at=rfc3339(now + 60)
            )

        assert not await there.deliveries.used("n1")
        assert sorted(await asyncio.gather(*(use("n1") for _ in range(20)))) == [False] * 19 + [True]
        assert await there.deliveries.used("n1")
        assert await use("n2", at=3_600)
        assert not await there.deliveries.used("n1"), "what has expired need not be known any more"


@dataclass
class Failing:
    """A courier with a fault of ours in it."""

    sent: list[str] = field(default_factory=list)

    async def send(self, target: str, message: Message) -> Sent:
        self.sent.append(message.message_id)
        raise RuntimeError("a fault that no receiver made")


async def test_a_fault_of_ours_is_reported_and_the_delivery_is_tried_again(store_url: str) -> None:
    async with office(store_url, {}) as there:
        carried_by, faults = Failing(), list[BaseException]()
        made = postman(there.approvals, there.deliveries, carried_by, {"ops": ("requested",)}, faults=faults)
        await there.approvals.create(asked())
        await made.collect()
        (outcome,) = await made.deliver("ops")
        assert (outcome.state, outcome.error) == (DeliveryState.PENDING, "fault")
        assert [type(fault) for fault in faults] == [RuntimeError]


class Unreadable:
    """Approvals of which one is not what it should be."""

    def __init__(self, approvals: ApprovalStore, bad: str) -> None:
        self._approvals = approvals
        self._bad = bad

    def __getattr__(self, name: str) -> Any:
        return getattr(self._approvals, name)

    async def get(self, approval_id: str) -> Approval | None:
        found = await self._approvals.get(approval_id)
        assert found is not None
        return replace(found, request={"outcome": "damaged"}) if approval_id == self._bad else found


async def test_a_step_that_cannot_be_told_keeps_no_other_from_being_told(store_url: str) -> None:
    async with receiver(status(200)) as hook, office(store_url, {"ops": hook.port}) as there:
        bad, good = asked(), asked()
        await there.approvals.create(bad)
        await there.approvals.create(good)
        there.postman._approvals = Unreadable(there.approvals, bad.approval_id)
        assert len(await everything(there)) == 1
        assert json.loads(hook.got[0].body)["data"]["approval_id"] == good.approval_id
        assert len(there.faults) == 1


@pytest.mark.parametrize("purpose", ["\x00", "naïve \U0001f600 \u2028", "x" * 500])
async def test_any_purpose_travels(store_url: str, purpose: str) -> None:
    async with receiver(status(200)) as hook, office(store_url, {"ops": hook.port}) as there:
        await there.approvals.create(asked(purpose))
        assert [o.error for o in await everything(there)] == [None]
        assert json.loads(hook.got[0].body)["data"]["purpose"] == purpose
