"""receive_messages: what waits in a topic, as its receiver may see it; whatever goes wrong, it comes again."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from app.gateway.admission import Admission
from app.gateway.answer import Answer, Spool
from app.gateway.endings import Background
from app.gateway.envelope import closing_members
from app.gateway.errors import AccessDenied
from app.gateway.handles import Handles, binding_of
from app.gateway.message_commands import ReceiveMessages
from app.gateway.message_plans import LARGE_BYTES
from app.gateway.message_topics import At, Topics, refusal_of_broker
from app.gateway.record import Record, rule_ids
from app.messages.payload import Form, json_bytes
from app.messages.showing import Shown, Window, Withheld
from app.policy.caller import Caller
from app.policy.content import ContentView
from app.policy.decision import Action, Allow, AskFirst, Context, Deny
from app.policy.snapshot import PolicySnapshot
from app.ports import Policies
from connectors.contract import ConnectorError, Incoming, Unread

_UNREAD = {Unread.TOO_LARGE: Withheld.TOO_LARGE, Unread.BROKEN: Withheld.BROKEN}


class Receive:
    """`report` is told of faults of our own that hid a message; `now` is wall-clock seconds."""

    def __init__(
        self,
        *,
        policies: Policies,
        topics: Topics,
        handles: Handles,
        admission: Admission,
        now: Callable[[], float],
        report: Callable[[BaseException, str], None],
        background: Background,
    ) -> None:
        self._policies = policies
        self._topics = topics
        self._handles = handles
        self._admission = admission
        self._now = now
        self._report = report
        self._background = background

    async def run(self, caller: Caller, command: ReceiveMessages, record: Record) -> Answer:
        snapshot = self._policies.current
        at = self._topics.find(caller, command.connection, command.topic, Action.RECEIVE, snapshot, record)
        record.purpose, record.unmask = command.purpose, command.unmask
        context = self._topics.context(at, command.purpose)
        record.rules = _require_receive(caller, at, snapshot, context)
        record.effect = "allow"
        sight = self._topics.sight(caller, at, snapshot, command.purpose, command.unmask)
        _require_unmasking(sight.view)
        record.labels, record.masks = sight.view.labels, sight.view.masks
        rules = snapshot.topic_rules(at.broker.name, at.topic)
        window = Window(
            view=sight.view,
            place=sight.place,
            covers=sight.covers,
            eyes=self._topics.eyes,
            cloud_events=rules.cloud_events,
            headers=rules.headers or (),
        )
        messages = await self._received(at, command)
        release = partial(self._release, at, messages, record.trace_id)
        try:
            if command.wait_seconds:
                self._admission.require(caller)
            answer = await self._answer(caller, at, command, window, messages, record, snapshot.version)
        except BaseException:
            # Beside whatever ended this request: nobody got them.
            self._background(release())
            raise
        answer.withdrawn = release
        return answer

    async def _received(self, at: At, command: ReceiveMessages) -> tuple[Incoming, ...]:
        try:
            return await at.broker.connector.receive(
                at.topic,
                limit=command.limit,
                visibility_s=command.visibility_seconds,
                wait_s=command.wait_seconds,
            )
        except ConnectorError as error:
            raise refusal_of_broker(error) from error

    async def _release(self, at: At, messages: Sequence[Incoming], trace_id: str) -> None:
        """At best at once; in any case they come again when their time is over."""
        if not messages:
            return
        try:
            await at.broker.connector.release(at.topic, [message.handle for message in messages])
        except ConnectorError as error:
            self._report(error, trace_id)

    async def _answer(
        self,
        caller: Caller,
        at: At,
        command: ReceiveMessages,
        window: Window,
        messages: Sequence[Incoming],
        record: Record,
        policy_version: str,
    ) -> Answer:
        binding = binding_of(caller, at.broker.name, at.topic)
        until = self._now() + command.visibility_seconds

        def looked_at() -> list[_Seen]:
            return [self._seen(window, at, message, binding, until, record.trace_id) for message in messages]

        if sum(len(message.body) for message in messages) > LARGE_BYTES:
            seen = await asyncio.to_thread(looked_at)
        else:
            seen = looked_at()
        withheld = sum(one.withheld for one in seen)
        record.labels = tuple(sorted({*record.labels, *(label for one in seen for label in one.labels)}))
        record.rows = len(messages)
        record.facts |= {"message_ids": tuple(one.name for one in seen), "withheld": withheld}
        spool = Spool()
        opening = {"status": "completed", "connection": at.broker.name, "topic": at.topic}
        spool.add(json_bytes(opening)[:-1] + b',"messages":[')
        spool.add(b",".join(one.entry for one in seen))
        closing = {
            "message_count": len(messages),
            "withheld_count": withheld,
            "masks": window.view.masks,
            "visibility_seconds": command.visibility_seconds,
            **closing_members(policy_version, None),
            "notice": _notice(len(messages), withheld, command.visibility_seconds),
        }
        spool.add(b"]," + json_bytes(closing)[1:-1])
        return Answer(status=200, opening=spool)

    def _seen(
        self, window: Window, at: At, message: Incoming, binding: Sequence[str], until: float, trace_id: str
    ) -> "_Seen":
        """A fault of ours hides that message, and no other."""
        handle = self._handles.seal(binding, message.handle, until)
        name = ""
        try:
            name = window.name(message.message_id)
            if message.unread is not None:
                shown = Shown(withheld=_UNREAD[message.unread])
            elif len(message.body) > at.broker.max_bytes:
                shown = Shown(withheld=Withheld.TOO_LARGE)
            else:
                shown = window.show(message.body, message.content_type, message.headers, message.key)
            entry = json_bytes(_entry(message, shown, handle, name))
        except Exception as fault:
            self._report(fault, trace_id)
            shown = Shown(withheld=Withheld.MASKING_FAILED)
            entry = json_bytes(_entry(message, shown, handle, name))
        return _Seen(entry=entry, name=name, labels=shown.labels, withheld=shown.withheld is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """`entry`: JSON, as it leaves."""

    entry: bytes
    name: str
    labels: frozenset[str]
    withheld: bool


def _require_receive(caller: Caller, at: At, snapshot: PolicySnapshot, context: Context) -> tuple[str, ...]:
    """The names of the rules that let the caller receive. Raises AccessDenied."""
    match snapshot.decide(caller, at.resource, Action.RECEIVE, context):
        case Allow(rules=rules):
            return rule_ids(rules)
        case Deny(rules=rules, reason=reason):
            raise AccessDenied(reason, rules=rules)
        case AskFirst(rules=rules):
            raise AccessDenied(
                "Policy wants a human to allow it each time, and messages do not wait for one: ask a policy "
                "administrator for a rule with effect allow, or receive from another topic.",
                rules=rules,
            )


def _require_unmasking(view: ContentView) -> None:
    refused = (*view.refused_labels, *view.asked_labels)
    if refused:
        raise AccessDenied(
            f"You may not see {', '.join(sorted(set(refused)))} of messages unmasked without a human, and messages do "
            "not wait for one: leave it out of `unmask`.",
            rules=view.asks,
            suggestion="Repeat the request without `unmask`: masked content needs no permission.",
        )


def _entry(message: Incoming, shown: Shown, handle: str, name: str) -> dict[str, Any]:
    payload = shown.payload
    form = None if payload is None else payload.form
    value = None if payload is None else payload.value
    return {
        "handle": handle,
        "message_id": name,
        "payload": value if form is Form.JSON else None,
        "text": value if form is Form.TEXT else None,
        "base64": b64encode(value).decode() if form is Form.BINARY and value is not None else None,
        "content_type": None if payload is None else payload.content_type,
        "cloud_event": None if shown.event is None else shown.event.attributes(),
        "headers": dict(shown.headers),
        "key": shown.key,
        "published_at": message.published_at,
        "deliveries": message.deliveries,
        "withheld": None if shown.withheld is None else shown.withheld.value,
    }


def _notice(count: int, withheld: int, visibility_s: int) -> str:
    if not count:
        return "Nothing waits here now: call receive_messages again, with wait_seconds to wait for the next one."
    said = (
        f"Call ack_messages with the handles of what you are done with within {visibility_s} seconds; the others come "
        "again."
    )
    if not withheld:
        return said
    return f"{said} What is withheld cannot be masked for you; it can be acked, or left for somebody who may see it."
