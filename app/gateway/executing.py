"""execute_approval: what was approved runs, exactly so, once (or as often as its window says).

Of all who try one wins, by compare-and-set in the store; the intent is on the trail before that, so that nothing runs
unrecorded. From then on everything comes to its end: whatever leaves, breaks or is taken back meanwhile, how the use
ended is stored, at once or as soon as the store is back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256

from app.approval.approval import Approval, Happening, State
from app.approval.digest import check_digest
from app.approval.machine import Objection, begin, reopen, withdraw
from app.approval.people import Person, since_opened
from app.approval.terms import Terms
from app.gateway.answer import Answer
from app.gateway.asking import hold
from app.gateway.bulletin import Bulletin
from app.gateway.command import ExecuteApproval
from app.gateway.endings import Background, Sleep, now_or_later, to_the_end
from app.gateway.envelope import Closing
from app.gateway.errand import READING, RELEASED, Errands, NoLongerAllowed
from app.gateway.errors import (
    AccessDenied,
    ApprovalAltered,
    ApprovalInUse,
    ApprovalNotRequester,
    ApprovalReopened,
    ApprovalsUnavailable,
    ObjectChanged,
    Refused,
    UnknownApproval,
    refusal_of_objection,
)
from app.gateway.idempotency import StoredKeys, Ticket
from app.gateway.rechecking import Today, recheck
from app.gateway.record import Record, rfc3339
from app.gateway.using import Use, Uses
from app.policy.caller import Caller
from app.ports import Approvals, HeldResults, Policies, StoreUnavailable


class Executing:
    """`errands`: by the kind of outcome, who plans such a request anew."""

    def __init__(
        self,
        *,
        approvals: Approvals,
        held: HeldResults,
        policies: Policies,
        errands: Mapping[str, Errands],
        uses: Uses,
        keys: StoredKeys,
        bulletin: Bulletin,
        now: Callable[[], float],
        public_url: str,
        intend: Callable[[Record], Awaitable[None]],
        background: Background,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._approvals = approvals
        self._held = held
        self._policies = policies
        self._errands = errands
        self._uses = uses
        self._keys = keys
        self._bulletin = bulletin
        self._now = now
        self._public_url = public_url
        self._intend = intend
        self._background = background
        self._sleep = sleep
        self._tries: set[str] = set()

    async def execute(self, caller: Caller, command: ExecuteApproval, record: Record) -> Answer:
        approval = await self._load(command.approval_id)
        if approval is None or (approval.issuer, approval.principal) != (caller.issuer, caller.principal):
            raise UnknownApproval("There is no such approval: list_approvals names those you may see.")
        outcome = approval.request.get("outcome") or {}
        if command.idempotency_key is None or outcome.get("kind") in READING:
            # Rows are released once; no key keeps them.
            return await self.execute_known(caller, approval, record)
        _about(approval, record)
        _require_requester(approval, caller)
        claimed = await self._keys.claim(
            caller, "execute_approval", approval.approval_id, command.idempotency_key, approval.approval_id
        )
        if not isinstance(claimed, Ticket):
            record.reason = "idempotency_replayed"
            return claimed.answer()
        async with self._keys.using(claimed):
            return await self.execute_known(caller, approval, record, claimed)

    async def execute_known(
        self, caller: Caller, approval: Approval, record: Record, ticket: Ticket | None = None
    ) -> Answer:
        """Raises Refused; the record says what came of it. `ticket`: of the idempotency key that a write came with."""
        _about(approval, record)
        _require_requester(approval, caller)
        if not check_digest(approval):
            raise ApprovalAltered(
                "The stored request is not the one that its digest binds, so it is not run: tell an operator, and send "
                "the request again to ask anew."
            )
        person = Person.of(caller, caller.principal_subjects)
        _begun(approval, person, self._at())
        with self._alone(approval):
            return await self._tried(caller, approval, person, record, ticket)

    @contextmanager
    def _alone(self, approval: Approval) -> Iterator[None]:
        """Who would lose the race anyway plans and reads nothing for it. Between processes the store decides."""
        if approval.approval_id in self._tries:
            raise ApprovalInUse(
                "It is being executed right now: wait with get_approval for its outcome.", retry_after_s=1
            )
        self._tries.add(approval.approval_id)
        try:
            yield
        finally:
            self._tries.discard(approval.approval_id)

    async def _tried(
        self, caller: Caller, approval: Approval, person: Person, record: Record, ticket: Ticket | None
    ) -> Answer:
        snapshot = self._policies.current
        try:
            content = await self._content(approval)
            today = await recheck(self._family(approval), snapshot, caller, approval.request, record, content)
        except NoLongerAllowed as no_longer:
            raise await self._withdrawn(approval, person, no_longer.refused, record) from no_longer
        try:
            return await self._as_today(approval, person, today, record, ticket)
        finally:
            today.errand.close()

    async def _as_today(
        self, approval: Approval, person: Person, today: Today, record: Record, ticket: Ticket | None
    ) -> Answer:
        if today.difference:
            raise await self._reopened(approval, person, today, record)
        use = Use(
            approval=approval,
            executing=_begun(approval, person, self._at()),
            today=today,
            closing=self._closing(approval),
            record=record,
            held=await self._taken(approval),
        )
        record.statement_run = today.errand.runs()
        record.outcome, record.approval_state = "completed", State.EXECUTING.value
        await self._intend(record)
        return await to_the_end(self._used(use, person, ticket), use.leave)

    async def _used(self, use: Use, person: Person, ticket: Ticket | None) -> Answer:
        answer = await self._uses.use(use, lambda: self._beaten(use.approval, person))
        if ticket is not None:
            closing = replace(use.closing, affected_rows=use.record.affected_rows)
            await self._keys.settle(ticket, answer, closing, use.today.errand.plan.policy_version)
        return answer

    async def _load(self, approval_id: str) -> Approval | None:
        try:
            return await self._approvals.get(approval_id)
        except StoreUnavailable as error:
            raise _unavailable() from error

    async def _taken(self, approval: Approval) -> bytes | None:
        """The held bytes, looked at before anything is used up; b"" for bytes that are not what was bound."""
        digest = approval.request["outcome"]["held_sha256"]
        if digest is None or any(step.happening is Happening.STARTED for step in since_opened(approval)):
            return None
        held = await self._kept(approval)
        return held if held is not None and await _has_digest(held, digest) else b""

    async def _content(self, approval: Approval) -> bytes | None:
        """What is to be put or published. Nothing else than what people saw, else ApprovalAltered."""
        digest = approval.request["outcome"]["content_sha256"]
        if digest is None:
            return None
        content = await self._kept(approval)
        if content is None or not await _has_digest(content, digest):
            raise ApprovalAltered(
                "What was held for this approval is gone or is not what was approved, so nothing ran: send the request "
                "again to ask anew."
            )
        return content

    async def _kept(self, approval: Approval) -> bytes | None:
        try:
            return await self._held.take(approval.approval_id)
        except StoreUnavailable as error:
            raise _unavailable() from error

    def _family(self, approval: Approval) -> Errands:
        found = self._errands.get(approval.request["outcome"]["kind"])
        if found is None:
            raise ApprovalAltered("This gateway knows no request of this kind: tell an operator.")
        return found

    async def _withdrawn(self, approval: Approval, person: Person, refused: Refused, record: Record) -> Refused:
        """Takes the approval back; what to tell the caller."""
        gone = withdraw(approval, at=self._at(), reason="Policy, or what its target has become, no longer allows it.")
        await to_the_end(self._taken_back(approval, gone, person, record))
        kind = ObjectChanged if isinstance(refused, ObjectChanged) else AccessDenied
        return kind(
            f"What was approved is no longer allowed or possible, so the approval was revoked: {refused.detail}",
            rules=refused.rules,
        )

    async def _taken_back(self, before: Approval, gone: Approval, person: Person, record: Record) -> None:
        await self._step(before, gone, person, record)
        await now_or_later(lambda: self._held.destroy(before.approval_id), self._background, self._sleep)

    async def _reopened(self, approval: Approval, person: Person, today: Today, record: Record) -> Refused:
        """Sends it back to the approvers with a new outcome; what to tell the caller."""
        closing = self._closing(approval, notice=RELEASED)
        preview = await today.errand.preview(_left_of(today.terms, approval), closing, record)
        request = {
            **approval.request,
            "resources": sorted(set(today.errand.resources)),
            "policy_version": today.errand.plan.policy_version,
            "terms": today.terms.document(),
            "outcome": preview.outcome.document(),
        }
        try:
            anew = reopen(
                approval,
                at=self._at(),
                request=request,
                difference=today.difference,
                reasons=today.errand.plan.rule_names,
            )
            record.held_sha256 = preview.outcome.held_sha256
            # Whoever leaves now leaves it whole: with the outcome that is bound goes the result that is held.
            await to_the_end(self._opened_anew(approval, anew, preview.kept(), person, record))
        except Objection as objection:
            return refusal_of_objection(objection)
        finally:
            preview.close()
        changed = ", ".join(sorted(today.difference))
        return ApprovalReopened(
            f"What was approved would run differently now ({changed}), so nothing ran and people decide anew: call "
            f"get_approval with approval_id {approval.approval_id} and wait_seconds 30."
        )

    async def _opened_anew(
        self, before: Approval, anew: Approval, held: bytes | None, person: Person, record: Record
    ) -> None:
        await self._step(before, anew, person, record)
        # Held by the one who was first, so that nobody else's preview takes its place.
        await now_or_later(lambda: hold(self._held, anew, held), self._background, self._sleep)

    async def _step(self, before: Approval, after: Approval, person: Person, record: Record) -> None:
        """Intent first, then the store. Raises Refused when somebody was first, or the store is away."""
        record.approval_state = after.state.value
        await self._intend(record)
        try:
            stored = await self._approvals.replace(before, after)
        except StoreUnavailable as error:
            raise _unavailable() from error
        if not stored:
            raise await self._beaten(before, person)
        self._bulletin.changed(after.approval_id)

    async def _beaten(self, approval: Approval, person: Person) -> Refused:
        """Somebody took a step first: what that means for a use."""
        newer = await self._load(approval.approval_id)
        if newer is None:
            return UnknownApproval("There is no such approval any more.")
        try:
            begin(newer, person, at=self._at())
        except Objection as objection:
            return refusal_of_objection(objection)
        return ApprovalInUse("Another use of it just ran: call execute_approval again.", retry_after_s=1)

    def _closing(self, approval: Approval, *, notice: str | None = None) -> Closing:
        url = f"{self._public_url}/v1/approvals/{approval.approval_id}"
        return Closing(approval_id=approval.approval_id, approval_url=url, notice=notice)

    def _at(self) -> str:
        return rfc3339(self._now())


def _about(approval: Approval, record: Record) -> None:
    record.approval_id, record.connection = approval.approval_id, approval.connection
    record.action, record.resources = approval.action, approval.resources
    record.approval_state = approval.state.value


def _require_requester(approval: Approval, caller: Caller) -> None:
    request = approval.request
    asked = (request["actor"], tuple(request["actor_chain"]), request["client"])
    if asked != (caller.actor, caller.actor_chain, caller.client):
        raise ApprovalNotRequester(
            "This approval was asked for through another client or actor, and only that one uses it: call it from "
            "there, or send the request again from here."
        )


def _left_of(terms: Terms, approval: Approval) -> Terms:
    """For a preview: what earlier uses took is not there to be released."""
    if terms.grant.max_rows is None:
        return terms
    return replace(terms, grant=replace(terms.grant, max_rows=max(0, terms.grant.max_rows - approval.rows_used)))


def _begun(approval: Approval, person: Person, at: str) -> Approval:
    try:
        return begin(approval, person, at=at)
    except Objection as objection:
        raise refusal_of_objection(objection) from objection


async def _has_digest(data: bytes, digest: str) -> bool:
    return await asyncio.to_thread(lambda: sha256(data).hexdigest()) == digest


def _unavailable() -> ApprovalsUnavailable:
    return ApprovalsUnavailable("Approvals cannot be read right now, and nothing ran: retry later.", retry_after_s=5)
