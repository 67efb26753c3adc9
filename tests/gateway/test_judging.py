"""What people do with approvals: who may, what counts once, and what is on record before it counts."""

import asyncio
import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from app.approval.approval import State
from app.approval.machine import approve, begin, finish, reopen
from app.gateway.answer import Answer
from app.gateway.bulletin import Bulletin
from app.gateway.errors import (
    ApprovalAlreadyExecuted,
    ApprovalAlreadyVoted,
    ApprovalConflict,
    ApprovalExpired,
    ApprovalNotApprover,
    ApprovalNotPending,
    ApprovalNotRequester,
    ApprovalReopened,
    ApprovalSelfDecision,
    ApprovalsUnavailable,
    AuditUnavailable,
    Refused,
    UnknownApproval,
)
from app.gateway.judging import CancelApproval, DecideApproval, Decision, Judging, RevokeApproval
from app.gateway.record import Record
from app.gateway.sweeping import Discards
from app.policy.caller import Caller
from app.ports import StoreUnavailable
from tests.gateway.approval_fakes import (
    ANA,
    AT,
    DEE,
    EVE,
    MAX,
    NOW_S,
    SOON,
    MemoryApprovals,
    MemoryHeld,
    Policy,
    as_person,
    person,
    quorum,
    record,
    register,
    waiting,
)

NAME = waiting().approval_id


@dataclass
class Desk:
    store: MemoryApprovals = field(default_factory=MemoryApprovals)
    held: MemoryHeld = field(default_factory=MemoryHeld)
    policy: Policy = field(default_factory=Policy)
    intents: list[dict[str, Any]] = field(default_factory=list)
    log_full: bool = False
    now_s: float = NOW_S

    def __post_init__(self) -> None:
        self.discards = Discards(self.held)
        self.judging = Judging(
            register=register(self.store, self.policy, lambda: self.now_s),
            approvals=self.store,
            bulletin=Bulletin(self.store),
            intend=self.intend,
            discard=self.discards,
        )

    async def intend(self, of: Record) -> None:
        if self.log_full:
            raise AuditUnavailable("full")
        self.intents.append(of.entry(NOW_S, None, 0))

    async def decide(self, caller: Caller, decision: str = "approve", **given: Any) -> Any:
        command = DecideApproval(approval_id=NAME, decision=Decision(decision), **given)
        return document(await self.judging.decide(caller, command, record("decide_approval")))

    async def cancel(self, caller: Caller) -> Any:
        return document(await self.judging.cancel(caller, CancelApproval(approval_id=NAME), record("cancel_approval")))

    async def revoke(self, caller: Caller) -> Any:
        return document(await self.judging.revoke(caller, RevokeApproval(approval_id=NAME), record("revoke_approval")))


def document(answer: Answer) -> Any:
    answer.seal({"log": "x", "index": 0})
    return json.loads(b"".join(answer.opening.pieces()))


def desk(**terms: Any) -> Desk:
    made = Desk()
    made.store.put(waiting(**terms))
    return made


async def test_an_approver_approves_and_the_answer_says_so() -> None:
    made = desk()
    found = await made.decide(MAX, reason="ticket 7")
    assert (found["state"], found["usable_until"]) == ("approved", SOON)
    assert found["history"][-1]["reason"] == "ticket 7"
    assert made.store.stored[NAME].state is State.APPROVED


async def test_the_intent_is_on_the_trail_with_decision_and_reason() -> None:
    made = desk()
    await made.decide(MAX, "reject", reason="too many rows")
    (entry,) = made.intents
    assert entry["approval_id"] == NAME
    assert (entry["decision"], entry["decision_reason"]) == ("reject", "too many rows")
    assert entry["resources"] == ("shop/main.orders",)


async def test_nothing_is_decided_that_cannot_be_recorded() -> None:
    made = desk()
    made.log_full = True
    with pytest.raises(AuditUnavailable):
        await made.decide(MAX)
    assert made.store.stored[NAME].state is State.PENDING


async def test_who_may_not_know_of_it_learns_nothing() -> None:
    made = desk()
    for act in (made.decide, made.cancel, made.revoke):
        with pytest.raises(UnknownApproval):
            await act(EVE)  # type: ignore[operator]
    assert made.intents == []


async def test_an_approver_whom_the_terms_do_not_name_does_not_know_of_it() -> None:
    made = desk(terms=quorum(1, "role:dba"))
    with pytest.raises(UnknownApproval):
        await made.decide(DEE)
    assert (await made.decide(MAX))["state"] == "approved"


async def test_one_who_reads_all_but_is_not_named_may_not_decide() -> None:
    made = desk(terms=quorum(1, "role:dba"))
    made.policy.readers = frozenset({"role:dpo"})
    with pytest.raises(ApprovalNotApprover):
        await made.decide(DEE)


async def test_the_requester_never_decides_whatever_policy_lets_them() -> None:
    made = desk()
    with pytest.raises(ApprovalSelfDecision):
        await made.decide(ANA)
    made.policy.deciders |= {"user:ana"}
    with pytest.raises(ApprovalSelfDecision):
        await made.decide(person("ana", actor="another client"))
    assert made.store.stored[NAME].version == 0


