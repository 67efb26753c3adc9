"""Everything that must not make an approval count, or count twice. PostgreSQL is the target; the store is SQLite."""

from collections.abc import Iterator

import pytest
from approval_site import (
    APPROVALS,
    Actor,
    ApprovalSite,
    douane_approvals,
    locked,
    people,
    refused,
    story,
    tamper,
    time_passes,
    writable_target,
    writes_waiting,
)
from fault_site import Gateway, assert_verifies, running_issuer, until

from tests.servers import PostgresServer

ANA, BOB, MAX, DEE, EVE = "ana", "bob", "max", "dee", "eve"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, pg: PostgresServer) -> Iterator[ApprovalSite]:
    writable_target(pg)
    with running_issuer() as issuer:
        yield ApprovalSite(folder=tmp_path_factory.mktemp("bad-input"), issuer=issuer, pg=pg)


@pytest.fixture(scope="module")
def gateway(site: ApprovalSite) -> Iterator[Gateway]:
    with site.run() as running:
        yield running
    assert_verifies(site.audit)


_fresh = iter(range(1, 20_000, 10))


@pytest.fixture
def first() -> int:
    """Ten people of the test's own: ids from here."""
    return next(_fresh)


def who(gateway: Gateway, name: str, **claims: object) -> Actor:
    return Actor(gateway=gateway, name=name, claims=claims)


def delete(first: int) -> str:
    return f"DELETE FROM people WHERE id BETWEEN {first} AND {first + 9}"


def left(pg: PostgresServer, first: int) -> int:
    return people(pg, f"id BETWEEN {first} AND {first + 9}")


def test_what_ran_runs_no_second_time(gateway: Gateway, pg: PostgresServer, first: int) -> None:
    ana = who(gateway, ANA)
    approval = ana.asked(delete(first), purpose="once")
    assert left(pg, first) == 10
    refused(ana.execute(approval), "approval_not_approved")
    assert who(gateway, MAX).get(approval)["outcome"]["rows"] == 10
    assert ana.get(approval)["outcome"]["rows"] is None
    assert who(gateway, MAX).decide(approval).status_code == 200
    assert left(pg, first) == 10
    ran = ana.execute(approval)
    assert (ran.status_code, ran.json()["affected_rows"]) == (200, 10), ran.text
    assert left(pg, first) == 0
    pg.psql(f"INSERT INTO people VALUES ({first}, 'back@mail.example', 'c', 1)", "approvals_target")
    refused(ana.execute(approval), "approval_already_executed")
    assert left(pg, first) == 1
    refused(who(gateway, MAX).decide(approval), "approval_already_executed")
    assert [(op, outcome) for op, outcome, _ in story(gateway.logged(), approval)][-3:] == [
        ("execute_approval", "completed"),
        ("execute_approval", "denied"),
        ("decide_approval", "denied"),
    ]


@pytest.mark.parametrize("decided", [False, True])
def test_a_request_or_a_yes_whose_time_is_over_is_no_use(
    gateway: Gateway, site: ApprovalSite, pg: PostgresServer, first: int, decided: bool
) -> None:
    ana = who(gateway, ANA)
    approval = ana.asked(delete(first))
    if decided:
        assert who(gateway, MAX).decide(approval).status_code == 200
    time_passes(site, approval)
    refused(ana.execute(approval), "approval_expired")
    refused(who(gateway, MAX).decide(approval), "approval_not_pending" if decided else "approval_expired")
    until(lambda: ana.get(approval)["state"] == "expired", what="the sweep expires it")
    refused(ana.execute(approval), "approval_expired")
    assert left(pg, first) == 10


def test_a_no_ends_it(gateway: Gateway, pg: PostgresServer, first: int) -> None:
    ana = who(gateway, ANA)
    approval = ana.asked(delete(first))
    assert who(gateway, DEE).decide(approval, "reject", reason="not these").status_code == 200
    refused(who(gateway, MAX).decide(approval), "approval_rejected")
    refused(ana.execute(approval), "approval_rejected")
    assert "not these" in ana.get(approval)["next_step"]
    assert left(pg, first) == 10


