"""A gateway for messages without a network: real policy, detectors, approvals and queues in memory; a broker, a trail
and stores that fail on demand."""

import asyncio
import json
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from app.api.problems import Problems
from app.approval.approval import Approval
from app.approval.machine import approve
from app.approval.people import Person
from app.gateway.acking import Ack
from app.gateway.admission import Admission
from app.gateway.answer import Answer
from app.gateway.asking import Asking
from app.gateway.bulletin import Bulletin
from app.gateway.command import ExecuteApproval
from app.gateway.connections import Broker
from app.gateway.executing import Executing
from app.gateway.handles import Handles
from app.gateway.idempotency import StoredKeys
from app.gateway.message_commands import AckMessages, PublishMessage, ReceiveMessages
from app.gateway.message_errands import MESSAGE_KINDS, PublishErrands
from app.gateway.message_plans import MessagePlanner
from app.gateway.message_sending import Sending
from app.gateway.message_topics import Topics
from app.gateway.pipeline import Customs, UseCase
from app.gateway.publishing import Publish
from app.gateway.receiving import Receive
from app.gateway.record import rfc3339
from app.gateway.submitting import Submitting
from app.gateway.using import Uses
from app.masking.detectors import DEFAULT
from app.messages.cloudevents import Event
from app.messages.guard import Draft
from app.messages.payload import payload_of
from app.policy.connections import ConnectionKind
from app.policy.load import load
from connectors.contract import Acked, Confirmed, ConnectorConfig, Incoming, Outgoing
from connectors.memory.connector import MemoryConnector
from tests.gateway.execution_fakes import START_S, MemoryHeld, MemoryKeys, Numbers, Outages, Store
from tests.gateway.execution_site import MODEL, Told
from tests.gateway.fakes import FakeTokens, FakeTrail, caller, passage_of
from tests.integration.store.memory_approvals import MemoryApprovals

RULES = """\
p, client:cli, **, *, allow,
p, client:other, **, *, allow,
p, user:ana, events/*, publish, allow,
p, user:ana, events/*, receive, allow,
p, user:ana, events/partner, publish, approve,
p, user:ana, events/closed, receive, deny,
p, user:ana, events/quiet, publish, deny, topic = 'quiet' and 'pii' in labels
p, user:bob, events/orders, receive, allow,
p, user:eve, events/orders, publish, allow,
p, user:eve, events/asking, receive, approve,
p, user:max, douane/approvals, decide, allow,
p, user:bob, label:pii.email, unmask, allow,
"""
MASKS = b"masks:\n  pii.email: {kind: partial, email: true}\n  pii.name: {kind: pseudonym}\n  pii.*: null\n"
TERMS = b"default: {approvers: [user:max], quorum: 1, expires: 1h, grant: once, preview: true}\n"
DATA = """\
default: allow
topics:
  orders:
    paths: {$.customer.name: pii.name, $.customer.email: pii.email}
    found: {pii.*: allow}
  strict: {found: {}}
  masking:
    paths: {$.name: pii.name}
    found: {pii.*: mask}
    schema: {type: object, properties: {n: {type: integer}, mail: {type: string}}, required: [n]}
  asked: {found: {pii.email: approve}}
  partner: {found: {pii.*: mask}, paths: {$.name: pii.name}}
  quiet: {found: {pii.*: allow}}
  events: {cloud_events: true, paths: {$.name: pii.name}, found: {pii.*: allow}}
  raw: {content: raw}
  small: {max_bytes: 20, headers: [trace-id]}
"""
TOPICS = (
    "orders", "strict", "masking", "asked", "partner", "quiet", "events", "raw", "small", "plain", "closed", "asking",
)  # fmt: skip


def policy(rules: str = RULES, data: str = DATA, masks: bytes = MASKS) -> Any:
    files = {"model.conf": MODEL, "policy.csv": rules.encode(), "masks.yaml": masks, "data/events.yaml": data.encode()}
    return load({**files, "approvals.yaml": TERMS}, {"events": ConnectionKind.MESSAGES})


