"""A whole site to break: an issuer, a PostgreSQL with people in it, an SQLite beside it, and a served gateway."""

import hashlib
import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import yaml
from joserfc.jwk import ECKey

from app.audit.batch import Batch, batches
from app.identity.demo_issuer import DemoKey, mint
from app.store.trail_verify import verify_directory
from tests.running import Running
from tests.servers import PostgresServer, free_port

REPOSITORY = Path(__file__).parents[2]
AUDIENCE = "https://gateway.example"
PG_PASSWORD = "pg-secret-7f3a"
PEOPLE = 2_000
MASK_KEY = "5f" * 32
ENDLESS = "SELECT count(*) FROM people a, people b, people c"
POLICY = """\
p, client:cli, **, *, allow,
p, user:ana, pg/public.*, select, allow,
p, user:ana, pg/public.people, delete, approve, has_where
p, user:ana, lite/main.*, select, allow,
p, user:ana, lite/main.people, delete, approve, has_where
p, user:dee, pg/public.*, select, allow,
p, user:dee, lite/main.*, select, allow,
p, user:dee, label:pii.*, unmask, allow,
"""


def new_key() -> DemoKey:
    key = ECKey.generate_key("P-256", private=True)
    return DemoKey(key=key, kid=key.thumbprint())


class Issuer:
    """Discovery and key set on loopback. `stop` closes the port; `start` opens the same one."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.keys = [new_key()]
        self.asked: list[str] = []
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                body = json.dumps(issuer.document(self.path)).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing: the test's own output stays readable."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def document(self, path: str) -> dict[str, Any]:
        if path.endswith("/jwks"):
            return {"keys": [jwk for key in self.keys for jwk in key.public_jwks()["keys"]]}
        return {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"}

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def token(self, name: str, key: DemoKey | None = None, **claims: Any) -> str:
        arguments = {"issuer": self.url, "audience": AUDIENCE, "sub": name, "client_id": "cli", "now": time.time()}
        return mint(key or self.keys[0], **{**arguments, **claims})


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    issuer.start()
    try:
        yield issuer
    finally:
        issuer.stop()


@dataclass
class Gateway(Running):
    issuer: Issuer
    audit: Path

    def token(self, name: str, on_behalf_of: str | None = None) -> str:
        assert on_behalf_of is None
        return self.issuer.token(name)

    def line(self) -> http.client.HTTPConnection:
        """A client without any cost of its own."""
        return http.client.HTTPConnection("127.0.0.1", urlsplit(self.url).port, timeout=40)

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def logged(self) -> "list[dict[str, Any]]":
        return entries(self.audit)

    def peak_kib(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))


@dataclass(kw_only=True)
class Site:
    """Writes the configuration; `run` starts a gateway on it, as often as a test likes, on the same state."""

    folder: Path
    issuer: Issuer
    pg: PostgresServer | None = None
    options: dict[str, Any] = field(default_factory=dict)
    """By section of a connection, or of the file: laid over what is written here."""
    port: int = field(default_factory=free_port)
    audit_dir: Path | None = None
    store_url: str | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self.policies = self.folder / "policies"
        self.password_file = self.folder / "dsn"
        self.audit = self.audit_dir or self.folder / "audit"
        self.audit.mkdir(exist_ok=True)
        self.audit.chmod(0o700)
        _policies(self.policies, with_pg=self.pg is not None)
        _lite(self.folder / "lite.db")
        self.secret("mask.key", MASK_KEY)
        if self.pg is not None:
            self.secret("dsn", self.pg.dsn("reader", PG_PASSWORD, "shop"))
        if not (self.folder / "keys" / "audit.key").exists():
            douane("keys", str(self.folder / "keys"))
        self.write()

    def secret(self, name: str, text: str) -> Path:
        path = self.folder / name
        draft = self.folder / f"{name}.new"
        draft.write_text(text)
        draft.chmod(0o600)
        draft.replace(path)
        return path

    def write(self) -> Path:
        connections: dict[str, Any] = {"lite": {"kind": "sqlite", "path": "lite.db"}}
        if self.pg is not None:
            connections["pg"] = {"kind": "postgres", "dsn": {"file": "dsn"}}
        for name, more in self.options.get("connections", {}).items():
            connections[name].update(more)
        document = {
            "server": {"port": self.port, "public_url": f"http://127.0.0.1:{self.port}"},
            "store": {"url": self.store_url or f"sqlite:///{self.folder}/store/douane.db"},
            "policies": "policies",
            "issuers": [{"issuer": self.issuer.url, "audience": AUDIENCE, "clients": ["cli"]}],
            "connections": connections,
            "audit": {"dir": str(self.audit), "key": {"file": "keys/audit.key"}, "origin": "faults.example/log"},
            "masking": {"key": {"file": "mask.key"}},
            **{name: value for name, value in self.options.items() if name != "connections"},
        }
        path = self.folder / "douane.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    @contextmanager
    def run(self, *, up: str = "/readyz", prepare: Callable[[], None] | None = None) -> Iterator[Gateway]:
        log = self.folder / "gateway.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "serve", "--config", str(self.folder / "douane.yaml")],
                stdout=out,
                stderr=subprocess.STDOUT,
                preexec_fn=prepare,
            )
        gateway = Gateway(
            process=process,
            url=f"http://127.0.0.1:{self.port}",
            state=self.folder,
            log=log,
            issuer=self.issuer,
            audit=self.audit,
        )
        try:
            until(lambda: _answers(f"{gateway.url}{up}", process), what="the gateway answers", seconds=60)
            yield gateway
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the gateway ended while starting: its output is in gateway.log"
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def until(condition: Callable[[], Any], *, what: str, seconds: float = 30.0, pause_s: float = 0.05) -> Any:
    """Polls; a fault that never shows its effect fails with `what`."""
    deadline = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"it never happened: {what}")
        time.sleep(pause_s)


def _policies(folder: Path, *, with_pg: bool) -> None:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    policy = POLICY if with_pg else "".join(line for line in POLICY.splitlines(True) if " pg/" not in line)
    (folder / "policy.csv").write_text(policy)
    (folder / "model.conf").write_text((REPOSITORY / "policies" / "model.conf").read_text())
    (folder / "masks.yaml").write_text(
        "masks: {pii.email: {kind: partial, email: true}, pii.code: {kind: pseudonym, domain: code}}\n"
    )
    tables = {"people": {"default": "allow", "columns": {"email": "pii.email", "code": "pii.code"}}}
    (folder / "data" / "lite.yaml").write_text(yaml.safe_dump({"tables": {f"main.{t}": v for t, v in tables.items()}}))
    if with_pg:
        data = yaml.safe_dump({"default": "allow", "tables": {f"public.{t}": v for t, v in tables.items()}})
        (folder / "data" / "pg.yaml").write_text(data)


def _lite(path: Path) -> None:
    if path.exists():
        return
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT, code TEXT, n INTEGER)")
        database.executemany(
            "INSERT INTO people VALUES (?, ?, ?, ?)",
            [(n, f"someone{n}@mail.example", f"code-{n}", n % 7) for n in range(1, PEOPLE + 1)],
        )


def populate(pg: PostgresServer) -> None:
    pg.create_role("reader", PG_PASSWORD)
    pg.create_role("observer", "observer")
    pg.create_database("shop")
    pg.psql(
        "CREATE TABLE people (id int PRIMARY KEY, email text, code text, n int);"
        "INSERT INTO people SELECT i, 'someone' || i || '@mail.example', 'code-' || i, i % 7 "
        f"FROM generate_series(1, {PEOPLE}) i; GRANT SELECT, DELETE ON people TO reader; ANALYZE people;",
        "shop",
    )


def douane(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def assert_verifies(audit: Path) -> str:
    done = douane("audit", "verify", str(audit))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_all_signed(audit: Path) -> None:
    """As `douane audit verify`, in this process; and the last checkpoint covers the last entry."""
    report = verify_directory(audit)
    assert report.sound, str(report)
    assert [log.uncovered for log in report.logs] == [0]


def entries(audit: Path) -> list[dict[str, Any]]:
    """What is in the log's journal, by index."""
    with (audit / "0" / "journal").open("rb") as file:
        found = list(batches(lambda offset, count: os.pread(file.fileno(), count, offset)))
    return [json.loads(entry) for batch in found if isinstance(batch, Batch) for entry in batch.entries]


