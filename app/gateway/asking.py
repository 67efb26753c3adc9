"""A request that a human has to approve: worked out, held, bound, on the trail, stored, and answered with what comes
next. In that order, so that whatever fails leaves nothing that could be approved without a record of it."""

import asyncio
from collections.abc import Awaitable, Callable

from app.approval.approval import Approval, State
from app.approval.digest import ID_BYTES, NotBindable, pending
from app.approval.machine import Objection, begin
from app.approval.people import Person
from app.approval.times import plus
from app.gateway.answer import Answer, json_answer
from app.gateway.bulletin import Bulletin
from app.gateway.endings import Background, Sleep, until_stored
from app.gateway.envelope import PENDING_RETRY_S, Closing, pending_document
from app.gateway.errand import RELEASED, Errand, Preview
from app.gateway.errors import ApprovalsUnavailable, InvalidRequest, refusal_of_objection
from app.gateway.idempotency import StoredKeys, Ticket
from app.gateway.record import Record, rfc3339
from app.policy.caller import Caller
from app.policy.snapshot import PolicySnapshot
from app.ports import Approvals, HeldResults, StoreUnavailable


class Asking:
    """`random` gives bytes that nobody can guess; `intend` makes an intent durable before anything is stored."""

    def __init__(
        self,
        *,
        approvals: Approvals,
        held: HeldResults,
        keys: StoredKeys,
        bulletin: Bulletin,
        now: Callable[[], float],
        random: Callable[[int], bytes],
        public_url: str,
        intend: Callable[[Record], Awaitable[None]],
        background: Background,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._approvals = approvals
        self._held = held
        self._keys = keys
        self._bulletin = bulletin
        self._now = now
        self._random = random
        self._public_url = public_url
        self._intend = intend
        self._background = background
        self._sleep = sleep

    async def ask(
        self, errand: Errand, caller: Caller, snapshot: PolicySnapshot, record: Record, ticket: Ticket | None
    ) -> tuple[Approval, Answer]:
        """The stored approval, and the 202 that says so."""
        if ticket is None:
            return await self._ask(errand, caller, snapshot, record, None)
        async with self._keys.using(ticket):
            return await self._ask(errand, caller, snapshot, record, ticket)

    async def known(self, approval_id: str, record: Record) -> Approval | None:
        """What an idempotency key asked for before; None: it never came to be. Raises ApprovalsUnavailable."""
        try:
            approval = await self._approvals.get(approval_id)
        except StoreUnavailable as error:
            raise ApprovalsUnavailable(
                "The approval of this idempotency key cannot be read right now: retry later.", retry_after_s=5
            ) from error
        if approval is not None:
            record.approval_id = approval.approval_id
        return approval

    async def waited(self, approval: Approval, wait_seconds: int) -> Approval:
        """As it is after `wait_seconds` at most."""
        if wait_seconds and approval.state in (State.PENDING, State.EXECUTING):
            return await self._bulletin.wait(approval, wait_seconds)
        return approval

    def waiting(self, caller: Caller, approval: Approval, record: Record, affected_rows: int | None = None) -> Answer:
        """The 202 of an approval that something can still come of; raises Refused for one that is over."""
        record.approval_state = approval.state.value
        if approval.state not in (State.PENDING, State.APPROVED, State.EXECUTING):
            try:
                begin(approval, Person.of(caller, caller.principal_subjects), at=rfc3339(self._now()))
            except Objection as objection:
                raise refusal_of_objection(objection) from objection
        record.outcome = "pending_approval"
        url = self._url(approval.approval_id)
        document = pending_document(approval, url, approval.request["policy_version"], affected_rows=affected_rows)
        return json_answer(202, document, headers={"location": url, "retry-after": str(PENDING_RETRY_S)})

    async def _ask(
        self, errand: Errand, caller: Caller, snapshot: PolicySnapshot, record: Record, ticket: Ticket | None
    ) -> tuple[Approval, Answer]:
        errand.require_askable()
        terms = snapshot.terms(errand.plan.asked)
        random = self._random(ID_BYTES)
        created_at = rfc3339(self._now())
        name = f"apr_{random.hex()}"
        closing = Closing(approval_id=name, approval_url=self._url(name), notice=RELEASED)
        preview = await errand.preview(terms, closing, record)
        try:
            approval = pending(
                random=random,
                created_at=created_at,
                expires_at=plus(created_at, terms.lifetime_s),
                caller=caller,
                connection=errand.connection,
                action=errand.action.value,
                resources=errand.resources,
                reasons=errand.plan.rule_names,
                statement=errand.statement,
                params=errand.params,
                unmask=errand.unmask,
                purpose=errand.purpose,
                policy_version=errand.plan.policy_version,
                terms=terms,
                outcome=preview.outcome,
                max_rows=errand.max_rows,
            )
            record.approval_id, record.held_sha256 = approval.approval_id, preview.outcome.held_sha256
            answer = self.waiting(caller, approval, record, preview.affected_rows)
            await self._store(approval, preview, record, ticket, answer)
        except NotBindable as error:
            raise InvalidRequest("An approval cannot be bound to this request: it holds " + str(error) + ".") from error
        finally:
            preview.close()
        self._bulletin.changed(approval.approval_id)
        return approval, answer

    async def _store(
        self, approval: Approval, preview: Preview, record: Record, ticket: Ticket | None, answer: Answer
    ) -> None:
        kept = preview.kept()
        try:
            if kept is not None:
                await hold(self._held, approval, kept)
            # The intent is on the trail before the approval exists: nothing that can be approved is unrecorded.
            await self._intend(record)
            if ticket is not None:
                # Before it is stored: a client that leaves while it is stored must find it when it comes back.
                await self._keys.keep(ticket, answer)
            await self._approvals.create(approval)
        except BaseException as error:
            if kept is not None:
                self._background(until_stored(lambda: self._tidy(approval.approval_id), self._sleep))
            if isinstance(error, StoreUnavailable):
                raise ApprovalsUnavailable(
                    "The request needs an approval, which cannot be stored right now: retry later.", retry_after_s=5
                ) from error
            raise

    async def _tidy(self, approval_id: str) -> None:
        """Nothing is held for an approval that never came to be; whether it did is for the store to say."""
        if await self._approvals.get(approval_id) is None:
            await self._held.destroy(approval_id)

    def _url(self, approval_id: str) -> str:
        return f"{self._public_url}/v1/approvals/{approval_id}"


async def hold(held: HeldResults, approval: Approval, opening: bytes | None) -> None:
    """For as long as anybody could use the approval; None: nothing is held for it any more. Raises StoreUnavailable."""
    if opening is None:
        await held.destroy(approval.approval_id)
        return
    until = plus(approval.expires_at, approval.terms.grant.duration_s or 0)
    await held.hold(approval.approval_id, (opening,), expires_at=until)