def test_a_yes_that_was_taken_back_is_no_use_and_what_was_held_is_gone(
    gateway: Gateway, pg: PostgresServer, first: int
) -> None:
    ana = who(gateway, ANA)
    writes = ana.asked(delete(first))
    reads = ana.asked(f"SELECT email FROM people WHERE id = {first}", unmask=["pii.email"])
    for approval in (writes, reads):
        assert who(gateway, MAX).decide(approval).status_code == 200
        refused(ana.end(approval, "revoke"), "approval_self_decision", 403)
        assert who(gateway, DEE).end(approval, "revoke").status_code == 200
        refused(ana.execute(approval), "approval_revoked")
    refused(who(gateway, MAX).ask("GET", f"/v1/approvals/{reads}/preview"), "approval_revoked")
    assert left(pg, first) == 10


def test_a_request_that_was_taken_back_is_over(gateway: Gateway, pg: PostgresServer, first: int) -> None:
    ana = who(gateway, ANA)
    approval = ana.asked(delete(first))
    refused(who(gateway, BOB).end(approval, "cancel"), "unknown_approval", 404)
    assert ana.end(approval, "cancel").status_code == 200
    refused(who(gateway, MAX).decide(approval), "approval_cancelled")
    refused(ana.execute(approval), "approval_cancelled")


def test_others_and_other_agents_cannot_use_it(gateway: Gateway, pg: PostgresServer, first: int) -> None:
    asker = who(gateway, ANA, client_id="bot", act="bot")
    approval = asker.asked(delete(first))
    assert who(gateway, MAX).decide(approval).status_code == 200
    for other in (
        who(gateway, ANA),
        who(gateway, ANA, client_id="otherbot", act="otherbot"),
        who(gateway, ANA, client_id="bot"),
        who(gateway, ANA, client_id="bot", act={"sub": "bot", "act": {"sub": "otherbot"}}),
        who(gateway, ANA, client_id="otherbot", act="bot"),
    ):
        answer = other.execute(approval)
        assert answer.status_code in (403, 409), answer.text
        assert answer.json()["code"] == "approval_not_requester"
    for name in (BOB, MAX, DEE):
        refused(who(gateway, name).execute(approval), "unknown_approval", 404)
    assert left(pg, first) == 10
    assert asker.execute(approval).status_code == 200


@pytest.mark.parametrize("forged", ["apr_" + "0" * 32, "apr_", "nonsense", "%2e%2e", "apr_%00", "apr_' OR 1=1 --"])
def test_a_forged_id_is_nothing(gateway: Gateway, forged: str) -> None:
    for name in (ANA, MAX):
        someone = who(gateway, name)
        for answer in (
            someone.ask("GET", f"/v1/approvals/{forged}"),
            someone.execute(forged),
            someone.decide(forged),
            someone.end(forged, "revoke"),
            someone.ask("GET", f"/v1/approvals/{forged}/preview"),
        ):
            assert answer.status_code in (404, 422), answer.text


def test_nothing_of_the_request_can_be_changed_when_it_is_used(
    gateway: Gateway, site: ApprovalSite, pg: PostgresServer, first: int
) -> None:
    ana = who(gateway, ANA)
    approval = ana.asked("DELETE FROM people WHERE id = :id", params={"id": first})
    assert who(gateway, MAX).decide(approval).status_code == 200
    for more in ({"sql": delete(first)}, {"params": {"id": first + 1}}, {"unmask": ["pii.email"]}):
        assert ana.ask("POST", f"/v1/approvals/{approval}/execute", more).status_code == 422
    # Somebody with access to the store changes the parameter: the digest does not hold any more.
    tamper(site, f"UPDATE approvals SET request = replace(request, '\"id\": {first}', '\"id\": {first + 1}')")
    refused(ana.execute(approval), "approval_altered", 500)
    assert left(pg, first) == 10


