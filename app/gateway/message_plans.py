"""What is decided on one message before it is published: looked through, held against its topic, weighed by policy."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from app.gateway.deciding import Asked, Wanted, decide
from app.gateway.errors import (
    AccessDenied,
    ContentDenied,
    FieldError,
    InvalidRequest,
    PayloadInvalid,
    PayloadTooLarge,
)
from app.gateway.message_topics import At, Topics
from app.gateway.record import Record, rfc3339, rule_ids
from app.messages.cloudevents import CLOUD_EVENT_TYPE, event_of, opened
from app.messages.guard import Draft, Screened, screen
from app.messages.payload import Complaint, Form, Misfit, headers_of, key_of, pointer_to
from app.messages.schema import complaints_of
from app.policy.caller import Caller
from app.policy.content import ContentView, Intake, OnFound, TopicRules, spoken
from app.policy.decision import Action, Allow, Context, Decision, Deny
from app.policy.snapshot import PolicySnapshot

LARGE_BYTES = 16_384
"""Looked through in a thread: detectors and schemas would hold the loop."""
ID_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """Of a message that was looked through before, and waited for a human: what was seen and masked then."""

    message_id: str
    time: str
    labels: tuple[str, ...]
    masked_labels: tuple[str, ...]
    masked_places: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishPlan:
    """`draft` and `body`: as they may be published. `labels`: all that was seen in what was sent."""

    at: At
    draft: Draft
    body: bytes
    message_id: str
    time: str
    labels: tuple[str, ...]
    masked_labels: tuple[str, ...]
    masked_places: tuple[str, ...]
    masks: tuple[str, ...]
    decision: Decision
    asked: Asked
    rule_names: tuple[str, ...]
    policy_version: str
    purpose: str | None


class MessagePlanner:
    """`random` gives bytes that nobody can guess."""

    def __init__(self, *, topics: Topics, random: Callable[[int], bytes], now: Callable[[], float]) -> None:
        self._topics = topics
        self._random = random
        self._now = now

    async def plan(
        self,
        at: At,
        caller: Caller,
        snapshot: PolicySnapshot,
        draft: Draft,
        purpose: str | None,
        record: Record,
        before: Before | None = None,
    ) -> PublishPlan:
        """Raises Refused for what is denied, and for what the topic does not take."""
        record.purpose = purpose
        self._topics.require_possible(caller, at, Action.PUBLISH, snapshot, purpose)
        rules = snapshot.topic_rules(at.broker.name, at.topic)
        sight = self._topics.arriving(at, snapshot)
        draft = _well_formed(draft, rules, sight.view)
        message_id = f"msg_{self._random(ID_BYTES).hex()}" if before is None else before.message_id
        time = rfc3339(self._now()) if before is None else before.time
        size = len(_body(draft, message_id, time))
        _require_size(size, _max_bytes(at, rules.intake, snapshot))
        done = () if before is None else before.masked_places

        def looked_through() -> tuple[Screened, tuple[Complaint, ...]]:
            chosen = "" if rules.named else at.topic
            seen = screen(
                draft, sight.place, rules.intake, sight.covers, self._topics.eyes, done=done, chosen_topic=chosen
            )
            return seen, _schema_complaints(rules, draft)

        try:
            if size > LARGE_BYTES:
                screened, unfit = await asyncio.to_thread(looked_through)
            else:
                screened, unfit = looked_through()
        except Misfit as misfit:
            _refuse_misfit(misfit)
        if before is not None:
            screened = _as_before(screened, draft, before, rules.intake)
        record.labels = screened.labels
        context = self._topics.context(
            at, purpose, bytes=size, content_type=draft.content_type, labels=spoken(screened.labels)
        )
        return self._decided(
            at, caller, snapshot, screened, unfit, rules, context, (message_id, time, purpose, sight.view)
        )

    def _decided(
        self,
        at: At,
        caller: Caller,
        snapshot: PolicySnapshot,
        screened: Screened,
        unfit: Sequence[Complaint],
        rules: TopicRules,
        context: Context,
        known: tuple[str, str, str | None, ContentView],
    ) -> PublishPlan:
        message_id, time, purpose, view = known
        wanted = Wanted(accesses=((at.resource, Action.PUBLISH),), asks=(), asked_labels=(), refusal=None)
        verdict = decide(snapshot, caller, wanted, context, also_ask=bool(screened.asked_labels))
        if isinstance(verdict.decision, Deny):
            raise AccessDenied(verdict.decision.reason, rules=verdict.decision.rules)
        if unfit:
            raise _unfit(unfit)
        if screened.denials:
            raise _denied(screened)
        if screened.masked_labels:
            _require_masked_fits(screened, rules)
        body = _body(screened.draft, message_id, time)
        _require_size(len(body), _max_bytes(at, rules.intake, snapshot))
        return PublishPlan(
            at=at,
            draft=screened.draft,
            body=body,
            message_id=message_id,
            time=time,
            labels=screened.labels,
            masked_labels=screened.masked_labels,
            masked_places=screened.masked_places,
            masks=view.masks if screened.masked_labels else (),
            decision=verdict.decision,
            asked=verdict.asked,
            rule_names=rule_ids(verdict.decision.rules),
            policy_version=snapshot.version,
            purpose=purpose,
        )


def _well_formed(draft: Draft, rules: TopicRules, view: ContentView) -> Draft:
    """Raises Refused."""
    try:
        headers_of(draft.headers, allowed=rules.headers, max_bytes=rules.max_header_bytes)
        key_of(draft.key)
        if draft.event is None and draft.payload.content_type == CLOUD_EVENT_TYPE:
            member = draft.payload.member
            event, payload = opened(draft.payload.value, member)
            draft = replace(draft, event=event, payload=payload, whole=member)
    except Misfit as misfit:
        _refuse_misfit(misfit)
    if rules.cloud_events and draft.event is None:
        wanted = "this topic takes CloudEvents: name at least type and source"
        raise _unfit((Complaint(pointer="/cloud_event", detail=wanted),))
    if not rules.intake.takes(draft.content_type):
        raise _unfit((Complaint(pointer="/content_type", detail="is not among the types that this topic takes"),))
    if draft.payload.form is Form.TEXT and any(each.label is not None for each in view.paths.values()):
        wanted = "this topic has labels by path, which only JSON has: send it as payload"
        raise _unfit((Complaint(pointer=pointer_to(*draft.place), detail=wanted),))
    if draft.payload.form is Form.BINARY:
        if draft.event is not None:
            wrong = "cannot be the data of a CloudEvent here: send JSON as payload, or text"
            raise _unfit((Complaint(pointer="/base64", detail=wrong),))
        if not view.raw:
            raise ContentDenied(
                "Nobody can look into a binary payload, and policy lets none through here: send JSON as payload, or "
                "text.",
                errors=(FieldError(pointer="/base64", detail="is not taken by this topic"),),
            )
    return draft


def _schema_complaints(rules: TopicRules, draft: Draft) -> tuple[Complaint, ...]:
    if rules.schema is None:
        return ()
    if draft.payload.form is not Form.JSON:
        return (Complaint(pointer=f"/{draft.payload.member}", detail="this topic takes JSON: send it as payload"),)
    return complaints_of(rules.schema, draft.payload.value, *draft.place)


def _require_masked_fits(screened: Screened, rules: TopicRules) -> None:
    """What is published is well formed and fits the schema, masks and all."""
    draft = screened.draft
    complaints = _schema_complaints(rules, draft)
    try:
        headers_of(draft.headers, allowed=rules.headers, max_bytes=rules.max_header_bytes)
        key_of(draft.key)
        if draft.event is not None:
            event_of(draft.event.attributes(), draft.whole or "cloud_event")
    except Misfit as misfit:
        complaints += misfit.complaints
    if complaints:
        raise ContentDenied(
            f"Policy masks {', '.join(screened.masked_labels)} in what is published here, and masked it is no message "
            "that this topic takes: leave out what holds it.",
            errors=_errors(complaints),
        )


def _as_before(screened: Screened, draft: Draft, before: Before, intake: Intake) -> Screened:
    """What people approved is published as they saw it, or not at all."""
    labels = {*screened.labels, *before.labels}
    denials = list(screened.denials)
    for label in before.labels:
        what = intake.on_found(label)
        if what is OnFound.DENY or (what is OnFound.MASK and label not in before.masked_labels):
            denials.append(Complaint(pointer="", detail=f"holds {label}, which policy does not let through any more"))
    if screened.draft != draft:
        denials.append(Complaint(pointer="", detail="holds what policy masks by now"))
    asked = {label for label in labels if intake.on_found(label) is OnFound.APPROVE}
    return replace(
        screened,
        draft=draft,
        labels=tuple(sorted(labels)),
        asked_labels=tuple(sorted(asked)),
        masked_labels=before.masked_labels,
        denials=tuple(denials),
    )


def _denied(screened: Screened) -> ContentDenied:
    return ContentDenied(
        "The message holds what policy does not let into this topic: leave out what `errors` points at, or choose "
        "another topic.",
        errors=_errors(screened.denials),
    )


def _unfit(complaints: Sequence[Complaint]) -> PayloadInvalid:
    return PayloadInvalid(
        "The message is not one that this topic takes: `errors` says where and why.", errors=_errors(complaints)
    )


def _refuse_misfit(misfit: Misfit) -> NoReturn:
    raise InvalidRequest("The message is not well formed.", errors=_errors(misfit.complaints)) from misfit


def _errors(complaints: Sequence[Complaint]) -> tuple[FieldError, ...]:
    return tuple(FieldError(pointer=each.pointer, detail=each.detail) for each in complaints)


def _body(draft: Draft, message_id: str, time: str) -> bytes:
    try:
        return draft.body(id=message_id, time=time)
    except Misfit as misfit:
        _refuse_misfit(misfit)


def _max_bytes(at: At, intake: Intake, snapshot: PolicySnapshot) -> int:
    limits = (at.broker.max_bytes, at.broker.connector.max_body_bytes, intake.max_bytes)
    return min(limit for limit in (*limits, snapshot.limits(at.broker.name)[1]) if limit is not None)


def _require_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise PayloadTooLarge(f"The limit is {max_bytes} bytes of payload here: send less, or a reference to it.")


def effect_of(decision: Decision) -> str:
    return "allow" if isinstance(decision, Allow) else "approve"
