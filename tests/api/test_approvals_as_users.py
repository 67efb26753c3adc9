"""Approvals on the demo as its people use them: an agent over HTTP, approvers in other processes, in a terminal."""

import hashlib
import json
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.faults.fault_site import InBackground, entries
from tests.running import Running, demo

DELETE = "DELETE FROM orders WHERE status = 'cancelled' AND id BETWEEN {first} AND {last}"
UNMASK = "SELECT id, name, email FROM customers WHERE region = 'north' ORDER BY id LIMIT 5"
AGENT = "ops-agent"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A demo of its own: these tests change its data."""
    with demo(tmp_path_factory.mktemp("approvals")) as running:
        yield running


def douane(site: Running, *arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
    """An approver's terminal."""
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "approvals", *arguments, "--state", str(site.state)],
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def call(
    site: Running, who: str, method: str, path: str, body: Any = None, behalf: str | None = None
) -> httpx2.Response:
    with httpx2.Client(base_url=site.url, timeout=90) as client:
        return client.request(method, path, json=body, headers=site.auth(who, behalf))


def asked(site: Running, sql: str, who: str = AGENT, **more: Any) -> str:
    answer = site.query(who, sql, **more)
    assert answer.status_code == 202, answer.text
    found: str = answer.json()["approval_id"]
    return found


def execute(site: Running, approval_id: str, who: str = AGENT) -> httpx2.Response:
    return call(site, who, "POST", f"/v1/approvals/{approval_id}/execute", {})


def orders(site: Running, first: int, last: int) -> int:
    with closing(sqlite3.connect(f"file:{site.state / 'shop.db'}?mode=ro", uri=True)) as database:
        (found,) = database.execute(
            "SELECT count(*) FROM orders WHERE status = 'cancelled' AND id BETWEEN ? AND ?", (first, last)
        ).fetchone()
    return int(found)


def story(site: Running, approval_id: str) -> list[dict[str, Any]]:
    return [entry for entry in entries(site.state / "audit") if entry.get("approval_id") == approval_id]


def assert_in_order(found: list[dict[str, Any]], *expected: tuple[str, str]) -> None:
    """Each (operation, outcome) is on the log, in this order; others may stand between them."""
    told = [(entry.get("operation"), entry.get("outcome")) for entry in found]
    rest = iter(told)
    missing = [wanted for wanted in expected if wanted not in rest]
    assert missing == [], told


def assert_log_is_sound(site: Running) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "audit", "verify", str(site.state / "audit")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_delete_waits_is_seen_approved_in_another_terminal_and_runs_once(site: Running) -> None:
    before = orders(site, 1, 400)
    assert before > 3
    answer = site.query(AGENT, DELETE.format(first=1, last=400), purpose="cancelled orders, ticket 7")
    assert answer.status_code == 202
    body = answer.json()
    approval_id = body["approval_id"]
    assert body["status"] == "pending_approval"
    assert answer.headers["location"].endswith(f"/v1/approvals/{approval_id}")
    assert int(answer.headers["retry-after"]) == body["retry_after_seconds"]
    assert "get_approval" in body["notice"]
    assert "execute_approval" in body["notice"]
    assert orders(site, 1, 400) == before

    waiting = InBackground(lambda: call(site, AGENT, "GET", f"/v1/approvals/{approval_id}?wait_seconds=50"))
    listed = douane(site, "list", "--as", "max")
    assert approval_id in listed.stdout
    shown = douane(site, "show", approval_id, "--as", "max")
    assert shown.returncode == 0, shown.stderr
    for said in ("main.orders", f"{before} affected in a dry run", "ticket 7", AGENT, "policy.csv:"):
        assert said in shown.stdout
    yes = douane(site, "approve", approval_id, "--as", "max", "--reason", "ticket read", typed="y\n")
    assert yes.returncode == 0, yes.stderr
    told = waiting.answer()
    assert told.json()["state"] == "approved"
    assert orders(site, 1, 400) == before

    ran = execute(site, approval_id)
    assert ran.status_code == 200, ran.text
    assert ran.json()["status"] == "completed"
    assert ran.json()["affected_rows"] == before
    assert orders(site, 1, 400) == 0
    again = execute(site, approval_id)
    assert (again.status_code, again.json()["code"]) == (409, "approval_already_executed")

    assert_in_order(
        story(site, approval_id),
        ("query_sql", "pending_approval"),
        ("decide_approval", "intent"),
        ("decide_approval", "completed"),
        ("execute_approval", "intent"),
        ("execute_approval", "completed"),
        ("execute_approval", "denied"),
    )
    entry = entries(site.state / "audit")[ran.json()["receipt"]["index"]]
    assert entry["answer_sha256"] == hashlib.sha256(ran.content).hexdigest()
    assert_log_is_sound(site)


