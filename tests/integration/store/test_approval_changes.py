"""One suite for the steps that every store keeps: compare-and-set, the feed, and what the sweep looks for."""

import asyncio
import dataclasses

import pytest
from stored_approvals import TERMS, WINDOW, approval, approved, approver, at, begun, requester

from app.approval.approval import Approval, Happening, State
from app.approval.machine import approve, cancel, escalate, expire, finish, reject, reopen
from app.approval.terms import Requirement, Terms
from app.ports import Approvals
from app.store.approvals import ApprovalRejected


async def created(store: Approvals, made: Approval) -> Approval:
    await store.create(made)
    return made


async def replaced(store: Approvals, before: Approval, after: Approval) -> Approval:
    assert await store.replace(before, after)
    return after


class TestSteps:
    async def test_a_whole_life_comes_back_as_it_was_lived(self, store: Approvals) -> None:
        made = await created(store, approval(1, terms=WINDOW))
        yes = await replaced(store, made, approved(made))
        assert await store.get(made.approval_id) == yes
        running = await replaced(store, yes, begun(yes))
        assert await store.get(made.approval_id) == running
        used = await replaced(store, running, finish(running, at=at(32), rows=2**40, detail={"receipt": "é\x00"}))
        found = await store.get(made.approval_id)
        assert found == used
        assert (used.rows_used, used.version) == (2**40, 3)

    async def test_a_reopened_one_has_its_new_request(self, store: Approvals) -> None:
        yes = await replaced(store, made := await created(store, approval(1)), approved(made))
        request = {**yes.request, "policy_version": "e" * 64}
        again = reopen(yes, at=at(40), request=request, difference={"masks": [[], ["hash"]]}, reasons=("p.csv:9",))
        await replaced(store, yes, again)
        assert await store.get(made.approval_id) == again

    async def test_who_comes_second_changes_nothing(self, store: Approvals) -> None:
        made = await created(store, approval(1))
        yes, no = approved(made), reject(made, approver("dee"), at=at(31), reason=None)
        assert await store.replace(made, yes)
        assert not await store.replace(made, no)
        assert await store.get(made.approval_id) == yes
        assert [change.step for change in await store.changes(0, 10)] == list(yes.history)

    async def test_of_many_at_once_one_succeeds(self, store: Approvals) -> None:
        made = await created(store, approval(1))
        yes = await replaced(store, made, approved(made))
        won = await asyncio.gather(*(store.replace(yes, begun(yes)) for _ in range(50)))
        assert sum(won) == 1
        assert [c.step.happening for c in await store.changes(0, 100)] == [
            Happening.REQUESTED, Happening.APPROVED, Happening.STARTED
        ]  # fmt: skip

    async def test_an_unknown_one_is_not_replaced(self, store: Approvals) -> None:
        assert not await store.replace(approval(1), approved(approval(1)))

    async def test_the_version_is_the_one_after_whatever_it_says(self, store: Approvals) -> None:
        made = await created(store, approval(1))
        await replaced(store, made, dataclasses.replace(approved(made), version=70))
        assert await store.versions([made.approval_id]) == {made.approval_id: 1}

    @pytest.mark.parametrize("cut", ["first", "last", "all", "other"])
    async def test_history_is_only_added_to(self, store: Approvals, cut: str) -> None:
        made = await created(store, approval(1))
        yes = await replaced(store, made, approved(made))
        done = begun(yes)
        other = dataclasses.replace(yes.history[1], by="dee")
        history = {
            "first": done.history[1:],
            "last": done.history[:-1],
            "all": (),
            "other": (done.history[0], other, done.history[2]),
        }[cut]
        with pytest.raises(ApprovalRejected):
            await store.replace(yes, dataclasses.replace(done, history=history))
        assert await store.get(made.approval_id) == yes
        assert len(await store.changes(0, 10)) == 2

    @pytest.mark.parametrize("change", [{"principal": "eve"}, {"connection": "hr"}, {"created_at": at(2)}])
    async def test_an_approval_becomes_no_other_one(self, store: Approvals, change: dict[str, str]) -> None:
        made = await created(store, approval(1))
        with pytest.raises(ApprovalRejected):
            await store.replace(made, dataclasses.replace(approved(made), **change))
        assert await store.get(made.approval_id) == made

    async def test_what_is_over_stays_over(self, store: Approvals) -> None:
        made = await created(store, approval(1))
        ended = await replaced(store, made, cancel(made, requester(made), at=at(2), reason=None))
        revived = dataclasses.replace(ended, state=State.PENDING, history=(*ended.history, made.history[0]))
        with pytest.raises(ApprovalRejected):
            await store.replace(ended, revived)
        assert await store.get(made.approval_id) == ended

    async def test_versions_of_a_thousand_and_of_unknown_ones(self, store: Approvals) -> None:
        made = [await created(store, approval(n, minute=1)) for n in range(20)]
        await replaced(store, made[3], approved(made[3]))
        ids = [each.approval_id for each in made] + [f"apr_{n:032x}" for n in range(5_000, 6_000)] + ["x\x00y"]
        found = await store.versions(ids)
        assert dict(found) == {each.approval_id: int(each is made[3]) for each in made}
        assert await store.versions([]) == {}


