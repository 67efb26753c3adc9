"""A site with buckets and brokers to break: who may do what there, what is in them, and what clients send raw."""

import http.client
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import yaml
from approval_site import Actor
from blake3 import blake3
from fault_site import Gateway, Site

from tests.object_servers import SeaweedServer

TOPICS = ("orders", "inbox", "partner")
CALL_TIMEOUT_S = 3.0
"""Of one call to a broker: what hangs is given up soon."""
_RULES = {
    "objects": """\
p, user:ana, {at}/**, list, allow,
p, user:ana, {at}/**, fetch, allow,
p, user:ana, {at}/sealed/**, fetch, approve,
p, user:ana, {at}/drop/**, put, allow,
p, user:ana, {at}/drop/**, delete, allow,
p, user:ana, {at}/partner/**, put, approve,
""",
    "topics": """\
p, user:ana, {at}/**, receive, allow,
p, user:bob, {at}/**, receive, allow,
p, user:ana, {at}/orders, publish, allow,
p, user:ana, {at}/partner, publish, approve,
""",
}
_DATA: dict[str, dict[str, Any]] = {
    "objects": {
        "default": "mask",
        "objects": {
            "people/**": {
                "columns": {"id": "allow", "email": "pii.email"},
                "paths": {"$..id": "allow", "$..email": "pii.email"},
            },
            "sealed/**": {"columns": {"id": "allow", "email": "pii.email"}},
            "raw/**": {"content": "raw"},
            "drop/**": {"default": "allow", "found": {"*": "allow"}},
            "partner/**": {"default": "allow", "found": {"*": "allow"}},
        },
    },
    "topics": {
        "default": "mask",
        "topics": {
            "orders": {
                "schema": {
                    "type": "object",
                    "required": ["order"],
                    "properties": {"order": {"type": "integer"}, "email": {"type": "string"}},
                    "additionalProperties": False,
                },
                "paths": {"$.order": "allow", "$.email": "pii.email"},
                "found": {"pii.*": "allow"},
            },
            "inbox": {"paths": {"$.n": "allow", "$.email": "pii.email"}},
            "partner": {"paths": {"$.order": "allow"}, "default": "allow", "found": {"*": "allow"}},
        },
    },
}
_OBJECT_KINDS = ("filesystem", "s3")


@dataclass(kw_only=True)
class ExchangeSite(Site):
    """`exchanges`: connections of objects and messages as douane.yaml has them. The filesystem below `root` is there
    always, as `files`, and the memory queue, as `queue`."""

    exchanges: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root = self.folder / "files"
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        super().__post_init__()

    @property
    def all_exchanges(self) -> dict[str, Mapping[str, Any]]:
        return {
            "files": {"kind": "filesystem", "root": "files"},
            "queue": {"kind": "memory", "topics": list(TOPICS)},
            **self.exchanges,
        }

    def write(self) -> Path:
        path = super().write()
        document = yaml.safe_load(path.read_text())
        document["connections"] |= {name: dict(section) for name, section in self.all_exchanges.items()}
        path.write_text(yaml.safe_dump(document))
        families = {
            name: "objects" if section["kind"] in _OBJECT_KINDS else "topics"
            for name, section in self.all_exchanges.items()
        }
        policy = self.policies / "policy.csv"
        own = [line for line in policy.read_text().splitlines(True) if line.split(", ")[2].startswith("lite/")]
        people = "p, user:max, douane/approvals, *, allow,\n"
        rules = [_RULES[family].format(at=name) for name, family in families.items()]
        policy.write_text("".join(["p, client:cli, **, *, allow,\n", *own, *rules, people]))
        for name, family in families.items():
            (self.policies / "data" / f"{name}.yaml").write_text(yaml.safe_dump(_DATA[family]))
        (self.policies / "approvals.yaml").write_text("default: {approvers: ['user:max'], expires: 1h}\n")
        return path

    def put_file(self, key: str, content: bytes) -> Path:
        """Past the gateway, and at once whole."""
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.draft")
        draft.write_bytes(content)
        draft.replace(path)
        return path


