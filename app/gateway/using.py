"""One use of an approval: won in the store, run within what was approved, and ended in the store whatever happens."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn

from app.approval.approval import Approval, State
from app.approval.machine import fail, finish, is_over, revocation_wanted
from app.approval.terms import GrantKind
from app.approval.times import instant, reached
from app.gateway.answer import Answer, Spool
from app.gateway.bulletin import Bulletin
from app.gateway.endings import Background, Sleep, now_or_later, until_stored
from app.gateway.envelope import Closing
from app.gateway.errand import READING
from app.gateway.errors import (
    ApprovalAltered,
    ApprovalExpired,
    ApprovalRevoked,
    ApprovalsUnavailable,
    InternalFault,
    OutcomeUnknown,
    Refused,
    ShuttingDown,
    StatementTimeout,
)
from app.gateway.rechecking import Today
from app.gateway.record import Record, rfc3339
from app.ports import Approvals, HeldResults, StoreUnavailable

LEFT = "client_left"
Step = Callable[[Approval], Approval]


@dataclass(slots=True, kw_only=True)
class Use:
    """`executing`: what `approval` becomes when the use is won. `held`: the bytes to release; b"" if they are not those
    that were approved, None: run it. `leave` is called when nobody waits for the answer any more."""

    approval: Approval
    executing: Approval
    today: Today
    closing: Closing
    record: Record
    held: bytes | None
    work: "asyncio.Future[Answer] | None" = None
    left: bool = field(default=False)

    def leave(self) -> None:
        self.left = True
        if self.work is not None:
            self.work.cancel()


class Uses:
    """`report` is told of faults of our own."""

    def __init__(
        self,
        *,
        approvals: Approvals,
        held: HeldResults,
        bulletin: Bulletin,
        now: Callable[[], float],
        background: Background,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._approvals = approvals
        self._held = held
        self._bulletin = bulletin
        self._now = now
        self._background = background
        self._sleep = sleep

    async def use(self, use: Use, beaten: Callable[[], Awaitable[Refused]]) -> Answer:
        """Not to be cancelled: `use.leave` says that the client left. Raises Refused."""
        try:
            won = await self._approvals.replace(use.approval, use.executing)
        except StoreUnavailable as error:
            # It may have been stored all the same: nothing ran, and then that is how this use ends.
            failed = self._failing("store_unavailable")
            self._background(until_stored(lambda: self._undo(use, failed), self._sleep))
            raise ApprovalsUnavailable(
                "The approval cannot be used right now, and nothing ran: call get_approval, and retry later.",
                retry_after_s=5,
            ) from error
        if not won:
            raise await beaten()
        self._bulletin.changed(use.approval.approval_id)
        try:
            answer = await self._run(use)
        except asyncio.CancelledError:
            await self._stopped(use)
        except OutcomeUnknown:
            await self._ended(use, self._failing(OutcomeUnknown.code, outcome_known=False))
            raise
        except Refused as refused:
            await self._ended(use, self._failing(refused.stable_code))
            if isinstance(refused, StatementTimeout) and self._over(use.approval):
                raise ApprovalExpired(
                    "Its time ran out while it ran, and what ran was stopped: nothing was changed."
                ) from refused
            raise
        except BaseException:
            # Of a write nobody can say how far it came.
            reading = use.approval.request["outcome"]["kind"] in READING
            await self._ended(use, self._failing(InternalFault.code, outcome_known=reading))
            raise
        rows = use.record.rows if use.record.affected_rows is None else use.record.affected_rows
        detail = {"bytes": answer.opening.size}
        at = rfc3339(self._now())
        await self._ended(use, lambda approval: finish(approval, at=at, rows=rows, detail=detail))
        return answer

    async def _run(self, use: Use) -> Answer:
        if use.left:
            raise asyncio.CancelledError
        if self._over(use.approval):
            # The store may have taken its time to say that the use was won.
            raise ApprovalExpired("Its time ran out: send the request again to ask anew.")
        if use.held is not None:
            return _released(use)
        left_s = self._left_s(use.approval)
        work = use.today.errand.run(use.approval, use.closing, use.record, left_s=left_s)
        return await self._watched(use, work)

    async def _watched(self, use: Use, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Ends what runs when the client leaves, and a window's use when the window is taken back or over."""
        use.work = asyncio.ensure_future(work)
        watch = None
        if use.approval.terms.grant.kind is GrantKind.WINDOW:
            watch = asyncio.ensure_future(self._revoked(use))
        try:
            # Not awaited itself: a write that was committed gives its outcome though it was cancelled.
            await asyncio.wait({use.work})
        except asyncio.CancelledError:
            # The process ends, and takes everything with it that runs.
            use.leave()
            await asyncio.wait({use.work})
        finally:
            if watch is not None:
                watch.cancel()
                with suppress(asyncio.CancelledError):
                    await watch
        return use.work.result()

    async def _revoked(self, use: Use) -> None:
        assert use.work is not None
        current = use.executing
        while not use.work.done():
            newer = await self._bulletin.watch(current, use.today.errand.timeout_s)
            if newer is None:
                # Not told any more (the server drains, or too many wait): the deadline still holds.
                return
            current = newer
            if newer.state is not State.EXECUTING or revocation_wanted(newer):
                use.work.cancel()
                return

    async def _stopped(self, use: Use) -> NoReturn:
        """What ran was ended before it changed or gave out anything."""
        if use.left:
            await self._ended(use, self._failing(LEFT))
            raise ShuttingDown("The request ended before its answer was ready; nothing was changed.", retry_after_s=1)
        await self._ended(use, self._failing(ApprovalRevoked.code))
        raise ApprovalRevoked("The approval was revoked while it ran, and what ran was stopped: nothing was changed.")

    def _left_s(self, approval: Approval) -> float | None:
        if approval.usable_until is None:
            return None
        return instant(approval.usable_until).timestamp() - self._now()

    def _over(self, approval: Approval) -> bool:
        return approval.usable_until is not None and reached(approval.usable_until, rfc3339(self._now()))

    def _failing(self, code: str, *, outcome_known: bool = True) -> Step:
        at = rfc3339(self._now())
        return lambda approval: fail(approval, at=at, code=code, outcome_known=outcome_known)

    async def _ended(self, use: Use, step: Step) -> None:
        use.record.approval_state = step(use.executing).state.value
        await now_or_later(lambda: self._end(use, step), self._background, self._sleep)

    async def _undo(self, use: Use, step: Step) -> None:
        """Ends the use if it was won without our hearing of it. Raises StoreUnavailable."""
        found = await self._approvals.get(use.approval.approval_id)
        if found is not None and found.history == use.executing.history:
            await self._end(use, step)

    async def _end(self, use: Use, step: Step) -> None:
        """Raises StoreUnavailable: then it is tried again, on whatever is stored by then."""
        name, stored = use.approval.approval_id, use.executing
        while True:
            after = step(stored)
            if await self._approvals.replace(stored, after):
                use.record.approval_state = after.state.value
                self._bulletin.changed(name)
                break
            # Revoked while it ran; or it was never won, or somebody else ended it.
            found = await self._approvals.get(name)
            if found is None or not _same_use(found, use.executing):
                break
            stored = found
        # What is to be put or published is needed as long as it may be used.
        if use.held is not None or is_over(after.state):
            await self._held.destroy(name)


def _same_use(stored: Approval, executing: Approval) -> bool:
    return stored.state is State.EXECUTING and (stored.uses, stored.started_at) == (
        executing.uses,
        executing.started_at,
    )


def _released(use: Use) -> Answer:
    if not use.held:
        raise ApprovalAltered(
            "What was held for this approval is gone or is not what was approved, so nothing is released: send the "
            "request again to ask anew."
        )
    outcome = use.approval.request["outcome"]
    use.record.rows, use.record.held_sha256 = outcome["rows"], outcome["held_sha256"]
    spool = Spool()
    spool.add(use.held)
    return Answer(status=200, opening=spool)
