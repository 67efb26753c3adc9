"""decide_approval, cancel_approval, revoke_approval: what people do with an approval, one step at a time.

The intent is on the trail before the step is stored; the step counts when it is stored, by compare-and-set.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from app.approval import machine
from app.approval.approval import Approval
from app.approval.machine import Objection
from app.gateway.answer import Answer
from app.gateway.approvals import Register
from app.gateway.bulletin import Bulletin
from app.gateway.errors import (
    ApprovalConflict,
    ApprovalNotApprover,
    ApprovalReopened,
    ApprovalsUnavailable,
    refusal_of_objection,
)
from app.gateway.record import Record
from app.gateway.standing import Standing
from app.policy.caller import Caller
from app.ports import Approvals, StoreUnavailable

TRIES = 20
"""Every try that fails is somebody else's step that counted: an approval has only so many left."""


class Decision(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideApproval:
    """`digest`: of what the approver saw; None: whatever is stored."""

    approval_id: str
    decision: Decision
    reason: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelApproval:
    approval_id: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeApproval:
    approval_id: str
    reason: str | None = None


Step = Callable[[Approval, Standing, str], Approval]
"""(approval, who, at) -> the next version. Raises Objection, Refused."""


class Judging:
    """`discard` gets rid of what is held for an approval that is over, now or as soon as the store lets it."""

    def __init__(
        self,
        *,
        register: Register,
        approvals: Approvals,
        bulletin: Bulletin,
        intend: Callable[[Record], Awaitable[None]],
        discard: Callable[[str], Awaitable[None]],
    ) -> None:
        self._register = register
        self._approvals = approvals
        self._bulletin = bulletin
        self._intend = intend
        self._discard = discard

    async def decide(self, caller: Caller, command: DecideApproval, record: Record) -> Answer:
        seen = command.digest

        def step(approval: Approval, standing: Standing, at: str) -> Approval:
            nonlocal seen
            if seen is not None and seen != approval.digest:
                raise ApprovalReopened(
                    "It is no longer what you saw: look at get_approval again and decide on the digest that it has now."
                )
            # Also for one who named none: a try that lost a race decides on nothing that was asked anew meanwhile.
            seen = approval.digest
            _require_right(approval, standing, at)
            move = machine.approve if command.decision is Decision.APPROVE else machine.reject
            return move(approval, standing.person, at=at, reason=command.reason)

        record.decision, record.decision_reason = command.decision.value, command.reason
        return await self._take(caller, command.approval_id, step, record)

    async def cancel(self, caller: Caller, command: CancelApproval, record: Record) -> Answer:
        def step(approval: Approval, standing: Standing, at: str) -> Approval:
            return machine.cancel(approval, standing.person, at=at, reason=command.reason)

        record.decision, record.decision_reason = "cancel", command.reason
        return await self._take(caller, command.approval_id, step, record)

    async def revoke(self, caller: Caller, command: RevokeApproval, record: Record) -> Answer:
        def step(approval: Approval, standing: Standing, at: str) -> Approval:
            _require_right(approval, standing, at)
            return machine.revoke(approval, standing.person, at=at, reason=command.reason)

        record.decision, record.decision_reason = "revoke", command.reason
        return await self._take(caller, command.approval_id, step, record)

    async def _take(self, caller: Caller, approval_id: str, step: Step, record: Record) -> Answer:
        intended = False
        for _ in range(TRIES):
            standing = self._register.standing(caller, record)
            approval = await self._register.find(approval_id, standing, record)
            record.approval_state = approval.state.value
            try:
                after = step(approval, standing, self._register.at())
            except Objection as objection:
                raise refusal_of_objection(objection) from objection
            record.approval_state = after.state.value
            if not intended:
                await self._intend(record)
                intended = True
            # Who leaves now has decided all the same: what belongs to the step is done to its end.
            if await asyncio.shield(self._store(approval, after)):
                return self._register.answer(after, standing)
        raise ApprovalConflict(
            "Others change this approval at the same time: look at get_approval, and try again.", retry_after_s=1
        )

    async def _store(self, before: Approval, after: Approval) -> bool:
        try:
            stored = await self._approvals.replace(before, after)
        except StoreUnavailable as error:
            raise ApprovalsUnavailable(
                "The store failed while this was written: get_approval says whether it counts; if not, send it again.",
                retry_after_s=5,
            ) from error
        if stored:
            self._bulletin.changed(after.approval_id)
            if machine.is_over(after.state):
                await self._discard(after.approval_id)
        return stored


def _require_right(approval: Approval, standing: Standing, at: str) -> None:
    if standing.decides:
        return
    objection = machine.may_decide(approval, standing.person, at=at)
    if objection is not None and objection.code == "approval_self_decision":
        raise refusal_of_objection(objection)
    raise ApprovalNotApprover("Policy lets you decide no approvals: an approver has to, list_approvals names yours.")
