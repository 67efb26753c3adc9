"""Callers that wait for a human: in crowds, leaving early, and while the gateway stops."""

import asyncio
import time
from collections import Counter
from pathlib import Path

import httpx2
import pytest
from approval_site import Actor, ApprovalSite, people, refused, story, writable_target
from fault_site import Gateway, InBackground, Issuer, assert_verifies, until

from tests.servers import PostgresServer

CROWD = 1_000


@pytest.fixture
def target(pg: PostgresServer) -> PostgresServer:
    writable_target(pg)
    return pg


def who(gateway: Gateway, name: str) -> Actor:
    return Actor(gateway=gateway, name=name)


def resident_kib(gateway: Gateway) -> int:
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))


def test_a_caller_that_left_while_waiting_finds_its_approval_unused(
    tmp_path: Path, issuer: Issuer, target: PostgresServer
) -> None:
    site = ApprovalSite(folder=tmp_path, issuer=issuer, pg=target)
    with site.run() as gateway:
        ana, judge = who(gateway, "ana"), who(gateway, "max")
        headers = {"authorization": f"Bearer {issuer.token('ana')}"}
        body = {"sql": "DELETE FROM people WHERE id = 16001", "wait_seconds": 60}
        with (
            httpx2.Client(base_url=gateway.url, headers=headers, timeout=2) as impatient,
            pytest.raises(httpx2.TimeoutException),
        ):
            impatient.post("/v1/connections/pg/query", json=body)
        (found,) = judge.ask("GET", "/v1/approvals?state=pending").json()["approvals"]
        approval = found["approval_id"]
        time.sleep(0.5)
        assert judge.decide(approval).status_code == 200
        time.sleep(1.0)
        # Nobody was there to hear of it, so nothing ran; the caller comes back and gets what it asked for.
        assert people(target, "id = 16001") == 1
        assert ana.get(approval)["state"] == "approved"
        assert ana.execute(approval).json()["affected_rows"] == 1
        refused(ana.execute(approval), "approval_already_executed")
    assert_verifies(site.audit)


def test_stopping_answers_who_waits_and_runs_nothing(tmp_path: Path, issuer: Issuer, target: PostgresServer) -> None:
    site = ApprovalSite(folder=tmp_path, issuer=issuer, pg=target)
    with site.run() as gateway:
        ana = who(gateway, "ana")
        asking = InBackground(lambda: ana.query("DELETE FROM people WHERE id = 16002", wait_seconds=60))
        (found,) = until(
            lambda: ana.ask("GET", "/v1/approvals?state=pending").json()["approvals"], what="the request is stored"
        )
        approval = found["approval_id"]
        polling = InBackground(lambda: ana.ask("GET", f"/v1/approvals/{approval}?wait_seconds=60"))
        time.sleep(1.0)
        assert gateway.stop() == 0
        assert asking.answer().status_code == 202
        assert asking.answer().json()["approval_id"] == approval
        assert polling.answer().json()["state"] == "pending"
    with site.run() as again:
        assert who(again, "max").decide(approval).status_code == 200
        assert who(again, "ana").execute(approval).json()["affected_rows"] == 1
        assert [op for op, outcome, _ in story(again.logged(), approval) if outcome == "pending_approval"] == [
            "query_sql"
        ]
    assert_verifies(site.audit)


def test_a_thousand_wait_at_once_for_little_and_all_hear_of_the_decision(
    tmp_path: Path, issuer: Issuer, target: PostgresServer
) -> None:
    """On a PostgreSQL store: waiting takes no connection of it, and less than 100 MB in all."""
    target.create_database("crowd_store")
    site = ApprovalSite(folder=tmp_path, issuer=issuer, pg=target, store_on_pg="crowd_store")
    with site.run() as gateway:
        ana = who(gateway, "ana")
        approvals = [ana.asked(f"DELETE FROM people WHERE id = {15_000 + n}") for n in range(4)]
        before = resident_kib(gateway)
        seen = asyncio.run(_crowd(gateway, issuer.token("ana"), approvals, target))
        assert seen.states == Counter({"approved": CROWD})
        assert seen.connections <= 12
        assert seen.resident_kib - before < 100 * 1024
        assert ana.query("SELECT 1").status_code == 200


class _Crowd:
    def __init__(self) -> None:
        self.states: Counter[str] = Counter()
        self.connections = 0
        self.resident_kib = 0


async def _crowd(gateway: Gateway, token: str, approvals: list[str], target: PostgresServer) -> _Crowd:
    port = int(gateway.url.rpartition(":")[2])
    seen = _Crowd()

    async def wait(approval: str) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        request = (
            f"GET /v1/approvals/{approval}?wait_seconds=60 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        )
        writer.write(request.encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer.partition(b'"state":"')[2].partition(b'"')[0].decode() or answer[:600].decode()

    waiting = [asyncio.create_task(wait(approvals[n % len(approvals)])) for n in range(CROWD)]
    await asyncio.sleep(8)
    early = Counter(str(task.exception() or task.result()) for task in waiting if task.done())
    assert early == Counter()
    seen.resident_kib = resident_kib(gateway)
    seen.connections = int(target.psql("SELECT count(*) FROM pg_stat_activity WHERE datname = 'crowd_store'"))
    judge = Actor(gateway=gateway, name="max")
    for approval in approvals:
        answer = await asyncio.to_thread(judge.decide, approval)
        assert answer.status_code == 200, answer.text
    seen.states.update(await asyncio.gather(*waiting))
    seen.resident_kib = max(seen.resident_kib, resident_kib(gateway))
    return seen
