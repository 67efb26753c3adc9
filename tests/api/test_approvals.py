"""Approvals over HTTP, asked of a running demo: every operation, its statuses, waiting, and following along."""

import hashlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from tests.running import Running

EMAILS = "SELECT id, email FROM customers ORDER BY id LIMIT 5"


@pytest.fixture(scope="module")
def http(shop: Running) -> Iterator[httpx2.Client]:
    with shop.client() as client:
        yield client


class People:
    """Who asks, who decides; each call as one of them."""

    def __init__(self, shop: Running, http: httpx2.Client) -> None:
        self._shop = shop
        self._http = http

    def get(self, who: str, path: str, **headers: str) -> httpx2.Response:
        return self._http.get(f"/v1/approvals{path}", headers={**self._shop.auth(who), **headers})

    def post(self, who: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        return self._http.post(f"/v1/approvals{path}", json=body or {}, headers={**self._shop.auth(who), **headers})

    def decide(self, who: str, name: str, decision: str = "approve", **more: Any) -> httpx2.Response:
        return self.post(who, f"/{name}/decision", {"decision": decision, **more})


@pytest.fixture
def people(shop: Running, http: httpx2.Client) -> People:
    return People(shop, http)


@pytest.fixture
def deletion(shop: Running) -> str:
    """An approval that ana asked for: one order to delete."""
    answer = shop.query("ana", "DELETE FROM orders WHERE id = 77", purpose="The customer withdrew it.")
    assert answer.status_code == 202, answer.text
    return str(answer.json()["approval_id"])


@pytest.fixture
def emails(shop: Running) -> str:
    """An approval that sam asked for: five addresses unmasked."""
    answer = shop.query("sam", EMAILS, unmask=["pii.email"], purpose="ticket 4711")
    assert answer.status_code == 202, answer.text
    return str(answer.json()["approval_id"])


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_the_requester_reads_what_to_call_next_and_does_it(people: People, deletion: str) -> None:
    assert "execute_approval" in people.get("ana", f"/{deletion}").json()["next_step"]
    assert code(people.post("ana", f"/{deletion}/execute")) == (409, "approval_not_approved")
    assert people.decide("max", deletion).json()["state"] == "approved"
    answer = people.post("ana", f"/{deletion}/execute")
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert code(people.post("ana", f"/{deletion}/execute")) == (409, "approval_already_executed")
    assert people.get("ana", f"/{deletion}").json()["state"] == "executed"


def test_an_approver_sees_how_many_rows_and_which_sql_and_the_requester_does_not(people: People, deletion: str) -> None:
    seen = people.get("max", f"/{deletion}").json()
    assert seen["outcome"]["rows"] is not None
    assert seen["may_decide"] is True
    assert people.get("ana", f"/{deletion}").json()["outcome"]["rows"] is None


def test_what_is_previewed_is_what_is_released(shop: Running, people: People, emails: str) -> None:
    answer = people.get("dee", f"/{emails}/preview")
    assert answer.status_code == 200, answer.text
    preview = answer.json()
    assert len(preview["answer"]["rows"]) == 5
    assert all("***" not in email for _, email in preview["answer"]["rows"])
    assert people.decide("dee", emails, digest=preview["digest"]).status_code == 200
    released = people.post("sam", f"/{emails}/execute")
    assert released.status_code == 200, released.text
    body = released.text.partition(',"receipt":')[0].encode()
    assert hashlib.sha256(body).hexdigest() == preview["sha256"]
    assert released.json()["rows"] == preview["answer"]["rows"]
    assert code(people.get("dee", f"/{emails}/preview")) == (409, "approval_already_executed")


def test_what_is_held_is_shown_to_no_requester_and_no_stranger(people: People, emails: str, deletion: str) -> None:
    assert code(people.get("sam", f"/{emails}/preview"))[0] == 403
    assert code(people.get("ana", f"/{emails}/preview")) == (404, "unknown_approval")
    assert code(people.get("max", f"/{deletion}/preview")) == (404, "approval_no_preview")
    people.decide("dee", emails, "reject")
    assert code(people.get("dee", f"/{emails}/preview")) == (409, "approval_rejected")


def test_who_may_not_know_of_an_approval_cannot_tell_it_from_none(people: People, deletion: str) -> None:
    for name in (deletion, "apr_" + "0" * 32, "x%00y", "é"):
        for answer in (
            people.get("sam", f"/{name}"),
            people.get("sam", f"/{name}/preview"),
            people.decide("sam", name),
            *(people.post("sam", f"/{name}/{act}") for act in ("execute", "cancel", "revoke")),
        ):
            assert code(answer) == (404, "unknown_approval")


def test_nobody_decides_their_own_request_through_whatever_client(shop: Running, people: People) -> None:
    name = shop.query("max", "DELETE FROM orders WHERE id = 78").json()["approval_id"]
    assert code(people.decide("max", name)) == (403, "approval_self_decision")
    token = shop.mint(sub="max", client_id="swagger-ui", scopes=["douane:query", "douane:approvals"], roles=["dba"])
    with shop.client() as client:
        answer = client.post(
            f"/v1/approvals/{name}/decision",
            json={"decision": "approve"},
            headers={"authorization": f"Bearer {token}"},
        )
    assert code(answer) == (403, "approval_self_decision")
    assert people.decide("dee", name).status_code == 200


def test_a_rejection_ends_it_and_says_why(people: People, deletion: str) -> None:
    assert people.decide("max", deletion, "reject", reason="not this one").json()["state"] == "rejected"
    assert "not this one" in people.get("ana", f"/{deletion}").json()["next_step"]
    assert code(people.post("ana", f"/{deletion}/execute")) == (409, "approval_rejected")
    assert code(people.decide("dee", deletion)) == (409, "approval_rejected")


def test_the_requester_takes_a_request_back(people: People, deletion: str) -> None:
    assert code(people.post("max", f"/{deletion}/cancel")) == (403, "approval_not_requester")
    assert people.post("ana", f"/{deletion}/cancel", {"reason": "done by hand"}).json()["state"] == "cancelled"
    assert code(people.decide("max", deletion)) == (409, "approval_cancelled")


def test_an_approver_takes_a_yes_back(people: People, deletion: str) -> None:
    assert code(people.post("max", f"/{deletion}/revoke")) == (409, "approval_not_approved")
    people.decide("max", deletion)
    assert code(people.post("ana", f"/{deletion}/revoke"))[0] == 403
    assert people.post("dee", f"/{deletion}/revoke", {"reason": None}).json()["state"] == "revoked"
    assert code(people.post("ana", f"/{deletion}/execute")) == (409, "approval_revoked")


def test_a_decision_is_on_what_was_seen(people: People, deletion: str) -> None:
    assert code(people.decide("max", deletion, digest="0" * 64)) == (409, "approval_reopened")
    digest = people.get("max", f"/{deletion}").json()["digest"]
    assert people.decide("max", deletion, digest=digest).status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/decision"),
        ({"decision": "maybe"}, "/decision"),
        ({"decision": "approve", "reason": "x" * 1_001}, "/reason"),
        ({"decision": "approve", "digest": "short"}, "/digest"),
        ({"decision": "approve", "approver": "max"}, "/approver"),
        ({"decision": ["approve"]}, "/decision"),
    ],
)
def test_a_body_that_is_no_decision_decides_nothing(
    shop: Running, people: People, deletion: str, body: Any, pointer: str
) -> None:
    with shop.client() as client:
        answer = client.post(f"/v1/approvals/{deletion}/decision", json=body, headers=shop.auth("max"))
    assert code(answer) == (422, "invalid_request")
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert people.get("ana", f"/{deletion}").json()["state"] == "pending"


