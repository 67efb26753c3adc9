"""list_approvals and get_approval: what waits for a human, as its requester or an approver may see it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.approval.approval import Approval
from app.gateway.answer import Answer, json_answer, next_link
from app.gateway.cursor import Cursors
from app.gateway.errors import ApprovalsUnavailable, UnknownApproval
from app.gateway.record import Record
from app.gateway.rows import exact
from app.policy.caller import Caller
from app.policy.decision import Action, Allow
from app.ports import Approvals, Policies, StoreUnavailable

ADMIN_RESOURCE = "douane/approvals"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListApprovals:
    limit: int
    cursor: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetApproval:
    approval_id: str


class ApprovalDesk:
    def __init__(
        self,
        *,
        approvals: Approvals,
        policies: Policies,
        cursors: Cursors,
        public_url: str,
        now: Callable[[], float],
    ) -> None:
        self._approvals = approvals
        self._policies = policies
        self._cursors = cursors
        self._public_url = public_url
        self._now = now

    async def list_approvals(self, caller: Caller, command: ListApprovals, record: Record) -> Answer:
        everybody = self._decides(caller, record)
        binding = (
            "list_approvals", caller.issuer, caller.principal, caller.actor, command.state or "", str(everybody)
        )  # fmt: skip
        before = None
        if command.cursor is not None:
            created_at, approval_id = self._cursors.read(binding, command.cursor)
            before = (str(created_at), str(approval_id))
        try:
            found = await self._approvals.page(
                owner=None if everybody else (caller.issuer, caller.principal),
                state=command.state,
                before=before,
                size=command.limit + 1,
            )
        except StoreUnavailable as error:
            raise _unavailable() from error
        page = found[: command.limit]
        cursor = None
        if len(found) > len(page):
            cursor = self._cursors.issue(binding, [page[-1].created_at, page[-1].approval_id])
        asked = {"limit": str(command.limit)} | ({} if command.state is None else {"state": command.state})
        # Up to 200 statements and their parameters: too much for the loop.
        documents = await asyncio.to_thread(lambda: [self._document(approval) for approval in page])
        return json_answer(
            200,
            {"approvals": documents, "next_cursor": cursor},
            headers=next_link(f"{self._public_url}/v1/approvals", cursor, asked),
        )

    async def get_approval(self, caller: Caller, command: GetApproval, record: Record) -> Answer:
        everybody = self._decides(caller, record)
        try:
            approval = await self._approvals.get(command.approval_id)
        except StoreUnavailable as error:
            raise _unavailable() from error
        if approval is None or not (everybody or _own(approval, caller)):
            raise UnknownApproval("There is no such approval: list_approvals names those you may see.")
        record.approval_id = approval.approval_id
        record.connection = approval.connection
        return json_answer(200, self._document(approval))

    def _decides(self, caller: Caller, record: Record) -> bool:
        snapshot = self._policies.current
        record.policy_version = snapshot.version
        context = {"actor": caller.actor, "claims": caller.claims}
        return isinstance(snapshot.decide(caller, ADMIN_RESOURCE, Action.DECIDE, context), Allow)

    def _document(self, approval: Approval) -> dict[str, Any]:
        request: Mapping[str, Any] = approval.request
        return {
            "approval_id": approval.approval_id,
            "approval_url": f"{self._public_url}/v1/approvals/{approval.approval_id}",
            "state": approval.state.value,
            "created_at": approval.created_at,
            "expires_at": approval.expires_at,
            "principal": approval.principal,
            "actor": approval.actor,
            "connection": approval.connection,
            "action": approval.action,
            "resources": approval.resources,
            "reasons": approval.reasons,
            "statement": request.get("statement"),
            "params": exact(request.get("params")),
            "purpose": request.get("purpose"),
            "policy_version": request.get("policy_version"),
            "digest": approval.digest,
        }


def _own(approval: Approval, caller: Caller) -> bool:
    return (approval.issuer, approval.principal) == (caller.issuer, caller.principal)


def _unavailable() -> ApprovalsUnavailable:
    return ApprovalsUnavailable("Approvals cannot be read right now: retry later.", retry_after_s=5)
