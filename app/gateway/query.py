"""query_sql: one statement from text to masked rows, to what it changed, to a human, or to the reason why not."""

from app.gateway.answer import Answer
from app.gateway.command import QueryCommand
from app.gateway.connections import Connection
from app.gateway.errors import AccessDenied, InvalidRequest
from app.gateway.explaining import suggestion_of
from app.gateway.idempotency import IdempotencyKeys, Ticket
from app.gateway.plan import Plan
from app.gateway.reading import Reads
from app.gateway.record import Record
from app.gateway.statement_errands import StatementErrands, require_dry_run_tells_nothing
from app.gateway.statements import Statements
from app.gateway.submitting import Submitting
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
        errands: StatementErrands,
        submitting: Submitting,
    ) -> None:
        self._policies = policies
        self._statements = statements
        self._reads = reads
        self._writes = writes
        self._errands = errands
        self._submitting = submitting
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
        errand = self._errands.errand(connection, caller, command, plan, snapshot)
        return await self._submitting.ask(errand, caller, snapshot, record, claimed, command.wait_seconds)

    async def _claim(self, caller: Caller, command: QueryCommand, record: Record) -> Ticket | Answer | None:
        return await self._submitting.claim(
            caller,
            "query_sql",
            command.connection,
            command.idempotency_key,
            asked(command),
            record,
            command.wait_seconds,
        )


def _only_writes_run_dry() -> InvalidRequest:
    return InvalidRequest("Only writes run dry: leave out `dry_run`, or call explain_sql for what a read would do.")
