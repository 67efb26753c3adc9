"""Processes and stores that go away between asking, deciding and running: nothing is lost, nothing runs twice."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from approval_site import (
    Actor,
    ApprovalSite,
    douane_approvals,
    locked,
    people,
    refused,
    story,
    tamper,
    writable_target,
    writes_waiting,
)
from fault_site import Gateway, InBackground, Issuer, Problem, assert_verifies, kill, until

from tests.servers import PostgresServer


@pytest.fixture
def target(pg: PostgresServer) -> PostgresServer:
    writable_target(pg)
    return pg


def who(gateway: Gateway, name: str) -> Actor:
    return Actor(gateway=gateway, name=name)


def test_a_restart_between_yes_and_use_keeps_the_held_result(
    tmp_path: Path, issuer: Issuer, target: PostgresServer
) -> None:
    site = ApprovalSite(folder=tmp_path, issuer=issuer, pg=target)
    with site.run() as first:
        # The tests of one run share the database, and some write to these rows.
        target.psql("UPDATE people SET email = 'someone' || id || '@mail.example' WHERE id <= 5", "approvals_target")
        read = who(first, "ana").asked("SELECT id, email FROM people WHERE id <= 5 ORDER BY id", unmask=["pii.email"])
        seen = who(first, "max").ask("GET", f"/v1/approvals/{read}/preview").json()["answer"]["rows"]
        waits = who(first, "ana").asked("DELETE FROM people WHERE id = 19001")
        assert who(first, "max").decide(read).status_code == 200
        held = (site.folder / "store" / "douane.db").read_bytes()
        assert b"someone1@mail.example" not in held
        kill(first)
    # What is released is what was seen, whatever the table says by now.
    target.psql("UPDATE people SET email = 'changed@mail.example' WHERE id <= 5", "approvals_target")
    try:
        with site.run() as second:
            assert douane_approvals(second, "max", "list", "--ids").stdout.split() == [waits]
            released = who(second, "ana").execute(read)
            assert released.status_code == 200, released.text
            assert released.json()["rows"] == seen
            assert seen[0] == [1, "someone1@mail.example"]
            refused(who(second, "ana").execute(read), "approval_already_executed")
            assert who(second, "max").decide(waits).status_code == 200
            assert who(second, "ana").execute(waits).json()["affected_rows"] == 1
    finally:
        target.psql("UPDATE people SET email = 'someone' || id || '@mail.example' WHERE id <= 5", "approvals_target")
    assert_verifies(site.audit)


def test_a_gateway_killed_while_a_write_runs_never_runs_it_again(
    tmp_path: Path, issuer: Issuer, target: PostgresServer
) -> None:
    site = ApprovalSite(folder=tmp_path, issuer=issuer, pg=target)
    site.options["connections"] = {"pg": {"statement_timeout_s": 20}}
    site.write()
    with site.run() as first:
        approval = who(first, "ana").asked("DELETE FROM people WHERE id BETWEEN 18001 AND 18010")
        assert who(first, "max").decide(approval).status_code == 200
        with locked(target, "id BETWEEN 18001 AND 18010"):
            running = InBackground(lambda: who(first, "ana").execute(approval))
            until(lambda: writes_waiting(target) == 1, what="the write waits for the lock")
            refused(who(first, "ana").execute(approval), "approval_in_use")
            kill(first)
            with pytest.raises(AssertionError):
                running.answer()
        until(lambda: writes_waiting(target) == 0, what="the server noticed that its client is gone")
    survivors = people(target, "id BETWEEN 18001 AND 18010")
    with site.run() as second:
        ana = who(second, "ana")
        assert ana.get(approval)["state"] == "executing"
        refused(ana.execute(approval), "approval_in_use")
        # A minute and the longest statement later the sweep gives it up; here the clock is turned instead.
        tamper(
            site, f"UPDATE approvals SET started_at = '2020-01-01T00:00:00.000000Z' WHERE approval_id = '{approval}'"
        )
        until(lambda: ana.get(approval)["state"] == "failed", what="the sweep gives it up", seconds=40)
        assert ana.get(approval)["history"][-1]["detail"]["code"] == "outcome_unknown"
        refused(ana.execute(approval), "approval_failed")
        assert people(target, "id BETWEEN 18001 AND 18010") == survivors
        told = story(second.logged(), approval)
        assert ("execute_approval", "intent", None) in told
        assert any(code == "outcome_unknown" for _, _, code in told), told
    assert_verifies(site.audit)


def test_a_gateway_killed_after_the_commit_and_before_the_store_knows_runs_it_no_second_time(
    tmp_path: Path, issuer: Issuer, target: PostgresServer
) -> None:
    """The store is held by another connection from the start of the write on: its outcome cannot be stored."""
    site = ApprovalSite(folder=tmp_path, issuer=issuer, pg=target)
    with site.run() as first:
        approval = who(first, "ana").asked("DELETE FROM people WHERE id BETWEEN 18101 AND 18110")
        assert who(first, "max").decide(approval).status_code == 200
        with closing(sqlite3.connect(site.folder / "store" / "douane.db", isolation_level=None, timeout=20)) as store:
            with locked(target, "id BETWEEN 18101 AND 18110"):
                running = InBackground(lambda: who(first, "ana").execute(approval))
                until(lambda: writes_waiting(target) == 1, what="the write waits for the lock")
                store.execute("BEGIN EXCLUSIVE")
            until(lambda: people(target, "id BETWEEN 18101 AND 18110") == 0, what="the write is committed")
            kill(first)
            with pytest.raises(AssertionError):
                running.answer()
            store.execute("ROLLBACK")
    target.psql("INSERT INTO people VALUES (18101, 'back@mail.example', 'c', 1)", "approvals_target")
    with site.run() as second:
        ana = who(second, "ana")
        refused(ana.execute(approval), "approval_in_use")
        tamper(
            site, f"UPDATE approvals SET started_at = '2020-01-01T00:00:00.000000Z' WHERE approval_id = '{approval}'"
        )
        until(lambda: ana.get(approval)["state"] == "failed", what="the sweep gives it up", seconds=40)
        refused(ana.execute(approval), "approval_failed")
        assert people(target, "id BETWEEN 18101 AND 18110") == 1
        told = story(second.logged(), approval)
        assert ("execute_approval", "intent", None) in told
        assert any(code == "outcome_unknown" for _, _, code in told), told
    assert_verifies(site.audit)


def test_a_store_lost_after_the_yes_runs_nothing_and_works_again_when_it_is_back(
    tmp_path: Path, issuer: Issuer, target: PostgresServer
) -> None:
    """The store is on the server that stops, the target is the SQLite file beside it."""
    target.create_database("lost_store")
    site = ApprovalSite(folder=tmp_path, issuer=issuer, pg=target, store_on_pg="lost_store")
    with site.run() as gateway:
        ana = who(gateway, "ana")
        approval = ana.asked("DELETE FROM people WHERE id <= 10", "lite")
        assert who(gateway, "max").decide(approval).status_code == 200
        target.stop()
        try:
            Problem(status=503, code="store_unavailable").assert_is(ana.execute(approval))
            assert ana.query("SELECT count(*) FROM people WHERE id <= 10", "lite").json()["rows"] == [[10]]
        finally:
            target.start()
        ran = ana.execute(approval)
        assert (ran.status_code, ran.json()["affected_rows"]) == (200, 10), ran.text
        refused(ana.execute(approval), "approval_already_executed")
        assert ana.query("SELECT count(*) FROM people WHERE id <= 10", "lite").json()["rows"] == [[0]]
    assert_verifies(site.audit)


def test_a_store_lost_while_a_write_runs_learns_of_its_outcome_later(
    tmp_path: Path, issuer: Issuer, target: PostgresServer
) -> None:
    """The target is SQLite, held by another connection for a moment, in which the store goes away."""
    target.create_database("lost_later")
    site = ApprovalSite(folder=tmp_path, issuer=issuer, pg=target, store_on_pg="lost_later")
    with site.run() as gateway:
        ana = who(gateway, "ana")
        approval = ana.asked("DELETE FROM people WHERE id <= 10", "lite")
        assert who(gateway, "max").decide(approval).status_code == 200
        with closing(sqlite3.connect(site.folder / "lite.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            running = InBackground(lambda: ana.execute(approval))
            until(
                lambda: (
                    target.psql(f"SELECT state FROM approvals WHERE approval_id = '{approval}'", "lost_later")
                    == "executing"
                ),
                what="the write started",
            )
            target.stop()
            other.execute("ROLLBACK")
        try:
            ran = running.answer()
        finally:
            target.start()
        assert (ran.status_code, ran.json()["affected_rows"]) == (200, 10), ran.text
        until(lambda: ana.get(approval)["state"] == "executed", what="the outcome reaches the store", seconds=40)
        refused(ana.execute(approval), "approval_already_executed")
    assert_verifies(site.audit)
