"""Real servers for tests: started on a free loopback port in a temporary folder, stopped by pid."""

import functools
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

_START_TIMEOUT_S = 30.0


@functools.cache
def postgres_bin() -> Path | None:
    """The folder that holds initdb and postgres, or None."""
    candidates = [Path("/usr/lib/postgresql/15/bin")]
    if (pg_config := shutil.which("pg_config")) is not None:
        shown = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        candidates.append(Path(shown.stdout.strip() or "/nonexistent"))
    candidates += [Path(found) for found in sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]
    return next((c for c in candidates if (c / "initdb").exists() and (c / "postgres").exists()), None)


def need_postgres() -> Path:
    """Skips the calling test, with the reason, where no PostgreSQL server is installed."""
    found = postgres_bin()
    if found is None:
        pytest.skip("no PostgreSQL server binaries: apt install postgresql-15")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _unprivileged() -> str | None:
    """PostgreSQL refuses to run as root: whom to become, or None when we are somebody already."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    pytest.skip("PostgreSQL does not run as root and there is no other account")


class PostgresServer:
    """One cluster. `start`, `stop`, `restart`, and SQL as the superuser through `psql`."""

    superuser = "root_of_tests"
    superuser_password = "root-password"

    def __init__(self, folder: Path, binaries: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self._bin = binaries
        self._user = _unprivileged()
        self._process: subprocess.Popen[bytes] | None = None

    def init(self) -> None:
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        password = self.folder / "superuser"
        password.write_text(self.superuser_password)
        if self._user is not None:
            shutil.chown(password, self._user)
        self._run(
            "initdb", "-D", str(self.data), "-U", self.superuser, "--pwfile", str(password), "-A", "scram-sha-256",
            "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions",
        )  # fmt: skip

    def _run(self, tool: str, *args: str) -> None:
        done = subprocess.run(
            [str(self._bin / tool), *args], user=self._user, cwd=self.folder, capture_output=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"{tool} failed: {done.stderr.decode(errors='replace')}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._bin / "postgres"), "-D", str(self.data), "-k", str(self.folder), "-p", str(self.port),
                    "-h", "127.0.0.1", "-c", "fsync=off", "-c", "max_connections=60", "-c", "shared_buffers=64MB",
                ],
                user=self._user, cwd=self.folder, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.03)

    def _ready(self) -> bool:
        status = self.data / "postmaster.pid"
        try:
            lines = status.read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: fast shutdown. SIGQUIT: immediate, as in a crash."""
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=20)
        self._process = None

    def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        self.stop(how)
        self.start()

    def dsn(self, user: str | None = None, password: str | None = None, database: str = "postgres") -> str:
        name = user or self.superuser
        secret = password if password is not None else (self.superuser_password if user is None else name)
        return f"postgresql://{quote(name)}:{quote(secret)}@127.0.0.1:{self.port}/{database}"

    def psql(self, sql: str, database: str = "postgres") -> str:
        """Runs SQL as the superuser; returns unaligned tuples. Not for timing."""
        done = subprocess.run(
            [
                str(self._bin / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-",
                self.dsn(database=database),
            ],
            input=sql.encode(), capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"psql failed: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode().rstrip("\n")

    def create_role(self, name: str, password: str | None = None, options: str = "") -> None:
        self.psql(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password or name}' {options}")

    def create_database(self, name: str) -> None:
        """Without TEMP for everybody, as a careful administrator would."""
        self.psql(f'CREATE DATABASE "{name}"')
        self.psql(f'REVOKE TEMPORARY ON DATABASE "{name}" FROM PUBLIC')


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A running cluster that is gone afterwards; skips where it cannot be."""
    binaries = need_postgres()
    folder = Path(tempfile.mkdtemp(prefix="douane-pg-"))
    folder.chmod(0o755)
    server = PostgresServer(folder, binaries)
    try:
        server.init()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
