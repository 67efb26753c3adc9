"""A client that leaves takes its statement with it, and leaves a record."""

import json
import socket
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fault_site import ENDLESS, Gateway, Issuer, Site, assert_all_signed, running_statements, until

from tests.servers import PostgresServer

POOL = 2


def asked(gateway: Gateway, connection: str, *, whole: bool = True) -> socket.socket:
    """A client that has sent its request, or all of it but the end of its body, and reads nothing."""
    body = json.dumps({"sql": ENDLESS}).encode()
    head = (
        f"POST /v1/connections/{connection}/query HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nauthorization: {gateway.auth('ana')['authorization']}\r\n\r\n"
    )
    client = socket.create_connection(("127.0.0.1", int(urlsplit(gateway.url).port or 0)))
    client.sendall(head.encode() + (body if whole else body[:-5]))
    return client


def cancelled(gateway: Gateway) -> list[dict[str, Any]]:
    return [entry for entry in gateway.logged() if entry["outcome"] == "cancelled"]


def test_a_statement_nobody_waits_for_ends_on_the_server_and_is_on_record(
    tmp_path: Path, issuer: Issuer, pg: PostgresServer
) -> None:
    site = Site(
        folder=tmp_path,
        issuer=issuer,
        pg=pg,
        options={"connections": {"pg": {"pool_max": POOL}, "lite": {"pool_max": POOL}}},
    )
    with site.run() as gateway:
        for round_number in range(1, 4):
            clients = [asked(gateway, "pg") for _ in range(POOL)]
            until(lambda: running_statements(pg) == POOL, what="the statements run")
            for client in clients:
                client.close()
            until(lambda: running_statements(pg) == 0, what="the statements end", seconds=10)
            expected = POOL * round_number
            until(lambda expected=expected: len(cancelled(gateway)) == expected, what="the entries", seconds=10)
            for _ in range(POOL + 1):
                assert gateway.query("ana", "SELECT count(*) FROM people", connection="pg").status_code == 200
        for entry in cancelled(gateway):
            assert entry["operation"] == "query_sql"
            assert (entry["status"], entry["code"], entry["rows"]) == (499, "client_left", 0)
            assert entry["statement"] == ENDLESS
            assert entry["principal"] == "ana"
        clients = [asked(gateway, "lite") for _ in range(POOL)]
        assert gateway.query("ana", "SELECT 1", connection="pg").status_code == 200
        for client in clients:
            client.close()
        until(lambda: len(cancelled(gateway)) == POOL * 4, what="the entries of SQLite", seconds=10)
        for _ in range(POOL + 1):
            assert gateway.query("ana", "SELECT count(*) FROM people", connection="lite").status_code == 200
    assert_all_signed(site.audit)


def test_a_client_that_leaves_within_its_body_is_on_record(tmp_path: Path, issuer: Issuer) -> None:
    with Site(folder=tmp_path, issuer=issuer).run() as gateway:
        with closing(asked(gateway, "lite", whole=False)):
            assert gateway.query("ana", "SELECT 1", connection="lite").status_code == 200
        (entry,) = until(lambda: cancelled(gateway), what="the entry", seconds=10)
        assert entry["operation"] == "query_sql"
        assert (entry["status"], entry["code"]) == (499, "client_left")
        assert "principal" not in entry
