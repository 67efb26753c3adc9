"""A million rows: bounded memory, bounded answers, and nobody waits for a client that reads slowly."""

import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fault_site import Gateway, Issuer, Site

from tests.servers import PostgresServer

ROWS = 1_000_000
BOUND_KIB = 300 * 1024
ALL = "SELECT id, words FROM wide ORDER BY id"
RAISED = {"connections": {"pg": {"max_rows": 2_000_000, "max_bytes": 512 * 1024 * 1024}}}


@pytest.fixture(scope="module")
def wide(pg: PostgresServer) -> Iterator[PostgresServer]:
    pg.psql(
        "CREATE TABLE wide (id int PRIMARY KEY, words text);"
        f"INSERT INTO wide SELECT i, 'words of row ' || i FROM generate_series(1, {ROWS}) i;"
        "GRANT SELECT ON wide TO reader; ANALYZE wide;",
        "shop",
    )
    yield pg
    pg.psql("DROP TABLE wide", "shop")


def site_of(folder: Path, issuer: Issuer, pg: PostgresServer, options: dict[str, Any]) -> Site:
    site = Site(folder=folder, issuer=issuer, pg=pg, options=options)
    data = site.policies / "data" / "pg.yaml"
    data.write_text(data.read_text().replace("tables:\n", "tables:\n  public.wide: {default: allow}\n"))
    return site


def read_whole(gateway: Gateway, results: list[dict[str, Any]]) -> None:
    """Without holding it: the digest, the number of rows and the end of the body."""
    with closing(gateway.line()) as line:
        line.request(
            "POST",
            "/v1/connections/pg/query",
            json.dumps({"sql": ALL}),
            {**gateway.auth("ana"), "content-type": "application/json"},
        )
        answer = line.getresponse()
        digest, size, tail = hashlib.sha256(), 0, b""
        while piece := answer.read(1 << 20):
            digest.update(piece)
            size += len(piece)
            tail = (tail + piece)[-2_000:]
    found = re.search(rb'"row_count":(\d+),"truncated":(\w+)', tail)
    assert found is not None, tail
    index = re.search(rb'"index":(\d+)', tail)
    assert index is not None
    results.append(
        {
            "status": answer.status,
            "rows": int(found[1]),
            "truncated": found[2] == b"true",
            "sha256": digest.hexdigest(),
            "bytes": size,
            "index": int(index[1]),
        }
    )


def test_a_million_rows_one_by_one_and_three_at_once_stay_within_300_mb(
    tmp_path: Path, issuer: Issuer, wide: PostgresServer
) -> None:
    with site_of(tmp_path, issuer, wide, RAISED).run() as gateway:
        results: list[dict[str, Any]] = []
        slow = socket.create_connection(("127.0.0.1", int(urlsplit(gateway.url).port or 0)))
        with closing(slow):
            body = json.dumps({"sql": ALL}).encode()
            slow.sendall(
                f"POST /v1/connections/pg/query HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\n".encode()
                + f"authorization: {gateway.auth('ana')['authorization']}\r\n\r\n".encode()
                + body
            )
            slow.settimeout(60)
            assert slow.recv(15) == b"HTTP/1.1 200 OK"
            # From here on it reads nothing, with tens of megabytes waiting for it.
            for _ in range(5):
                assert gateway.query("ana", "SELECT 1", connection="pg").status_code == 200
            threads = [threading.Thread(target=read_whole, args=(gateway, results)) for _ in range(3)]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                assert gateway.query("ana", "SELECT n FROM people WHERE id = 1", connection="pg").status_code == 200
                threads[-1].join(timeout=0.2)
        assert [(one["status"], one["rows"], one["truncated"]) for one in results] == [(200, ROWS, False)] * 3
        log = gateway.logged()
        for one in results:
            entry = log[one["index"]]
            assert (entry["answer_sha256"], entry["bytes"], entry["rows"]) == (one["sha256"], one["bytes"], ROWS)
        assert gateway.peak_kib() < BOUND_KIB


def test_with_default_limits_an_answer_is_cut_and_its_cursor_continues(
    tmp_path: Path, issuer: Issuer, wide: PostgresServer
) -> None:
    with site_of(tmp_path, issuer, wide, {}).run() as gateway:
        first = gateway.query("ana", ALL, connection="pg").json()
        assert (first["row_count"], first["truncated"]) == (10_000, True)
        assert "10000" in first["notice"]
        seen = [row[0] for row in first["rows"]]
        cursor = first["next_cursor"]
        for _ in range(3):
            page = gateway.query("ana", ALL, connection="pg", cursor=cursor).json()
            seen += [row[0] for row in page["rows"]]
            cursor = page["next_cursor"]
        assert seen == list(range(1, 40_001))
        last = "SELECT id FROM wide WHERE id > 985000 ORDER BY id"
        page = gateway.query("ana", last, connection="pg").json()
        rest = gateway.query("ana", last, connection="pg", cursor=page["next_cursor"]).json()
        assert (rest["row_count"], rest["truncated"], rest["next_cursor"]) == (5_000, False, None)
        assert rest["rows"][-1] == [ROWS]
        assert gateway.peak_kib() < BOUND_KIB