def secret_file(folder: Path, name: str, text: str) -> dict[str, str]:
    """A secret for a section of douane.yaml, in a file below the site's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).touch(mode=0o600)
    (folder / name).write_text(text)
    return {"file": name}


def s3_section(folder: Path, server: SeaweedServer, bucket: str) -> dict[str, Any]:
    access, secret = server.admin
    return {
        "kind": "s3",
        "bucket": bucket,
        "endpoint_url": server.url,
        "path_style": True,
        "access_key": secret_file(folder, "s3.access", access),
        "secret_key": secret_file(folder, "s3.secret", secret),
    }


@dataclass(frozen=True, kw_only=True)
class Client(Actor):
    """Somebody who uses objects and messages, at a gateway."""

    def content(self, key: str, connection: str = "files", headers: Mapping[str, str] | None = None) -> httpx2.Response:
        return self._sent("GET", f"/v1/connections/{connection}/content/{key}", headers=headers)

    def fetch(self, key: str, connection: str = "files", **query: str) -> httpx2.Response:
        return self._sent("GET", f"/v1/connections/{connection}/objects/{key}", params=query)

    def names(self, connection: str = "files", prefix: str = "") -> list[str]:
        answer = self._sent("GET", f"/v1/connections/{connection}/objects", params={"prefix": prefix})
        assert answer.status_code == 200, answer.text
        return [each["key"] for each in answer.json()["objects"]]

    def put(
        self,
        key: str,
        content: bytes,
        connection: str = "files",
        headers: Mapping[str, str] | None = None,
        **query: str,
    ) -> httpx2.Response:
        path = f"/v1/connections/{connection}/content/{key}"
        sent = {"content-type": "text/plain", **(headers or {})}
        return self._sent("PUT", path, headers=sent, content=content, params=query)

    def delete(self, key: str, connection: str = "files") -> httpx2.Response:
        return self._sent("DELETE", f"/v1/connections/{connection}/objects/{key}")

    def publish(
        self, topic: str, payload: Mapping[str, Any], connection: str = "queue", **more: Any
    ) -> httpx2.Response:
        return self.ask("POST", f"/v1/connections/{connection}/messages", {"topic": topic, "payload": payload, **more})

    def receive(self, topic: str, connection: str = "queue", **more: Any) -> httpx2.Response:
        return self.ask("POST", f"/v1/connections/{connection}/messages/receive", {"topic": topic, **more})

    def received(self, topic: str, connection: str = "queue", **more: Any) -> list[dict[str, Any]]:
        answer = self.receive(topic, connection, **more)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["messages"]
        return found

    def ack(self, topic: str, handles: Sequence[str], connection: str = "queue") -> list[str]:
        body = {"topic": topic, "handles": list(handles)}
        answer = self.ask("POST", f"/v1/connections/{connection}/messages/ack", body)
        assert answer.status_code == 200, answer.text
        return [each["result"] for each in answer.json()["results"]]

    def _sent(self, method: str, path: str, **how: Any) -> httpx2.Response:
        headers = {**self.gateway.auth(self.name), **(how.pop("headers", None) or {})}
        with httpx2.Client(base_url=self.gateway.url, timeout=60, headers=headers) as client:
            return client.request(method, path, **how)


def who(gateway: Gateway, name: str) -> Client:
    return Client(gateway=gateway, name=name)


@contextmanager
def asking(gateway: Gateway, method: str, target: str, *, body: bytes = b"", more: str = "") -> Iterator[socket.socket]:
    """A client that has sent these very bytes and reads nothing by itself."""
    head = (
        f"{method} {target} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: {gateway.auth('ana')['authorization']}\r\n"
        f"content-length: {len(body)}\r\n{more}\r\n"
    )
    line = socket.create_connection(("127.0.0.1", urlsplit(gateway.url).port or 0), timeout=40)
    with closing(line):
        line.sendall(head.encode("latin-1") + body)
        yield line


def answered(line: socket.socket) -> tuple[int, bytes]:
    """Status and body as a client understands them. Raises IncompleteRead for a body that has less than it said."""
    response = http.client.HTTPResponse(line)
    response.begin()
    with closing(response):
        return response.status, response.read()


def sent_raw(gateway: Gateway, method: str, target: str) -> tuple[int, bytes]:
    """No client's library normalises what is sent."""
    with asking(gateway, method, target) as line:
        return answered(line)


def digest_of(gateway: Gateway, key: str, connection: str) -> tuple[int, str, int]:
    """Of a whole body that nobody holds: its size, its BLAKE3, and the index in the log at which it was opened."""
    with closing(gateway.line()) as line:
        line.request("GET", f"/v1/connections/{connection}/content/{key}", headers=gateway.auth("ana"))
        answer = line.getresponse()
        assert answer.status == 200, answer.read()
        index = json.loads(answer.headers["x-receipt"])["index"]
        digest, size = blake3(), 0
        while piece := answer.read(1 << 20):
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest(), index


def memory_kib(pid: int, what: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(f"{what}:")))


@contextmanager
def growth_of(pid: int) -> Iterator[Callable[[], int]]:
    """How many KiB of memory the process had at its most since then, beyond what it had then."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    before = memory_kib(pid, "VmRSS")
    yield lambda: memory_kib(pid, "VmHWM") - before


def open_files(pid: int) -> list[str]:
    """What its descriptors are, by the name that the system gives them."""
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(descriptor))
        except FileNotFoundError:
            continue
    return found


def children(pid: int, named: str) -> list[int]:
    """Pids of the children whose command line has that word."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            if named.encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
    return found
