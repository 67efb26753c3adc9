"""Messages as errands: what a human is asked about when policy wants one before something is published.

What people see is what is published, masks and all: it is held, and bound by its digest. When it is used it is decided
anew; what policy would mask or deny by then is not published.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from app.approval.approval import Approval, Outcome
from app.approval.terms import Terms
from app.gateway.answer import Answer
from app.gateway.envelope import Closing
from app.gateway.errand import SALT_BYTES, NoLongerAllowed, Preview
from app.gateway.errors import (
    AccessDenied,
    ApprovalAltered,
    ContentDenied,
    InvalidRequest,
    NotFound,
    PayloadInvalid,
    PayloadTooLarge,
)
from app.gateway.message_plans import Before, MessagePlanner, PublishPlan
from app.gateway.message_sending import Sending, note
from app.gateway.message_topics import Topics
from app.gateway.record import Record
from app.messages.cloudevents import event_of
from app.messages.guard import Draft
from app.messages.payload import Form, Misfit, Payload, json_bytes
from app.policy.caller import Caller
from app.policy.decision import Action
from app.policy.snapshot import PolicySnapshot

MESSAGE_KINDS = ("publish",)


class PublishErrands:
    """Implements errand.Errands for messages to be published."""

    def __init__(
        self, *, topics: Topics, planner: MessagePlanner, sending: Sending, random: Callable[[int], bytes]
    ) -> None:
        self._topics = topics
        self._planner = planner
        self._sending = sending
        self._random = random

    def errand(self, plan: PublishPlan) -> "PublishErrand":
        return PublishErrand(plan=plan, sending=self._sending, random=self._random)

    async def again(
        self,
        caller: Caller,
        snapshot: PolicySnapshot,
        request: Mapping[str, Any],
        record: Record,
        content: bytes | None,
    ) -> "PublishErrand":
        if content is None:
            raise ApprovalAltered("No message is bound to this approval, so nothing ran: send the request again.")
        draft, before = _let_out(content)
        connection, topic = request["connection"], request["params"]["topic"]
        try:
            at = self._topics.find(caller, connection, topic, Action.PUBLISH, snapshot, record)
            plan = await self._planner.plan(at, caller, snapshot, draft, request["purpose"], record, before)
        except (AccessDenied, ContentDenied, InvalidRequest, NotFound, PayloadInvalid, PayloadTooLarge) as refused:
            raise NoLongerAllowed(refused) from refused
        note(plan, record)
        return self.errand(plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishErrand:
    """Implements errand.Errand."""

    plan: PublishPlan
    sending: Sending
    random: Callable[[int], bytes]

    @property
    def connection(self) -> str:
        return self.plan.at.broker.name

    @property
    def action(self) -> Action:
        return Action.PUBLISH

    @property
    def resources(self) -> tuple[str, ...]:
        return (self.plan.at.resource,)

    @property
    def statement(self) -> str | None:
        return None

    @property
    def params(self) -> Mapping[str, Any]:
        """What the message is; what is in it is held."""
        draft = self.plan.draft
        return {
            "topic": self.plan.at.topic,
            "content_type": draft.content_type,
            "bytes": len(self.plan.body),
            "headers": sorted(draft.headers),
            "masked_labels": list(self.plan.masked_labels),
        }

    @property
    def unmask(self) -> tuple[str, ...]:
        return ()

    @property
    def purpose(self) -> str | None:
        return self.plan.purpose

    @property
    def max_rows(self) -> int | None:
        return None

    @property
    def timeout_s(self) -> float:
        return self.plan.at.broker.timeout_s

    def require_askable(self) -> None:
        """Whatever may be published can wait for a human."""

    def expected(self) -> Outcome:
        content = _taken_in(self.plan)
        return Outcome(
            kind="publish",
            labels=self.plan.labels,
            masks=self.plan.masks,
            content_sha256=sha256(content).hexdigest(),
            content_bytes=len(content),
        )

    def runs(self) -> str | None:
        return None

    async def preview(self, terms: Terms, closing: Closing, record: Record) -> Preview:
        note(self.plan, record)
        outcome = replace(self.expected(), salt=self.random(SALT_BYTES).hex())
        return Preview(outcome=outcome, content=_taken_in(self.plan))

    async def run(self, approval: Approval, closing: Closing, record: Record, *, left_s: float | None) -> Answer:
        # The same message each time: a broker that knows it keeps the one it has.
        return await self.sending.send(self.plan, record, dedup_id=self.plan.message_id, left_s=left_s, closing=closing)

    def close(self) -> None:
        """It holds nothing open."""


def _taken_in(plan: PublishPlan) -> bytes:
    """The message as one JSON object, which approvers can read."""
    draft = plan.draft
    value = draft.payload.value
    return json_bytes(
        {
            "message_id": plan.message_id,
            "time": plan.time,
            "topic": plan.at.topic,
            "form": draft.payload.form.value,
            "content_type": draft.payload.content_type,
            "spelled": draft.payload.spelled,
            "payload": b64encode(value).decode() if draft.payload.form is Form.BINARY else value,
            "cloud_event": None if draft.event is None else draft.event.attributes(),
            "whole": draft.whole,
            "headers": dict(draft.headers),
            "key": draft.key,
            "labels": plan.labels,
            "masked_labels": plan.masked_labels,
            "masked_places": plan.masked_places,
        }
    )


def _let_out(content: bytes) -> tuple[Draft, Before]:
    held: dict[str, Any] = json.loads(content)
    form, value = Form(held["form"]), held["payload"]
    try:
        event = None if held["cloud_event"] is None else event_of(held["cloud_event"], "cloud_event")
    except Misfit as misfit:
        raise ApprovalAltered(
            "What is held is no message any more, so nothing ran: send the request again."
        ) from misfit
    draft = Draft(
        payload=Payload(
            form=form,
            value=b64decode(value) if form is Form.BINARY else value,
            content_type=held["content_type"],
            spelled=held["spelled"],
        ),
        headers=held["headers"],
        key=held["key"],
        event=event,
        whole=held["whole"],
    )
    before = Before(
        message_id=held["message_id"],
        time=held["time"],
        labels=tuple(held["labels"]),
        masked_labels=tuple(held["masked_labels"]),
        masked_places=tuple(held["masked_places"]),
    )
    return draft, before
