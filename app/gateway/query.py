"""query_sql: one statement from text to masked rows, to what it changed, to a human, or to the reason why not."""

from app.approval.approval import Approval, State
from app.gateway.admission import Admission
from app.gateway.answer import Answer
from app.gateway.asking import Asking, require_dry_run_tells_nothing
from app.gateway.command import QueryCommand
from app.gateway.connections import Connection
from app.gateway.errors import AccessDenied, IdempotencyInFlight, InvalidRequest
from app.gateway.executing import Executing
from app.gateway.explaining import suggestion_of
from app.gateway.idempotency import IdempotencyKeys, StoredKeys, Ticket
from app.gateway.plan import Plan
from app.gateway.reading import Reads
from app.gateway.record import Record
from app.gateway.statements import Statements
from app.gateway.writing import Writes, asked
from app.policy.caller import Caller
from app.policy.decision import Allow, AskFirst, Deny
from app.policy.snapshot import PolicySnapshot
from app.ports import Policies


class Query:
    def __init__(
        self,
        *,
        policies: Policies,
        statements: Statements,
        reads: Reads,
        writes: Writes,
        asking: Asking,
        executing: Executing,
        keys: StoredKeys,
        admission: Admission,
    ) -> None:
        self._policies = policies
        self._statements = statements
        self._reads = reads
        self._writes = writes
        self._asking = asking
        self._executing = executing
        self._keys = keys
        self._admission = admission
        self._idempotency = IdempotencyKeys()

    async def run(self, caller: Caller, command: QueryCommand, record: Record) -> Answer:
        if command.idempotency_key is None:
            return await self._run(caller, command, record)
        with self._idempotency.use(caller, "query_sql", command.connection, command.idempotency_key, asked(command)):
            return await self._run(caller, command, record)

    async def _run(self, caller: Caller, command: QueryCommand, record: Record) -> Answer:
        snapshot = self._policies.current
        connection = self._statements.find(caller, command.connection, snapshot, record)
        plan = await self._statements.plan(connection, caller, snapshot, command, record)
        match plan.decision:
            case Deny(rules=rules, reason=reason):
                raise AccessDenied(reason, rules=rules, suggestion=suggestion_of(plan, command))
            case AskFirst():
                record.effect, record.rules = "approve", plan.rule_names
                if command.dry_run:
                    return await self._dry(connection, command, plan, snapshot, record)
                return await self._ask(connection, caller, command, plan, snapshot, record)
            case Allow():
                record.effect, record.rules = "allow", plan.rule_names
                limits = self._statements.limits(connection, plan, snapshot, command.max_rows)
                if plan.rewritten is None:
                    return await self._write(connection, caller, command, plan, snapshot, record)
                if command.dry_run:
                    raise _only_writes_run_dry()
                return await self._reads.read(connection, caller, command, plan, limits, record)

    async def _write(
        self,
        connection: Connection,
        caller: Caller,
        command: QueryCommand,
        plan: Plan,
        snapshot: PolicySnapshot,
        record: Record,
    ) -> Answer:
        if command.dry_run:
            require_dry_run_tells_nothing(plan)
        limits = self._statements.limits(connection, plan, snapshot, command.max_rows)
        claimed = None if command.dry_run else await self._claim(caller, command, record)
        if isinstance(claimed, Answer):
            return claimed
        return await self._writes.allowed(connection, command, plan, limits, record, claimed)

    async def _dry(
        self, connection: Connection, command: QueryCommand, plan: Plan, snapshot: PolicySnapshot, record: Record
    ) -> Answer:
        if plan.write is None:
            raise _only_writes_run_dry()
        require_dry_run_tells_nothing(plan)
        limits = self._statements.limits(connection, plan, snapshot, command.max_rows)
        return await self._writes.dry(connection, command, plan, limits, record)

    async def _ask(
        self,
        connection: Connection,
        caller: Caller,
        command: QueryCommand,
        plan: Plan,
        snapshot: PolicySnapshot,
        record: Record,
    ) -> Answer:
        if plan.rewritten is not None and not plan.rewritten.cacheable:
            # Filled in from a shape: what is bound has to come out the same when it is used.
            plan = await self._statements.plan(connection, caller, snapshot, command, record, exact=True)
            if not isinstance(plan.decision, AskFirst):
                raise AccessDenied("Policy decided differently within one request: send it again.")
        # Last before it is asked: a key that was claimed is freed there, whatever happens.
        claimed = await self._claim(caller, command, record)
        if isinstance(claimed, Answer):
            return claimed
        approval, answer = await self._asking.ask(connection, caller, command, plan, snapshot, record, claimed)
        return await self._waited(caller, command, approval, record, answer)

    async def _waited(
        self, caller: Caller, command: QueryCommand, approval: Approval, record: Record, answer: Answer | None
    ) -> Answer:
        later = await self._asking.waited(approval, command)
        if command.wait_seconds:
            self._admission.require(caller)
        if command.wait_seconds and later.state is State.APPROVED:
            return await self._executing.execute_known(caller, later, record)
        if answer is not None and later.state is approval.state:
            return answer
        return self._asking.waiting(caller, later, record)

    async def _claim(self, caller: Caller, command: QueryCommand, record: Record) -> Ticket | Answer | None:
        """The key's ticket, or the answer that the key got before."""
        if command.idempotency_key is None:
            return None
        for _ in range(2):
            claimed = await self._keys.claim(
                caller, "query_sql", command.connection, command.idempotency_key, asked(command)
            )
            if isinstance(claimed, Ticket):
                return claimed
            if claimed.approval_id is None:
                record.reason = "idempotency_replayed"
                return claimed.answer()
            known = await self._asking.known(claimed.approval_id, record)
            if known is not None:
                return await self._waited(caller, command, known, record, None)
            await self._keys.free(claimed)
        raise IdempotencyInFlight("This idempotency key is in use right now: retry after a moment.", retry_after_s=1)


def _only_writes_run_dry() -> InvalidRequest:
    return InvalidRequest("Only writes run dry: leave out `dry_run`, or call explain_sql for what a read would do.")
