"""Messages over HTTP: published, looked through, asked about, received masked, acked; and everything that is wrong with
a request said before anything happens."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from app.demo.state import QUEUE
from tests.api.test_bad_input import problem
from tests.running import Running

MESSAGES = f"/v1/connections/{QUEUE}/messages"
ORDERS = "orders.created"
INBOX = "support.inbox"
PARTNER = "partner.orders"
AWS = "AKIA" + "QYLPMN5HHHFPZAM2"
TICKET = {
    "ticket": 7,
    "priority": "high",
    "from": {"name": "Ana Lopez", "email": "ana@example.com"},
    "subject": "My order",
    "body": "Please write to ana@example.com",
}


@pytest.fixture
def client(shop: Running) -> Iterator[httpx2.Client]:
    with shop.client() as client:
        yield client


def post(shop: Running, client: httpx2.Client, name: str, path: str, **body: Any) -> httpx2.Response:
    return client.post(path, json=body, headers=shop.auth(name))


def drained(shop: Running, client: httpx2.Client, topic: str) -> list[dict[str, Any]]:
    """All that waits in a topic, out with dee."""
    got = post(shop, client, "dee", f"{MESSAGES}/receive", topic=topic, limit=100)
    assert got.status_code == 200, got.text
    messages: list[dict[str, Any]] = got.json()["messages"]
    return messages


def test_a_message_goes_in_and_comes_out_masked_and_once(shop: Running, client: httpx2.Client) -> None:
    drained(shop, client, INBOX)
    sent = post(shop, client, "sam", MESSAGES, topic=INBOX, payload=TICKET, idempotency_key="ticket-7")
    assert sent.status_code == 200, sent.text
    again = post(shop, client, "sam", MESSAGES, topic=INBOX, payload=TICKET, idempotency_key="ticket-7")
    assert again.json()["message_id"] == sent.json()["message_id"]
    got = post(shop, client, "ana", f"{MESSAGES}/receive", topic=INBOX, wait_seconds=5)
    (message,) = got.json()["messages"]
    assert message["payload"]["ticket"] == 7
    assert message["payload"]["from"]["email"] == "***@example.com"
    assert "ana@" not in got.text.lower()
    assert "Lopez" not in got.text
    other = post(shop, client, "sam", f"{MESSAGES}/ack", topic=INBOX, handles=[message["handle"]])
    assert other.json()["results"][0]["result"] == "gone"
    acked = post(shop, client, "ana", f"{MESSAGES}/ack", topic=INBOX, handles=[message["handle"]])
    assert acked.json()["results"] == [{"handle": message["handle"], "result": "done"}]
    assert drained(shop, client, INBOX) == []


def test_a_secret_is_refused_where_it_stands(shop: Running, client: httpx2.Client) -> None:
    answer = post(shop, client, "sam", MESSAGES, topic=INBOX, payload={**TICKET, "body": f"the key is {AWS}"})
    assert AWS not in answer.text
    assert answer.status_code == 403
    assert answer.json()["code"] in ("access_denied", "content_denied")


def test_a_message_for_a_partner_waits_for_a_human(shop: Running, client: httpx2.Client) -> None:
    order = {"order": 9, "sku": "A-1", "quantity": 2, "comment": "for ana@example.com"}
    asked = post(shop, client, "ana", MESSAGES, topic=PARTNER, payload=order, purpose="Restock.")
    assert asked.status_code == 202, asked.text
    name = asked.json()["approval_id"]
    assert asked.headers["location"] == asked.json()["approval_url"]
    problem(post(shop, client, "ana", f"/v1/approvals/{name}/execute"), 409, "approval_not_approved")
    held = client.get(f"/v1/approvals/{name}/preview", headers=shop.auth("dee")).json()
    assert json.loads(held["content"]["content"])["payload"]["order"] == 9
    assert "ana@example.com" not in held["content"]["content"]
    document = client.get(f"/v1/approvals/{name}", headers=shop.auth("dee")).json()
    decided = client.post(
        f"/v1/approvals/{name}/decision",
        json={"decision": "approve", "reason": "Known partner.", "digest": document["digest"]},
        headers=shop.auth("dee"),
    )
    assert decided.status_code == 200, decided.text
    done = post(shop, client, "ana", f"/v1/approvals/{name}/execute")
    assert done.status_code == 200, done.text
    assert (done.json()["status"], done.json()["topic"]) == ("completed", PARTNER)
    problem(post(shop, client, "ana", f"/v1/approvals/{name}/execute"), 409, "approval_already_executed")
    (published,) = drained(shop, client, PARTNER)
    assert published["payload"]["order"] == 9


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("", {"payload": {}}, "/topic"),
        ("", {"topic": ORDERS}, ""),
        ("", {"topic": ORDERS, "payload": {}, "text": "x"}, ""),
        ("", {"topic": ORDERS, "payload": {}, "surprise": 1}, "/surprise"),
        ("", {"topic": ORDERS, "base64": "AAE="}, "/content_type"),
        ("", {"topic": ORDERS, "payload": {}, "headers": {"X": "y"}}, "/headers"),
        ("", {"topic": ORDERS, "payload": {}, "headers": {"x": 1}}, "/headers/x"),
        ("", {"topic": ORDERS, "payload": {}, "headers": {"x": "a\nb"}}, "/headers/x"),
        ("", {"topic": ORDERS, "payload": {}, "key": "a b"}, "/key"),
        ("", {"topic": ORDERS, "payload": {}, "cloud_event": {"type": "t"}}, "/cloud_event"),
        ("", {"topic": ORDERS, "payload": {}, "cloud_event": {"type": "t", "source": "s", "x": 1}}, "/cloud_event/x"),
        ("", {"topic": ORDERS, "payload": {}, "cloud_event": {"type": "t\n", "source": "s"}}, "/cloud_event/type"),
        ("", {"topic": ORDERS, "payload": {}, "wait_seconds": True}, "/wait_seconds"),
        ("", {"topic": "a/b", "payload": {}}, "/topic"),
        ("/receive", {"topic": ORDERS, "limit": 0}, "/limit"),
        ("/receive", {"topic": ORDERS, "limit": 101}, "/limit"),
        ("/receive", {"topic": ORDERS, "visibility_seconds": 0}, "/visibility_seconds"),
        ("/receive", {"topic": ORDERS, "wait_seconds": 21}, "/wait_seconds"),
        ("/receive", {"topic": "*"}, "/topic"),
        ("/ack", {"topic": ORDERS, "handles": []}, "/handles"),
        ("/ack", {"topic": ORDERS, "handles": [1]}, "/handles/0"),
        ("/ack", {"topic": ORDERS, "handles": ["x" * 8_193]}, "/handles/0"),
    ],
)
def test_requests_that_are_not_well_formed_say_where(
    shop: Running, client: httpx2.Client, path: str, body: dict[str, Any], pointer: str
) -> None:
    document = problem(post(shop, client, "ana", MESSAGES + path, **body), 422, "invalid_request")
    assert pointer in [error["pointer"] for error in document["errors"]]


def test_a_schema_and_a_size_are_told(shop: Running, client: httpx2.Client) -> None:
    wrong = post(shop, client, "ana", MESSAGES, topic=ORDERS, payload={"order": "many"})
    assert problem(wrong, 422, "payload_invalid")["errors"][0]["pointer"].startswith("/payload")
    large = post(shop, client, "ana", MESSAGES, topic=ORDERS, payload={"order": 1, "x": "x" * 70_000})
    problem(large, 413, "payload_too_large")


def test_topics_and_connections_that_one_may_not_know_of_are_not_there(shop: Running, client: httpx2.Client) -> None:
    hidden = problem(post(shop, client, "sam", MESSAGES, topic=ORDERS, payload={}), 404, "topic_not_found")
    missing = problem(post(shop, client, "ana", MESSAGES, topic="nowhere", payload={}), 404, "topic_not_found")
    assert hidden["detail"] == missing["detail"]
    problem(
        post(shop, client, "ana", "/v1/connections/shop/messages", topic=ORDERS, payload={}), 404, "unknown_connection"
    )
    problem(client.post(MESSAGES, json={"topic": ORDERS}), 401, "missing_token")


def test_other_json_than_objects_is_sent_as_text(shop: Running, client: httpx2.Client) -> None:
    problem(post(shop, client, "ana", MESSAGES, topic=ORDERS, payload=[1]), 422, "invalid_request")
    for text in ("0", "[]", "null", '{"order": "many"}'):
        sent = {"topic": ORDERS, "text": text, "content_type": "application/json"}
        problem(post(shop, client, "ana", MESSAGES, **sent), 422, "payload_invalid")
    problem(post(shop, client, "ana", MESSAGES, topic=ORDERS, payload=None), 422, "invalid_request")
    wrong = post(shop, client, "ana", MESSAGES, topic=ORDERS, text="{", content_type="application/json")
    assert problem(wrong, 422, "invalid_request")["errors"] == [
        {"pointer": "/text", "detail": "must be JSON, as content_type says"}
    ]