def test_a_hundred_decisions_at_once_count_once(people: People, deletion: str) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda number: people.decide(("max", "dee")[number % 2], deletion), range(100)))
    assert sorted({answer.status_code for answer in answers}) == [200, 409]
    assert sum(answer.status_code == 200 for answer in answers) == 1
    history = people.get("ana", f"/{deletion}").json()["history"]
    assert [step["happening"] for step in history] == ["requested", "approved"]


def test_scopes_keep_agents_from_deciding_and_approvers_from_nothing(shop: Running, deletion: str) -> None:
    query = shop.mint(sub="max", client_id="demo-cli", scopes=["douane:query"], roles=["dba"])
    approvals = shop.mint(sub="max", client_id="demo-cli", scopes=["douane:approvals"], roles=["dba"])
    with shop.client() as client:
        for path, method in (("decision", "POST"), ("revoke", "POST"), ("preview", "GET")):
            answer = client.request(
                method,
                f"/v1/approvals/{deletion}/{path}",
                json={"decision": "approve"} if path == "decision" else ({} if method == "POST" else None),
                headers={"authorization": f"Bearer {query}"},
            )
            assert code(answer) == (403, "insufficient_scope"), path
        events = client.get("/v1/approvals/events", headers={"authorization": f"Bearer {query}"})
        assert code(events) == (403, "insufficient_scope")
        yes = client.post(
            f"/v1/approvals/{deletion}/decision",
            json={"decision": "approve"},
            headers={"authorization": f"Bearer {approvals}"},
        )
        assert yes.status_code == 200