def test_five_unmasked_rows_are_seen_by_the_approver_and_released_byte_for_byte(site: Running) -> None:
    masked = site.query(AGENT, UNMASK).json()["rows"]
    waiting = InBackground(
        lambda: call(
            site,
            AGENT,
            "POST",
            "/v1/connections/shop/query",
            {"sql": UNMASK, "unmask": ["pii.email"], "purpose": "answer ticket 8", "wait_seconds": 55},
        )
    )
    approval_id = ""
    deadline = time.monotonic() + 20
    while not approval_id and time.monotonic() < deadline:
        approval_id = douane(site, "list", "--ids", "--as", "dee", "--limit", "1").stdout.strip()
    preview = call(site, "dee", "GET", f"/v1/approvals/{approval_id}/preview")
    assert preview.status_code == 200, preview.text
    held = re.fullmatch(rb'.*?"answer":(\{.*)\},"receipt":\{[^{}]*\}\}', preview.content, re.S)
    assert held is not None
    assert hashlib.sha256(held[1]).hexdigest() == preview.json()["sha256"]
    requester = call(site, AGENT, "GET", f"/v1/approvals/{approval_id}/preview")
    assert (requester.status_code, requester.json()["code"]) == (403, "approval_self_decision")

    shown = douane(site, "show", approval_id, "--as", "dee")
    raw = preview.json()["answer"]["rows"]
    assert len(raw) == 5
    assert "5 would leave, exactly these" in shown.stdout
    for row, hidden in zip(raw, masked, strict=True):
        assert row[2] in shown.stdout
        assert (row[0], row[1]) == (hidden[0], hidden[1])
        assert row[2] != hidden[2]
    assert "email" in shown.stdout

    yes = douane(site, "approve", approval_id, "--as", "dee", "--yes")
    assert yes.returncode == 0, yes.stderr
    released = waiting.answer()
    assert released.status_code == 200, released.text
    assert released.content.startswith(held[1])
    assert released.json()["rows"] == raw
    again = execute(site, approval_id)
    assert (again.status_code, again.json()["code"]) == (409, "approval_already_executed")
    gone = call(site, "dee", "GET", f"/v1/approvals/{approval_id}/preview")
    assert gone.status_code == 409
    assert_in_order(
        story(site, approval_id),
        ("preview_approval", "completed"),
        ("decide_approval", "intent"),
        ("decide_approval", "completed"),
        ("query_sql", "intent"),
        ("query_sql", "completed"),
    )
    assert raw[0][2].encode() not in b"".join(json.dumps(e).encode() for e in entries(site.state / "audit"))
    assert_log_is_sound(site)


def test_an_approver_without_the_role_and_the_requester_are_refused_with_exit_code_1(site: Running) -> None:
    approval_id = asked(site, DELETE.format(first=401, last=500))
    for who, code in ((AGENT, "approval_self_decision"), ("ana", "unknown_approval")):
        said = douane(site, "approve", approval_id, "--as", who, "--yes")
        assert said.returncode == 1, said.stdout
        assert code in said.stderr
    assert execute(site, approval_id).json()["code"] == "approval_not_approved"
    no = douane(site, "reject", approval_id, "--as", "max", "--yes", "--reason", "not in the ticket\x1b[2J")
    assert no.returncode == 0, no.stderr
    mine = call(site, AGENT, "GET", f"/v1/approvals/{approval_id}").json()
    assert mine["state"] == "rejected"
    assert "not in the ticket" in mine["next_step"]
    assert execute(site, approval_id).json()["code"] == "approval_rejected"


def test_a_digest_that_was_not_shown_decides_nothing(site: Running) -> None:
    approval_id = asked(site, DELETE.format(first=501, last=600))
    body = {"decision": "approve", "digest": "0" * 64}
    refused = call(site, "max", "POST", f"/v1/approvals/{approval_id}/decision", body)
    assert refused.status_code == 409
    assert call(site, "max", "GET", f"/v1/approvals/{approval_id}").json()["state"] == "pending"


def test_watching_shows_each_step_as_it_happens(site: Running) -> None:
    watcher = subprocess.Popen(
        [
            sys.executable,
            "-u",
            "-m",
            "app.cli",
            "approvals",
            "watch",
            "--json",
            "--as",
            "max",
            "--state",
            str(site.state),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watcher.stdout is not None
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(watcher.stdout or ()), daemon=True)
    reader.start()
    try:
        # Until the stream stands, requests come and go unseen: ask until one is seen.
        deadline = time.monotonic() + 30
        while not lines and time.monotonic() < deadline:
            approval_id = asked(site, DELETE.format(first=601, last=700))
            time.sleep(1.5)
        assert douane(site, "approve", approval_id, "--as", "max", "--yes").returncode == 0
        assert call(site, AGENT, "POST", f"/v1/approvals/{approval_id}/cancel", {}).status_code == 200
        while len(lines) < 3 and time.monotonic() < deadline + 20:
            time.sleep(0.1)
    finally:
        watcher.terminate()
        watcher.wait(timeout=20)
        reader.join(timeout=20)
        watcher.stdout.close()
    seen = [json.loads(line) for line in lines]
    mine = [event["happening"] for event in seen if event["approval_id"] == approval_id]
    assert mine == ["requested", "approved", "cancelled"]


def test_a_restart_keeps_what_waits_and_what_is_held(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with demo(state) as first:
        pending = asked(first, DELETE.format(first=1, last=100))
        held = asked(first, UNMASK, unmask=["pii.email"])
        # The audience of the demo's tokens is its address: the second start takes the same.
        port = int(first.url.rpartition(":")[2])
        preview = call(first, "dee", "GET", f"/v1/approvals/{held}/preview").json()["answer"]
        assert douane(first, "approve", held, "--as", "dee", "--yes").returncode == 0
    with demo(state, port) as second:
        ids = douane(second, "list", "--ids", "--as", "max").stdout.split()
        assert pending in ids
        released = execute(second, held)
        assert released.status_code == 200, released.text
        assert released.json()["rows"] == preview["rows"]
        assert douane(second, "approve", pending, "--as", "max", "--yes").returncode == 0
        assert execute(second, pending).status_code == 200
        assert execute(second, pending).json()["code"] == "approval_already_executed"
    assert_log_is_sound(second)
