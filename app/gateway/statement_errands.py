"""Statements as errands: what a human is asked about when policy wants one for a query or a write."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.approval.approval import Approval, Outcome
from app.approval.machine import rows_left
from app.approval.terms import Terms
from app.gateway.answer import Answer
from app.gateway.command import QueryCommand
from app.gateway.connections import Connection
from app.gateway.envelope import Closing
from app.gateway.errand import NoLongerAllowed, Preview
from app.gateway.errors import AccessDenied, InvalidRequest, NotFound, StatementInvalid, StatementNotAllowed
from app.gateway.plan import Plan
from app.gateway.previewing import Previews, expected, reads_what_is_asked
from app.gateway.reading import Reads
from app.gateway.record import Record
from app.gateway.statements import Statements, command_of, narrowed
from app.gateway.writing import Writes, writer_of
from app.policy.caller import Caller
from app.policy.decision import Action
from app.policy.snapshot import PolicySnapshot
from app.sql.statement import Refusal
from connectors.contract import Limits

STATEMENT_KINDS = ("read", "write", "ddl")
MAX_BOUND_PARAMS_CHARS = 16_384
"""Nobody reviews more, and a page of approvals has to stay small."""
_PASSING = frozenset({Refusal.TOO_COMPLEX.value, Refusal.DISAGREEMENT.value})
"""Refusals that may be of the moment (the planner had to be stopped): no reason to take an approval back."""


class StatementErrands:
    """Implements errand.Errands for SQL."""

    def __init__(self, *, statements: Statements, reads: Reads, writes: Writes, previews: Previews) -> None:
        self.statements = statements
        self.reads = reads
        self.writes = writes
        self.previews = previews

    def errand(
        self, connection: Connection, caller: Caller, command: QueryCommand, plan: Plan, snapshot: PolicySnapshot
    ) -> "StatementErrand":
        return StatementErrand(by=self, at=connection, caller=caller, command=command, plan=plan, snapshot=snapshot)

    async def again(
        self,
        caller: Caller,
        snapshot: PolicySnapshot,
        request: Mapping[str, Any],
        record: Record,
        content: bytes | None,
    ) -> "StatementErrand":
        command = command_of(request)
        try:
            connection = self.statements.find(caller, command.connection, snapshot, record)
            plan = await self.statements.plan(connection, caller, snapshot, command, record, exact=True)
        except (NotFound, AccessDenied, StatementNotAllowed, StatementInvalid) as refused:
            if refused.stable_code in _PASSING:
                raise
            raise NoLongerAllowed(refused) from refused
        return self.errand(connection, caller, command, plan, snapshot)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementErrand:
    """Implements errand.Errand."""

    by: StatementErrands
    at: Connection
    caller: Caller
    command: QueryCommand
    plan: Plan
    snapshot: PolicySnapshot

    @property
    def connection(self) -> str:
        return self.command.connection

    @property
    def action(self) -> Action:
        return self.plan.action

    @property
    def resources(self) -> tuple[str, ...]:
        return self.plan.resources

    @property
    def statement(self) -> str | None:
        return self.command.sql

    @property
    def params(self) -> Mapping[str, Any]:
        return self.command.params

    @property
    def unmask(self) -> tuple[str, ...]:
        return self.command.unmask

    @property
    def purpose(self) -> str | None:
        return self.command.purpose

    @property
    def max_rows(self) -> int | None:
        return self.command.max_rows

    @property
    def timeout_s(self) -> float:
        return self.at.timeout_s

    def require_askable(self) -> None:
        if self.plan.action is not Action.SELECT:
            writer_of(self.at, self.plan)
        if self.command.cursor is not None:
            raise InvalidRequest(
                "A request that waits for a human has no further pages: send it without `cursor`, and narrow WHERE to "
                "the rows that you still need."
            )
        if len(json.dumps(dict(self.command.params))) > MAX_BOUND_PARAMS_CHARS:
            raise InvalidRequest(
                f"A request that a human has to read may have at most {MAX_BOUND_PARAMS_CHARS} characters of `params` "
                "as JSON: send less at once."
            )

    def expected(self) -> Outcome:
        return expected(self.plan)

    def runs(self) -> str | None:
        what = self.plan.rewritten or self.plan.write
        return None if what is None else what.sql

    async def preview(self, terms: Terms, closing: Closing, record: Record) -> Preview:
        return await self.by.previews.preview(
            self.at, self.caller, self.command, self.plan, self.snapshot, terms, closing, record
        )

    async def run(self, approval: Approval, closing: Closing, record: Record, *, left_s: float | None) -> Answer:
        limits = self._limits(approval, left_s)
        if self.plan.write is None:
            return await self.by.reads.read(self.at, self.caller, self.command, self.plan, limits, record, closing)
        return await self.by.writes.run(
            self.at, self.command, self.plan, limits, record, max_affected=_most_rows(approval), closing=closing
        )

    def close(self) -> None:
        """It holds nothing."""

    def _limits(self, approval: Approval, left_s: float | None) -> Limits:
        """Those of any request, and what is left of the grant: rows, and the time until it ends."""
        limits = self.by.statements.limits(self.at, self.plan, self.snapshot, self.command.max_rows)
        if self.plan.write is None:
            limits = narrowed(limits, rows_left(approval), None)
        return limits if left_s is None else replace(limits, timeout_s=min(limits.timeout_s, left_s))


def require_dry_run_tells_nothing(plan: Plan) -> None:
    if reads_what_is_asked(plan):
        raise AccessDenied(
            "You may not read all of what this write reads, and a dry run would tell of it: send it without `dry_run`.",
            rules=plan.decision.rules,
        )


def _most_rows(approval: Approval) -> int | None:
    """A write touches no more than was shown, and no more than is left."""
    bounds = [bound for bound in (approval.request["outcome"]["rows"], rows_left(approval)) if bound is not None]
    return min(bounds, default=None)