def test_an_agent_of_an_approver_does_not_decide(shop: Running, people: People) -> None:
    asked = shop.query("sam", EMAILS, unmask=["pii.email"]).json()["approval_id"]
    agent = {"authorization": f"Bearer {shop.token('sales-agent', on_behalf_of='dee')}"}
    with shop.client() as client:
        answer = client.post(f"/v1/approvals/{asked}/decision", json={"decision": "approve"}, headers=agent)
    assert answer.status_code in (403, 404)
    assert people.get("sam", f"/{asked}").json()["state"] == "pending"


def test_a_list_is_of_ones_own_or_of_those_one_may_decide(people: People, deletion: str, emails: str) -> None:
    def names(who: str, query: str = "") -> set[str]:
        return {one["approval_id"] for one in people.get(who, f"?limit=200{query}").json()["approvals"]}

    assert deletion in names("ana")
    assert emails not in names("ana")
    assert {deletion, emails} <= names("dee")
    assert names("dee", "&role=mine") == set()
    assert names("ana", "&role=decide") == set()
    assert deletion in names("ana", "&role=mine&state=pending")
    assert people.get("ana", "?role=all").status_code == 422


def test_who_waits_is_answered_as_soon_as_it_is_decided(people: People, deletion: str) -> None:
    timer = threading.Timer(0.5, people.decide, ("max", deletion))
    timer.start()
    answer = people.get("ana", f"/{deletion}?wait_seconds=25")
    timer.join()
    assert answer.json()["state"] == "approved"
    waited = people.get("ana", f"/{deletion}", prefer="wait=20")
    assert waited.headers["preference-applied"] == "wait=20"


def test_who_waits_in_vain_is_told_when_to_look_again(people: People, deletion: str) -> None:
    answer = people.get("ana", f"/{deletion}?wait_seconds=1")
    assert (answer.json()["state"], answer.headers["retry-after"]) == ("pending", "5")
    for wrong in ("61", "-1", "soon"):
        assert people.get("ana", f"/{deletion}?wait_seconds={wrong}").status_code == 422


def test_a_query_that_waits_is_answered_with_the_result(shop: Running, people: People) -> None:
    def approve() -> None:
        while not (found := people.get("dee", "?state=pending&role=decide&limit=1").json()["approvals"]):
            pass
        people.decide("dee", found[0]["approval_id"])

    timer = threading.Timer(0.5, approve)
    timer.start()
    answer = shop.query("sam", EMAILS + " -- waits", unmask=["pii.email"], wait_seconds=25)
    timer.join()
    assert (answer.status_code, len(answer.json()["rows"])) == (200, 5), answer.text


def events(lines: Iterator[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    seq = 0
    for line in lines:
        if line.startswith("id: "):
            seq = int(line[4:])
        if line.startswith("data: "):
            yield seq, json.loads(line[6:])


def test_approvers_follow_what_happens_and_resume_where_they_were(shop: Running, people: People, deletion: str) -> None:
    with shop.client() as client:
        headers = {**shop.auth("max"), "accept": "text/event-stream"}
        with client.stream("GET", "/v1/approvals/events", headers=headers) as stream:
            assert stream.headers["content-type"] == "text/event-stream"
            assert json.loads(stream.headers["x-receipt"])["index"] > 0
            told = events(stream.iter_lines())
            people.decide("dee", deletion, "reject", reason="a thought of dee")
            seq, event = next(one for one in told if one[1]["approval_id"] == deletion)
        assert (event["happening"], event["state"], event["principal"]) == ("rejected", "rejected", "ana")
        assert "statement" not in event
        assert "a thought of dee" not in json.dumps(event)
        resumed = {**headers, "last-event-id": str(seq - 1)}
        with client.stream("GET", "/v1/approvals/events", headers=resumed) as stream:
            assert next(events(stream.iter_lines())) == (seq, event)
        with client.stream("GET", f"/v1/approvals/events?after={seq - 1}", headers=headers) as stream:
            assert next(events(stream.iter_lines())) == (seq, event)


def test_nobody_else_follows(people: People) -> None:
    assert code(people.get("ana", "/events")) == (403, "approval_not_approver")
    assert code(people.get("max", "/events", accept="application/json")) == (406, "not_acceptable")
    assert code(people.get("max", "/events", **{"last-event-id": "x"})) == (422, "invalid_request")
    assert people.get("max", "/events?after=x").status_code == 422
    assert people.post("max", "/events").status_code == 405


def test_each_step_is_an_entry_with_who_what_and_why(shop: Running, people: People, deletion: str) -> None:
    people.decide("max", deletion, reason="because of ticket 7")
    people.post("dee", f"/{deletion}/revoke", {"reason": "second thoughts"})
    texts = [path.read_bytes() for path in shop.state.rglob("*") if path.is_file()]
    for words in (b"because of ticket 7", b"second thoughts"):
        assert any(words in text for text in texts), words