class TestFeed:
    async def test_every_step_is_in_it_in_order_and_none_twice(self, store: Approvals) -> None:
        assert await store.last_change() == 0 or await store.changes(await store.last_change(), 10) == []
        start = await store.last_change()
        first, second = await created(store, approval(1)), await created(store, approval(2))
        yes = await replaced(store, first, approved(first))
        await replaced(store, yes, begun(yes))
        seen, position = [], start
        while found := await store.changes(position, 2):
            seen += found
            position = found[-1].seq
        assert [(c.approval_id, c.step) for c in seen] == [
            (first.approval_id, first.history[0]),
            (second.approval_id, second.history[0]),
            (yes.approval_id, yes.history[1]),
            (yes.approval_id, begun(yes).history[2]),
        ]
        assert position == await store.last_change()

    async def test_two_steps_stored_at_once_are_both_told(self, store: Approvals) -> None:
        made = await created(store, approval(1, terms=TERMS))
        start = await store.last_change()
        both = begun(approved(made))
        assert await store.replace(made, both)
        assert [c.step for c in await store.changes(start, 10)] == list(both.history[1:])


LADDER = Terms(requirements=(Requirement(approvers=("role:dba",), escalate_after_s=600, escalate_to=("role:boss",)),))
QUICK = Terms(requirements=(Requirement(approvers=("role:dba",), escalate_after_s=60, escalate_to=("role:boss",)),))


class TestSweep:
    async def test_it_finds_what_ran_out_of_time_oldest_first(self, store: Approvals) -> None:
        late = await created(store, approval(2, expires_minute=20))
        later = await created(store, approval(1, expires_minute=21))
        await created(store, approval(3, expires_minute=50))
        yes_late = await replaced(
            store, made := await created(store, approval(4, expires_minute=22)), approved(made, 5)
        )
        window = await created(store, approval(5, expires_minute=6, terms=WINDOW))
        await replaced(store, window, approved(window, 5))
        found = await store.overdue(at(22), started_before=at(0), size=10)
        assert list(found) == [later, late, yes_late]
        assert list(await store.overdue(at(22), started_before=at(0), size=2)) == [later, late]
        assert list(await store.overdue(at(19, 59), started_before=at(0), size=10)) == []
        await replaced(store, late, expire(late, at=at(22)))
        assert late.approval_id not in {a.approval_id for a in await store.overdue(at(22), started_before="", size=9)}

    async def test_it_finds_what_runs_for_too_long(self, store: Approvals) -> None:
        yes = await replaced(store, made := await created(store, approval(1)), approved(made))
        running = await replaced(store, yes, begun(yes, 31))
        assert list(await store.overdue(at(0), started_before=at(31), size=10)) == []
        assert list(await store.overdue(at(0), started_before=at(31, 1), size=10)) == [running]

    async def test_it_finds_what_is_to_escalate_first_due_first(self, store: Approvals) -> None:
        slow = await created(store, approval(1, terms=LADDER))
        quick = await created(store, approval(5, terms=QUICK))
        await created(store, approval(2))
        assert list(await store.unescalated(10)) == [quick, slow]
        assert list(await store.unescalated(1)) == [quick]
        await replaced(store, quick, escalate(quick, at=at(6)))
        assert list(await store.unescalated(10)) == [slow]
        await replaced(store, slow, approve(slow, approver(), at=at(7), reason=None))
        assert list(await store.unescalated(10)) == []

    async def test_a_reopened_one_escalates_anew(self, store: Approvals) -> None:
        made = await created(store, approval(1, terms=QUICK))
        told = await replaced(store, made, escalate(made, at=at(6)))
        yes = await replaced(store, told, approved(told))
        again = reopen(yes, at=at(40), request=yes.request, difference={})
        await replaced(store, yes, again)
        assert list(await store.unescalated(10)) == [again]
