"""Brokers that are down, hang, restart, or whose gateway dies: never "published" without a confirm, nothing lost."""

import json
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from exchange_brokers import Broker, running_broker
from exchange_site import ExchangeSite, asking, who
from fault_site import (
    Gateway,
    InBackground,
    Problem,
    assert_all_signed,
    entries,
    kill,
    running_issuer,
    until,
)
from test_objects_broken_off import log_that_cannot_grow

KINDS = ("nats", "rabbitmq", "sqs", "kafka")
AWAY = Problem(status=503, code="connection_unavailable")
UNRECORDED = Problem(status=503, code="audit_unavailable")
DEEP = b"[" * 10_000 + b'"someone@mail.example"' + b"]" * 10_000


@dataclass(kw_only=True)
class Exchange:
    """A broker, a site in front of it, and one gateway for all tests until one of them kills it."""

    kind: str
    broker: Broker
    site: ExchangeSite
    stack: ExitStack = field(default_factory=ExitStack)
    running: Gateway | None = None

    def gateway(self) -> Gateway:
        if self.running is None:
            self.running = self.stack.enter_context(self.site.run())
        return self.running

    def killed(self) -> None:
        assert self.running is not None
        kill(self.running)
        self.running = None


@pytest.fixture(scope="module", params=KINDS)
def exchange(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    kind: str = request.param
    folder = tmp_path_factory.mktemp(kind)
    with running_issuer() as issuer, running_broker(kind) as broker:
        site = ExchangeSite(folder=folder, issuer=issuer, exchanges={"broker": broker.section(folder)})
        exchange = Exchange(kind=kind, broker=broker, site=site)
        with exchange.stack:
            yield exchange
        assert_all_signed(site.audit)


@pytest.fixture
def gateway(exchange: Exchange) -> Gateway:
    return exchange.gateway()


def recorded(gateway: Gateway, answer: Any) -> dict[str, Any]:
    entry: dict[str, Any] = gateway.logged()[answer.json()["receipt"]["index"]]
    assert (entry["status"], entry.get("code")) == (answer.status_code, answer.json().get("code"))
    return entry


def emptied(gateway: Gateway, topic: str, *, last: Any = None) -> list[dict[str, Any]]:
    """The payloads of everything that waits there, acked. `last`: it is there, even if the broker is slow to say so."""
    ana, found = who(gateway, "ana"), list[dict[str, Any]]()

    def done() -> bool:
        messages = ana.received(topic, "broker", limit=100, wait_seconds=1)
        if messages:
            assert set(ana.ack(topic, [each["handle"] for each in messages], "broker")) == {"done"}
        found.extend(each["payload"] for each in messages)
        return not messages and (last is None or last in found)

    until(done, what="the topic is empty")
    return found


def published_in_the_end(gateway: Gateway, order: int, key: str) -> Any:
    """With the same key, as a client would: until it is neither away nor still being freed."""

    def tried() -> Any:
        answer = who(gateway, "ana").publish("orders", {"order": order}, "broker", idempotency_key=key)
        if answer.status_code == 200:
            return answer
        assert answer.json()["code"] in (AWAY.code, "idempotency_in_flight"), answer.text
        return None

    return until(tried, what="it is published")


def test_a_broker_that_is_down_gets_the_message_once_when_it_is_back(exchange: Exchange, gateway: Gateway) -> None:
    broker = exchange.broker
    ana = who(gateway, "ana")
    broker.stop()
    try:
        problem = AWAY.assert_is(ana.publish("orders", {"order": 1}, "broker", idempotency_key="down"))
        log = gateway.logged()
        assert (log[problem["receipt"]["index"]]["code"], log[problem["receipt"]["index"] - 1]["outcome"]) == (
            AWAY.code,
            "intent",
        )
        AWAY.assert_is(ana.receive("orders", "broker"))
        AWAY.assert_is(ana.receive("orders", "broker", wait_seconds=1))
        assert ana.publish("orders", {"order": 1}).status_code == 200, "other brokers are not concerned"
    finally:
        broker.start()
        if not broker.keeps:
            broker.make_topics()
    first = published_in_the_end(gateway, 1, "down")
    again = ana.publish("orders", {"order": 1}, "broker", idempotency_key="down")
    assert again.status_code == 200
    assert again.json()["message_id"] == first.json()["message_id"]
    assert emptied(gateway, "orders", last={"order": 1}) == [{"order": 1}]


def test_a_broker_that_confirms_nothing_leaves_it_unknown_and_the_key_taken(
    exchange: Exchange, gateway: Gateway
) -> None:
    broker = exchange.broker
    ana = who(gateway, "ana")
    assert published_in_the_end(gateway, 2, "warm").status_code == 200
    assert emptied(gateway, "orders", last={"order": 2}) == [{"order": 2}]
    broker.pause()
    try:
        answer = ana.publish("orders", {"order": 3}, "broker", idempotency_key="hangs")
        assert (answer.status_code, answer.json()["code"]) == (409, "outcome_unknown"), answer.text
        entry = recorded(gateway, answer)
        assert entry["outcome"] == "failed"
        again = ana.publish("orders", {"order": 3}, "broker", idempotency_key="hangs")
        assert again.json()["code"] == "idempotency_in_flight", again.text
    finally:
        broker.resume()
    later = ana.publish("orders", {"order": 3}, "broker", idempotency_key="hangs")
    assert later.json()["code"] == "idempotency_in_flight", later.text
    assert published_in_the_end(gateway, 4, "after").status_code == 200
    orders = sorted(each["order"] for each in emptied(gateway, "orders", last={"order": 4}))
    assert orders in ([4], [3, 4]), orders
    told = [e for e in gateway.logged() if e["operation"] == "publish_message" and e.get("code") == "outcome_unknown"]
    assert told[-1]["content_sha256"] == entry["content_sha256"]


def test_a_gateway_that_is_killed_loses_nothing_it_handed_out_and_sends_nothing_twice(
    exchange: Exchange, gateway: Gateway
) -> None:
    """Killed after a receive and before its ack, and between the intent of a publish and the broker's confirm."""
    broker = exchange.broker
    broker.put("inbox", b'{"n": 1, "email": "someone@mail.example"}')
    ana = who(gateway, "ana")
    shown = {"n": 1, "email": "***@mail.example"}
    messages = until(lambda: ana.received("inbox", "broker", wait_seconds=5, visibility_seconds=2), what="it comes")
    assert [each["payload"] for each in messages] == [shown]
    before, had = len(intents(exchange)), broker.count("orders")
    broker.pause()
    try:
        running = InBackground(lambda: ana.publish("orders", {"order": 6}, "broker", idempotency_key="killed"))
        until(lambda: len(intents(exchange)) > before, what="the intent is durable")
        exchange.killed()
        with pytest.raises(AssertionError):
            running.answer()
    finally:
        broker.resume()
    second = exchange.gateway()
    ana = who(second, "ana")
    intent = intents(exchange)[-1]
    assert (intent["operation"], intent["resources"]) == ("publish_message", ["broker/orders"])
    again = ana.publish("orders", {"order": 6}, "broker", idempotency_key="killed")
    assert again.json()["code"] == "idempotency_in_flight", again.text
    assert published_in_the_end(second, 7, "after the kill").status_code == 200
    assert broker.count("orders") - had in (1, 2)
    assert emptied(second, "inbox", last=shown) == [shown]


def intents(exchange: Exchange) -> list[dict[str, Any]]:
    return [entry for entry in entries(exchange.site.audit) if entry["outcome"] == "intent"]


def test_a_log_that_cannot_be_written_gives_received_messages_back(exchange: Exchange, gateway: Gateway) -> None:
    ana = who(gateway, "ana")
    for n in (1, 2, 3):
        exchange.broker.put("inbox", json.dumps({"n": n, "email": "someone@mail.example"}).encode())
    had = exchange.broker.count("orders")
    with log_that_cannot_grow(gateway):
        until(lambda: ana.receive("partner", "broker").status_code == 503, what="the log has no gap for entries")
        answer = ana.receive("inbox", "broker", wait_seconds=10, visibility_seconds=3_600)
        UNRECORDED.assert_is(answer)
        assert "mail.example" not in answer.text
        UNRECORDED.assert_is(ana.publish("orders", {"order": 8}, "broker"))
    until(gateway.ready, what="readiness comes back")
    # Nobody waits an hour for them.
    assert_all_come(gateway, {1, 2, 3})
    assert exchange.broker.count("orders") == had, "what could not be recorded was published"


def receiving(gateway: Gateway, visibility_s: int) -> AbstractContextManager[socket.socket]:
    body = json.dumps({"topic": "inbox", "wait_seconds": 20, "visibility_seconds": visibility_s}).encode()
    target = "/v1/connections/broker/messages/receive"
    return asking(gateway, "POST", target, body=body, more="content-type: application/json\r\n")


def cancelled(gateway: Gateway) -> int:
    return sum((e["operation"], e["outcome"]) == ("receive_messages", "cancelled") for e in gateway.logged())


def assert_all_come(gateway: Gateway, numbers: set[int]) -> None:
    ana = who(gateway, "ana")
    seen: set[int] = set()

    def all_came() -> bool:
        messages = ana.received("inbox", "broker", wait_seconds=2)
        if messages:
            assert set(ana.ack("inbox", [each["handle"] for each in messages], "broker")) == {"done"}
        seen.update(each["payload"]["n"] for each in messages)
        return seen == numbers

    until(all_came, what="every message came")


def test_a_client_that_leaves_while_it_waits_takes_no_message_with_it(exchange: Exchange, gateway: Gateway) -> None:
    assert who(gateway, "ana").received("inbox", "broker") == []
    for n in range(1, 4):
        before = cancelled(gateway)
        with receiving(gateway, 3_600):
            pass
        until(lambda before=before: cancelled(gateway) > before, what="the one who left is on record")
        exchange.broker.put("inbox", json.dumps({"n": n}).encode())
        assert_all_come(gateway, {n})
    # Here the message comes while the gateway may not know yet that its receiver is gone.
    for n in range(4, 10):
        with receiving(gateway, 1):
            exchange.broker.put("inbox", json.dumps({"n": n}).encode())
    assert_all_come(gateway, set(range(4, 10)))


def test_handles_are_good_for_their_receiver_topic_and_time_alone(exchange: Exchange, gateway: Gateway) -> None:
    ana, bob = who(gateway, "ana"), who(gateway, "bob")
    exchange.broker.put("inbox", b'{"n": 1}')
    (message,) = until(lambda: ana.received("inbox", "broker", wait_seconds=5), what="it comes")
    handle = message["handle"]
    flipped = handle[:-2] + ("A" if handle[-2] != "A" else "B") + handle[-1]
    assert bob.ack("inbox", [handle], "broker") == ["gone"]
    assert ana.ack("orders", [handle], "broker") == ["gone"]
    assert ana.ack("inbox", [flipped, "none", handle[:40], "é\u0000"], "broker") == ["gone"] * 4
    entry = [e for e in gateway.logged() if e["operation"] == "ack_messages"][-1]
    assert (entry["reason"], entry["handles_not_good"], entry["affected_rows"]) == ("handles_not_good", 4, 0)
    assert ana.ack("inbox", [handle], "broker") == ["done"]
    exchange.broker.put("inbox", b'{"n": 2}')
    (late,) = until(
        lambda: ana.received("inbox", "broker", wait_seconds=5, visibility_seconds=1), what="the second comes"
    )
    (again,) = until(lambda: ana.received("inbox", "broker", wait_seconds=5), what="its time is over")
    assert ana.ack("inbox", [late["handle"]], "broker") == ["gone"]
    assert again["payload"] == {"n": 2}
    assert ana.ack("inbox", [again["handle"]], "broker") == ["done"]
    assert emptied(gateway, "inbox") == []


def test_poison_messages_are_withheld_and_block_nobody(exchange: Exchange, gateway: Gateway) -> None:
    ana = who(gateway, "ana")
    poison = {
        b'{"n": 1, "email": "' + b"x" * 200_000 + b'"}': "application/json",
        DEEP: "application/json",
        b'{"email": "someone@mail.example"': "application/json",
        b'{"email": "someone@mail.example", "email": "other@mail.example"}': "application/json",
        b"someone@mail.example": "application/unheard-of",
    }
    if exchange.kind != "sqs":
        poison |= {
            bytes(range(256)) * 4: "application/octet-stream",
            b'{"email": "\xff\xfesomeone@mail.example"}': "application/json",
            b"": "application/json",
        }
        if exchange.kind != "kafka":
            poison[b'{"n": 1, "email": "' + b"x" * 1_000_000 + b'"}'] = "application/json"
    for body, content_type in poison.items():
        exchange.broker.put("inbox", body, content_type)
    exchange.broker.put("inbox", b'{"n": 42, "email": "someone@mail.example"}')
    found: list[dict[str, Any]] = []

    def last_came() -> bool:
        answer = ana.receive("inbox", "broker", wait_seconds=5, limit=100)
        assert answer.status_code == 200, answer.text
        assert "someone@" not in answer.text
        found.extend(answer.json()["messages"])
        return len(found) == len(poison) + 1

    until(last_came, what="everything came")
    withheld = [each for each in found if each["withheld"]]
    assert len(withheld) >= 3
    for each in withheld:
        assert (each["payload"], each["text"], each["base64"]) == (None, None, None)
        assert each["headers"] == {}
    good = [each["payload"] for each in found if isinstance(each["payload"], dict) and each["payload"].get("n") == 42]
    assert good == [{"n": 42, "email": "***@mail.example"}]
    assert set(ana.ack("inbox", [each["handle"] for each in found], "broker")) == {"done"}
    assert emptied(gateway, "inbox") == []


def test_what_a_topic_does_not_take_is_pointed_at_and_not_published(exchange: Exchange, gateway: Gateway) -> None:
    ana = who(gateway, "ana")
    before = exchange.broker.count("orders")
    for payload, pointer in (
        ({"order": "one"}, "/payload/order"),
        ({"order": 1, "more": 1}, "/payload"),
        ({}, "/payload"),
    ):
        answer = ana.publish("orders", payload, "broker")
        assert (answer.status_code, answer.json()["code"]) == (422, "payload_invalid"), answer.text
        assert next(each["pointer"] for each in answer.json()["errors"]).startswith(pointer)
        assert recorded(gateway, answer)["outcome"] == "invalid"
    secret = ana.publish("orders", {"order": 1, "email": "AKIA" + "IOSFODNN7" + "EXAMPLE"}, "broker")
    assert (secret.status_code, secret.json()["code"]) == (403, "content_denied"), secret.text
    assert exchange.broker.count("orders") == before