def test_nobody_decides_her_own_request_through_whatever_client(
    gateway: Gateway, pg: PostgresServer, first: int
) -> None:
    approval = who(gateway, ANA, client_id="bot", act="bot").asked(delete(first))
    for same in (
        who(gateway, ANA),
        who(gateway, ANA, client_id="console"),
        who(gateway, ANA, client_id="otherbot", act="otherbot"),
        who(gateway, MAX, client_id="bot", act="bot"),
    ):
        refused(same.decide(approval), "approval_self_decision", 403)
        refused(same.decide(approval, "reject"), "approval_self_decision", 403)
    said = douane_approvals(gateway, ANA, "approve", approval, "--yes")
    assert (said.returncode, "approval_self_decision" in said.stderr) == (1, True), said.stderr
    refused(who(gateway, EVE).decide(approval), "approval_not_approver", 403)
    assert who(gateway, MAX).get(approval)["state"] == "pending"


def test_a_quorum_of_two_is_two_people(gateway: Gateway, pg: PostgresServer, first: int) -> None:
    bob_asks = who(gateway, ANA)
    approval = bob_asks.asked(f"UPDATE people SET n = 99 WHERE id BETWEEN {first} AND {first + 2}")
    assert who(gateway, MAX).decide(approval).json()["state"] == "pending"
    refused(who(gateway, MAX).decide(approval), "approval_already_voted")
    refused(who(gateway, MAX, client_id="console").decide(approval), "approval_already_voted")
    refused(bob_asks.execute(approval), "approval_not_approved")
    said = douane_approvals(gateway, DEE, "approve", approval, "--yes")
    assert said.returncode == 0, said.stderr
    assert "2 of user:ana, user:dee, user:max (1 so far)" in " ".join(said.stdout.split()), said.stdout
    assert bob_asks.execute(approval).json()["affected_rows"] == 3
    assert people(pg, f"n = 99 AND id BETWEEN {first} AND {first + 9}") == 3


def test_a_window_ends_with_its_uses_or_its_rows(gateway: Gateway, pg: PostgresServer, first: int) -> None:
    ana = who(gateway, ANA)
    values = ", ".join(f"({100_000 + first * 10 + n}, 7)" for n in range(2))
    statement = f"INSERT INTO people (id, n) VALUES {values}"
    one = "INSERT INTO people (id, n) SELECT max(id) + 1, 7 FROM people"
    approval = ana.asked(one)
    assert who(gateway, MAX).decide(approval).status_code == 200
    before = people(pg, "true")
    for use in range(3):
        ran = ana.execute(approval)
        assert ran.status_code == 200, ran.text
        assert ana.get(approval)["uses"] == use + 1
    assert people(pg, "true") == before + 3
    refused(ana.execute(approval), "approval_already_executed")
    rows = ana.asked(statement)
    assert who(gateway, MAX).decide(rows).status_code == 200
    assert ana.execute(rows).status_code == 200
    pg.psql(f"DELETE FROM people WHERE id >= 100000 + {first} * 10", "approvals_target")
    assert ana.execute(rows).status_code == 200
    refused(ana.execute(rows), "approval_already_executed")
    assert ana.get(rows)["rows_used"] == 4


def test_more_rows_than_were_approved_are_not_touched(gateway: Gateway, pg: PostgresServer, first: int) -> None:
    ana = who(gateway, ANA)
    none = ana.asked(f"DELETE FROM people WHERE id BETWEEN {first} AND {first + 9} AND n = 77")
    pg.psql(f"DELETE FROM people WHERE id = {first}", "approvals_target")
    nine = ana.asked(delete(first))
    pg.psql(f"INSERT INTO people VALUES ({first}, 'e', 'code-x', 77)", "approvals_target")
    ten = ana.asked(delete(first))
    pg.psql(f"DELETE FROM people WHERE id = {first + 9}", "approvals_target")
    pg.psql(f"INSERT INTO people VALUES ({first + 9}, 'e', 'code-y', 1)", "approvals_target")
    judge = who(gateway, MAX)
    assert [judge.get(each)["outcome"]["rows"] for each in (none, nine, ten)] == [0, 9, 10]
    for each in (none, nine, ten):
        assert judge.decide(each).status_code == 200
    for each in (none, nine):
        refused(ana.execute(each), "approval_rows_exceeded")
        assert left(pg, first) == 10
        refused(ana.execute(each), "approval_failed")
    assert ana.execute(ten).json()["affected_rows"] == 10


