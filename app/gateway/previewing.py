"""What a request would do, worked out before anybody is asked: reads are run and held, writes run dry.

A preview shows rows to approvers alone. What may depend on rows that the requester may not see yet (a division by
zero, a timeout) is no answer either: such a preview counts as failed, and the approver decides without one.
"""

from collections.abc import Callable
from dataclasses import replace

from app.approval.approval import Outcome
from app.approval.terms import Terms
from app.gateway.command import QueryCommand
from app.gateway.connections import Connection
from app.gateway.envelope import Closing
from app.gateway.errand import DEFAULT_MAX_HELD_BYTES, SALT_BYTES, Preview
from app.gateway.errors import ApprovalRowsExceeded, Refused
from app.gateway.faults import tells_of_data
from app.gateway.plan import Plan
from app.gateway.reading import Reads
from app.gateway.record import Record
from app.gateway.statements import Statements, narrowed
from app.gateway.writing import Writes
from app.policy.caller import Caller
from app.policy.decision import Action
from app.policy.snapshot import PolicySnapshot
from app.sql.statement import ValueBind
from connectors.contract import Limits


def kind_of(plan: Plan) -> str:
    match plan.action:
        case Action.SELECT:
            return "read"
        case Action.DDL:
            return "ddl"
        case _:
            return "write"


def expected(plan: Plan) -> Outcome:
    """The part of an outcome that follows from the plan alone: what has to be the same when it is used."""
    runs = plan.rewritten or plan.write
    return Outcome(
        kind=kind_of(plan),
        rewritten_sql=None if runs is None else runs.sql,
        labels=plan.labels,
        masks=plan.masks,
        row_filtered=plan.row_filtered,
        policy_values=() if runs is None else tuple(b.value for b in runs.binds if isinstance(b, ValueBind)),
    )


def reads_what_is_asked(plan: Plan) -> bool:
    """Whether the caller may not see the rows at all, or a human has to allow it: then no number tells of them."""
    return not plan.tells_counts or any(action in (Action.SELECT, Action.UNMASK) for _, action in plan.asked)


class Previews:
    """`max_held_bytes`: a larger result is held up to there, and says that it is cut off."""

    def __init__(
        self,
        *,
        statements: Statements,
        reads: Reads,
        writes: Writes,
        random: Callable[[int], bytes],
        max_held_bytes: int = DEFAULT_MAX_HELD_BYTES,
    ) -> None:
        self._statements = statements
        self._reads = reads
        self._writes = writes
        self._random = random
        self._max_held_bytes = max_held_bytes

    async def preview(
        self,
        connection: Connection,
        caller: Caller,
        command: QueryCommand,
        plan: Plan,
        snapshot: PolicySnapshot,
        terms: Terms,
        closing: Closing,
        record: Record,
    ) -> Preview:
        """Raises Refused as the statement itself would, where that tells nothing of rows."""
        outcome = replace(expected(plan), salt=self._random(SALT_BYTES).hex())
        limits = self._statements.limits(connection, plan, snapshot, command.max_rows)
        try:
            match outcome.kind:
                case "read" if terms.preview:
                    narrow = narrowed(limits, terms.grant.max_rows, self._max_held_bytes)
                    return await self._read(connection, caller, command, plan, narrow, closing, record, outcome)
                case "read":
                    return Preview(outcome=await self._estimated(connection, command, plan, outcome))
                case "write" if terms.preview:
                    return await self._write(connection, command, plan, limits, terms, outcome)
                case _:
                    # A change of the schema may lock or rewrite whole tables: too much for a trial.
                    return Preview(outcome=outcome)
        except Refused as refused:
            blind = outcome.kind == "read" or reads_what_is_asked(plan)
            if blind and (tells_of_data(refused) or isinstance(refused, ApprovalRowsExceeded)):
                return Preview(outcome=replace(outcome, preview_failed=refused.stable_code))
            if isinstance(refused, ApprovalRowsExceeded):
                raise ApprovalRowsExceeded(
                    f"It would touch more than the {terms.grant.max_rows} rows that an approval may cover here, so "
                    "nobody was asked and nothing was changed: narrow WHERE."
                ) from refused
            raise

    async def _read(
        self,
        connection: Connection,
        caller: Caller,
        command: QueryCommand,
        plan: Plan,
        limits: Limits,
        closing: Closing,
        record: Record,
        outcome: Outcome,
    ) -> Preview:
        answer = await self._reads.read(connection, caller, command, plan, limits, record, closing)
        rows, record.rows = record.rows, 0
        held = answer.opening
        return Preview(
            outcome=replace(outcome, rows=rows, held_sha256=held.digest(), held_bytes=held.size), held=answer
        )

    async def _write(
        self,
        connection: Connection,
        command: QueryCommand,
        plan: Plan,
        limits: Limits,
        terms: Terms,
        outcome: Outcome,
    ) -> Preview:
        affected = await self._writes.affected(connection, command, plan, limits, terms.grant.max_rows)
        told = None if reads_what_is_asked(plan) else affected
        return Preview(outcome=replace(outcome, rows=affected), affected_rows=told)

    async def _estimated(self, connection: Connection, command: QueryCommand, plan: Plan, outcome: Outcome) -> Outcome:
        # The requester may see the number: nothing that the planner knows of hidden rows or values.
        if plan.row_filtered or plan.masked or plan.wanted.asked_labels:
            return outcome
        return replace(outcome, estimated_rows=await self._statements.estimate(connection, command, plan))
