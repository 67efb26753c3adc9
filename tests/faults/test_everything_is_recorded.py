"""Every way out leaves one entry, and no way out, log line or entry carries a secret or a driver's words."""

import http.client
import json
import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from fault_site import MASK_KEY, PG_PASSWORD, Gateway, Issuer, Site, new_key

from tests.servers import PostgresServer

QUERY = "/v1/connections/pg/query"
FORBIDDEN = (
    PG_PASSWORD,
    MASK_KEY,
    "asyncpg",
    "sqlite3",
    "sqlalchemy",
    "Traceback",
    "DETAIL:",
    "HINT:",
    "LINE 1",
    "postgresql://",
    "BEGIN PRIVATE KEY",
)


@dataclass(frozen=True, kw_only=True)
class Ask:
    status: int
    method: str = "POST"
    path: str = QUERY
    body: bytes | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    """Over those of ana's JSON request; None leaves one out."""
    entries: int = 1


def sql(text: str, status: int, *, entries: int = 1, path: str = QUERY, **more: object) -> Ask:
    return Ask(status=status, body=json.dumps({"sql": text, **more}).encode(), entries=entries, path=path)


def get(path: str, status: int, **headers: str | None) -> Ask:
    return Ask(status=status, method="GET", path=path, headers={n.replace("_", "-"): v for n, v in headers.items()})


def asks(issuer: Issuer) -> list[Ask]:
    good = b'{"sql": "SELECT 1"}'
    return [
        sql("SELECT id, email FROM people LIMIT 2", 200),
        sql("SELECT id FROM people", 200, max_rows=1),
        sql("SELECT id FROM people", 404, cursor="made-up"),
        sql("DELETE FROM people WHERE id = 1", 202, entries=2),
        sql("DELETE FROM people", 403, path="/v1/connections/lite/query"),
        sql("DROP TABLE people", 403),
        sql("SELECT pg_sleep(1)", 403),
        sql("SELECT * FROM secrets_of_others", 404),
        sql("SELECT 1", 404, path="/v1/connections/none/query"),
        sql("SELECT FROM WHERE", 422),
        sql("SELECT 1 / (id - id) FROM people", 422),
        sql("SELECT CAST('words-of-a-caller' AS int) + id FROM people", 422),
        sql("SELECT email::int FROM people", 422),
        sql("SELECT :a", 422),
        sql("SELECT id FROM people", 200, path="/v1/connections/pg/explain"),
        sql("SELECT 1", 422, nonsense=True),
        Ask(status=400, body=b"{"),
        Ask(status=400, body=b"\xff\xfe"),
        Ask(status=413, body=b'{"sql": "' + b"x" * 300_000 + b'"}'),
        Ask(status=415, body=good, headers={"content-type": "text/plain"}),
        Ask(status=406, body=good, headers={"accept": "text/html"}),
        Ask(status=400, body=good, headers={"host": "elsewhere.example"}),
        Ask(status=403, body=good, headers={"origin": "https://elsewhere.example"}),
        Ask(status=422, body=good, path=f"{QUERY}?x=1"),
        get("/v1/me", 200),
        get("/v1/connections", 200),
        get("/v1/connections/pg", 200),
        get("/v1/approvals", 200),
        get("/v1/approvals/apr_none", 404),
        get("/v1/nowhere", 404),
        get("/v1/", 404),
        get("/v1/me?" + "x" * 9_000, 400),
        get("/v1/me", 400, x_long="x" * 20_000),
        get("/v1/me", 401, authorization=None),
        get("/v1/me", 401, authorization="Bearer not.a.token"),
        get("/v1/me", 401, authorization="Basic YW5hOmFuYQ=="),
        get("/v1/me", 401, authorization=f"Bearer {issuer.token('ana', new_key())}"),
        get("/v1/me", 401, authorization=f"Bearer {issuer.token('ana', now=1_000)}"),
        get("/v1/connections", 403, authorization=f"Bearer {issuer.token('ana', scopes=())}"),
        Ask(status=405, method="DELETE", path="/v1/me"),
        Ask(status=405, method="PUT", body=good),
    ]


def assert_clean(text: str, *more: str) -> None:
    found = [word for word in (*FORBIDDEN, *more) if word in text]
    assert found == []


def test_each_request_leaves_its_entry_and_none_leaves_a_secret(
    tmp_path: Path, issuer: Issuer, pg: PostgresServer
) -> None:
    site = Site(folder=tmp_path, issuer=issuer, pg=pg)
    token = issuer.token("ana")
    seen: list[bytes] = []
    with site.run() as gateway:
        for one in asks(issuer):
            seen.append(_one_entry_each(gateway, one, token))
        pg.stop()
        try:
            seen.append(_one_entry_each(gateway, sql("SELECT count(*) FROM people", 503), token))
        finally:
            pg.start()
        assert gateway.stop() == 0
        log = json.dumps(gateway.logged())
    signature = token.rsplit(".", 1)[1]
    assert_clean(_without_classes(gateway.output()), signature, token, "words-of-a-caller", "someone1@")
    assert_clean(log, signature, token, "someone1@")
    assert_clean(b"".join(seen).decode(errors="replace"), signature, token, "words-of-a-caller", "someone1@")


def _without_classes(output: str) -> str:
    """The service's log tells the operator of what classes the errors behind a failure were, and no more of them."""
    lines = [json.loads(line) for line in output.splitlines()]
    causes = [cause for line in lines for cause in line.pop("causes", ())]
    assert causes
    assert all(re.fullmatch(r"[A-Za-z_][\w.]*", cause) for cause in causes)
    return json.dumps(lines)


def _one_entry_each(gateway: Gateway, one: Ask, token: str) -> bytes:
    before = len(gateway.logged())
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json", **one.headers}
    with closing(gateway.line()) as line:
        line.request(one.method, one.path, one.body, {n: v for n, v in headers.items() if v is not None})
        answer = line.getresponse()
        body = answer.read()
    assert answer.status == one.status, (one, body)
    new = gateway.logged()[before:]
    assert len(new) == one.entries, (one, new)
    entry = new[-1]
    assert entry["trace_id"] == answer.headers["x-trace-id"]
    assert entry["status"] == one.status
    document = json.loads(body)
    assert entry.get("code") == document.get("code")
    assert ("code" in entry) == (one.status >= 400)
    assert document["receipt"]["index"] == before + one.entries - 1
    if one.status not in (400, 401, 404, 405) and one.headers.get("origin") is None:
        assert entry["principal"] == "ana"
    return body


def test_entries_of_unrecorded_places_are_none(tmp_path: Path, issuer: Issuer) -> None:
    """Health, metrics and the documents show no data and need no token: they are the only answers without an entry."""
    with Site(folder=tmp_path, issuer=issuer).run() as gateway:
        before = len(gateway.logged())
        for path in ("/healthz", "/readyz", "/openapi.json", "/docs", "/metrics"):
            with closing(gateway.line()) as line:
                line.request("GET", path)
                answer: http.client.HTTPResponse = line.getresponse()
                answer.read()
            assert answer.status == 200
        assert len(gateway.logged()) == before
