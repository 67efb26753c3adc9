"""A site where people approve: requesters, approvers, several clients, tables that may be written, a clock to turn."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import yaml
from fault_site import AUDIENCE, PG_PASSWORD, Gateway, Site

from tests.servers import PostgresServer, postgres_bin

CLIENTS = ("cli", "console", "bot", "otherbot")
WRITER = "approvals_writer"
DATABASE = "approvals_target"
POLICY = """\
p, client:cli, **, *, allow,
p, client:console, **, *, allow,
p, client:bot, **, *, allow,
p, client:otherbot, **, *, allow,
{tables}
p, user:ana, label:pii.*, unmask, approve,
p, user:bob, label:pii.*, unmask, approve,
p, user:ana, douane/approvals, decide, allow,
p, user:max, douane/approvals, *, allow,
p, user:dee, douane/approvals, *, allow,
p, user:eve, douane/approvals, *, allow,
"""
TABLES = """\
p, user:ana, {at}.*, select, allow,
p, user:bob, {at}.*, select, allow,
p, user:ana, {at}.people, delete, approve, has_where
p, user:bob, {at}.people, delete, approve, has_where
p, user:ana, {at}.people, update, approve, has_where
p, user:ana, {at}.people, insert, approve,"""
APPROVALS: dict[str, Any] = {
    "default": {"approvers": ["user:ana", "user:max", "user:dee"], "expires": "1h"},
    "rules": [
        {"resource": "{at}.people", "action": "update", "quorum": 2},
        {"resource": "{at}.people", "action": "insert", "grant": {"window": "1h", "uses": 3, "rows": 4}},
    ],
}
PLACES = {"pg": "pg/public", "lite": "lite/main"}


@dataclass(kw_only=True)
class ApprovalSite(Site):
    """`pg`: the target, which also keeps the store if `store_on_pg` names a database."""

    store_on_pg: str | None = None
    approvals: Mapping[str, Any] = field(default_factory=lambda: APPROVALS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pg is not None:
            self.secret("dsn", self.pg.dsn(WRITER, PG_PASSWORD, DATABASE))
        self.options.setdefault(
            "issuers", [{"issuer": self.issuer.url, "audience": AUDIENCE, "clients": list(CLIENTS)}]
        )
        # The target's role owns nothing, but the store's database may belong to the superuser of the tests.
        if self.store_on_pg is not None:
            assert self.pg is not None
            self.secret("store_dsn", self.pg.dsn(database=self.store_on_pg))
            self.options["store"] = {"url": {"file": "store_dsn"}}
        self.write_policy()
        self.write()

    def write_policy(self, extra: str = "", approvals: Mapping[str, Any] | None = None) -> None:
        places = [at for name, at in PLACES.items() if name != "pg" or self.pg is not None]
        tables = "\n".join(TABLES.format(at=at) for at in places)
        _replace(self.policies / "policy.csv", POLICY.format(tables=tables) + extra)
        said = dict(approvals or self.approvals)
        said["rules"] = [
            {**rule, "resource": rule["resource"].format(at=at)} for rule in said.get("rules", ()) for at in places
        ]
        # Through JSON: YAML would write an alias for what stands in two rules.
        _replace(self.policies / "approvals.yaml", yaml.safe_dump(json.loads(json.dumps(said))))


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text)
    draft.replace(path)


def writable_target(pg: PostgresServer) -> None:
    """A database whose people a role of its own may write; made once per server."""
    if pg.psql(f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"):
        return
    pg.create_role(WRITER, PG_PASSWORD)
    pg.create_database(DATABASE)
    pg.psql(
        "CREATE TABLE people (id int PRIMARY KEY, email text, code text, n int);"
        "INSERT INTO people SELECT i, 'someone' || i || '@mail.example', 'code-' || i, i % 7 "
        "FROM generate_series(1, 20000) i;"
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON people TO {WRITER}; ANALYZE people;",
        DATABASE,
    )


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Somebody with a token, at a gateway."""

    gateway: Gateway
    name: str
    claims: Mapping[str, Any] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self.gateway.issuer.token(self.name, **self.claims)}"}
        with httpx2.Client(base_url=self.gateway.url, timeout=90, headers=headers) as client:
            return client.request(method, path, json=body)

    def query(self, sql: str, connection: str = "pg", **more: Any) -> httpx2.Response:
        return self.ask("POST", f"/v1/connections/{connection}/query", {"sql": sql, **more})

    def asked(self, sql: str, connection: str = "pg", **more: Any) -> str:
        answer = self.query(sql, connection, **more)
        assert answer.status_code == 202, answer.text
        found: str = answer.json()["approval_id"]
        return found

    def get(self, approval_id: str, **query: str) -> dict[str, Any]:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        answer = self.ask("GET", f"/v1/approvals/{approval_id}" + (f"?{asked}" if asked else ""))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def decide(self, approval_id: str, decision: str = "approve", **more: Any) -> httpx2.Response:
        return self.ask("POST", f"/v1/approvals/{approval_id}/decision", {"decision": decision, **more})

    def execute(self, approval_id: str) -> httpx2.Response:
        return self.ask("POST", f"/v1/approvals/{approval_id}/execute", {})

    def end(self, approval_id: str, step: str) -> httpx2.Response:
        return self.ask("POST", f"/v1/approvals/{approval_id}/{step}", {})