class Keyring:
    def key(self, domain: str) -> bytes:
        return domain.encode().ljust(32, b"k")


class Wire(MemoryConnector):
    """Queues in memory that are cut off on demand. `gate` holds a publish back before the broker has it; `lost`: it has
    it, and no confirm comes."""

    def __init__(self, clock: Any) -> None:
        super().__init__(
            ConnectorConfig(name="events", options={"topics": TOPICS}),
            now_s=clock,
            today=lambda: datetime.fromtimestamp(clock(), UTC),
        )
        self.sent: list[Outgoing] = []
        self.released: list[str] = []
        self.acked: list[str] = []
        self.error: Exception | None = None
        self.lost: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def publish(self, message: Outgoing, *, timeout_s: float) -> Confirmed:
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        confirmed = await super().publish(message, timeout_s=timeout_s)
        self.sent.append(message)
        if self.lost is not None:
            raise self.lost
        return confirmed

    async def receive(self, topic: str, *, limit: int, visibility_s: float, wait_s: float) -> tuple[Incoming, ...]:
        if self.error is not None:
            raise self.error
        return await super().receive(topic, limit=limit, visibility_s=visibility_s, wait_s=wait_s)

    async def ack(self, topic: str, handles: Sequence[str], *, timeout_s: float) -> tuple[Acked, ...]:
        if self.error is not None:
            raise self.error
        self.acked += handles
        return await super().ack(topic, handles, timeout_s=timeout_s)

    async def release(self, topic: str, handles: Sequence[str]) -> None:
        self.released += handles
        await super().release(topic, handles)


