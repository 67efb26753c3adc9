"""Waiting for approvals: everybody is told, nobody holds a connection, and the store may go away meanwhile."""

import asyncio

import pytest

from app.approval.approval import Approval, State
from app.approval.machine import approve, reject, revoke
from app.gateway.bulletin import Bulletin
from app.gateway.waiting import WaitingRoom
from tests.gateway.approval_fakes import AT, DEE, MAX, MemoryApprovals, as_person, quorum, waiting

LONG_S = 30.0


def approved(approval: Approval) -> Approval:
    return approve(approval, as_person(MAX), at=AT, reason=None)


async def told(bulletin: Bulletin, *approvals: Approval) -> list[asyncio.Task[Approval]]:
    tasks = [asyncio.create_task(bulletin.wait(approval, LONG_S)) for approval in approvals]
    await asyncio.sleep(0.01)
    return tasks


async def test_a_step_of_this_process_is_told_at_once() -> None:
    store = MemoryApprovals()
    store.put(waiting())
    bulletin = Bulletin(store, poll_s=LONG_S)
    (task,) = await told(bulletin, waiting())
    store.put(approved(waiting()))
    bulletin.changed(waiting().approval_id)
    assert (await asyncio.wait_for(task, 5)).state is State.APPROVED


async def test_a_step_of_another_process_is_found_by_looking() -> None:
    store = MemoryApprovals()
    store.put(waiting())
    (task,) = await told(Bulletin(store, poll_s=0.02), waiting())
    store.put(approved(waiting()))
    assert (await asyncio.wait_for(task, 5)).state is State.APPROVED


async def test_who_comes_with_an_old_version_is_told_of_the_new_one() -> None:
    store = MemoryApprovals()
    store.put(waiting(), approved(waiting()))
    found = await asyncio.wait_for(Bulletin(store, poll_s=0.02).wait(waiting(), LONG_S), 5)
    assert found.state is State.APPROVED


async def test_a_vote_that_leaves_it_pending_does_not_end_the_wait_and_the_last_one_does() -> None:
    store, first = MemoryApprovals(), waiting(terms=quorum(2))
    store.put(first)
    bulletin = Bulletin(store, poll_s=LONG_S)
    (task,) = await told(bulletin, first)
    second = approved(first)
    store.put(second)
    bulletin.changed(first.approval_id)
    await asyncio.sleep(0.05)
    assert not task.done()
    store.put(approve(second, as_person(DEE), at=AT, reason=None))
    bulletin.changed(first.approval_id)
    assert (await asyncio.wait_for(task, 5)).state is State.APPROVED


async def test_what_is_decided_already_is_answered_without_a_question_to_the_store() -> None:
    store = MemoryApprovals()
    found = await Bulletin(store).wait(approved(waiting()), LONG_S)
    assert found.state is State.APPROVED
    assert store.asked == []


async def test_whoever_waits_in_vain_gets_what_was_known() -> None:
    store = MemoryApprovals()
    store.put(waiting())
    assert await Bulletin(store, poll_s=0.01).wait(waiting(), 0.05) == waiting()


async def test_a_thousand_waiters_are_one_question_each_time_and_one_read_of_what_changed() -> None:
    store = MemoryApprovals()
    approvals = [waiting(number) for number in range(500)]
    store.put(*approvals)
    bulletin = Bulletin(store, poll_s=LONG_S)
    tasks = await told(bulletin, *approvals, *approvals)
    assert store.asked == ["versions of 500"]
    store.put(approved(approvals[7]))
    bulletin.changed(approvals[7].approval_id)
    await asyncio.wait_for(asyncio.gather(tasks[7], tasks[507]), 5)
    assert store.asked[1:] == ["versions of 1", "get"]
    assert sum(task.done() for task in tasks) == 2
    bulletin.close()
    assert all(each.state is not State.EXECUTING for each in await asyncio.gather(*tasks))


async def test_questions_to_the_store_are_asked_in_chunks() -> None:
    store = MemoryApprovals()
    approvals = [waiting(number) for number in range(1_100)]
    store.put(*approvals)
    bulletin = Bulletin(store, poll_s=LONG_S)
    tasks = await told(bulletin, *approvals)
    while len(store.asked) < 3:
        await asyncio.sleep(0.01)
    assert store.asked == ["versions of 500", "versions of 500", "versions of 100"]
    bulletin.close()
    await asyncio.gather(*tasks)


async def test_while_the_store_is_away_everybody_goes_on_waiting() -> None:
    store = MemoryApprovals()
    store.put(waiting())
    (task,) = await told(Bulletin(store, poll_s=0.01), waiting())
    store.away = True
    store.put(approved(waiting()))
    await asyncio.sleep(0.05)
    assert not task.done()
    store.away = False
    assert (await asyncio.wait_for(task, 5)).state is State.APPROVED


async def test_draining_wakes_all_and_nobody_waits_any_more() -> None:
    store = MemoryApprovals()
    store.put(waiting())
    bulletin = Bulletin(store, poll_s=LONG_S)
    (task,) = await told(bulletin, waiting())
    bulletin.close()
    assert (await asyncio.wait_for(task, 5)) == waiting()
    assert await bulletin.wait(waiting(), LONG_S) == waiting()


async def test_nobody_asks_the_store_when_nobody_waits() -> None:
    store = MemoryApprovals()
    store.put(waiting())
    bulletin = Bulletin(store, poll_s=0.01)
    (task,) = await told(bulletin, waiting())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.03)
    asked = len(store.asked)
    await asyncio.sleep(0.05)
    assert len(store.asked) == asked


async def test_who_finds_every_seat_taken_goes_on_without_waiting() -> None:
    store, room = MemoryApprovals(), WaitingRoom(size=1)
    store.put(waiting())
    bulletin = Bulletin(store, room=room, poll_s=LONG_S)
    (task,) = await told(bulletin, waiting())
    assert room.waiting == 1
    assert await bulletin.wait(waiting(), LONG_S) == waiting()
    store.put(reject(waiting(), as_person(MAX), at=AT, reason=None))
    bulletin.changed(waiting().approval_id)
    assert (await asyncio.wait_for(task, 5)).state is State.REJECTED
    assert room.waiting == 0


async def test_a_fault_of_ours_lets_nobody_wait_for_ever() -> None:
    class Broken(MemoryApprovals):
        async def versions(self, approval_ids: object) -> dict[str, int]:
            raise RuntimeError("fault")

    loop, faults = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: faults.append(context["exception"]))
    found = await asyncio.wait_for(Bulletin(Broken()).wait(waiting(), LONG_S), 5)
    assert found == waiting()


async def test_watching_tells_of_the_next_version_whatever_it_is() -> None:
    store = MemoryApprovals()
    store.put(waiting(), approved(waiting()))
    bulletin = Bulletin(store, poll_s=LONG_S)
    task = asyncio.create_task(bulletin.watch(approved(waiting()), LONG_S))
    await asyncio.sleep(0.01)
    store.put(revoke(approved(waiting()), as_person(MAX), at=AT, reason=None))
    bulletin.changed(waiting().approval_id)
    found = await asyncio.wait_for(task, 5)
    assert found is not None
    assert found.state is State.REVOKED