def refused(answer: httpx2.Response, code: str, status: int = 409) -> None:
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert "rows" not in answer.json()


@contextmanager
def running(*sites: Site) -> Iterator[list[Gateway]]:
    with ExitStack() as stack:
        yield [stack.enter_context(site.run()) for site in sites]


def at_once(calls: list[Callable[[], httpx2.Response]], threads: int = 50) -> list[httpx2.Response]:
    with ThreadPoolExecutor(threads) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def time_passes(site: ApprovalSite, approval_id: str) -> None:
    """What its deadlines are when the time is over: they are not part of the digest, the clock alone moves them."""
    sql = (
        "UPDATE approvals SET created_at = '2020-01-01T00:00:00.000000Z', expires_at = '2020-01-02T00:00:00.000000Z', "
        "usable_until = CASE WHEN usable_until IS NULL THEN NULL ELSE '2020-01-02T00:00:00.000000Z' END "
        f"WHERE approval_id = '{approval_id}'"
    )
    tamper(site, sql)


def tamper(site: ApprovalSite, sql: str) -> None:
    if site.store_on_pg is not None:
        assert site.pg is not None
        site.pg.psql(sql, site.store_on_pg)
        return
    with closing(sqlite3.connect(site.folder / "store" / "douane.db", timeout=20)) as store, store:
        store.execute(sql)


def story(audit: list[dict[str, Any]], approval_id: str) -> list[tuple[str, str, str | None]]:
    return [
        (entry["operation"], entry["outcome"], entry.get("code"))
        for entry in audit
        if entry.get("approval_id") == approval_id
    ]


def people(pg: PostgresServer, where: str) -> int:
    return int(pg.psql(f"SELECT count(*) FROM people WHERE {where}", DATABASE))


@contextmanager
def locked(pg: PostgresServer, where: str) -> Iterator[None]:
    """Another transaction holds these people: whoever wants to change them waits."""
    binaries = postgres_bin()
    assert binaries is not None
    other = subprocess.Popen(
        [str(binaries / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", pg.dsn(database=DATABASE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdin is not None
    assert other.stdout is not None
    try:
        other.stdin.write(f"BEGIN; SELECT id FROM people WHERE {where} FOR UPDATE;\n\\echo held\n")
        other.stdin.flush()
        while other.stdout.readline().strip() != "held":
            assert other.poll() is None
        yield
    finally:
        other.stdin.close()
        other.wait(timeout=20)
        other.stdout.close()


def writes_waiting(pg: PostgresServer) -> int:
    """Of the gateway, on the server: those that wait for somebody's lock."""
    return int(
        pg.psql(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{WRITER}' AND wait_event_type = 'Lock'")
    )


def douane_approvals(gateway: Gateway, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "approvals", *arguments],
        env={"DOUANE_URL": gateway.url, "DOUANE_TOKEN": gateway.issuer.token(name), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
