"""From a caller's command to what is decided on one object: found, looked at, weighed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from app.gateway.answer import Spool
from app.gateway.connections import Bucket
from app.gateway.deciding import Asked, Wanted, decide
from app.gateway.errors import AccessDenied, Refused, UnknownConnection
from app.gateway.object_faults import not_found, refusal_of_store
from app.gateway.record import Record, rule_ids
from app.objects.formats import essence_of
from app.objects.keys import ObjectKey
from app.policy.caller import Caller
from app.policy.content import ContentView, spoken
from app.policy.decision import Action, Allow, Context, Decision, Deny
from app.policy.resources import object_resource
from app.policy.snapshot import PolicySnapshot
from connectors.contract import ConnectorError, Failure, ObjectInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPlan:
    """`info`: of the object there is; None: there is none. `view`: how its content comes, of a fetch alone."""

    bucket: Bucket
    key: ObjectKey
    action: Action
    resource: str
    info: ObjectInfo | None
    view: ContentView | None
    decision: Decision
    asked: Asked
    rule_names: tuple[str, ...]
    policy_version: str

    @property
    def labels(self) -> tuple[str, ...]:
        return () if self.view is None else self.view.labels

    @property
    def masks(self) -> tuple[str, ...]:
        return () if self.view is None or self.view.raw else self.view.masks


class Arriving(Protocol):
    """Content on its way in, as object_writing looked it through."""

    spool: Spool
    content_type: str
    labels: tuple[str, ...]
    asks: bool


class ObjectPlanner:
    def __init__(self, *, buckets: Mapping[str, Bucket], now: Callable[[], float]) -> None:
        self._buckets = buckets
        self._now = now

    def find(self, caller: Caller, name: str, snapshot: PolicySnapshot, record: Record) -> Bucket:
        """A connection that the caller has no use of does not exist: the same answer, the same way."""
        bucket = self._buckets.get(name)
        if bucket is None or not snapshot.reachable(caller, name):
            raise UnknownConnection("There is no such connection: list_connections names those that you can use.")
        record.connection, record.policy_version = name, snapshot.version
        return bucket

    async def fetch(
        self,
        bucket: Bucket,
        caller: Caller,
        snapshot: PolicySnapshot,
        key: ObjectKey,
        unmask: tuple[str, ...],
        purpose: str | None,
        record: Record,
    ) -> ObjectPlan:
        """Raises Refused: also for an object that is not there, once policy would have let it through."""
        resource = _noted(record, bucket, Action.FETCH, key, purpose)
        record.unmask = unmask
        info = await self.look(bucket, key)
        context = self.context(caller, key, purpose) | _of_info(info)
        view = snapshot.content_view(caller, bucket.name, key, context, unmask, granted=True)
        context |= {"labels": spoken(view.labels)}
        refusal = None
        if view.refused_labels:
            refusal = f"You may not see {', '.join(view.refused_labels)} unmasked: leave it out of `unmask`."
        wanted = Wanted(
            accesses=((resource, Action.FETCH),), asks=view.asks, asked_labels=view.asked_labels, refusal=refusal
        )
        plan = _decided(snapshot, caller, bucket, key, wanted, context, info, view)
        if isinstance(plan.decision, Deny):
            raise self.denied(plan.decision, caller, snapshot, resource, unmask)
        if info is None:
            raise not_found()
        record.labels, record.masks = plan.labels, plan.masks
        return plan

    async def put(
        self,
        bucket: Bucket,
        caller: Caller,
        snapshot: PolicySnapshot,
        key: ObjectKey,
        purpose: str | None,
        record: Record,
        arriving: Arriving,
    ) -> ObjectPlan:
        """Raises Refused when it is denied."""
        about = {"bytes": arriving.spool.size, "content_type": essence_of(arriving.content_type)}
        return await self.change(
            bucket,
            caller,
            snapshot,
            Action.PUT,
            key,
            purpose,
            record,
            labels=arriving.labels,
            asks=arriving.asks,
            about=about,
        )

    async def change(
        self,
        bucket: Bucket,
        caller: Caller,
        snapshot: PolicySnapshot,
        action: Action,
        key: ObjectKey,
        purpose: str | None,
        record: Record,
        *,
        labels: tuple[str, ...] = (),
        asks: bool = False,
        about: Context | None = None,
    ) -> ObjectPlan:
        """A put, or a delete also of what is not there. `labels`: what is in the content; `asks`: some of it waits for
        a human, whatever the rules say. `about`: what conditions may know of the new content. Raises Refused when it is
        denied."""
        resource = _noted(record, bucket, action, key, purpose)
        context: dict[str, Any] = self.context(caller, key, purpose) | {"labels": spoken(labels)} | dict(about or {})
        info = await self.look(bucket, key)
        if action is Action.DELETE:
            context |= _of_info(info)
        wanted = Wanted(accesses=((resource, action),), asks=(), asked_labels=(), refusal=None)
        plan = _decided(snapshot, caller, bucket, key, wanted, context, info, None, also_ask=asks)
        if isinstance(plan.decision, Deny):
            raise self.denied(plan.decision, caller, snapshot, resource)
        return plan

    async def look(self, bucket: Bucket, key: ObjectKey) -> ObjectInfo | None:
        try:
            return await bucket.connector.head(key)
        except ConnectorError as error:
            if error.failure is Failure.NOT_FOUND:
                return None
            raise refusal_of_store(error) from error

    def context(self, caller: Caller, key: str, purpose: str | None) -> dict[str, Any]:
        at = datetime.fromtimestamp(self._now(), UTC)
        return {
            "actor": caller.actor,
            "claims": caller.claims,
            "key": key,
            "hour": at.hour,
            "weekday": at.isoweekday(),
        } | ({} if purpose is None else {"purpose": purpose})

    def denied(
        self,
        denied: Deny,
        caller: Caller,
        snapshot: PolicySnapshot,
        resource: str,
        unmask: tuple[str, ...] = (),
    ) -> Refused:
        """Who may neither list nor touch it hears the same as of an object that is not there."""
        if not snapshot.actions(caller, resource):
            return not_found()
        suggestion = "Repeat the request without `unmask`: masked content needs no permission." if unmask else None
        return AccessDenied(denied.reason, rules=denied.rules, suggestion=suggestion)


def _decided(
    snapshot: PolicySnapshot,
    caller: Caller,
    bucket: Bucket,
    key: ObjectKey,
    wanted: Wanted,
    context: Context,
    info: ObjectInfo | None,
    view: ContentView | None,
    *,
    also_ask: bool = False,
) -> ObjectPlan:
    verdict = decide(snapshot, caller, wanted, context, also_ask=also_ask)
    (resource, action) = wanted.accesses[0]
    return ObjectPlan(
        bucket=bucket,
        key=key,
        action=action,
        resource=resource,
        info=info,
        view=view,
        decision=verdict.decision,
        asked=verdict.asked,
        rule_names=rule_ids(verdict.decision.rules),
        policy_version=snapshot.version,
    )


def _noted(record: Record, bucket: Bucket, action: Action, key: ObjectKey, purpose: str | None) -> str:
    resource = object_resource(bucket.name, key)
    record.action, record.resources, record.purpose = action.value, (resource,), purpose
    return resource


def _of_info(info: ObjectInfo | None) -> dict[str, Any]:
    if info is None:
        return {}
    return {"bytes": info.size} | ({} if info.content_type is None else {"content_type": essence_of(info.content_type)})


def require_there(plan: ObjectPlan) -> None:
    """Nothing can be deleted where nothing is. Raises ObjectNotFound."""
    if plan.action is Action.DELETE and plan.info is None:
        raise not_found()


def effect_of(decision: Decision) -> str:
    return "allow" if isinstance(decision, Allow) else "approve"
