"""A fake store of approvals; it passes the real ones' suite."""

from collections.abc import Sequence

from app.approval.approval import Approval
from app.store.approvals import ApprovalRejected


class MemoryApprovals:
    def __init__(self) -> None:
        self._by_id: dict[str, Approval] = {}

    async def create(self, approval: Approval) -> None:
        if approval.approval_id in self._by_id or approval.created_at >= approval.expires_at:
            raise ApprovalRejected("the approval's id is taken, or it ends before it starts")
        self._by_id[approval.approval_id] = approval

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
