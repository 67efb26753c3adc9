"""fetch_object, fetch_content, put_object, delete_object: one object, from a key to its content or to what changed."""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any

from app.gateway.answer import Answer
from app.gateway.connections import Bucket
from app.gateway.envelope import Closing
from app.gateway.errors import ConditionFailed, InvalidRequest, ObjectChanged, Refused
from app.gateway.idempotency import StoredKeys, Ticket
from app.gateway.object_commands import DeleteObject, FetchContent, FetchObject, PutObject
from app.gateway.object_errands import ObjectErrand, ObjectErrands
from app.gateway.object_faults import not_found
from app.gateway.object_planning import ObjectPlan, ObjectPlanner, effect_of, require_there
from app.gateway.object_reading import ObjectReads
from app.gateway.object_writing import Conditions, ObjectWrites
from app.gateway.record import Record
from app.gateway.submitting import Submitting
from app.policy.caller import Caller
from app.policy.decision import Action, AskFirst, Deny
from app.policy.resources import object_resource
from app.policy.snapshot import PolicySnapshot
from app.ports import Policies

TRIES = 3
"""An object that is replaced between the look at it and its reading is looked at anew."""


class Objects:
    def __init__(
        self,
        *,
        policies: Policies,
        planner: ObjectPlanner,
        reads: ObjectReads,
        writes: ObjectWrites,
        errands: ObjectErrands,
        submitting: Submitting,
        keys: StoredKeys,
    ) -> None:
        self._policies = policies
        self._planner = planner
        self._reads = reads
        self._writes = writes
        self._errands = errands
        self._submitting = submitting
        self._keys = keys

    async def fetch_object(self, caller: Caller, command: FetchObject, record: Record) -> Answer:
        return await self._fetched(
            caller, command, record, lambda plan: self._reads.envelope(plan, record, if_match=command.if_match)
        )

    async def fetch_content(self, caller: Caller, command: FetchContent, record: Record) -> Answer:
        return await self._fetched(
            caller, command.fetch, record, lambda plan: self._reads.content(plan, command, record)
        )

    async def _fetched(
        self,
        caller: Caller,
        command: FetchObject,
        record: Record,
        read: Callable[[ObjectPlan], Awaitable[Answer]],
    ) -> Answer:
        snapshot = self._policies.current
        bucket = self._planner.find(caller, command.connection, snapshot, record)
        self._require_possible(caller, snapshot, bucket, Action.FETCH, command.key, record)
        for attempt in range(TRIES):
            plan = await self._planner.fetch(
                bucket, caller, snapshot, command.key, command.unmask, command.purpose, record
            )
            record.effect, record.rules = effect_of(plan.decision), plan.rule_names
            try:
                if not isinstance(plan.decision, AskFirst):
                    return await read(plan)
                errand = ObjectErrand(by=self._errands, plan=plan, unmask=command.unmask, purpose=command.purpose)
                approval, answer = await self._submitting.submit(errand, caller, snapshot, record, None)
            except ConditionFailed:
                raise
            except ObjectChanged:
                if attempt == TRIES - 1:
                    raise
            else:
                # People are asked once: an object that changes from now on is what the approval ends with.
                return await self._submitting.wait(caller, approval, answer, record, command.wait_seconds)
        raise AssertionError("unreachable")

    async def put_object(self, caller: Caller, command: PutObject, record: Record) -> Answer:
        snapshot = self._policies.current
        bucket = self._planner.find(caller, command.connection, snapshot, record)
        conditions = Conditions(if_match=command.if_match, if_absent=command.if_absent)
        if command.if_match is not None and command.if_absent:
            raise InvalidRequest("Send if_match or if_none_match, not both.")
        self._require_possible(caller, snapshot, bucket, Action.PUT, command.key, record)
        arriving = await self._writes.arrive(
            bucket, caller, snapshot, command.key, command.content_type, command.body, record
        )
        try:
            plan = await self._planner.put(bucket, caller, snapshot, command.key, command.purpose, record, arriving)
            errand = ObjectErrand(
                by=self._errands, plan=plan, purpose=command.purpose, conditions=conditions, arriving=arriving
            )
            request = [
                command.key, arriving.content_type, arriving.spool.digest(), command.if_match, command.if_absent,
                command.purpose,
            ]  # fmt: skip
            return await self._changed(
                caller,
                snapshot,
                errand,
                record,
                operation="put_object",
                key=command.idempotency_key,
                request=request,
                wait_seconds=command.wait_seconds,
                run=lambda: self._writes.put(plan, conditions, arriving, record),
            )
        finally:
            arriving.close()

    async def delete_object(self, caller: Caller, command: DeleteObject, record: Record) -> Answer:
        snapshot = self._policies.current
        bucket = self._planner.find(caller, command.connection, snapshot, record)
        conditions = Conditions(if_match=command.if_match)
        self._require_possible(caller, snapshot, bucket, Action.DELETE, command.key, record)
        plan = await self._planner.change(bucket, caller, snapshot, Action.DELETE, command.key, command.purpose, record)
        return await self._changed(
            caller,
            snapshot,
            ObjectErrand(by=self._errands, plan=plan, purpose=command.purpose, conditions=conditions),
            record,
            operation="delete_object",
            key=command.idempotency_key,
            request=[command.key, command.if_match, command.purpose],
            wait_seconds=command.wait_seconds,
            run=lambda: self._writes.delete(plan, conditions, record),
        )

    async def _changed(
        self,
        caller: Caller,
        snapshot: PolicySnapshot,
        errand: ObjectErrand,
        record: Record,
        *,
        operation: str,
        key: str | None,
        request: list[Any],
        wait_seconds: int,
        run: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        plan = errand.plan
        record.effect, record.rules = effect_of(plan.decision), plan.rule_names
        claimed = await self._submitting.claim(caller, operation, plan.bucket.name, key, request, record, wait_seconds)
        if isinstance(claimed, Answer):
            return claimed
        # After the claim: what a key did before may be why these do not hold any more.
        async with nullcontext() if claimed is None else self._keys.using(claimed):
            require_there(plan)
            self._writes.expected(plan, errand.conditions)
        if isinstance(plan.decision, AskFirst):
            return await self._submitting.ask(errand, caller, snapshot, record, claimed, wait_seconds)
        if claimed is None:
            await self._writes.intend(plan, record)
            return await run()
        return await self._keyed(plan, record, claimed, run)

    async def _keyed(
        self, plan: ObjectPlan, record: Record, ticket: Ticket, run: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        async with self._keys.using(ticket):
            await self._writes.intend(plan, record)
            try:
                answer = await run()
            except Refused:
                raise
            except BaseException:
                # Cancelled or broken while it was under way: nobody can say how far it came, so the key runs nothing.
                ticket.settled = True
                raise
        await self._keys.settle(ticket, answer, Closing(), plan.policy_version)
        return answer

    def _require_possible(
        self,
        caller: Caller,
        snapshot: PolicySnapshot,
        bucket: Bucket,
        action: Action,
        key: Any,
        record: Record,
    ) -> None:
        """Before the store is asked, or a byte of a body is read: who can never do this here learns nothing of what is
        there, also not from how the store refuses. Raises Refused."""
        resource = object_resource(bucket.name, key)
        record.action, record.resources = action.value, (resource,)
        possible = snapshot.actions(caller, resource)
        if action in possible:
            return
        if not possible:
            raise not_found()
        context = {**self._planner.context(caller, key, None), "labels": ()}
        decision = snapshot.decide(caller, resource, action, context)
        if isinstance(decision, Deny):
            raise self._planner.denied(decision, caller, snapshot, resource)
