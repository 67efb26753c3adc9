"""What every request that a human may have to allow has in common: its idempotency key, the question, the wait."""

from app.approval.approval import Approval, State
from app.gateway.admission import Admission
from app.gateway.answer import Answer
from app.gateway.asking import Asking
from app.gateway.errand import Errand
from app.gateway.errors import IdempotencyInFlight
from app.gateway.executing import Executing
from app.gateway.idempotency import StoredKeys, Ticket
from app.gateway.record import Record
from app.policy.caller import Caller
from app.policy.snapshot import PolicySnapshot


class Submitting:
    def __init__(self, *, asking: Asking, executing: Executing, keys: StoredKeys, admission: Admission) -> None:
        self._asking = asking
        self._executing = executing
        self._keys = keys
        self._admission = admission

    async def ask(
        self,
        errand: Errand,
        caller: Caller,
        snapshot: PolicySnapshot,
        record: Record,
        ticket: Ticket | None,
        wait_seconds: int,
    ) -> Answer:
        """The 202, or within `wait_seconds` what came of it."""
        approval, answer = await self.submit(errand, caller, snapshot, record, ticket)
        return await self.wait(caller, approval, answer, record, wait_seconds)

    async def submit(
        self, errand: Errand, caller: Caller, snapshot: PolicySnapshot, record: Record, ticket: Ticket | None
    ) -> tuple[Approval, Answer]:
        """The stored approval and its 202. Who is refused here asked nobody, and may ask anew."""
        return await self._asking.ask(errand, caller, snapshot, record, ticket)

    async def claim(
        self,
        caller: Caller,
        operation: str,
        connection: str,
        key: str | None,
        request: object,
        record: Record,
        wait_seconds: int,
    ) -> Ticket | Answer | None:
        """The key's ticket, or the answer that the key got before; None without a key. `request`: everything that must
        be the same when the key comes again."""
        if key is None:
            return None
        for _ in range(2):
            claimed = await self._keys.claim(caller, operation, connection, key, request)
            if isinstance(claimed, Ticket):
                return claimed
            if claimed.approval_id is None:
                record.reason = "idempotency_replayed"
                return claimed.answer()
            known = await self._asking.known(claimed.approval_id, record)
            if known is not None:
                return await self.wait(caller, known, None, record, wait_seconds)
            await self._keys.free(claimed)
        raise IdempotencyInFlight("This idempotency key is in use right now: retry after a moment.", retry_after_s=1)

    async def wait(
        self, caller: Caller, approval: Approval, answer: Answer | None, record: Record, wait_seconds: int
    ) -> Answer:
        """What came of it within `wait_seconds`; it runs as soon as people said yes, and what comes of that is the
        approval's own outcome. `answer`: its 202, if that was not given before."""
        later = await self._asking.waited(approval, wait_seconds)
        if wait_seconds:
            self._admission.require(caller)
        if wait_seconds and later.state is State.APPROVED:
            return await self._executing.execute_known(caller, later, record)
        if answer is not None and later.state is approval.state:
            return answer
        return self._asking.waiting(caller, later, record)
