"""One planned write: dry, or for good; what it may say of the rows that it touched."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from app.gateway.answer import Answer, Spool, json_answer
from app.gateway.command import QueryCommand
from app.gateway.connections import Connection
from app.gateway.envelope import Closing, Envelope, rowless_document
from app.gateway.errors import NoSpaceForAnswer, Refused, WritesNotRun
from app.gateway.faults import refusal_of
from app.gateway.idempotency import StoredKeys, Ticket
from app.gateway.plan import Plan
from app.gateway.reading import STALE
from app.gateway.record import Record
from app.gateway.statements import Statements
from app.policy.decision import Action
from connectors.contract import ConnectorError, Limits, SqlWriter, WriteLimits, WriteOutcome

_DRY = "Nothing was changed: this is what the write would touch."


class Writes:
    """`intend` makes an intent durable: no write runs for good without one."""

    def __init__(
        self,
        *,
        statements: Statements,
        keys: StoredKeys,
        intend: Callable[[Record], Awaitable[None]],
        refresh_soon: Callable[[Connection], None],
    ) -> None:
        self._statements = statements
        self._keys = keys
        self._intend = intend
        self._refresh_soon = refresh_soon

    async def allowed(
        self,
        connection: Connection,
        command: QueryCommand,
        plan: Plan,
        limits: Limits,
        record: Record,
        ticket: Ticket | None,
    ) -> Answer:
        """A write that needs nobody's approval: at once. `ticket`: of its idempotency key."""
        if command.dry_run:
            _require_no_ddl(plan)
            return await self.run(connection, command, plan, limits, record, closing=Closing(dry_run=True, notice=_DRY))
        if ticket is None:
            _require_no_ddl(plan)
            await self._intend(record)
            return await self.run(connection, command, plan, limits, record)
        async with self._keys.using(ticket):
            _require_no_ddl(plan)
            await self._intend(record)
            try:
                answer = await self.run(connection, command, plan, limits, record)
            except (Refused, asyncio.CancelledError):
                raise
            except BaseException:
                # A fault of ours: nobody can say how far the write came, so its key runs nothing again.
                ticket.settled = True
                raise
        await self._keys.settle(ticket, answer, Closing(affected_rows=record.affected_rows), plan.policy_version)
        return answer

    async def dry(
        self, connection: Connection, command: QueryCommand, plan: Plan, limits: Limits, record: Record
    ) -> Answer:
        """What a write would touch that a human has to approve: a number, no rows."""
        affected = await self.affected(connection, command, plan, limits, None)
        record.affected_rows, record.dry_run = affected, True
        closing = Closing(
            affected_rows=affected, dry_run=True, notice=f"{_DRY} Without dry_run, a human has to approve it first."
        )
        return json_answer(200, {**rowless_document(plan.policy_version, closing), "truncated": False})

    async def affected(
        self, connection: Connection, command: QueryCommand, plan: Plan, limits: Limits, max_affected: int | None
    ) -> int:
        """Runs dry and keeps nothing of the rows."""
        outcome = await self._write(
            connection, command, plan, WriteLimits(read=limits, max_affected=max_affected, dry_run=True), _unseen
        )
        return outcome.affected

    async def run(
        self,
        connection: Connection,
        command: QueryCommand,
        plan: Plan,
        limits: Limits,
        record: Record,
        *,
        max_affected: int | None = None,
        closing: Closing | None = None,
    ) -> Answer:
        """For good, unless `closing` says dry. Raises Refused when nothing was changed, and OutcomeUnknown."""
        closing = closing or Closing()
        spool = Spool()
        try:
            envelope = Envelope(spool, plan, connection.connector.dialect)
            allowed = WriteLimits(read=limits, max_affected=max_affected, dry_run=closing.dry_run)
            outcome = await self._write(connection, command, plan, allowed, envelope.rows, envelope.columns, record)
        except BaseException:
            spool.close()
            raise
        record.affected_rows, record.rows, record.dry_run = outcome.affected, outcome.row_count, closing.dry_run
        closing = Closing(
            approval_id=closing.approval_id,
            approval_url=closing.approval_url,
            affected_rows=outcome.affected,
            dry_run=closing.dry_run,
            notice=closing.notice,
        )
        try:
            envelope.close(outcome, None, limits, closing)
        except OSError:
            # It is done, and that is what the answer has to say, whatever room there is for rows.
            spool.close()
            record.rows = 0
            return json_answer(200, rowless_document(plan.policy_version, closing))
        return Answer(status=200, opening=spool)

    async def _write(
        self,
        connection: Connection,
        command: QueryCommand,
        plan: Plan,
        limits: WriteLimits,
        sink: Callable[[Sequence[Sequence[Any]]], int],
        on_columns: Callable[..., None] | None = None,
        record: Record | None = None,
    ) -> WriteOutcome:
        writer = writer_of(connection, plan)
        statement = self._statements.writable(command, plan)
        if record is not None:
            record.statement_run = statement.sql
        try:
            return await writer.write(statement, limits, sink, on_columns)
        except ConnectorError as error:
            if error.fault in STALE:
                self._refresh_soon(connection)
            assert plan.write is not None
            raise refusal_of(error, plan.write.binds, limits.read) from error
        except OSError as error:
            raise NoSpaceForAnswer(
                "There is no room for the rows that the write returns, so nothing was changed: return fewer, or retry "
                "later.",
                retry_after_s=5,
            ) from error


def _require_no_ddl(plan: Plan) -> None:
    if plan.action is Action.DDL:
        raise WritesNotRun(
            "Changes of the schema run only after a human approved them: a rule with effect approve asks one.",
            rules=plan.decision.rules,
        )


def writer_of(connection: Connection, plan: Plan) -> SqlWriter:
    if not isinstance(connection.connector, SqlWriter):
        raise WritesNotRun(
            "Policy lets this write through, but the connection only reads: use one that writes.",
            rules=plan.decision.rules,
        )
    return connection.connector


def asked(command: QueryCommand) -> list[Any]:
    """Everything that must be the same when an idempotency key comes again."""
    return [
        command.sql, dict(command.params), command.unmask, command.purpose, command.max_rows, command.cursor,
        command.dry_run,
    ]  # fmt: skip


def _unseen(rows: Sequence[Sequence[Any]]) -> int:
    return 0
