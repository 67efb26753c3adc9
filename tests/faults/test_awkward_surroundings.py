"""Faults that are nobody's crash: a database that hangs, no room to spool, no descriptors left, a policy unrecorded."""

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from fault_site import Got, InBackground, Issuer, Problem, Site, assert_all_signed, until

from tests.freezing import freeze, thaw
from tests.servers import PostgresServer

ONE = "SELECT id FROM people WHERE id = 1"
MANY = "SELECT a.id, a.email, b.code FROM people a, people b"


@contextmanager
def frozen(pg: PostgresServer) -> Iterator[None]:
    """The server process and every session of the gateway stop in their tracks, and nobody is told."""
    sessions = pg.psql("SELECT pid FROM pg_stat_activity WHERE usename = 'reader'").split()
    stopped = [*map(int, sessions), pg.pid]
    for pid in stopped:
        freeze(pid)
    try:
        yield
    finally:
        for pid in stopped:
            thaw(pid)


def test_a_database_that_hangs_takes_nobody_with_it(tmp_path: Path, issuer: Issuer, pg: PostgresServer) -> None:
    site = Site(folder=tmp_path, issuer=issuer, pg=pg, options={"connections": {"pg": {"statement_timeout_s": 1.5}}})
    with site.run() as gateway:
        assert gateway.query("ana", ONE, connection="pg").status_code == 200
        with frozen(pg):
            waiting = [InBackground(lambda: gateway.query("ana", ONE, connection="pg")) for _ in range(3)]
            assert gateway.query("ana", ONE, connection="lite").status_code == 200
            told = {(one.answer().status_code, one.answer().json()["code"]) for one in waiting}
        assert told <= {(503, "connection_unavailable"), (422, "statement_timeout")}
        assert gateway.query("ana", ONE, connection="pg").json()["rows"] == [[1]]


def test_an_answer_that_finds_no_room_to_spool_is_503_and_leaves_none_occupied(
    tmp_path: Path, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(
        folder=tmp_path,
        issuer=issuer,
        options={"connections": {"lite": {"max_rows": 1_000_000, "max_bytes": 256 * 1024 * 1024}}},
    )
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setenv("TMPDIR", str(spool))
    with site.run() as gateway:
        pid = gateway.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1024 * 1024, before[1]))
        for _ in range(2):
            problem = Problem(status=503, code="no_space").assert_is(
                gateway.query("ana", f"{MANY} LIMIT 120000", connection="lite")
            )
            assert gateway.logged()[problem["receipt"]["index"]]["rows"] == 0
        assert gateway.query("ana", ONE, connection="lite").status_code == 200
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
        large = gateway.query("ana", f"{MANY} LIMIT 120000", connection="lite")
        assert Got(status=large.status_code, body=large.content).on_record(gateway.logged())["rows"] == 120_000
        deleted = [link for link in Path(f"/proc/{pid}/fd").iterdir() if "spool" in os.readlink(link)]
        assert deleted == []


def test_a_gateway_that_ran_out_of_descriptors_is_itself_again_when_there_are_some(
    tmp_path: Path, issuer: Issuer
) -> None:
    few = 48
    site = Site(folder=tmp_path, issuer=issuer)
    with site.run(prepare=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (few, few))) as gateway:
        before = gateway.query("dee", ONE, connection="lite").json()
        with ExitStack() as idle:
            for _ in range(2 * few):
                client = idle.enter_context(socket.create_connection(("127.0.0.1", site.port), timeout=10))
                client.sendall(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n")
            until(lambda: len(list(Path(f"/proc/{gateway.process.pid}/fd").iterdir())) >= few - 4, what="none are left")
        until(gateway.ready, what="readiness comes back")
        after = gateway.query("dee", ONE, connection="lite").json()
        assert after["policy_version"] == before["policy_version"]
        assert gateway.stop() == 0
    assert_all_signed(site.audit)


def test_a_policy_is_not_in_force_before_it_is_on_record(tmp_path: Path, issuer: Issuer) -> None:
    site = Site(folder=tmp_path, issuer=issuer)
    masks = site.policies / "masks.yaml"
    with site.run() as gateway:
        old = gateway.query("dee", ONE, connection="lite").json()["policy_version"]
        pid = gateway.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        size = len((gateway.audit / "0" / "journal").read_bytes().rstrip(b"\0"))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))
        masks.write_text(masks.read_text().replace("{kind: partial, email: true}", "{kind: constant, value: GONE}"))
        until(lambda: not gateway.ready(), what="the log is full")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
        until(gateway.ready, what="there is room again")

        def answered() -> bool:
            return bool(gateway.query("dee", ONE, connection="lite").json()["policy_version"] != old)

        until(answered, what="the new policy is in force")
        log = gateway.logged()
        (activated,) = [entry for entry in log if entry["operation"] == "policy_activated"]
        first = next(n for n, entry in enumerate(log) if entry.get("policy_version") not in (None, old))
        assert log[first] is activated
