"""From a connection and a topic by name to the place where messages go, for those who may know of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.gateway.connections import Broker
from app.gateway.errors import (
    AccessDenied,
    ConnectionUnavailable,
    FieldError,
    InvalidRequest,
    OutcomeUnknown,
    PayloadTooLarge,
    Refused,
    TopicFull,
    TopicNotFound,
    UnknownConnection,
)
from app.gateway.lru import Lru
from app.gateway.record import Record
from app.messages.covers import Covers
from app.messages.places import Paths, Place
from app.messages.sighting import Eyes, Find
from app.messages.topics import Topic, TopicRefused, parse_topic
from app.policy.caller import Caller
from app.policy.content import ContentView
from app.policy.decision import Action, Deny
from app.policy.resources import object_resource
from app.policy.snapshot import PolicySnapshot
from app.ports import MaskKeys
from connectors.contract import ConnectorError, Failure

_SIGHTS_KEPT = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    broker: Broker
    topic: Topic
    resource: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A view of one topic, ready to be used. `place`: the root of its paths."""

    view: ContentView
    place: Place
    covers: Covers


class Topics:
    def __init__(
        self, *, brokers: Mapping[str, Broker], find: Find, mask_keys: MaskKeys, now: Callable[[], float]
    ) -> None:
        self.eyes = Eyes(find)
        self._brokers = brokers
        self._mask_keys = mask_keys
        self._now = now
        self._sights: Lru[tuple[Any, ...], Sight] = Lru(_SIGHTS_KEPT)
        self._arriving: Lru[tuple[Any, ...], Sight] = Lru(_SIGHTS_KEPT)

    def find(
        self, caller: Caller, connection: str, topic: str, action: Action, snapshot: PolicySnapshot, record: Record
    ) -> At:
        """A connection or topic that the caller has no use of does not exist: the same answer, the same way."""
        broker = self._brokers.get(connection)
        if broker is None or not snapshot.reachable(caller, connection):
            raise UnknownConnection("There is no such connection: list_connections names those that you can use.")
        record.connection, record.policy_version = connection, snapshot.version
        try:
            parsed = parse_topic(topic)
        except TopicRefused as refused:
            wrong = FieldError(pointer="/topic", detail=refused.detail)
            raise InvalidRequest("The topic is not well formed.", errors=(wrong,)) from refused
        resource = object_resource(connection, parsed)
        record.action, record.resources = action.value, (resource,)
        if not snapshot.actions(caller, resource):
            raise no_topic()
        return At(broker=broker, topic=parsed, resource=resource)

    def context(self, at: At, purpose: str | None, **known: Any) -> dict[str, Any]:
        """What conditions may read."""
        moment = datetime.fromtimestamp(self._now(), UTC)
        context = {"topic": str(at.topic), "hour": moment.hour, "weekday": moment.isoweekday(), **known}
        return context if purpose is None else {**context, "purpose": purpose}

    def require_possible(
        self, caller: Caller, at: At, action: Action, snapshot: PolicySnapshot, purpose: str | None
    ) -> None:
        """Before anything is looked into: whoever may never do this learns nothing of what a topic takes."""
        if action in snapshot.actions(caller, at.resource):
            return
        match snapshot.decide(caller, at.resource, action, self.context(at, purpose)):
            case Deny(rules=rules, reason=reason):
                raise AccessDenied(reason, rules=rules)

    def sight(
        self, caller: Caller, at: At, snapshot: PolicySnapshot, purpose: str | None, unmask: tuple[str, ...] = ()
    ) -> Sight:
        context = self.context(at, purpose)
        volatile = tuple(context.get(name) for name in sorted(snapshot.volatile_names))
        key = (snapshot.version, caller.policy_key, at.resource, unmask, volatile)
        known = self._sights.get(key)
        if known is None:
            view = snapshot.content_view(caller, at.broker.name, at.topic, context, unmask)
            known = self._sight_of(view)
            self._sights.put(key, known)
        return known

    def arriving(self, at: At, snapshot: PolicySnapshot) -> Sight:
        """How the topic looks upon what is published to it, whoever publishes."""
        key = (snapshot.version, at.resource)
        known = self._arriving.get(key)
        if known is None:
            known = self._sight_of(snapshot.arriving_view(at.broker.name, at.topic))
            self._arriving.put(key, known)
        return known

    def _sight_of(self, view: ContentView) -> Sight:
        return Sight(view=view, place=Paths(view.paths).root, covers=Covers(view, self._mask_keys.key, self.eyes.find))


def no_topic() -> TopicNotFound:
    return TopicNotFound("There is no such topic for you: describe_connection names those that you can use.")


def refusal_of_broker(error: ConnectorError) -> Refused:
    """What a broker's failure means to the caller; never the broker's own text."""
    match error.failure:
        case Failure.NOT_FOUND:
            return no_topic()
        case Failure.REFUSED_BY_WALL:
            return AccessDenied(
                "The broker itself refuses this for the gateway: choose another topic, or ask an administrator.",
                code="broker_refused",
            )
        case Failure.OUT_OF_RESOURCES:
            return TopicFull(
                "The broker has no room for this message right now, and it was not published: retry later.",
                retry_after_s=error.retry_after_s or 30,
            )
        case Failure.VALUE_TOO_LARGE:
            return PayloadTooLarge("The broker takes no message of this size, and it was not published: send less.")
        case Failure.OUTCOME_UNKNOWN:
            return OutcomeUnknown(
                "The message was sent and the broker did not say whether it has it: it may be there. Nothing sends it "
                "again by itself; ask whoever receives before you publish it once more."
            )
        case Failure.UNAVAILABLE | Failure.TIMEOUT | Failure.STATEMENT | Failure.CHANGED:
            return ConnectionUnavailable(
                "The broker behind this connection cannot be reached right now: retry later.",
                retry_after_s=error.retry_after_s or 5,
            )
