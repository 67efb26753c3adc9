"""One planned read, from the engine's rows to an answer that is whole before its first byte leaves."""

from collections.abc import Callable

from app.gateway.answer import Answer, Spool
from app.gateway.command import QueryCommand
from app.gateway.connections import Connection
from app.gateway.cursor import Cursors, digest_of_request
from app.gateway.envelope import Closing, Envelope
from app.gateway.errors import NoSpaceForAnswer, ResultTooLarge
from app.gateway.faults import refusal_of
from app.gateway.plan import Plan
from app.gateway.record import Record
from app.gateway.statements import Statements
from app.policy.caller import Caller
from connectors.contract import ConnectorError, Fault, Limits, ReadOutcome, Stopped

STALE = frozenset({Fault.UNDEFINED_COLUMN, Fault.UNDEFINED_TABLE})


class Reads:
    """`refresh_soon` is told of connections whose catalog seems to be old."""

    def __init__(
        self,
        *,
        statements: Statements,
        cursors: Cursors,
        public_url: str,
        refresh_soon: Callable[[Connection], None],
    ) -> None:
        self._statements = statements
        self._cursors = cursors
        self._public_url = public_url
        self._refresh_soon = refresh_soon

    async def read(
        self,
        connection: Connection,
        caller: Caller,
        command: QueryCommand,
        plan: Plan,
        limits: Limits,
        record: Record,
        closing: Closing | None = None,
    ) -> Answer:
        """`closing`: of an approved read, what its answer says beside the rows; it has no next page."""
        assert plan.rewritten is not None
        skip = 0
        if command.cursor is not None:
            skip = self._cursors.read(_binding(caller, command), command.cursor)[0]
        statement = self._statements.runnable(command, plan, skip_rows=skip)
        record.statement_run = statement.sql
        spool = Spool()
        try:
            envelope = Envelope(spool, plan, connection.connector.dialect)
            outcome = await connection.connector.read(statement, limits, envelope.rows, envelope.columns)
            _require_a_row(outcome, limits)
            record.rows = outcome.row_count
            cursor = None
            if outcome.stopped is not None and closing is None:
                cursor = self._cursors.issue(_binding(caller, command), [skip + outcome.row_count])
            envelope.close(outcome, cursor, limits, closing)
        except ConnectorError as error:
            spool.close()
            if error.fault in STALE:
                self._refresh_soon(connection)
            raise refusal_of(error, plan.rewritten.binds, limits) from error
        except OSError as error:
            spool.close()
            raise NoSpaceForAnswer(
                "There is no room to hold an answer this large right now: ask for less, or retry later.",
                retry_after_s=5,
            ) from error
        except BaseException:
            spool.close()
            raise
        headers = {}
        if cursor is not None:
            headers["link"] = f'<{self._public_url}/v1/connections/{connection.name}/query>; rel="next"'
        return Answer(status=200, opening=spool, headers=headers)


def _require_a_row(outcome: ReadOutcome, limits: Limits) -> None:
    if outcome.stopped is Stopped.BYTES and outcome.row_count == 0:
        raise ResultTooLarge(
            f"The first row alone is larger than the {limits.max_bytes} bytes an answer may have: select fewer "
            "columns, or less of them with substr()."
        )


def _binding(caller: Caller, command: QueryCommand) -> tuple[str, ...]:
    """A cursor continues this statement, of this caller, on this connection, and nothing else."""
    asked = digest_of_request([command.sql, dict(command.params), command.unmask])
    return ("query_sql", caller.issuer, caller.principal, caller.actor, command.connection, asked)