def _other_version(asker: Actor, version: str) -> str | None:
    found: str = asker.query("SELECT 1").json()["policy_version"]
    return None if found == version else found


def test_a_changed_policy_sends_it_back_with_the_difference(
    gateway: Gateway, site: ApprovalSite, pg: PostgresServer, first: int
) -> None:
    ana, judge = who(gateway, ANA), who(gateway, MAX)
    same = ana.asked(f"DELETE FROM people WHERE id = {first}")
    read = ana.asked(f"SELECT id, email, code FROM people WHERE id = {first + 1}", unmask=["pii.email"])
    for approval in (same, read):
        assert judge.decide(approval).status_code == 200
    version = ana.get(same)["policy_version"]
    masks = site.policies / "masks.yaml"
    before = masks.read_text()
    try:
        site.write_policy("p, user:zoe, pg/public.people, select, allow,\n")
        another = until(lambda: _other_version(ana, version), what="the new policy counts")
        # Another version with the same outcome: what was approved still is what runs.
        assert ana.execute(same).status_code == 200
        masks.write_text(before.replace("pii.code: {kind: pseudonym, domain: code}", "pii.code: null"))
        until(lambda: _other_version(ana, another), what="the newest policy counts")
        digest = judge.get(read)["digest"]
        refused(ana.execute(read), "approval_reopened")
        reopened = judge.get(read)
        assert reopened["state"] == "pending"
        assert reopened["digest"] != digest
        last = reopened["history"][-1]
        assert last["happening"] == "reopened"
        assert last["detail"]["difference"]
        refused(judge.decide(read, digest=digest), "approval_reopened")
        shown = douane_approvals(gateway, MAX, "show", read)
        assert "reopened" in shown.stdout
        assert judge.decide(read, digest=reopened["digest"]).status_code == 200
        ran = ana.execute(read)
        assert ran.status_code == 200, ran.text
        assert ran.json()["rows"][0][2] is None
    finally:
        masks.write_text(before)
        site.write_policy()
        until(lambda: ana.query("SELECT 1").json()["policy_version"] == version, what="the old policy is back")


def test_what_policy_denies_by_now_is_refused_and_over(
    gateway: Gateway, site: ApprovalSite, pg: PostgresServer, first: int
) -> None:
    ana = who(gateway, ANA)
    approval = ana.asked(delete(first))
    assert who(gateway, MAX).decide(approval).status_code == 200
    version = ana.get(approval)["policy_version"]
    try:
        site.write_policy("p, *, pg/public.people, delete, deny,\n")
        until(lambda: _other_version(ana, version), what="the new policy counts")
        answer = ana.execute(approval)
        assert answer.status_code == 403, answer.text
        assert ana.get(approval)["state"] == "revoked"
    finally:
        site.write_policy()
        until(lambda: ana.query("SELECT 1").json()["policy_version"] == version, what="the old policy is back")
    refused(ana.execute(approval), "approval_revoked")
    assert left(pg, first) == 10


def test_a_running_use_ends_with_its_window(
    gateway: Gateway, site: ApprovalSite, pg: PostgresServer, first: int
) -> None:
    """The lock of another transaction keeps the write from running; it does not outlive what was approved."""
    ana = who(gateway, ANA)
    version = ana.query("SELECT 1").json()["policy_version"]
    short = {**APPROVALS, "rules": [{"resource": "{at}.people", "action": "delete", "grant": {"window": "3s"}}]}
    try:
        site.write_policy(approvals=short)
        until(lambda: _other_version(ana, version), what="the new policy counts")
        approval = ana.asked(delete(first))
        assert who(gateway, MAX).decide(approval).status_code == 200
        with locked(pg, f"id BETWEEN {first} AND {first + 9}"):
            answer = ana.execute(approval)
        assert answer.status_code in (409, 422), answer.text
        again = ana.execute(approval)
        assert again.status_code == 409, again.text
        assert left(pg, first) == 10
        assert writes_waiting(pg) == 0
    finally:
        site.write_policy()
        until(lambda: ana.query("SELECT 1").json()["policy_version"] == version, what="the old policy is back")
