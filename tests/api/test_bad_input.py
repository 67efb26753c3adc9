"""Every malformed, oversized or hostile request gets a 4xx problem with the next step; the service stays healthy."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.running import Running

QUERY = "/v1/connections/shop/query"


@pytest.fixture
def client(shop: Running) -> Iterator[httpx2.Client]:
    with shop.client(headers=shop.auth("ana")) as client:
        yield client
    assert shop.ready()
    assert shop.query("ana", "SELECT 1").status_code == 200


def problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["code"] == code
    assert document["status"] == status
    assert document["type"].endswith(f"#{code}")
    assert len(document["detail"]) > 20
    assert document["trace_id"] == answer.headers["x-trace-id"]
    assert document["receipt"]["index"] >= 0
    return document


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b'{"sql": "SELECT \xff"}',
        b'{"sql": NaN}',
        b'{"sql": 1e999',
        b"[" * 100_000,
        b'"\\ud800"',
    ],
)
def test_undecodable_json_is_400(client: httpx2.Client, body: bytes) -> None:
    problem(client.post(QUERY, content=body, headers={"content-type": "application/json"}), 400, "malformed_json")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ([], ""),
        ({}, "/sql"),
        ({"sql": ""}, "/sql"),
        ({"sql": 1}, "/sql"),
        ({"sql": None}, "/sql"),
        ({"sql": "SELECT 1", "nope": 1}, "/nope"),
        ({"sql": "SELECT 1", "max_rows": True}, "/max_rows"),
        ({"sql": "SELECT 1", "max_rows": "5"}, "/max_rows"),
        ({"sql": "SELECT 1", "max_rows": 0}, "/max_rows"),
        ({"sql": "SELECT 1", "max_rows": 1.5}, "/max_rows"),
        ({"sql": "SELECT 1", "params": []}, "/params"),
        ({"sql": "SELECT 1", "unmask": "pii.email"}, "/unmask"),
        ({"sql": "SELECT " + "1" * 70_000}, "/sql"),
    ],
)
def test_a_body_that_does_not_fit_the_schema_is_422_with_a_pointer(
    client: httpx2.Client, body: Any, pointer: str
) -> None:
    document = problem(client.post(QUERY, json=body), 422, "invalid_request")
    assert next(error["pointer"] for error in document["errors"]) == pointer


@pytest.mark.parametrize("max_rows", [33.0, 33, None])
def test_whole_numbers_with_a_point_and_null_are_taken(client: httpx2.Client, max_rows: float | None) -> None:
    assert client.post(QUERY, json={"sql": "SELECT 1", "max_rows": max_rows, "params": None}).status_code == 200


def test_ten_megabytes_of_body_are_413_whether_declared_or_streamed(client: httpx2.Client) -> None:
    body = json.dumps({"sql": "SELECT 1", "params": {"x": "y" * 10_000_000}}).encode()
    problem(client.post(QUERY, content=body, headers={"content-type": "application/json"}), 413, "body_too_large")

    def chunks() -> Iterator[bytes]:
        for at in range(0, len(body), 65_536):
            yield body[at : at + 65_536]

    try:
        answer = client.post(QUERY, content=chunks(), headers={"content-type": "application/json"})
    except httpx2.TransportError:
        return  # the server may close before the client has sent everything
    problem(answer, 413, "body_too_large")


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_other_content_types_are_415(client: httpx2.Client, kind: str | None) -> None:
    headers = {} if kind is None else {"content-type": kind}
    problem(client.post(QUERY, content=b'{"sql": "SELECT 1"}', headers=headers), 415, "unsupported_media_type")


def test_an_answer_that_is_not_json_cannot_be_asked_for(client: httpx2.Client) -> None:
    problem(client.get("/v1/me", headers={"accept": "text/html"}), 406, "not_acceptable")


def test_an_unknown_path_is_404_and_an_unknown_method_names_those_that_work(client: httpx2.Client) -> None:
    problem(client.get("/v1/nope"), 404, "not_found")
    answer = client.request("DELETE", QUERY)
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "path", ["/v1/connections/nope", "/v1/connections/nope/query", "/v1/connections/%2e%2e/explain"]
)
def test_an_unknown_connection_is_404_without_a_hint(client: httpx2.Client, path: str) -> None:
    answer = client.post(path, json={"sql": "SELECT 1"}) if path.count("/") == 4 else client.get(path)
    document = problem(answer, 404, "unknown_connection")
    assert "shop" not in document["detail"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=abc", "limit=201", "limit=true", "nope=1", "limit=1&limit=2", "limit=%ff"]
)
def test_query_parameters_are_checked(client: httpx2.Client, query: str) -> None:
    problem(client.get(f"/v1/connections?{query}"), 422, "invalid_request")


def test_a_cursor_of_nobody_is_404(client: httpx2.Client) -> None:
    problem(client.get("/v1/connections?cursor=AAAA"), 404, "invalid_cursor")


def test_a_foreign_host_and_a_foreign_origin_are_refused(client: httpx2.Client) -> None:
    problem(client.get("/v1/me", headers={"host": "evil.example"}), 400, "host_not_allowed")
    problem(client.get("/v1/me", headers={"origin": "https://evil.example"}), 403, "origin_not_allowed")


def test_a_very_long_url_and_very_large_headers_are_refused(client: httpx2.Client) -> None:
    problem(client.get("/v1/connections?cursor=" + "a" * 20_000), 400, "uri_too_long")
    problem(client.get("/v1/me", headers={"x-filler": "a" * 40_000}), 400, "headers_too_large")


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT 1; SELECT 2", "sql_several_statements"),
        ("PRAGMA table_info(customers)", "sql_statement_not_allowed"),
        ("ATTACH 'x' AS y", "sql_statement_not_allowed"),
        ("SELECT load_extension('x')", "sql_function_not_allowed"),
        ("SELECT * FROM sqlite_master", "sql_catalog_not_allowed"),
        ("SELECT * FROM pragma_table_info('customers')", None),
        ("SELECT douane_pseudonym(x'00', 'a')", "sql_function_not_allowed"),
        ("SELECT douane_redact('a')", "sql_function_not_allowed"),
        ("EXPLAIN SELECT 1", "sql_statement_not_allowed"),
        ("SELECT rowid FROM customers", None),
        ('SELECT "ssn" FROM customers', None),
        ("BEGIN", "sql_statement_not_allowed"),
        ("VACUUM INTO 'x'", "sql_statement_not_allowed"),
    ],
)
def test_refused_statements_are_4xx_with_a_next_step(client: httpx2.Client, statement: str, code: str | None) -> None:
    answer = client.post(QUERY, json={"sql": statement})
    assert 400 <= answer.status_code < 500, answer.text
    document = problem(answer, answer.status_code, answer.json()["code"])
    if code is not None:
        assert document["code"] == code


@pytest.mark.parametrize(
    "bomb",
    [
        "SELECT " + "(" * 20_000 + "1" + ")" * 20_000,
        "SELECT " + "-" * 15 + "+" * 30_000 + "1",
        "SELECT " + "NOT " * 12_000 + "1",
        "SELECT 1" + " UNION SELECT 1" * 4_000,
        "SELECT 1 WHERE " + " AND ".join(["1=1 OR 2=2"] * 3_000),
        "SELECT " + ",".join(["1"] * 30_000),
        "SELECT " + "CASE WHEN 1 THEN " * 2_000 + "1" + " END" * 2_000,
        "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM t) SELECT count(*) FROM t",
        "SELECT '" + "a" * 60_000,
    ],
)
def test_parser_bombs_end_in_a_4xx(client: httpx2.Client, bomb: str) -> None:
    answer = client.post(QUERY, json={"sql": bomb[:65_536]}, timeout=60)
    assert 400 <= answer.status_code < 500, answer.text[:500]


def test_a_giant_value_is_413_and_says_what_was_cut(client: httpx2.Client) -> None:
    answer = client.post(QUERY, json={"sql": "SELECT replace(hex(zeroblob(4000000)), '0', 'abc')"})
    assert answer.status_code in (403, 413), answer.text[:300]


def test_half_a_request_does_not_hold_the_service(shop: Running, client: httpx2.Client) -> None:
    host, port = shop.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(f"POST {QUERY} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\n{{".encode())
        assert client.get("/v1/me").status_code == 200


@pytest.mark.parametrize("path", ["/nope", "/v1", "/admin/.env", "/openapi.yaml", "/v2/me"])
def test_paths_where_nothing_is_are_404_and_on_record(client: httpx2.Client, path: str) -> None:
    problem(client.get(path), 404, "not_found")
