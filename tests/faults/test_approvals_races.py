"""Two gateway processes on one PostgreSQL store: of a hundred at once, one counts."""

from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest
from approval_site import (
    Actor,
    ApprovalSite,
    at_once,
    people,
    refused,
    running,
    story,
    writable_target,
)
from fault_site import Gateway, assert_verifies, running_issuer

from tests.servers import PostgresServer

STORE = "shared_approvals"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, pg: PostgresServer) -> Iterator[list[Gateway]]:
    writable_target(pg)
    pg.create_database(STORE)
    with running_issuer() as issuer:
        folder = tmp_path_factory.mktemp("pair")
        one = ApprovalSite(folder=folder / "one", issuer=issuer, pg=pg, store_on_pg=STORE)
        two = ApprovalSite(folder=folder / "two", issuer=issuer, pg=pg, store_on_pg=STORE)
        # What one of them holds the other releases: they share the key that seals it.
        key = one.secret("approvals.key", "3c" * 32).read_text()
        two.secret("approvals.key", key)
        for site in (one, two):
            site.options["approvals"] = {"key": {"file": "approvals.key"}}
            site.write()
        with running(one, two) as gateways:
            yield gateways
        for site in (one, two):
            assert_verifies(site.audit)


def who(gateway: Gateway, name: str) -> Actor:
    return Actor(gateway=gateway, name=name)


def both_stories(pair: list[Gateway], approval: str) -> Counter[tuple[str, str]]:
    return Counter((op, outcome) for gateway in pair for op, outcome, _ in story(gateway.logged(), approval))


def test_of_a_hundred_executes_at_once_one_runs(pair: list[Gateway], pg: PostgresServer) -> None:
    asker = who(pair[0], "ana")
    approval = asker.asked("UPDATE people SET n = n + 1000 WHERE id BETWEEN 17001 AND 17005")
    assert who(pair[1], "max").decide(approval).status_code == 200
    assert who(pair[0], "dee").decide(approval).json()["state"] == "approved"
    answers = at_once([partial(who(pair[n % 2], "ana").execute, approval) for n in range(100)])
    counted = Counter(answer.status_code for answer in answers)
    assert counted == {200: 1, 409: 99}, [a.text for a in answers if a.status_code not in (200, 409)]
    assert {a.json()["code"] for a in answers if a.status_code == 409} <= {
        "approval_in_use", "approval_already_executed"
    }  # fmt: skip
    assert people(pg, "id BETWEEN 17001 AND 17005 AND n BETWEEN 1000 AND 1999") == 5
    told = both_stories(pair, approval)
    assert told["execute_approval", "completed"] == 1
    assert told["execute_approval", "denied"] == 99
    refused(who(pair[1], "ana").execute(approval), "approval_already_executed")


def test_of_a_hundred_executes_of_a_held_result_one_gets_it(pair: list[Gateway]) -> None:
    approval = who(pair[0], "ana").asked("SELECT email FROM people WHERE id = 17001", unmask=["pii.email"])
    assert who(pair[1], "max").decide(approval).status_code == 200
    answers = at_once([partial(who(pair[n % 2], "ana").execute, approval) for n in range(100)])
    got = [answer.json()["rows"] for answer in answers if answer.status_code == 200]
    assert got == [[["someone17001@mail.example"]]]
    assert Counter(a.status_code for a in answers) == {200: 1, 409: 99}, [
        a.text for a in answers if a.status_code not in (200, 409)
    ]


def test_a_hundred_decisions_of_two_people_are_two_votes(pair: list[Gateway]) -> None:
    approval = who(pair[0], "ana").asked("UPDATE people SET n = 1 WHERE id = 17010")
    answers = at_once([partial(who(pair[n % 2], ("max", "dee")[n // 2 % 2]).decide, approval) for n in range(100)])
    counted = Counter(answer.status_code for answer in answers)
    assert counted == {200: 2, 409: 98}, counted
    history = who(pair[0], "max").get(approval)["history"]
    assert [step["happening"] for step in history] == ["requested", "voted", "approved"]
    assert {step["by"] for step in history[1:]} == {"max", "dee"}


def test_of_a_hundred_yeses_and_noes_the_outcome_is_one(pair: list[Gateway]) -> None:
    approval = who(pair[0], "ana").asked("DELETE FROM people WHERE id = 17011")
    words = ("approve", "reject")
    answers = at_once(
        [partial(who(pair[n % 2], ("max", "dee")[n % 2]).decide, approval, words[n // 2 % 2]) for n in range(100)]
    )
    found = who(pair[0], "max").get(approval)
    assert Counter(answer.status_code for answer in answers)[200] == 1
    assert found["state"] in ("approved", "rejected")
    assert len(found["history"]) == 2


def test_a_waiter_at_one_process_hears_of_a_decision_at_the_other(pair: list[Gateway]) -> None:
    from fault_site import InBackground

    approval = who(pair[0], "ana").asked("DELETE FROM people WHERE id = 17012")
    waiting = InBackground(lambda: who(pair[0], "ana").ask("GET", f"/v1/approvals/{approval}?wait_seconds=40"))
    assert who(pair[1], "max").decide(approval).status_code == 200
    assert waiting.answer().json()["state"] == "approved"
