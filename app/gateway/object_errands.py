"""Objects as errands: what a human is asked about when policy wants one for a fetch, a put or a delete."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.approval.approval import Approval, Outcome
from app.approval.terms import Terms
from app.gateway.answer import Answer
from app.gateway.envelope import Closing
from app.gateway.errand import SALT_BYTES, NoLongerAllowed, Preview
from app.gateway.errors import (
    AccessDenied,
    BodyTooLarge,
    ContentDenied,
    ContentNotMaskable,
    ContentUnreadable,
    NotFound,
    ObjectChanged,
    Refused,
    ResultTooLarge,
    UnsupportedMediaType,
)
from app.gateway.object_planning import ObjectPlan, ObjectPlanner, require_there
from app.gateway.object_reading import ObjectReads, require_maskable
from app.gateway.object_writing import Arriving, Conditions, ObjectWrites, takes_at_most
from app.gateway.record import Record
from app.objects.keys import parse_key
from app.objects.refusal import ContentFault
from app.policy.caller import Caller
from app.policy.decision import Action
from app.policy.snapshot import PolicySnapshot

OBJECT_KINDS = ("fetch", "put", "delete")
_KEPT_FROM_REQUESTERS = (ResultTooLarge,)
_FINAL = (
    AccessDenied,
    BodyTooLarge,
    ContentDenied,
    ContentNotMaskable,
    ContentUnreadable,
    NotFound,
    ObjectChanged,
    ResultTooLarge,
    UnsupportedMediaType,
)
_PASSING = ContentFault.TOO_EXPENSIVE.value
"""May be of the moment (the process that looked through it was stopped): no reason to take an approval back."""


class ObjectErrands:
    """Implements errand.Errands for objects. `random` gives bytes that nobody can guess."""

    def __init__(
        self,
        *,
        planner: ObjectPlanner,
        reads: ObjectReads,
        writes: ObjectWrites,
        random: Any,
        max_held_bytes: int,
    ) -> None:
        self.planner = planner
        self.reads = reads
        self.writes = writes
        self.random = random
        self.max_held_bytes = max_held_bytes

    async def again(
        self,
        caller: Caller,
        snapshot: PolicySnapshot,
        request: Mapping[str, Any],
        record: Record,
        content: bytes | None,
    ) -> "ObjectErrand":
        params = request["params"]
        key, purpose = parse_key(params["key"]), request["purpose"]
        conditions = Conditions(if_match=params.get("if_match"), if_absent=params.get("if_absent", False))
        arriving: Arriving | None = None
        try:
            bucket = self.planner.find(caller, request["connection"], snapshot, record)
            match Action(request["action"]):
                case Action.FETCH:
                    unmask = tuple(request["unmask"])
                    plan = await self.planner.fetch(bucket, caller, snapshot, key, unmask, purpose, record)
                    require_maskable(plan)
                case Action.PUT:
                    arriving = await self.writes.arrive(
                        bucket, caller, snapshot, key, params["content_type"], _held(content or b""), record, again=True
                    )
                    plan = await self.planner.put(bucket, caller, snapshot, key, purpose, record, arriving)
                    self.writes.expected(plan, conditions)
                case action:
                    plan = await self.planner.change(bucket, caller, snapshot, action, key, purpose, record)
                    require_there(plan)
                    self.writes.expected(plan, conditions)
        except BaseException as error:
            if arriving is not None:
                arriving.close()
            if isinstance(error, _FINAL) and error.stable_code != _PASSING:
                raise NoLongerAllowed(error) from error
            raise
        return ObjectErrand(
            by=self,
            plan=plan,
            unmask=tuple(request["unmask"]),
            purpose=purpose,
            conditions=conditions,
            arriving=arriving,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectErrand:
    """Implements errand.Errand. `arriving`: of a put."""

    by: ObjectErrands
    plan: ObjectPlan
    unmask: tuple[str, ...] = ()
    purpose: str | None = None
    conditions: Conditions = field(default_factory=Conditions)
    arriving: Arriving | None = None
    statement: str | None = None
    max_rows: int | None = None

    @property
    def connection(self) -> str:
        return self.plan.bucket.name

    @property
    def action(self) -> Action:
        return self.plan.action

    @property
    def resources(self) -> tuple[str, ...]:
        return (self.plan.resource,)

    @property
    def params(self) -> Mapping[str, Any]:
        given: dict[str, Any] = {"key": self.plan.key}
        if self.arriving is not None:
            given |= {"content_type": self.arriving.content_type, "content_bytes": self.arriving.spool.size}
        if self.conditions.if_match is not None:
            given["if_match"] = self.conditions.if_match
        if self.conditions.if_absent:
            given["if_absent"] = True
        return given

    @property
    def timeout_s(self) -> float:
        return self.plan.bucket.timeout_s

    def require_askable(self) -> None:
        if self.plan.action is Action.FETCH:
            require_maskable(self.plan)
        if self.arriving is not None and self.arriving.spool.size > self.by.max_held_bytes:
            raise ResultTooLarge(
                f"What waits for a human may have at most {self.by.max_held_bytes} bytes: put less at once.",
                code="content_too_large",
            )

    def expected(self) -> Outcome:
        if self.plan.action is Action.FETCH:
            return Outcome(kind="fetch", labels=self.plan.labels, masks=self.plan.masks)
        arriving = self.arriving
        return Outcome(
            kind=self.plan.action.value,
            rewritten_sql=self.runs(),
            labels=() if arriving is None else arriving.kept,
            content_sha256=None if arriving is None else arriving.spool.digest(),
            content_bytes=None if arriving is None else arriving.spool.size,
        )

    def runs(self) -> str | None:
        return f"fetch {self.plan.resource}" if self.plan.action is Action.FETCH else self.by.writes.runs(self.plan)

    async def preview(self, terms: Terms, closing: Closing, record: Record) -> Preview:
        outcome = replace(self.expected(), salt=self.by.random(SALT_BYTES).hex())
        if self.arriving is not None:
            return Preview(outcome=outcome, content=b"".join(self.arriving.spool.pieces()))
        if self.plan.action is not Action.FETCH or not terms.preview:
            return Preview(outcome=outcome)
        try:
            answer = await self.by.reads.envelope(
                self.plan, record, closing=closing, max_bytes=self.by.max_held_bytes // 2
            )
        except Refused as refused:
            if isinstance(refused, _KEPT_FROM_REQUESTERS):
                return Preview(outcome=replace(outcome, preview_failed=refused.stable_code))
            raise
        rows, record.rows = record.rows, 0
        held = answer.opening
        return Preview(
            outcome=replace(outcome, rows=rows, held_sha256=held.digest(), held_bytes=held.size), held=answer
        )

    async def run(self, approval: Approval, closing: Closing, record: Record, *, left_s: float | None) -> Answer:
        # People said yes to what lay there: nothing that came since is overwritten.
        conditions = replace(self.conditions, as_seen=True)
        match self.plan.action:
            case Action.FETCH:
                return await self.by.reads.envelope(self.plan, record, closing=closing)
            case Action.PUT:
                assert self.arriving is not None
                return await self.by.writes.put(self.plan, conditions, self.arriving, record, closing)
            case _:
                return await self.by.writes.delete(self.plan, conditions, record, closing)

    def close(self) -> None:
        if self.arriving is not None:
            self.arriving.close()


def _held(content: bytes) -> Any:
    async def pieces(max_bytes: int) -> AsyncIterator[bytes]:
        takes_at_most(max_bytes, len(content))
        yield content

    return pieces
