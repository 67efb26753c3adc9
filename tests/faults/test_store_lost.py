"""Approvals cannot be stored: 503 on record, and a request for one later works without a restart."""

import sqlite3
from contextlib import closing
from pathlib import Path

from fault_site import Issuer, Problem, Site

from tests.servers import PostgresServer

DELETE = "DELETE FROM people WHERE id = 1"
LOST = Problem(status=503, code="store_unavailable")


def test_a_store_on_postgresql_that_is_down(tmp_path: Path, issuer: Issuer, pg: PostgresServer) -> None:
    pg.create_database("approvals")
    site = Site(folder=tmp_path, issuer=issuer)
    site.secret("store_dsn", pg.dsn(database="approvals"))
    site.options = {"store": {"url": {"file": "store_dsn"}}}
    site.write()
    with site.run() as gateway:
        first = gateway.query("ana", DELETE, connection="lite")
        assert first.status_code == 202
        pg.stop()
        try:
            problem = LOST.assert_is(gateway.query("ana", DELETE, connection="lite"))
            with gateway.client(headers=gateway.auth("ana")) as client:
                LOST.assert_is(client.get("/v1/approvals"))
                LOST.assert_is(client.get(f"/v1/approvals/{first.json()['approval_id']}"))
            assert gateway.query("ana", "SELECT 1", connection="lite").status_code == 200
            log = gateway.logged()
            assert log[problem["receipt"]["index"]]["code"] == LOST.code
            assert log[problem["receipt"]["index"] - 1]["outcome"] == "intent"
        finally:
            pg.start()
        assert gateway.query("ana", DELETE, connection="lite").status_code == 202
        with gateway.client(headers=gateway.auth("ana")) as client:
            assert len(client.get("/v1/approvals").json()["approvals"]) == 2


def test_a_store_on_sqlite_that_somebody_holds(tmp_path: Path, issuer: Issuer) -> None:
    with Site(folder=tmp_path, issuer=issuer).run() as gateway:
        with closing(sqlite3.connect(tmp_path / "store" / "douane.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            problem = LOST.assert_is(gateway.query("ana", DELETE, connection="lite"))
            assert gateway.logged()[problem["receipt"]["index"]]["code"] == LOST.code
        assert gateway.query("ana", DELETE, connection="lite").status_code == 202