async def test_one_rejection_ends_it_and_destroys_what_is_held() -> None:
    made = desk(terms=quorum(2))
    made.held.held[NAME] = b"rows"
    assert (await made.decide(MAX, "reject"))["state"] == "rejected"
    assert made.held.held == {}


async def test_what_the_store_does_not_let_go_now_is_owed() -> None:
    made = desk()
    made.held.held[NAME], made.held.away = b"rows", True
    assert (await made.decide(MAX, "reject"))["state"] == "rejected"
    assert made.held.held
    made.held.away = False
    await made.discards.settle()
    assert made.held.held == {}


async def test_a_decision_on_something_else_than_what_was_seen_is_none() -> None:
    made = desk()
    with pytest.raises(ApprovalReopened):
        await made.decide(MAX, digest="0" * 64)
    assert (await made.decide(MAX, digest=waiting().digest))["state"] == "approved"
    assert made.intents[-1]["approval_state"] == "approved"


async def test_a_decision_that_lost_a_race_is_none_on_what_was_asked_anew_meanwhile() -> None:
    made = desk()
    replaced = made.store.replace

    async def beaten(before: Any, after: Any) -> bool:
        made.store.replace = replaced  # type: ignore[method-assign]
        yes = approve(before, as_person(DEE), at=AT, reason=None)
        anew = reopen(yes, at=AT, request={**yes.request, "policy_version": "v2"}, difference={})
        assert await replaced(before, replace(anew, version=before.version + 1))
        return False

    made.store.replace = beaten  # type: ignore[method-assign]
    with pytest.raises(ApprovalReopened):
        await made.decide(MAX)
    assert made.store.stored[NAME].state is State.PENDING


async def test_a_quorum_counts_people_once() -> None:
    made = desk(terms=quorum(2))
    assert (await made.decide(MAX))["terms"]["requirements"][0]["missing"] == 1
    with pytest.raises(ApprovalAlreadyVoted):
        await made.decide(MAX)
    assert (await made.decide(DEE))["state"] == "approved"
    with pytest.raises(ApprovalNotPending):
        await made.decide(person("third", roles=["dba"]))


async def test_of_a_hundred_decisions_at_once_one_of_each_person_counts() -> None:
    made = desk(terms=quorum(3))
    made.store.pause_s = 0.001
    people = [person(f"p{number % 5}", roles=["dba"]) for number in range(100)]
    found = await asyncio.gather(*(made.decide(one) for one in people), return_exceptions=True)
    done = [one for one in found if isinstance(one, dict)]
    assert len(done) == 3
    assert all(isinstance(one, ApprovalConflict) for one in found if not isinstance(one, dict))
    stored = made.store.stored[NAME]
    assert stored.state is State.APPROVED
    assert [step.happening.value for step in stored.history] == ["requested", "voted", "voted", "approved"]
    assert len({step.by for step in stored.history[1:]}) == 3


async def test_what_is_over_cannot_be_decided() -> None:
    made = desk()
    made.now_s = NOW_S + 7_200
    with pytest.raises(ApprovalExpired):
        await made.decide(MAX)


async def test_the_requester_cancels_through_whatever_client_and_nobody_else() -> None:
    made = desk()
    with pytest.raises(ApprovalNotRequester):
        await made.cancel(MAX)
    assert (await made.cancel(person("ana", actor="another client")))["state"] == "cancelled"


async def test_an_approver_revokes_what_was_not_used() -> None:
    made = desk()
    await made.decide(MAX)
    made.held.held[NAME] = b"rows"
    assert (await made.revoke(DEE))["state"] == "revoked"
    assert made.held.held == {}
    with pytest.raises(ApprovalConflict):
        await made.revoke(DEE)


async def test_the_requester_does_not_revoke_even_with_the_right_to_decide() -> None:
    made = desk()
    made.policy.deciders |= {"user:ana"}
    await made.decide(MAX)
    with pytest.raises(Refused) as refused:
        await made.revoke(ANA)
    assert refused.value.stable_code == "approval_self_decision"


async def test_what_has_run_cannot_be_revoked_or_cancelled() -> None:
    made = desk()
    running = begin(approve(waiting(), as_person(MAX), at=AT, reason=None), as_person(ANA), at=AT)
    made.store.put(finish(running, at=AT, rows=1, detail={}))
    for act, who in ((made.revoke, MAX), (made.cancel, ANA)):
        with pytest.raises(ApprovalAlreadyExecuted):
            await act(who)


async def test_a_store_that_fails_while_it_is_written_is_said_and_the_next_look_tells() -> None:
    made = desk()

    async def fails_after(before: object, after: object) -> bool:
        made.store.put(after)  # type: ignore[arg-type]
        raise StoreUnavailable("lost")

    made.store.replace = fails_after  # type: ignore[method-assign]
    with pytest.raises(ApprovalsUnavailable, match="get_approval says whether it counts"):
        await made.decide(MAX)
    with pytest.raises(ApprovalNotPending):
        await made.decide(DEE)


async def test_a_client_that_leaves_while_it_is_stored_has_decided_all_the_same() -> None:
    made = desk()
    made.held.held[NAME] = b"rows"
    made.store.pause_s = 0.02
    task = asyncio.create_task(made.decide(MAX, "reject"))
    while "replace" not in made.store.asked:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while made.held.held:
        await asyncio.sleep(0.005)
    assert made.store.stored[NAME].state is State.REJECTED
