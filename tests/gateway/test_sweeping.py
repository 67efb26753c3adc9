"""Approvals that nobody touches: what becomes of them, on record, with several processes at it."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from app.approval.approval import Approval, State
from app.approval.machine import approve, begin
from app.gateway.bulletin import Bulletin
from app.gateway.sweeping import Discards, Sweep
from app.ports import StoreUnavailable, TrailUnavailable
from tests.gateway.approval_fakes import (
    ANA,
    AT,
    MAX,
    NOW_S,
    MemoryApprovals,
    MemoryHeld,
    as_person,
    quorum,
    waiting,
)
from tests.gateway.execution_fakes import MemoryKeys

HOUR_S = 3_600.0


@dataclass
class Broom:
    store: MemoryApprovals = field(default_factory=MemoryApprovals)
    held: MemoryHeld = field(default_factory=MemoryHeld)
    keys: MemoryKeys = field(default_factory=MemoryKeys)
    entries: list[dict[str, Any]] = field(default_factory=list)
    log_full: bool = False
    now_s: float = NOW_S

    def sweep(self) -> Sweep:
        return Sweep(
            approvals=self.store,
            held=self.held,
            keys=self.keys,
            discards=Discards(self.held),
            bulletin=Bulletin(self.store),
            enter=self.enter,
            now=lambda: self.now_s,
            longest_s=30.0,
        )

    async def enter(self, entry: Any) -> None:
        if self.log_full:
            raise TrailUnavailable("full")
        self.entries.append(entry)

    def state(self, approval: Approval) -> State:
        return self.store.stored[approval.approval_id].state

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(entry["outcome"], entry["happening"]) for entry in self.entries]


def approved(approval: Approval) -> Approval:
    return approve(approval, as_person(MAX), at=AT, reason=None)


async def test_what_is_in_time_is_left_alone() -> None:
    broom = Broom()
    broom.store.put(waiting(1), approved(waiting(2)))
    assert await broom.sweep().once() == 0
    assert broom.entries == []


async def test_pending_and_approved_ones_expire_and_what_is_held_is_destroyed() -> None:
    broom = Broom(now_s=NOW_S + HOUR_S)
    broom.store.put(waiting(1), approved(waiting(2)))
    broom.held.held = {waiting(1).approval_id: b"rows", waiting(2).approval_id: b"rows", "other": b"rows"}
    assert await broom.sweep().once() == 2
    assert {broom.state(waiting(1)), broom.state(waiting(2))} == {State.EXPIRED}
    assert list(broom.held.held) == ["other"]
    assert broom.told == [("intent", "expired"), ("completed", "expired")] * 2
    assert {entry["operation"] for entry in broom.entries} == {"sweep_approvals"}
    assert {entry["principal"] for entry in broom.entries} == {"ana"}


async def test_a_use_whose_process_is_gone_failed_with_an_unknown_outcome() -> None:
    broom = Broom(now_s=NOW_S + 89)
    running = begin(approved(waiting()), as_person(ANA), at=AT)
    broom.store.put(running)
    assert await broom.sweep().once() == 0
    broom.now_s = NOW_S + 91
    assert await broom.sweep().once() == 1
    assert broom.state(running) is State.FAILED
    assert broom.store.stored[running.approval_id].history[-1].detail["code"] == "outcome_unknown"
    assert broom.entries[-1]["code"] == "outcome_unknown"


async def test_an_escalation_is_taken_once_and_only_when_it_is_due() -> None:
    broom = Broom()
    asked = waiting(terms=quorum(1, "role:dba", escalate_after_s=600, escalate_to=("role:dpo",)))
    broom.store.put(asked)
    assert await broom.sweep().once() == 0
    broom.now_s = NOW_S + 601
    assert await broom.sweep().once() == 1
    assert broom.state(asked) is State.PENDING
    assert broom.told == [("intent", "escalated"), ("completed", "escalated")]
    assert await broom.sweep().once() == 0


async def test_nothing_moves_that_cannot_be_recorded() -> None:
    broom = Broom(now_s=NOW_S + HOUR_S, log_full=True)
    broom.store.put(waiting())
    with pytest.raises(TrailUnavailable):
        await broom.sweep().once()
    assert broom.state(waiting()) is State.PENDING


async def test_while_the_store_is_away_nothing_is_said_to_have_happened() -> None:
    broom = Broom(now_s=NOW_S + HOUR_S)
    broom.store.put(waiting())
    broom.store.away = True
    with pytest.raises(StoreUnavailable):
        await broom.sweep().once()
    assert broom.entries == []


async def test_of_several_processes_one_takes_each_step() -> None:
    broom = Broom(now_s=NOW_S + HOUR_S)
    approvals = [waiting(number) for number in range(250)]
    broom.store.put(*approvals)
    assert sum(await asyncio.gather(*(broom.sweep().once() for _ in range(4)))) == 250
    assert [one for one in broom.told if one[0] == "completed"] == [("completed", "expired")] * 250
    assert all(len(broom.store.stored[one.approval_id].history) == 2 for one in approvals)


async def test_one_that_cannot_be_moved_does_not_keep_the_others_from_it() -> None:
    broom = Broom(now_s=NOW_S + HOUR_S)
    broom.store.put(replace(waiting(1), expires_at=""), waiting(2))
    with pytest.raises(ValueError, match="instant"):
        await broom.sweep().once()
    assert broom.state(waiting(2)) is State.EXPIRED


async def test_one_that_the_store_refuses_does_not_keep_the_others_from_it() -> None:
    broom = Broom(now_s=NOW_S + HOUR_S)
    broom.store.put(waiting(1), waiting(2))
    replaced = broom.store.replace

    async def refusing(before: Approval, after: Approval) -> bool:
        if before.approval_id == waiting(1).approval_id:
            raise ValueError("the history of an approval only grows")
        return await replaced(before, after)

    broom.store.replace = refusing  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="history"):
        await broom.sweep().once()
    assert (broom.state(waiting(1)), broom.state(waiting(2))) == (State.PENDING, State.EXPIRED)


async def test_keys_that_expired_are_forgotten() -> None:
    broom = Broom()
    await broom.keys.claim("old", "a", now=AT, expires_at=AT)
    await broom.keys.claim("young", "a", now=AT, expires_at="9999")
    await broom.sweep().once()
    assert set(broom.keys.kept) == {"young"}
