"""From a caller's command to a plan, its arguments and its limits: what every use case of statements begins with."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from app.gateway.command import QueryCommand
from app.gateway.connections import Connection
from app.gateway.deciding import decide
from app.gateway.errors import Refused, StatementInvalid, StatementNotAllowed, TableNotFound, UnknownConnection
from app.gateway.faults import refusal_of
from app.gateway.parameters import Binder
from app.gateway.plan import Plan
from app.gateway.planning import Planner, Question
from app.gateway.record import Record, rule_ids
from app.policy.caller import Caller
from app.policy.snapshot import PolicySnapshot
from app.sql.statement import Refusal, SqlRefused
from connectors.contract import ConnectorError, Limits, Runnable, WriteRunnable

_INVALID = frozenset({Refusal.SYNTAX, Refusal.PARAMETERS, Refusal.UNKNOWN_COLUMN, Refusal.TOO_LARGE})
ESTIMATE_TIMEOUT_S = 2.0
MAX_LIMITS_KEPT = 16


class Statements:
    def __init__(
        self,
        *,
        connections: Mapping[str, Connection],
        planner: Planner,
        binder: Binder,
        now: Callable[[], float],
    ) -> None:
        self._connections = connections
        self._planner = planner
        self._binder = binder
        self._now = now

    def find(self, caller: Caller, name: str, snapshot: PolicySnapshot, record: Record) -> Connection:
        """A connection that the caller has no use of does not exist: the same answer, the same way."""
        connection = self._connections.get(name)
        if connection is None or not snapshot.reachable(caller, name):
            raise UnknownConnection("There is no such connection: list_connections names those that you can use.")
        record.connection, record.policy_version = name, snapshot.version
        return connection

    async def plan(
        self,
        connection: Connection,
        caller: Caller,
        snapshot: PolicySnapshot,
        command: QueryCommand,
        record: Record,
        *,
        exact: bool = False,
    ) -> Plan:
        """Decided for this very request. `exact`: see Planner.plan."""
        record.statement = command.sql
        if command.params:
            record.params = command.params
        record.unmask, record.purpose = command.unmask, command.purpose
        question = Question(text=command.sql, params=command.params, unmask=command.unmask, purpose=command.purpose)
        try:
            plan = await self._planner.plan(connection, caller, snapshot, question, self._now(), exact=exact)
        except SqlRefused as refused:
            raise _refused(refused) from refused
        record.action, record.resources = plan.action.value, plan.resources
        record.labels, record.masks = plan.labels, plan.masks
        if not plan.wants_estimate:
            return plan
        rows = None
        # What the planner knows of values that nobody unmasked yet decides nothing: an unknown number of rows asks.
        if plan.rewritten is not None and not plan.wanted.asked_labels:
            rows = await self.estimate(connection, command, plan)
        context = plan.context if rows is None else {**plan.context, "rows": rows}
        verdict = decide(snapshot, caller, plan.wanted, context)
        return replace(
            plan, decision=verdict.decision, asked=verdict.asked, rule_names=rule_ids(verdict.decision.rules)
        )

    async def estimate(self, connection: Connection, command: QueryCommand, plan: Plan) -> int | None:
        assert plan.rewritten is not None
        statement = self.runnable(command, plan, skip_rows=0)
        try:
            return await connection.connector.estimate(statement, ESTIMATE_TIMEOUT_S)
        except ConnectorError as error:
            raise refusal_of(error, plan.rewritten.binds, _limits(connection, plan, None)) from error

    def runnable(self, command: QueryCommand, plan: Plan, *, skip_rows: int) -> Runnable:
        assert plan.rewritten is not None
        return Runnable(
            sql=plan.rewritten.sql,
            args=self._binder.args(plan.rewritten.binds, command.params),
            keep_scan_order=plan.rewritten.keep_scan_order,
            cacheable=plan.rewritten.cacheable,
            skip_rows=skip_rows,
        )

    def writable(self, command: QueryCommand, plan: Plan) -> WriteRunnable:
        assert plan.write is not None
        return WriteRunnable(
            sql=plan.write.sql,
            args=self._binder.args(plan.write.binds, command.params),
            returning=plan.write.returning,
            ddl=plan.write.ddl,
        )

    def limits(self, connection: Connection, plan: Plan, snapshot: PolicySnapshot, wanted_rows: int | None) -> Limits:
        limits = plan.limits.get(wanted_rows)
        if limits is None:
            limits = _limits(connection, plan, wanted_rows)
            if (cap := snapshot.limits(connection.name)) != (None, None):
                limits = narrowed(limits, *cap)
            if len(plan.limits) >= MAX_LIMITS_KEPT:
                plan.limits.clear()
            plan.limits[wanted_rows] = limits
        return limits


def _limits(connection: Connection, plan: Plan, wanted_rows: int | None) -> Limits:
    return narrowed(
        Limits(
            max_rows=connection.max_rows if wanted_rows is None else min(wanted_rows, connection.max_rows),
            max_bytes=connection.max_bytes,
            max_value_bytes=connection.max_value_bytes,
            timeout_s=connection.timeout_s,
        ),
        plan.max_rows,
        plan.max_bytes,
    )


def narrowed(limits: Limits, max_rows: int | None, max_bytes: int | None) -> Limits:
    if max_rows is None and max_bytes is None:
        return limits
    return replace(
        limits,
        max_rows=limits.max_rows if max_rows is None else min(limits.max_rows, max_rows),
        max_bytes=limits.max_bytes if max_bytes is None else min(limits.max_bytes, max_bytes),
    )


def command_of(request: Mapping[str, Any]) -> QueryCommand:
    """What an approval's bound document asks for: nothing of it comes from whoever executes it."""
    return QueryCommand(
        connection=request["connection"],
        sql=request["statement"],
        params=request["params"],
        max_rows=request.get("max_rows"),
        unmask=tuple(request["unmask"]),
        purpose=request["purpose"],
    )


def _refused(refused: SqlRefused) -> Refused:
    code, detail, suggestion = refused.refusal.value, refused.detail, refused.suggestion
    if refused.refusal is Refusal.UNKNOWN_TABLE:
        return TableNotFound(detail, code=code, suggestion=suggestion)
    kind = StatementInvalid if refused.refusal in _INVALID else StatementNotAllowed
    return kind(detail, code=code, suggestion=suggestion)
