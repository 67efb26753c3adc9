"""kill -9 while clients ask: every answer that anybody received is in the log that the next start finds."""

import sqlite3
from contextlib import closing
from pathlib import Path

from fault_site import Got, Issuer, Load, Site, assert_all_signed, assert_verifies, kill

from tests.servers import PostgresServer

ROUNDS = 3
CLIENTS = 12
STATEMENTS = (
    ("pg", "SELECT id, email FROM people WHERE id = {n}"),
    ("lite", "SELECT id, email, code FROM people WHERE id < {n} LIMIT 20"),
    ("pg", "SELECT id, email, code, n FROM people"),
    ("lite", "DROP TABLE people"),
    ("nowhere", "SELECT {n}"),
    ("pg", "SELECT {n} +"),
    ("lite", "DELETE FROM people WHERE id = {n}"),
)


def _approvals(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / "store" / "douane.db")) as store:
        return {row[0] for row in store.execute("SELECT approval_id FROM approvals")}


def test_every_answer_received_before_a_kill_is_in_the_log_after_it(
    tmp_path: Path, issuer: Issuer, pg: PostgresServer
) -> None:
    site = Site(folder=tmp_path, issuer=issuer, pg=pg)
    received: list[Got] = []
    for round_number in range(ROUNDS):
        with site.run() as gateway, Load(gateway, CLIENTS, STATEMENTS) as load:
            load.wait_for(150 + 97 * round_number)
            kill(gateway)
            load.stop()
            received += load.answers
    with site.run() as gateway:
        log = gateway.logged()
        for answer in received:
            answer.on_record(log)
        indexes = [answer.document["receipt"]["index"] for answer in received]
        assert len(set(indexes)) == len(indexes)
        assert {answer.status for answer in received} == {200, 202, 403, 404, 422}
        assert [entry["operation"] for entry in log].count("started") == ROUNDS + 1
        stored = _approvals(site.folder)
        intended = {entry["approval_id"] for entry in log if entry["outcome"] == "intent"}
        assert stored <= intended
        assert {answer.document["approval_id"] for answer in received if answer.status == 202} <= stored
        fresh = gateway.query("ana", "SELECT 1", connection="pg")
        Got(status=fresh.status_code, body=fresh.content).on_record(gateway.logged())
    assert_verifies(site.audit)
    assert_all_signed(site.audit)