class MessageSite:
    def __init__(self, *, rules: str = RULES, data: str = DATA) -> None:
        self.now = START_S
        self.outages = Outages()
        self.store = Store(self.outages)
        self.held = MemoryHeld(self.outages)
        self.keys = MemoryKeys(self.outages)
        self.wire = Wire(lambda: self.now)
        self.trail = FakeTrail()
        self.current = policy(rules, data)
        self.broken: Sequence[str] = ()
        self.faults: list[BaseException] = []
        self.beside: set[asyncio.Task[None]] = set()
        self.withdrawn: set[str] = set()
        self.numbers = Numbers()
        self.problems = Problems(docs_url="https://docs.test", challenge=lambda *_: "Bearer")
        self.tokens = {name: caller(name) for name in ("ana", "bob", "eve", "max")}
        self.tokens["ana-other"] = replace(caller("ana"), actor="other", client="other")
        self.find: Any = DEFAULT.find
        self.keyring = Keyring()
        self.restart()

    async def __aenter__(self) -> "MessageSite":
        await self.wire.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.settled()
        await self.wire.close()

    def restart(self) -> None:
        """A process of its own on the same stores: it remembers nothing."""
        now = lambda: self.now  # noqa: E731 - handed to many
        self.customs = Customs(
            tokens=FakeTokens(known=self.tokens),
            trail=self.trail,
            now=now,
            render=self.problems.render,
            report=self.report,
            started=lambda: None,
            settled=lambda _record, _size: None,
        )
        intend = self.customs.intend
        broker = Broker(name="events", kind="memory", connector=self.wire, max_bytes=100_000, timeout_s=5)
        topics = Topics(
            brokers={"events": broker},
            find=lambda text, name="": self.find(text, name),
            mask_keys=self.keyring,
            now=now,
        )
        keys = StoredKeys(keys=self.keys, now=now, background=self.background, sleep=self.sleep)
        self.bulletin = Bulletin(self.store, poll_s=0.01)
        planner = MessagePlanner(topics=topics, random=self.numbers, now=now)
        sending = Sending(keys=keys, intend=intend)
        errands = PublishErrands(topics=topics, planner=planner, sending=sending, random=self.numbers)
        common: dict[str, Any] = {
            "approvals": self.store, "held": self.held, "bulletin": self.bulletin, "now": now,
            "background": self.background, "sleep": self.sleep,
        }  # fmt: skip
        asking = Asking(keys=keys, random=self.numbers, public_url="https://gate.test", intend=intend, **common)
        self.executing = Executing(
            policies=self,
            errands=dict.fromkeys(MESSAGE_KINDS, errands),
            uses=Uses(**common),
            keys=keys,
            public_url="https://gate.test",
            intend=intend,
            **common,
        )
        admission = Admission(now=now, withdrawn=lambda who: who.principal in self.withdrawn)
        submitting = Submitting(asking=asking, executing=self.executing, keys=keys, admission=admission)
        self.publishing = Publish(
            policies=self, topics=topics, planner=planner, sending=sending, errands=errands, submitting=submitting
        )
        handles = Handles(b"h" * 32)
        self.receiving = Receive(
            policies=self,
            topics=topics,
            handles=handles,
            admission=admission,
            now=now,
            report=self.report,
            background=self.background,
        )
        self.acking = Ack(policies=self, topics=topics, handles=handles, intend=intend, now=now)

    def report(self, fault: BaseException, _trace: str) -> None:
        self.faults.append(fault)

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        self.beside.add(asyncio.ensure_future(work))

    async def sleep(self, pause_s: float) -> None:
        await asyncio.sleep(0)

    async def settled(self) -> None:
        while self.beside:
            await self.beside.pop()

    passage = staticmethod(passage_of)

    async def _call(self, who: str, use_case: UseCase, command: Any, operation: str) -> Told:
        answer: Answer = await self.customs.passage(self.passage(who, use_case, command, operation))
        raw = b"".join(answer.opening.pieces())
        return Told(status=answer.status, body=json.loads(raw), raw=raw, headers=answer.headers)

    def publish_command(self, topic: str, payload: Any = None, **more: Any) -> PublishMessage:
        draft = Draft(
            payload=payload_of(
                payload, more.pop("text", None), more.pop("base64", None), more.pop("content_type", None)
            ),
            headers=more.pop("headers", {}),
            key=more.pop("key", None),
            event=more.pop("event", None),
        )
        return PublishMessage(connection=more.pop("connection", "events"), topic=topic, draft=draft, **more)

    async def publish(self, who: str, topic: str, payload: Any = None, **more: Any) -> Told:
        command = self.publish_command(topic, payload, **more)
        return await self._call(who, self.publishing.run, command, "publish_message")

    async def receive(self, who: str, topic: str, **more: Any) -> Told:
        given = {"limit": 10, "visibility_seconds": 60, "wait_seconds": 0, "connection": "events"} | more
        command = ReceiveMessages(topic=topic, **given)  # type: ignore[arg-type]
        return await self._call(who, self.receiving.run, command, "receive_messages")

    async def ack(self, who: str, topic: str, *handles: str) -> Told:
        command = AckMessages(connection="events", topic=topic, handles=handles)
        return await self._call(who, self.acking.run, command, "ack_messages")

    async def execute(self, who: str, approval_id: str, key: str | None = None) -> Told:
        command = ExecuteApproval(approval_id=approval_id, idempotency_key=key)
        return await self._call(who, self.executing.execute, command, "execute_approval")

    async def said_yes(self, approval_id: str) -> Approval:
        before = await MemoryApprovals.get(self.store, approval_id)
        assert before is not None
        person = Person.of(self.tokens["max"], frozenset({"user:max"}))
        after = approve(before, person, at=rfc3339(self.now), reason="fine")
        assert await MemoryApprovals.replace(self.store, before, after)
        self.bulletin.changed(approval_id)
        return after

    async def stored(self, approval_id: str) -> Approval:
        found = await MemoryApprovals.get(self.store, approval_id)
        assert found is not None
        return found

    async def waiting(self, topic: str) -> list[Incoming]:
        """What is in the topic and not out with anybody, left there."""
        found = await MemoryConnector.receive(self.wire, topic, limit=100, visibility_s=1, wait_s=0)
        await MemoryConnector.release(self.wire, topic, [each.handle for each in found])
        return list(found)


EVENT = Event(type="order.created", source="/shop")
