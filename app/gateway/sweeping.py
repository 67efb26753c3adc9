"""What becomes of approvals that nobody touches: they expire, escalate, or fail with their process; recorded, each.

Several processes may sweep at once: every step is a compare-and-set, and who comes second leaves it. Nothing depends on
a sweep being in time, since expiry is judged at every use.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from app.approval import machine
from app.approval.approval import Approval, State
from app.approval.machine import Objection
from app.gateway.bulletin import Bulletin
from app.gateway.record import rfc3339
from app.ports import Approvals, HeldResults, StoreUnavailable, WriteKeys

BATCH = 100
MAX_UNESCALATED = 1_000
GRACE_S = 60.0
"""Added to the longest statement: an executing approval older than that has no process any more."""
UNKNOWN = "outcome_unknown"

Enter = Callable[[Mapping[str, Any]], Awaitable[None]]


class Discards:
    """Destroys what is held for an approval that is over; what the store does not let go now is owed to it."""

    def __init__(self, held: HeldResults) -> None:
        self._held = held
        self._owed: set[str] = set()

    async def __call__(self, approval_id: str) -> None:
        try:
            await self._held.destroy(approval_id)
        except StoreUnavailable:
            self._owed.add(approval_id)
        else:
            self._owed.discard(approval_id)

    async def settle(self) -> None:
        for approval_id in tuple(self._owed):
            await self(approval_id)


class Sweep:
    """`enter` puts an entry on the audit trail; `longest_s`: what a statement may take on any connection."""

    def __init__(
        self,
        *,
        approvals: Approvals,
        held: HeldResults,
        keys: WriteKeys,
        discards: Discards,
        bulletin: Bulletin,
        enter: Enter,
        now: Callable[[], float],
        longest_s: float,
    ) -> None:
        self._approvals = approvals
        self._held = held
        self._keys = keys
        self._discards = discards
        self._bulletin = bulletin
        self._enter = enter
        self._now = now
        self._abandoned_after_s = longest_s + GRACE_S
        self._faults: list[Exception] = []

    async def once(self) -> int:
        """How many approvals took a step. Raises StoreUnavailable, TrailUnavailable: the rest waits for the next.

        A fault in one approval keeps no other from its step; the first is raised when the rest is done."""
        self._faults.clear()
        steps = await self._overdue()
        steps += await self._unescalated()
        await self._discards.settle()
        await self._keys.forget_expired(self._at())
        destroyed = await self._held.destroy_expired(self._at())
        if destroyed:
            await self._enter(self._entry("completed", {"happening": "held_results_destroyed", "count": destroyed}))
        if self._faults:
            raise self._faults[0]
        return steps

    async def _overdue(self) -> int:
        steps = 0
        while True:
            at = self._at()
            found = await self._approvals.overdue(
                at, started_before=rfc3339(self._now() - self._abandoned_after_s), size=BATCH
            )
            done = [await self._step(approval, _ended(approval, at)) for approval in found]
            steps += sum(done)
            # A batch in which nothing moved is somebody else's: the next sweep looks again.
            if len(found) < BATCH or not any(done):
                return steps

    async def _unescalated(self) -> int:
        at = self._at()
        found = await self._approvals.unescalated(MAX_UNESCALATED)
        due = [one for one in found if (when := machine.escalation_due(one)) is not None and when <= at]
        return sum([await self._step(approval, partial(machine.escalate, at=at)) for approval in due])

    async def _step(self, approval: Approval, move: Callable[[Approval], Approval]) -> bool:
        try:
            after = move(approval)
        except Objection:
            # It is not due after all: the store's clock, or a step between its answer and now.
            return False
        except Exception as fault:
            self._faults.append(fault)
            return False
        step = after.history[-1]
        about = {
            "approval_id": approval.approval_id,
            "issuer": approval.issuer,
            "principal": approval.principal,
            "actor": approval.actor,
            "connection": approval.connection,
            "action": approval.action,
            "resources": list(approval.resources),
            "happening": step.happening.value,
            "state": after.state.value,
        }
        if after.state is State.FAILED:
            about["code"] = UNKNOWN
        await self._enter(self._entry("intent", about))
        try:
            stored = await self._approvals.replace(approval, after)
        except StoreUnavailable:
            raise
        except Exception as fault:
            self._faults.append(fault)
            return False
        if not stored:
            return False
        self._bulletin.changed(approval.approval_id)
        await self._enter(self._entry("completed", about))
        if machine.is_over(after.state):
            await self._discards(approval.approval_id)
        return True

    def _entry(self, outcome: str, about: Mapping[str, Any]) -> dict[str, Any]:
        return {"v": 1, "time": self._at(), "operation": "sweep_approvals", "outcome": outcome, **about}

    def _at(self) -> str:
        return rfc3339(self._now())


def _ended(approval: Approval, at: str) -> Callable[[Approval], Approval]:
    if approval.state is State.EXECUTING:
        return partial(machine.fail, at=at, code=UNKNOWN)
    return partial(machine.expire, at=at)
