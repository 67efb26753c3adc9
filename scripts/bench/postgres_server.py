"""A PostgreSQL of our own for one run: free loopback port, temporary directory, a table of orders, a reading role."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATABASE = "bench"
READER = "bench_ro"
COLUMNS = (
    "id", "customer_id", "email", "name", "city", "amount", "quantity", "created_at", "active", "attributes",
)  # fmt: skip
"""Of every bench table; `email` is the one that policy masks."""
TABLE = "orders"
TABLE_WITH_MASKED_KEY = "orders_by_email"
"""The same rows with a UNIQUE index on the masked column, which makes row order a secret (sql guard, rule 1)."""
VARIANT_ROWS = 200_000
START_TIMEOUT_S = 30.0

SCHEMA = """
CREATE TABLE {table} (
    id integer PRIMARY KEY,
    customer_id integer NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    city text NOT NULL,
    amount numeric(12, 2) NOT NULL,
    quantity integer NOT NULL,
    created_at timestamptz NOT NULL,
    active boolean NOT NULL,
    attributes jsonb NOT NULL
);
INSERT INTO {table}
SELECT n,
       1 + (n::bigint * 7919 % 50000),
       'person' || n || '@' || (ARRAY['example.com', 'example.org', 'mail.example.net'])[1 + n % 3],
       'Customer Number ' || (n::bigint * 31 % 99991),
       (ARRAY['Lyon', 'Porto', 'Gdansk', 'Graz', 'Turku', 'Cork'])[1 + n % 6],
       (n::bigint * 104729 % 1000000) / 100.0,
       1 + n % 12,
       timestamptz '2024-01-01 00:00:00+00' + n * interval '37 seconds',
       n % 7 <> 0,
       jsonb_build_object('tier', (ARRAY['gold', 'silver', 'bronze'])[1 + n % 3], 'score', n % 100)
FROM generate_series(1, {rows}) AS n;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    port: int
    pid: int
    password: str
    rows: int

    def rows_of(self, table: str) -> int:
        return self.rows if table == TABLE else min(self.rows, VARIANT_ROWS)

    @property
    def dsn(self) -> str:
        """As the reading role, which owns nothing and may create nothing."""
        return f"postgresql://{READER}:{self.password}@127.0.0.1:{self.port}/{DATABASE}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _binaries() -> Path:
    if "PG_BIN" in os.environ:
        return Path(os.environ["PG_BIN"])
    on_debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if on_debian:
        return on_debian[-1].parent
    found = shutil.which("initdb")
    if found is None:
        raise SystemExit("No PostgreSQL here: install postgresql-15, or name the folder of initdb in PG_BIN.")
    return Path(found).resolve().parent


def _unprivileged() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: the arguments for subprocess that make it somebody else."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    raise SystemExit("Running as root, and there is no account named postgres or nobody to run PostgreSQL as.")


@contextmanager
def postgres(rows: int) -> Iterator[Postgres]:
    """Started, loaded with `rows` orders, analysed; stopped by pid and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="douane-bench-pg-"))
    identity = _unprivileged()
    if identity:
        os.chown(folder, identity["user"], identity["group"])
    binaries, data, port = _binaries(), folder / "data", free_port()
    common: dict[str, Any] = {"cwd": folder, "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}, **identity}
    server = None
    try:
        subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "owner", "-E", "UTF8", "--auth-local=trust",
             "--auth-host=scram-sha-256", "--no-sync"],
            check=True, stdout=subprocess.DEVNULL, **common,
        )  # fmt: skip
        settings = {
            "listen_addresses": "127.0.0.1", "unix_socket_directories": str(folder), "max_connections": "100",
            "shared_buffers": "256MB", "fsync": "off", "max_wal_size": "2GB",
            # nothing but the statements under test may run during a round
            "autovacuum": "off", "checkpoint_timeout": "1h",
        }  # fmt: skip
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [binaries / "postgres", "-D", data, "-p", str(port), *options], stdout=log, stderr=log, **common
            )
        _wait_ready(binaries, folder, port, server)
        password = secrets.token_hex(16)
        _load(binaries, folder, port, password, rows)
        yield Postgres(port=port, pid=server.pid, password=password, rows=rows)
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)  # fast shutdown
            server.wait(timeout=START_TIMEOUT_S)
        shutil.rmtree(folder)


def _wait_ready(binaries: Path, folder: Path, port: int, server: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if server.poll() is not None:
            raise SystemExit(f"PostgreSQL did not start:\n{(folder / 'log').read_text()}")
        if subprocess.run([binaries / "pg_isready", "-q", "-h", folder, "-p", str(port)], check=False).returncode == 0:
            return
        time.sleep(0.05)
    raise SystemExit("PostgreSQL was not ready in time.")


def _load(binaries: Path, folder: Path, port: int, password: str, rows: int) -> None:
    def psql(database: str, script: str) -> None:
        subprocess.run(
            [binaries / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", folder, "-p", str(port), "-U", "owner",
             "-d", database],
            input=script.encode(), check=True,
        )  # fmt: skip

    psql("postgres", f"CREATE DATABASE {DATABASE}; CREATE ROLE {READER} LOGIN PASSWORD '{password}';")
    psql(DATABASE, SCHEMA.format(table=TABLE, rows=rows))
    psql(DATABASE, SCHEMA.format(table=TABLE_WITH_MASKED_KEY, rows=min(rows, VARIANT_ROWS)))
    psql(DATABASE, f"CREATE UNIQUE INDEX ON {TABLE_WITH_MASKED_KEY} (email);")
    psql(DATABASE, f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC; GRANT CONNECT ON DATABASE {DATABASE} TO {READER};")
    psql(DATABASE, f"GRANT SELECT ON {TABLE}, {TABLE_WITH_MASKED_KEY} TO {READER};")
    psql(DATABASE, f"VACUUM (FREEZE, ANALYZE) {TABLE}; VACUUM (FREEZE, ANALYZE) {TABLE_WITH_MASKED_KEY}; CHECKPOINT;")
