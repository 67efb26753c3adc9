"""Real gateways for tests: the demo or `serve` as a process of its own, on a free loopback port, stopped by pid."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from app.identity.demo_issuer import DemoProfile, ensure_key, mint, token_for
from tests.servers import free_port

START_TIMEOUT_S = 60.0


@dataclass
class Running:
    """A gateway process. `state` holds the demo issuer's key, so tokens can be made here."""

    process: subprocess.Popen[bytes]
    url: str
    state: Path
    log: Path

    def client(self, **kwargs: Any) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, timeout=30, **kwargs)

    def token(self, name: str, on_behalf_of: str | None = None) -> str:
        profile = DemoProfile.load(self.state)
        return token_for(ensure_key(self.state), profile, name, now=time.time(), on_behalf_of=on_behalf_of)

    def mint(self, **claims: Any) -> str:
        profile = DemoProfile.load(self.state)
        arguments = {"issuer": profile.issuer, "audience": profile.audience, "now": time.time(), **claims}
        return mint(ensure_key(self.state), **arguments)

    def auth(self, name: str, on_behalf_of: str | None = None) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token(name, on_behalf_of)}"}

    def query(
        self, name: str, sql: str, *, connection: str = "shop", path: str = "query", **body: Any
    ) -> httpx2.Response:
        with self.client() as client:
            return client.post(
                f"/v1/connections/{connection}/{path}", json={"sql": sql, **body}, headers=self.auth(name)
            )

    def ready(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except httpx2.HTTPError:
            return False

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(timeout=40)


def _wait(running: Running) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not running.ready():
        if running.process.poll() is not None or time.monotonic() > deadline:
            running.process.kill()
            raise AssertionError(f"the gateway did not start:\n{running.log.read_text()[-3000:]}")
        time.sleep(0.1)


@contextmanager
def _process(arguments: list[str], port: int, state: Path, env: dict[str, str] | None = None) -> Iterator[Running]:
    state.mkdir(parents=True, exist_ok=True)
    log = state / f"gateway-{port}.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", *arguments],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
        )
    running = Running(process=process, url=f"http://127.0.0.1:{port}", state=state, log=log)
    try:
        _wait(running)
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def demo(state: Path, port: int | None = None) -> Iterator[Running]:
    port = port or free_port()
    with _process(["demo", "--port", str(port), "--state", str(state)], port, state) as running:
        yield running


@contextmanager
def serve(config: Path, port: int, state: Path, env: dict[str, str] | None = None) -> Iterator[Running]:
    with _process(["serve", "--config", str(config)], port, state, env) as running:
        yield running
