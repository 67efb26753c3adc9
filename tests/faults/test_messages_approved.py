"""A publish that a human approves: exactly the approved bytes, once, whatever restarts and however many try."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from approval_site import at_once, refused, story
from exchange_brokers import Broker, running_broker
from exchange_site import ExchangeSite, secret_file, who
from fault_site import Gateway, Issuer, Problem, assert_verifies, kill, until

EXECUTES = 100
AWAY = Problem(status=503, code="connection_unavailable")


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with running_broker("nats") as running:
        yield running


def site_of(folder: Path, issuer: Issuer, broker: Broker, store_url: str | None = None) -> ExchangeSite:
    """Processes on one store need the same key."""
    return ExchangeSite(
        folder=folder,
        issuer=issuer,
        exchanges={"broker": broker.section(folder)},
        store_url=store_url,
        options={"approvals": {"key": secret_file(folder, "approvals.key", "7a" * 32)}},
    )


def payload_of(comment: str) -> dict[str, Any]:
    return {"order": 2**53 + 1, "comment": comment, "price": 0.1, "none": None}


def asked(gateway: Gateway, comment: str, **more: str) -> str:
    answer = who(gateway, "ana").publish("partner", payload_of(comment), "broker", **more)
    assert answer.status_code == 202, answer.text
    approval: str = answer.json()["approval_id"]
    return approval


def received(gateway: Gateway) -> list[dict[str, Any]]:
    ana = who(gateway, "ana")
    messages = until(lambda: ana.received("partner", "broker", wait_seconds=5, limit=100), what="it comes")
    assert set(ana.ack("partner", [each["handle"] for each in messages], "broker")) == {"done"}
    found: list[dict[str, Any]] = messages
    return found


def test_what_was_approved_is_published_after_restarts_with_those_bytes(
    tmp_path: Path, issuer: Issuer, broker: Broker
) -> None:
    site = site_of(tmp_path, issuer, broker)
    had = broker.count("partner")
    with site.run() as first:
        approval = asked(first, "Zoë \u2028 said: ship it", idempotency_key="once")
        seen = who(first, "max").ask("GET", f"/v1/approvals/{approval}/preview")
        assert "ship it" in seen.text
        assert b"ship it" not in (site.folder / "store" / "douane.db").read_bytes()
        kill(first)
    with site.run() as second:
        assert asked(second, "Zoë \u2028 said: ship it", idempotency_key="once") == approval
        refused(who(second, "ana").execute(approval), "approval_not_approved")
        assert who(second, "max").decide(approval).status_code == 200
        assert broker.count("partner") == had
        ana = who(second, "ana")
        ran = ana.execute(approval)
        assert (ran.status_code, ran.json()["status"]) == (200, "completed"), ran.text
        refused(ana.execute(approval), "approval_already_executed")
        assert broker.count("partner") == had + 1
        (message,) = received(second)
        assert message["payload"] == {
            "order": 2**53 + 1,
            "comment": "Zoë \u2028 said: ship it",
            "price": 0.1,
            "none": None,
        }
        told = story(second.logged(), approval)
        assert [outcome for operation, outcome, _ in told if operation == "execute_approval"].count("completed") == 1
        completed = [e for e in second.logged() if e.get("approval_id") == approval and e["outcome"] == "completed"][-1]
        held = [e for e in second.logged() if e.get("approval_id") == approval and e["operation"] == "publish_message"]
        assert completed["content_sha256"] == held[0]["content_sha256"]
    assert_verifies(site.audit)


def test_of_a_hundred_uses_at_two_gateways_one_publishes(tmp_path: Path, issuer: Issuer, broker: Broker) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o700)
    sites = [site_of(tmp_path / name, issuer, broker, f"sqlite:///{shared}/douane.db") for name in ("one", "two")]
    had = broker.count("partner")
    with sites[0].run() as one, sites[1].run() as two:
        approval = asked(one, "once")
        assert who(two, "max").decide(approval).status_code == 200
        clients = [who(gateway, "ana") for gateway in (one, two)]
        calls = [lambda n=n: clients[n % 2].execute(approval) for n in range(EXECUTES)]
        answers = at_once(calls)
        ran = [answer for answer in answers if answer.status_code == 200]
        assert len(ran) == 1, [answer.text for answer in ran]
        codes = {answer.json()["code"] for answer in answers if answer.status_code != 200}
        assert codes <= {"approval_in_use", "approval_already_executed", "store_unavailable"}, codes
        assert broker.count("partner") == had + 1
        (message,) = received(two)
        assert message["payload"]["comment"] == "once"
        logs = one.logged() + two.logged()
        assert [e["outcome"] for e in logs if e["operation"] == "execute_approval" and e["status"] == 200] == [
            "completed"
        ]
    for site in sites:
        assert_verifies(site.audit)


def test_an_approved_publish_whose_broker_is_down_failed_and_says_so(
    tmp_path: Path, issuer: Issuer, broker: Broker
) -> None:
    site = site_of(tmp_path, issuer, broker)
    had = broker.count("partner")
    with site.run() as gateway:
        ana = who(gateway, "ana")
        approval = asked(gateway, "never")
        assert who(gateway, "max").decide(approval).status_code == 200
        broker.stop()
        try:
            AWAY.assert_is(ana.execute(approval))
        finally:
            broker.start()
        assert ana.get(approval)["history"][-1]["detail"]["code"] == AWAY.code
        refused(ana.execute(approval), "approval_failed")
        assert broker.count("partner") == had
        again = asked(gateway, "never")
        assert who(gateway, "max").decide(again).status_code == 200
        until(lambda: gateway.ready() and ana.receive("partner", "broker").status_code == 200, what="it is back")
        assert ana.execute(again).status_code == 200
        assert broker.count("partner") == had + 1
        assert [each["payload"]["comment"] for each in received(gateway)] == ["never"]
    assert_verifies(site.audit)