@dataclass(frozen=True, slots=True, kw_only=True)
class Got:
    """One whole answer as a client holds it."""

    status: int
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def on_record(self, log: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Its entry: at the receipt's index, of the same status and the same bytes."""
        entry = log[self.document["receipt"]["index"]]
        assert entry["answer_sha256"] == hashlib.sha256(self.body).hexdigest()
        assert entry["status"] == self.status
        assert entry["bytes"] == len(self.body)
        return entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What every refusal must be, whatever broke."""

    status: int
    code: str

    def assert_is(self, answer: httpx2.Response) -> dict[str, Any]:
        assert (answer.status_code, answer.json().get("code")) == (self.status, self.code), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert "rows" not in answer.json()
        if self.status == 503:
            assert int(answer.headers["retry-after"]) > 0
        found: dict[str, Any] = answer.json()
        return found


class InBackground:
    """One request that the test does not wait for yet."""

    def __init__(self, ask_it: Callable[[], httpx2.Response]) -> None:
        self._answer: httpx2.Response | Exception | None = None

        def run() -> None:
            try:
                self._answer = ask_it()
            except Exception as error:
                self._answer = error

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def answer(self) -> httpx2.Response:
        self._thread.join(timeout=60)
        assert isinstance(self._answer, httpx2.Response), repr(self._answer)
        return self._answer


def running_statements(pg: PostgresServer) -> int:
    """Of the gateway, on the server: those that join people with people, which only tests of slow ones do."""
    return int(
        pg.psql(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE usename = 'reader' AND state = 'active' AND query ILIKE '%people) a%people) b%'"
        )
    )


class Load:
    """Clients that ask without pause until `stop`, and keep every whole answer."""

    def __init__(self, gateway: Gateway, clients: int, statements: Sequence[tuple[str, str]]) -> None:
        self.answers: list[Got] = []
        self.lost = 0
        self._gateway = gateway
        self._stop = threading.Event()
        self._statements = statements
        self._token = gateway.auth("ana")
        self._threads = [threading.Thread(target=self._ask, args=(n,), daemon=True) for n in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=40)
            assert not thread.is_alive(), "a client hangs"

    def wait_for(self, count: int) -> None:
        until(lambda: len(self.answers) >= count, what=f"{count} answers")

    def _ask(self, number: int) -> None:
        turn = number
        with closing(self._gateway.line()) as line:
            while not self._stop.is_set():
                connection, sql = self._statements[turn % len(self._statements)]
                turn += 1
                try:
                    got = ask(line, self._token, connection, sql.replace("{n}", str(turn % PEOPLE)))
                except (OSError, http.client.HTTPException):
                    self.lost += 1
                    line.close()
                    if self._gateway.process.poll() is not None:
                        return
                    time.sleep(0.02)
                    continue
                self.answers.append(got)


def ask(line: http.client.HTTPConnection, headers: Mapping[str, str], connection: str, sql: str) -> Got:
    line.request(
        "POST",
        f"/v1/connections/{connection}/query",
        json.dumps({"sql": sql}),
        {**headers, "content-type": "application/json"},
    )
    answer = line.getresponse()
    return Got(status=answer.status, body=answer.read())


def kill(gateway: Gateway) -> None:
    gateway.process.send_signal(signal.SIGKILL)
    gateway.process.wait(timeout=20)
