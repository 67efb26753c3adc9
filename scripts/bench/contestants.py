"""The two servers that are compared: how each starts, and what a request to each looks like."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postgres_server import Postgres, free_port
from scenarios import Scenario

HERE = Path(__file__).resolve().parent
POOL = 10
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0
LOW, HIGH = "\x01low", "\x01high"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """A running server. `masked`: its answers must have every email masked."""

    name: str
    pid: int
    port: int
    path: str
    headers: Mapping[str, str]
    masked: bool
    named_params: bool

    def template(self, scenario: Scenario) -> str:
        """The request body with %d where the keys go."""
        keys = (LOW, HIGH)[: scenario.slots]
        if scenario.way == "parameterised":
            sql = scenario.sql("$1", "$2")
            params: Any = {str(n): key for n, key in enumerate(keys, 1)} if self.named_params else list(keys)
        else:
            sql = scenario.sql(*(LOW, HIGH))
            params = {} if self.named_params else []
        body = json.dumps({"sql": sql, "params": params})
        for key in (LOW, HIGH):
            quoted = json.dumps(key)
            body = body.replace(quoted, "%d").replace(quoted[1:-1], "%d")
        return body

    def ask(self, body: str) -> dict[str, Any]:
        """One request outside every measurement; anything but 200 ends the run."""
        request = urllib.request.Request(  # noqa: S310
            f"http://127.0.0.1:{self.port}{self.path}",
            data=body.encode(),
            headers={**self.headers, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
                if answer.status != 200:
                    raise SystemExit(f"{self.name} answered {answer.status}: {answer.read(2000)!r}")
                decoded: dict[str, Any] = json.load(answer)
                return decoded
        except urllib.error.HTTPError as refused:
            raise SystemExit(f"{self.name} answered {refused.code}: {refused.read(2000)!r}") from refused


@contextmanager
def _running(command: list[str], *, folder: Path, name: str, env: Mapping[str, str], ready_url: str) -> Iterator[int]:
    """A server process until the block ends; its output goes to a file that is shown when it fails."""
    log_path = folder / f"{name}.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, **env}, stdout=log, stderr=log)
    try:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not _answers(ready_url):
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise SystemExit(f"{name} did not start; the end of its log:\n{log_path.read_text()[-4000:]}")
            time.sleep(0.05)
        yield process.pid
        if process.poll() is not None:
            raise SystemExit(f"{name} died under load; the end of its log:\n{log_path.read_text()[-4000:]}")
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=STOP_TIMEOUT_S)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


@contextmanager
def bare(database: Postgres, folder: Path, *, name: str = "bare", rows_as: str = "objects") -> Iterator[Contestant]:
    port = free_port()
    command = [
        sys.executable, "-m", "uvicorn", "bare:app", "--app-dir", str(HERE), "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1", "--loop", "uvloop", "--http", "httptools", "--lifespan", "on",
        "--no-access-log", "--log-level", "warning",
    ]  # fmt: skip
    env = {"BENCH_DSN": database.dsn, "BENCH_POOL": str(POOL), "BENCH_BARE_ROWS": rows_as}
    ready_url = f"http://127.0.0.1:{port}/openapi.json"
    with _running(command, folder=folder, name=name, env=env, ready_url=ready_url) as pid:
        yield Contestant(
            name=name, pid=pid, port=port, path="/query", headers={}, masked=False, named_params=False
        )


@contextmanager
def subject(kind: str, database: Postgres, folder: Path, *, rows_as: str) -> Iterator[Contestant]:
    """Whom the bare endpoint is compared with: Douane, or a second bare endpoint, which shows the noise."""
    if kind == "bare":
        with bare(database, folder, name="bare2", rows_as=rows_as) as second:
            yield second
    else:
        raise SystemExit("soon")
