"""The two servers that are compared: how each starts, and what a request to each looks like."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import token_issuer
from postgres_server import Postgres, free_port
from scenarios import Scenario

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
DOUANE = [sys.executable, "-m", "app.cli"]
PROFILE_VARIABLE = "BENCH_PROFILE"
"""Names the file that cProfile writes of a Douane under test; see docs/benchmarks.md."""
MIB = 1_048_576
POOL = 10
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
LOG_TAIL_CHARS = 4_000
LOW, HIGH = "\x01low", "\x01high"


def stop_on_sigterm() -> None:
    """Make a terminated run end like an interrupted one: every server that it started is stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


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
    answers: Counter[str] = field(default_factory=Counter)
    """How many were released in this run, under "all"; the audit log has to hold as many."""

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
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{self.path}",
            data=body.encode(),
            headers={**self.headers, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                if answer.status != 200:
                    raise SystemExit(f"{self.name} answered {answer.status}: {answer.read(2000)!r}")
                decoded: dict[str, Any] = json.load(answer)
                self.answers["all"] += 1
                return decoded
        except urllib.error.HTTPError as refused:
            raise SystemExit(f"{self.name} answered {refused.code}: {refused.read(2000)!r}") from refused


@contextmanager
def running(
    command: list[str],
    *,
    folder: Path,
    name: str,
    env: Mapping[str, str],
    ready_url: str,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[int]:
    """A server process until the block ends; its output goes to a file that is shown when it fails."""
    log_path = folder / f"{name}.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, **env}, stdout=log, stderr=log)
    try:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not _answers(ready_url):
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise SystemExit(f"{name} did not start.")
            time.sleep(0.05)
        yield process.pid
        if process.poll() is not None:
            raise SystemExit(f"{name} died under load.")
    except SystemExit:
        if tail := log_path.read_text()[-LOG_TAIL_CHARS:]:
            print(f"The end of the log of {name}:\n{tail}", file=sys.stderr)
        raise
    finally:
        if process.poll() is None:
            process.send_signal(stop)
            process.wait(timeout=STOP_TIMEOUT_S)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


@contextmanager
def bare(database: Postgres, folder: Path, *, name: str = "bare", rows_as: str = "arrays") -> Iterator[Contestant]:
    port = free_port()
    command = [
        sys.executable, "-m", "uvicorn", "bare:app", "--app-dir", str(HERE), "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1", "--loop", "uvloop", "--http", "httptools", "--lifespan", "on",
        "--no-access-log", "--log-level", "warning",
    ]  # fmt: skip
    env = {"BENCH_DSN": database.dsn, "BENCH_POOL": str(POOL), "BENCH_BARE_ROWS": rows_as}
    ready_url = f"http://127.0.0.1:{port}/openapi.json"
    with running(command, folder=folder, name=name, env=env, ready_url=ready_url) as pid:
        yield Contestant(name=name, pid=pid, port=port, path="/query", headers={}, masked=False, named_params=False)


@contextmanager
def douane(
    database: Postgres, folder: Path, *, max_rows: int = 20_000, max_bytes: int = 64 * MIB, name: str = "douane"
) -> Iterator[Contestant]:
    """`douane serve` with everything on: token, policy, mask, limits, durable audit log."""
    state, port = folder / name, free_port()
    state.mkdir(mode=0o700)
    shutil.copytree(HERE / "policies", state / "policies")
    shutil.copy(REPOSITORY / "policies" / "model.conf", state / "policies")
    command_line([*DOUANE, "keys", str(state)])
    with token_issuer.issuer() as issuer:
        config = {
            "server": {"host": "127.0.0.1", "port": port, "public_url": f"http://127.0.0.1:{port}", "workers": 1},
            "store": {"url": "sqlite:///state/douane.db"},
            "policies": "policies/",
            "issuers": [
                {
                    "issuer": issuer.url,
                    "jwks_url": issuer.jwks_url,
                    "audience": token_issuer.AUDIENCE,
                    "algorithms": ["ES256"],
                    "clients": [token_issuer.CLIENT],
                }
            ],
            "connections": {
                "bench": {
                    "kind": "postgres", "dsn": {"env": "BENCH_DSN"}, "pool_max": POOL,
                    "max_rows": max_rows, "max_bytes": max_bytes,
                }
            },
            "audit": {"dir": "state/audit", "key": {"file": "audit.key"}, "origin": "douane.bench/log"},
        }  # fmt: skip
        # JSON is YAML
        (state / "douane.yaml").write_text(json.dumps(config, indent=1))
        profile = os.environ.get(PROFILE_VARIABLE)
        profiler = ["-m", "cProfile", "-o", str(Path(profile).resolve())] if profile else []
        command = [sys.executable, *profiler, *DOUANE[1:], "serve", "--config", str(state / "douane.yaml")]
        env = {"BENCH_DSN": database.dsn, "PYTHONPATH": str(REPOSITORY)}
        ready_url = f"http://127.0.0.1:{port}/readyz"
        # uvicorn ends by the signal it was sent, and a profile is written only by a process that ends by itself
        stop = signal.SIGINT if profile else signal.SIGTERM
        with running(command, folder=state, name=name, env=env, ready_url=ready_url, stop=stop) as pid:
            contestant = Contestant(
                name=name, pid=pid, port=port, path="/v1/connections/bench/query",
                headers={"Authorization": f"Bearer {issuer.token}"}, masked=True, named_params=True,
            )  # fmt: skip
            yield contestant
    check_log(state / "state" / "audit", contestant.answers["all"])


def command_line(command: list[str]) -> str:
    """What a command of Douane prints; its failure ends the run."""
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command[1:])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def check_log(folder: Path, answers: int) -> None:
    """Speed without the record is no speed: after the run the log must verify and hold an entry for every answer."""
    report = command_line([*DOUANE, "audit", "verify", str(folder)])
    recorded = sum(int(number) for number in re.findall(r"(\d+) entries signed", report))
    if recorded < answers:
        raise SystemExit(f"{answers} answers were released, but the audit log holds {recorded} entries.")


@contextmanager
def subject(
    kind: str, database: Postgres, folder: Path, *, rows_as: str, max_rows: int = 20_000
) -> Iterator[Contestant]:
    """Whom the bare endpoint is compared with: Douane, or a second bare endpoint, which shows the noise."""
    if kind == "douane":
        with douane(database, folder, max_rows=max_rows) as started:
            yield started
    else:
        with bare(database, folder, name="bare2", rows_as=rows_as) as second:
            yield second
