"""query_sql and explain_sql: one statement from text to masked rows, or to the reason why not."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.approval.approval import Approval
from app.approval.digest import NotBindable
from app.gateway.answer import Answer, Spool, json_answer
from app.gateway.connections import Catalogs, Connection
from app.gateway.cursor import Cursors, digest_of_request
from app.gateway.deciding import decide
from app.gateway.envelope import PENDING_RETRY_S, Envelope, pending_document
from app.gateway.errors import (
    AccessDenied,
    ApprovalsUnavailable,
    InvalidRequest,
    NoSpaceForAnswer,
    Refused,
    ResultTooLarge,
    StatementInvalid,
    StatementNotAllowed,
    TableNotFound,
    UnknownConnection,
    WritesNotRun,
)
from app.gateway.faults import refusal_of
from app.gateway.idempotency import IdempotencyKeys, Remembered
from app.gateway.parameters import Binder
from app.gateway.planning import Plan, Planner, Question
from app.gateway.record import Record, rule_ids
from app.policy.caller import Caller
from app.policy.decision import Action, Allow, AskFirst, Deny, RuleRef
from app.policy.snapshot import PolicySnapshot
from app.ports import Approvals, Policies, StoreUnavailable
from app.sql.statement import Refusal, SqlRefused
from connectors.contract import (
    ConnectorError,
    Fault,
    Limits,
    ReadOutcome,
    Runnable,
    Stopped,
)

_INVALID = frozenset({Refusal.SYNTAX, Refusal.PARAMETERS, Refusal.UNKNOWN_COLUMN, Refusal.TOO_LARGE})
_STALE = frozenset({Fault.UNDEFINED_COLUMN, Fault.UNDEFINED_TABLE})
ESTIMATE_TIMEOUT_S = 2.0
MAX_BOUND_PARAMS_CHARS = 16_384
"""Nobody reviews more, and a page of approvals has to stay small."""
MAX_LIMITS_KEPT = 16


@dataclass(slots=True, kw_only=True)
class QueryCommand:
    connection: str
    sql: str
    params: Mapping[str, Any]
    max_rows: int | None = None
    unmask: tuple[str, ...] = ()
    purpose: str | None = None
    cursor: str | None = None
    idempotency_key: str | None = None
    dry_run: bool = False
    """Of a write: tell what it would touch, and roll it back."""
    wait_seconds: int = 0
    """How long the answer may wait for a human."""


NewApproval = Callable[[Caller, QueryCommand, Plan, float], Approval]
"""Makes the pending approval that binds exactly this request."""


class Query:
    """The use cases of statements; `intend` makes an intent durable before anything is stored."""

    def __init__(
        self,
        *,
        connections: Mapping[str, Connection],
        policies: Policies,
        planner: Planner,
        catalogs: Catalogs,
        binder: Binder,
        cursors: Cursors,
        approvals: Approvals,
        new_approval: NewApproval,
        now: Callable[[], float],
        public_url: str,
        refresh_soon: Callable[[Connection], None],
        intend: Callable[[Record], Awaitable[None]],
    ) -> None:
        self._connections = connections
        self._policies = policies
        self._planner = planner
        self._catalogs = catalogs
        self._binder = binder
        self._cursors = cursors
        self._approvals = approvals
        self._new_approval = new_approval
        self._now = now
        self._public_url = public_url
        self._refresh_soon = refresh_soon
        self._intend = intend
        self._idempotency = IdempotencyKeys()

    async def run(self, caller: Caller, command: QueryCommand, record: Record) -> Answer:
        if command.idempotency_key is None:
            return await self._run(caller, command, record, None)
        request = [
            command.sql, dict(command.params), command.unmask, command.purpose, command.max_rows, command.cursor
        ]  # fmt: skip
        with self._idempotency.use(
            caller, "query_sql", command.connection, command.idempotency_key, request
        ) as remembered:
            return await self._run(caller, command, record, remembered)

    async def _run(
        self, caller: Caller, command: QueryCommand, record: Record, remembered: Remembered | None
    ) -> Answer:
        snapshot = self._policies.current
        connection = self._find(caller, command.connection, snapshot, record)
        plan = await self._plan(connection, caller, snapshot, command, record)
        match plan.decision:
            case Deny(rules=rules, reason=reason):
                raise AccessDenied(reason, rules=rules, suggestion=_suggestion(plan, command))
            case AskFirst(rules=rules):
                record.effect, record.rules = "approve", plan.rule_names
                return await self._ask(caller, command, plan, record, remembered)
            case Allow(rules=rules):
                record.effect, record.rules = "allow", plan.rule_names
                if plan.rewritten is None:
                    raise WritesNotRun(
                        "Policy allows this write, but this release runs reads only: a rule with effect approve "
                        "stores it for a human.",
                        rules=rules,
                    )
                return await self._read(connection, caller, command, plan, snapshot, record)

    async def explain(self, caller: Caller, command: QueryCommand, record: Record) -> Answer:
        snapshot = self._policies.current
        connection = self._find(caller, command.connection, snapshot, record)
        try:
            plan = await self._plan(connection, caller, snapshot, command, record)
        except (StatementNotAllowed, TableNotFound) as refused:
            record.effect = "deny"
            return json_answer(200, _refusal_explained(refused, snapshot.version))
        rules = plan.decision.rules
        record.effect, record.rules = _effect(plan), plan.rule_names
        denied = isinstance(plan.decision, Deny)
        rewritten = None if denied or plan.rewritten is None else plan.rewritten.sql
        estimate = None
        # The planner counts rows that a row filter hides and distinct values that a mask hides: no estimate there.
        if rewritten is not None and not plan.row_filtered and not plan.masked:
            estimate = await self._estimate(connection, command, plan)
        return json_answer(
            200,
            {
                "effect": _effect(plan),
                "action": plan.action.value,
                "rules": [rule_document(rule) for rule in rules],
                "resources": plan.resources,
                "rewritten_sql": None if plan.names_hidden else rewritten,
                "masked_labels": plan.labels if plan.masks else (),
                "masks": plan.masks,
                "row_filtered": plan.row_filtered,
                "estimated_rows": estimate,
                "code": "access_denied" if denied else None,
                "detail": plan.decision.reason if isinstance(plan.decision, Deny) else None,
                "suggestion": _suggestion(plan, command) if denied else None,
                "policy_version": plan.policy_version,
            },
        )

    def _find(self, caller: Caller, name: str, snapshot: PolicySnapshot, record: Record) -> Connection:
        """A connection that the caller has no use of does not exist: the same answer, the same way."""
        connection = self._connections.get(name)
        if connection is None or not snapshot.reachable(caller, name):
            raise UnknownConnection("There is no such connection: list_connections names those that you can use.")
        record.connection, record.policy_version = name, snapshot.version
        return connection

    async def _plan(
        self, connection: Connection, caller: Caller, snapshot: PolicySnapshot, command: QueryCommand, record: Record
    ) -> Plan:
        record.statement = command.sql
        if command.params:
            record.params = command.params
        record.unmask, record.purpose = command.unmask, command.purpose
        question = Question(text=command.sql, params=command.params, unmask=command.unmask, purpose=command.purpose)
        try:
            plan = await self._planner.plan(connection, caller, snapshot, question, self._now())
        except SqlRefused as refused:
            raise _refused(refused) from refused
        record.action, record.resources = plan.action.value, plan.resources
        record.labels, record.masks = plan.labels, plan.masks
        if not plan.wants_estimate:
            return plan
        rows = None if plan.rewritten is None else await self._estimate(connection, command, plan)
        context = plan.context if rows is None else {**plan.context, "rows": rows}
        decision = decide(snapshot, caller, plan.wanted, context)
        return replace(plan, decision=decision, rule_names=rule_ids(decision.rules))

    async def _estimate(self, connection: Connection, command: QueryCommand, plan: Plan) -> int | None:
        assert plan.rewritten is not None
        statement = self._runnable(command, plan, skip_rows=0)
        try:
            return await connection.connector.estimate(statement, ESTIMATE_TIMEOUT_S)
        except ConnectorError as error:
            raise refusal_of(error, plan.rewritten.binds, _limits(connection, plan, None)) from error

    def _runnable(self, command: QueryCommand, plan: Plan, *, skip_rows: int) -> Runnable:
        assert plan.rewritten is not None
        return Runnable(
            sql=plan.rewritten.sql,
            args=self._binder.args(plan.rewritten.binds, command.params),
            keep_scan_order=plan.rewritten.keep_scan_order,
            cacheable=plan.rewritten.cacheable,
            skip_rows=skip_rows,
        )

    async def _read(
        self,
        connection: Connection,
        caller: Caller,
        command: QueryCommand,
        plan: Plan,
        snapshot: PolicySnapshot,
        record: Record,
    ) -> Answer:
        assert plan.rewritten is not None
        skip = 0
        if command.cursor is not None:
            skip = self._cursors.read(_binding(caller, command), command.cursor)[0]
        limits = plan.limits.get(command.max_rows)
        if limits is None:
            limits = _limits(connection, plan, command.max_rows)
            if (cap := snapshot.limits(connection.name)) != (None, None):
                limits = _narrowed(limits, *cap)
            if len(plan.limits) >= MAX_LIMITS_KEPT:
                plan.limits.clear()
            plan.limits[command.max_rows] = limits
        statement = self._runnable(command, plan, skip_rows=skip)
        record.statement_run = statement.sql
        spool = Spool()
        try:
            envelope = Envelope(spool, plan, connection.connector.dialect)
            outcome = await connection.connector.read(statement, limits, envelope.rows, envelope.columns)
            _require_a_row(outcome, limits)
            record.rows = outcome.row_count
            cursor = None
            if outcome.stopped is not None:
                cursor = self._cursors.issue(_binding(caller, command), [skip + outcome.row_count])
            envelope.close(outcome, cursor, limits)
        except ConnectorError as error:
            spool.close()
            if error.fault in _STALE:
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

    async def _ask(
        self, caller: Caller, command: QueryCommand, plan: Plan, record: Record, remembered: Remembered | None
    ) -> Answer:
        known = await self._asked_before(remembered)
        if known is not None:
            record.approval_id, record.outcome = known.approval_id, "pending_approval"
            return self._pending(known, plan)
        if len(json.dumps(dict(command.params))) > MAX_BOUND_PARAMS_CHARS:
            raise InvalidRequest(
                f"A request that a human has to read may have at most {MAX_BOUND_PARAMS_CHARS} characters of `params` "
                "as JSON: send less at once."
            )
        try:
            approval = self._new_approval(caller, command, plan, self._now())
        except NotBindable as error:
            raise InvalidRequest("An approval cannot be bound to this request: it holds " + str(error) + ".") from error
        record.approval_id = approval.approval_id
        record.outcome = "pending_approval"
        if remembered is not None:
            # Before it is stored: a client that leaves while it is stored must find it when it comes back.
            remembered.approval_id = approval.approval_id
        # The intent is on the trail before the approval exists: nothing that can be approved is unrecorded.
        await self._intend(record)
        try:
            await self._approvals.create(approval)
        except StoreUnavailable as error:
            raise ApprovalsUnavailable(
                "The request needs an approval, which cannot be stored right now: retry later.", retry_after_s=5
            ) from error
        return self._pending(approval, plan)

    async def _asked_before(self, remembered: Remembered | None) -> Approval | None:
        if remembered is None or remembered.approval_id is None:
            return None
        try:
            return await self._approvals.get(remembered.approval_id)
        except StoreUnavailable as error:
            raise ApprovalsUnavailable(
                "The approval of this idempotency key cannot be read right now: retry later.", retry_after_s=5
            ) from error

    def _pending(self, approval: Approval, plan: Plan) -> Answer:
        url = f"{self._public_url}/v1/approvals/{approval.approval_id}"
        return json_answer(
            202,
            pending_document(approval, url, plan),
            headers={"location": url, "retry-after": str(PENDING_RETRY_S)},
        )


def _require_a_row(outcome: ReadOutcome, limits: Limits) -> None:
    if outcome.stopped is Stopped.BYTES and outcome.row_count == 0:
        raise ResultTooLarge(
            f"The first row alone is larger than the {limits.max_bytes} bytes an answer may have: select fewer "
            "columns, or less of them with substr()."
        )


def _limits(connection: Connection, plan: Plan, wanted_rows: int | None) -> Limits:
    return _narrowed(
        Limits(
            max_rows=connection.max_rows if wanted_rows is None else min(wanted_rows, connection.max_rows),
            max_bytes=connection.max_bytes,
            max_value_bytes=connection.max_value_bytes,
            timeout_s=connection.timeout_s,
        ),
        plan.max_rows,
        plan.max_bytes,
    )


def _narrowed(limits: Limits, max_rows: int | None, max_bytes: int | None) -> Limits:
    if max_rows is None and max_bytes is None:
        return limits
    return replace(
        limits,
        max_rows=limits.max_rows if max_rows is None else min(limits.max_rows, max_rows),
        max_bytes=limits.max_bytes if max_bytes is None else min(limits.max_bytes, max_bytes),
    )


def _binding(caller: Caller, command: QueryCommand) -> tuple[str, ...]:
    """A cursor continues this statement, of this caller, on this connection, and nothing else."""
    asked = digest_of_request([command.sql, dict(command.params), command.unmask])
    return ("query_sql", caller.issuer, caller.principal, caller.actor, command.connection, asked)


def _refused(refused: SqlRefused) -> Refused:
    code, detail, suggestion = refused.refusal.value, refused.detail, refused.suggestion
    if refused.refusal is Refusal.UNKNOWN_TABLE:
        return TableNotFound(detail, code=code, suggestion=suggestion)
    kind = StatementInvalid if refused.refusal in _INVALID else StatementNotAllowed
    return kind(detail, code=code, suggestion=suggestion)


def rule_document(rule: RuleRef) -> dict[str, str | int | None]:
    return {
        "file": rule.file,
        "line": rule.line,
        "subject": rule.subject,
        "resource": rule.resource,
        "action": rule.action,
        "effect": rule.effect.value,
        "when": rule.when or None,
        "side": rule.side,
    }


def _effect(plan: Plan) -> str:
    match plan.decision:
        case Allow():
            return "allow"
        case AskFirst():
            return "approve"
        case Deny():
            return "deny"


def _suggestion(plan: Plan, command: QueryCommand) -> str | None:
    if command.unmask:
        return "Repeat the request without `unmask`: masked values need no permission."
    if plan.action in (Action.UPDATE, Action.DELETE) and not plan.context.get("has_where"):
        return f"Add a WHERE clause to the {plan.kind}: rules often ask for one before a human may approve."
    return None


def _refusal_explained(refused: Refused, policy_version: str) -> dict[str, Any]:
    return {
        "effect": "deny",
        "action": None,
        "rules": [],
        "resources": [],
        "rewritten_sql": None,
        "masked_labels": [],
        "masks": [],
        "row_filtered": False,
        "estimated_rows": None,
        "code": refused.stable_code,
        "detail": refused.detail,
        "suggestion": refused.suggestion,
        "policy_version": policy_version,
    }
