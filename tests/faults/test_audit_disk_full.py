"""No room for the audit log: nothing is released until there is room again, and then the service goes on by itself."""

import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fault_site import Gateway, Got, Issuer, Load, Problem, Site, assert_all_signed, until

STATEMENT = "SELECT id, email, code FROM people WHERE id < {n}"
BALLAST_BYTES = 4096


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def full_disk(gateway: Gateway) -> Callable[[], None]:
    ballast = gateway.audit / "ballast"
    with ballast.open("wb", buffering=0) as file:
        size = BALLAST_BYTES * 256
        while size >= BALLAST_BYTES:
            try:
                file.write(b"x" * size)
            except OSError:
                size //= 2
    return ballast.unlink


def no_larger_files(gateway: Gateway) -> Callable[[], None]:
    pid = gateway.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    size = len((gateway.audit / "0" / "journal").read_bytes().rstrip(b"\0"))
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))

    def allow() -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)

    return allow


def assert_recorded_or_refused(gateway: Gateway, sql: str) -> None:
    """A last entry may find a gap that the log's own housekeeping left on the disk; nothing else gets out."""
    answer = gateway.query("ana", sql, connection="lite")
    if answer.status_code != 503:
        Got(status=answer.status_code, body=answer.content).on_record(gateway.logged())
    else:
        # Of a write the intent may find no room, and the refusal that follows the gap: then that is on record.
        if "receipt" in Problem(status=503, code="audit_unavailable").assert_is(answer):
            Got(status=answer.status_code, body=answer.content).on_record(gateway.logged())


def assert_nothing_is_released_until_there_is_room(
    site: Site, shortage: Callable[[Gateway], Callable[[], None]]
) -> None:
    with site.run() as gateway:
        with Load(gateway, 6, [("lite", STATEMENT)]) as load:
            load.wait_for(50)
            make_room = shortage(gateway)
            until(lambda: any(answer.status == 503 for answer in load.answers), what="the log is full")
            until(lambda: not gateway.ready(), what="readiness says so")
            for sql in ("SELECT email FROM people", "DROP TABLE people", "DELETE FROM people WHERE id = 1"):
                assert_recorded_or_refused(gateway, sql)
            with gateway.client() as client:
                assert client.get("/healthz").status_code == 200
                assert client.get("/metrics").status_code == 200
            make_room()
            until(gateway.ready, what="readiness comes back")
            so_far = len(load.answers)
            load.wait_for(so_far + 50)
        assert {answer.status for answer in load.answers[so_far + 12 :]} == {200}
        log = gateway.logged()
        assert {answer.status for answer in load.answers} == {200, 503}
        for answer in load.answers:
            if answer.status == 200:
                answer.on_record(log)
            else:
                assert b"mail.example" not in answer.body
                assert b"receipt" not in answer.body
        answer = gateway.query("ana", "DELETE FROM people WHERE id = 1", connection="lite")
        assert answer.status_code == 202
        Got(status=202, body=answer.content).on_record(gateway.logged())
        with gateway.client(headers=gateway.auth("ana")) as client:
            stored = client.get("/v1/approvals").json()["approvals"]
        intended = {entry.get("approval_id") for entry in log if entry["outcome"] == "intent"}
        assert {approval["approval_id"] for approval in stored} <= {*intended, answer.json()["approval_id"]}
        assert gateway.stop() == 0
    assert_all_signed(site.audit)


def test_a_full_audit_disk_stops_every_answer_until_there_is_room(tmp_path: Path, issuer: Issuer) -> None:
    with small_disk(tmp_path / "audit") as disk:
        site = Site(folder=tmp_path / "site", issuer=issuer, audit_dir=disk)
        assert_nothing_is_released_until_there_is_room(site, full_disk)


def test_a_journal_that_may_not_grow_stops_every_answer_until_it_may(tmp_path: Path, issuer: Issuer) -> None:
    site = Site(folder=tmp_path / "site", issuer=issuer)
    assert_nothing_is_released_until_there_is_room(site, no_larger_files)
