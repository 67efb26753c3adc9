"""A fake store of approvals; it passes the real ones' suite."""

import dataclasses
from collections.abc import Mapping, Sequence

from app.approval.approval import Approval, State
from app.approval.machine import escalation_due, is_over
from app.ports import Change
from app.store.approvals import ApprovalRejected

LASTING = ("approval_id", "created_at", "issuer", "principal", "actor", "connection", "action")


class MemoryApprovals:
    def __init__(self) -> None:
        self._by_id: dict[str, Approval] = {}
        self._feed: list[Change] = []

    async def create(self, approval: Approval) -> None:
        if approval.approval_id in self._by_id or approval.created_at >= approval.expires_at:
            raise ApprovalRejected("the approval's id is taken, or it contradicts itself")
        self._store(approval, known=0)

    async def get(self, approval_id: str) -> Approval | None:
        return self._by_id.get(approval_id)

    async def page(
        self, *, owner: tuple[str, str] | None, state: str | None, before: tuple[str, str] | None, size: int
    ) -> Sequence[Approval]:
        found = [
            approval
            for approval in self._by_id.values()
            if owner in (None, (approval.issuer, approval.principal))
            and state in (None, approval.state.value)
            and (before is None or (approval.created_at, approval.approval_id) < before)
        ]
        return sorted(found, key=lambda a: (a.created_at, a.approval_id), reverse=True)[:size]

    async def replace(self, before: Approval, after: Approval) -> bool:
        if any(getattr(before, name) != getattr(after, name) for name in LASTING):
            raise ApprovalRejected("an approval becomes no other one")
        stored = self._by_id.get(before.approval_id)
        if stored is None or stored.version != before.version:
            return False
        known = len(stored.history)
        if is_over(stored.state) or len(after.history) <= known or after.history[:known] != stored.history:
            raise ApprovalRejected("the history of an approval only grows")
        self._store(dataclasses.replace(after, version=before.version + 1), known=known)
        return True

    async def versions(self, approval_ids: Sequence[str]) -> Mapping[str, int]:
        return {each: self._by_id[each].version for each in approval_ids if each in self._by_id}

    async def overdue(self, now: str, *, started_before: str, size: int) -> Sequence[Approval]:
        def due(approval: Approval) -> bool:
            match approval.state:
                case State.PENDING:
                    return approval.expires_at <= now
                case State.APPROVED:
                    return approval.usable_until is not None and approval.usable_until <= now
                case State.EXECUTING:
                    return approval.started_at is not None and approval.started_at < started_before
                case _:
                    return False

        return sorted(filter(due, self._by_id.values()), key=lambda a: (a.created_at, a.approval_id))[:size]

    async def unescalated(self, size: int) -> Sequence[Approval]:
        waiting = [(due, a.approval_id) for a in self._by_id.values() if (due := escalation_due(a)) is not None]
        return [self._by_id[approval_id] for _, approval_id in sorted(waiting)[:size]]

    async def changes(self, after: int, size: int) -> Sequence[Change]:
        return [change for change in self._feed if change.seq > after][:size]

    async def last_change(self) -> int:
        return len(self._feed)

    def _store(self, approval: Approval, known: int) -> None:
        self._by_id[approval.approval_id] = approval
        for step in approval.history[known:]:
            self._feed.append(Change(seq=len(self._feed) + 1, approval_id=approval.approval_id, step=step))
