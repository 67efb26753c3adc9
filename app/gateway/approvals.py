"""list_approvals, get_approval, preview_approval: what waits for people, as its requester or an approver may see it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from app.approval.approval import Approval
from app.gateway.admission import Admission
from app.gateway.answer import Answer, Spool, as_text, json_answer, next_link
from app.gateway.approval_document import approval_document, documents
from app.gateway.bulletin import UNSETTLED, Bulletin
from app.gateway.cursor import Cursors
from app.gateway.errors import (
    ApprovalAltered,
    ApprovalsUnavailable,
    NoPreview,
    UnknownApproval,
    refusal_of_objection,
)
from app.gateway.record import Record, rfc3339
from app.gateway.standing import Standing, standing_of
from app.policy.caller import Caller
from app.ports import Approvals, HeldResults, Policies, StoreUnavailable

SCAN = 200
SCANS = 10
"""Approvals of others are left out of a page; after so many scans the page ends early, with a cursor."""
LOOK_AGAIN_S = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ListApprovals:
    """`role`: "mine", "decide" (those of others), None: both."""

    limit: int
    cursor: str | None = None
    state: str | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetApproval:
    approval_id: str
    wait_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewApproval:
    approval_id: str


class Register:
    """Finds an approval for a caller who may know of it, and says on the record what it is about."""

    def __init__(self, *, approvals: Approvals, policies: Policies, public_url: str, now: Callable[[], float]) -> None:
        self._approvals = approvals
        self._policies = policies
        self._public_url = public_url
        self._now = now

    def at(self) -> str:
        return rfc3339(self._now())

    def standing(self, caller: Caller, record: Record) -> Standing:
        snapshot = self._policies.current
        record.policy_version = snapshot.version
        return standing_of(snapshot, caller)

    async def find(self, approval_id: str, standing: Standing, record: Record) -> Approval:
        """Raises UnknownApproval, also for one that the caller may not know of, and ApprovalsUnavailable."""
        try:
            approval = await self._approvals.get(approval_id)
        except StoreUnavailable as error:
            raise unavailable() from error
        if approval is None or not standing.may_know(approval):
            raise UnknownApproval("There is no such approval: list_approvals names those you may see.")
        record.approval_id = approval.approval_id
        record.connection, record.action = approval.connection, approval.action
        record.resources = approval.resources
        return approval

    def answer(self, approval: Approval, standing: Standing) -> Answer:
        url = f"{self._public_url}/v1/approvals/{approval.approval_id}"
        waits = approval.state in UNSETTLED
        return json_answer(
            200,
            approval_document(approval, standing, url=url, at=self.at()),
            headers={"retry-after": str(LOOK_AGAIN_S)} if waits else {},
        )


class ApprovalDesk:
    def __init__(
        self,
        *,
        register: Register,
        approvals: Approvals,
        held: HeldResults,
        bulletin: Bulletin,
        cursors: Cursors,
        public_url: str,
        admission: Admission,
    ) -> None:
        self._register = register
        self._approvals = approvals
        self._held = held
        self._bulletin = bulletin
        self._cursors = cursors
        self._admission = admission
        self._public_url = public_url

    async def list_approvals(self, caller: Caller, command: ListApprovals, record: Record) -> Answer:
        standing = self._register.standing(caller, record)
        binding = (
            "list_approvals", caller.issuer, caller.principal, caller.actor, command.state or "", command.role or "",
            str(standing.decides), str(standing.reads),
        )  # fmt: skip
        before = None
        if command.cursor is not None:
            created_at, approval_id = self._cursors.read(binding, command.cursor)
            before = (str(created_at), str(approval_id))
        try:
            page, last = await self._page(command, standing, before)
        except StoreUnavailable as error:
            raise unavailable() from error
        cursor = None if last is None else self._cursors.issue(binding, [last.created_at, last.approval_id])
        asked = {"limit": str(command.limit)}
        asked |= {name: value for name, value in (("state", command.state), ("role", command.role)) if value}
        # Up to 200 statements and their parameters: too much for the loop.
        at = self._register.at()
        found = await asyncio.to_thread(lambda: documents(page, standing, base_url=self._public_url, at=at))
        return json_answer(
            200,
            {"approvals": found, "next_cursor": cursor},
            headers=next_link(f"{self._public_url}/v1/approvals", cursor, asked),
        )

    async def _page(
        self, command: ListApprovals, standing: Standing, before: tuple[str, str] | None
    ) -> tuple[Sequence[Approval], Approval | None]:
        """The page, and the last item looked at where there may be more."""
        everybody = standing.decides or standing.reads
        person = standing.person
        if not everybody and command.role == "decide":
            return (), None
        mine_only = command.role == "mine" or not everybody
        page: list[Approval] = []
        for scan in range(SCANS):
            size = command.limit + 1 if mine_only or scan == 0 else SCAN
            found = await self._approvals.page(
                owner=(person.issuer, person.principal) if mine_only else None,
                state=command.state,
                before=before,
                size=size,
            )
            for number, approval in enumerate(found):
                wanted = command.role != "decide" or not standing.owns(approval)
                if wanted and standing.may_know(approval):
                    page.append(approval)
                if len(page) == command.limit and (number + 1 < len(found) or len(found) == size):
                    return page, approval
            if len(found) < size:
                return page, None
            before = (found[-1].created_at, found[-1].approval_id)
        return page, found[-1]

    async def get_approval(self, caller: Caller, command: GetApproval, record: Record) -> Answer:
        standing = self._register.standing(caller, record)
        approval = await self._register.find(command.approval_id, standing, record)
        if command.wait_seconds and approval.state in UNSETTLED:
            approval = await self._bulletin.wait(approval, command.wait_seconds)
            # What the caller may do can have changed meanwhile.
            self._admission.require(caller)
            standing = self._register.standing(caller, record)
            if not standing.may_know(approval):
                raise UnknownApproval("There is no such approval: list_approvals names those you may see.")
        return self._register.answer(approval, standing)

    async def preview_approval(self, caller: Caller, command: PreviewApproval, record: Record) -> Answer:
        standing = self._register.standing(caller, record)
        approval = await self._register.find(command.approval_id, standing, record)
        objection = standing.objection_to_preview(approval, self._register.at())
        if objection is not None:
            raise refusal_of_objection(objection)
        outcome: dict[str, Any] = approval.request.get("outcome") or {}
        released = outcome.get("held_sha256")
        digest = released or outcome.get("content_sha256")
        if digest is None:
            raise NoPreview("Nothing was run for this request: its document has what is known of its outcome.")
        try:
            held = await self._held.take(approval.approval_id)
        except StoreUnavailable as error:
            raise unavailable() from error
        if held is None:
            raise NoPreview("What was held for this request is gone: reject it, and let it be asked anew.")
        if await asyncio.to_thread(lambda: sha256(held).hexdigest()) != digest:
            raise ApprovalAltered("What is held is not what was bound: reject the request and tell an operator.")
        record.rows = outcome.get("rows") or 0
        record.labels, record.masks = outcome.get("labels") or (), outcome.get("masks") or ()
        about = {"approval_id": approval.approval_id, "digest": approval.digest, "sha256": digest}
        spool = Spool()
        if released is None:
            content_type = (approval.request.get("params") or {}).get("content_type")
            spool.add(await asyncio.to_thread(_content_document, about, held, content_type))
            return Answer(status=200, opening=spool)
        spool.add(orjson.dumps(about)[:-1] + b',"answer":')
        spool.add(held)
        # Held as an answer is until it is sealed: without its closing brace.
        spool.add(b"}")
        return Answer(status=200, opening=spool)


def _content_document(about: dict[str, Any], held: bytes, content_type: str | None) -> bytes:
    shown = {**as_text(held), "content_type": content_type, "size": len(held)}
    return orjson.dumps({**about, "content": shown})[:-1]


def unavailable() -> ApprovalsUnavailable:
    return ApprovalsUnavailable("Approvals cannot be read right now: retry later.", retry_after_s=5)
