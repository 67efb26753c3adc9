"""Content that breaks off: no client takes a part for the whole, the log says how far it came, nothing stays open."""

import http.client
import json
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from exchange_site import ExchangeSite, answered, asking, growth_of, open_files, s3_section, who
from fault_site import Gateway, InBackground, Problem, assert_all_signed, running_issuer, until

from tests.object_servers import SeaweedServer, seaweed_server

SIZE = 96 * 1024 * 1024
"""More than what lies in buffers between a store and a client that does not read."""
POOL = 2
AWAY = Problem(status=503, code="connection_unavailable")


@pytest.fixture(scope="module")
def server() -> Iterator[SeaweedServer]:
    with seaweed_server() as running, running.client() as client:
        client.put_object(Bucket=running.bucket, Key="raw/big.bin", Body=b"a" * SIZE)
        client.put_object(Bucket=running.bucket, Key="raw/small.bin", Body=b"small")
        client.put_object(
            Bucket=running.bucket, Key="people/many.csv", Body=b"id,email\n" + b"1,a@b.example\n" * 2_000_000
        )
        yield running


@pytest.fixture(scope="module")
def gateway(server: SeaweedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """In front of a folder and of a bucket with the same objects."""
    folder = tmp_path_factory.mktemp("broken-off")
    exchanges = {
        "files": {"kind": "filesystem", "root": "files", "pool_max": POOL},
        "bucket": {**s3_section(folder, server, server.bucket), "pool_max": POOL},
    }
    with running_issuer() as issuer:
        site = ExchangeSite(folder=folder, issuer=issuer, exchanges=exchanges)
        site.put_file("raw/big.bin", b"a" * SIZE)
        site.put_file("raw/small.bin", b"small")
        site.put_file("people/few.csv", b"id,email\n1,a@b.example\n")
        with site.run() as running:
            yield running
        assert_all_signed(site.audit)


def begun(line: socket.socket) -> int:
    """The index at which the content was opened, once its head is there; its body is left where it is."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += line.recv(1)
    status, *headers = head.decode("latin-1").split("\r\n")
    assert " 200 " in status, head
    (receipt,) = [value for name, _, value in (each.partition(": ") for each in headers) if name == "x-receipt"]
    index: int = json.loads(receipt)["index"]
    return index


def rest_of(line: socket.socket) -> tuple[int, set[bytes]]:
    """How many bytes came after the head until the gateway closed, and which ones they are made of."""
    size, made_of = 0, set()
    try:
        while piece := line.recv(1 << 20):
            size += len(piece)
            made_of |= {piece[:1], piece[-1:], piece[len(piece) // 2 : len(piece) // 2 + 1]}
    except ConnectionResetError:
        pass
    return size, made_of


def opened_in(gateway: Gateway) -> int:
    return sum(entry["outcome"] == "opened" for entry in gateway.logged())


def ended(gateway: Gateway, index: int) -> dict[str, Any]:
    """The second entry of the content that was opened there."""
    found = until(
        lambda: [entry for entry in gateway.logged() if entry.get("opened_index") == index],
        what="the second entry",
        seconds=75,
    )
    assert len(found) == 1
    first = gateway.logged()[index]
    assert first["outcome"] == "opened"
    assert first["trace_id"] == found[0]["trace_id"]
    entry: dict[str, Any] = found[0]
    return entry


def assert_cut(gateway: Gateway, index: int, code: str, *, most: int = SIZE - 1) -> None:
    entry = ended(gateway, index)
    assert (entry["outcome"], entry["code"]) == ("cut", code)
    assert 0 <= entry["bytes"] <= most
    assert not {"answer_sha256", "answer_blake3"} & set(entry)


@pytest.mark.parametrize("connection", ["files", "bucket"])
def test_clients_that_leave_within_the_content_free_the_store_and_are_on_record(
    gateway: Gateway, connection: str
) -> None:
    target = f"/v1/connections/{connection}/content/raw/big.bin"
    ana = who(gateway, "ana")
    for _ in range(3):
        indices = []
        for _ in range(POOL):
            with asking(gateway, "GET", target) as line:
                indices.append(begun(line))
        for index in indices:
            assert_cut(gateway, index, "client_left")
        assert ana.content("raw/small.bin", connection).content == b"small"
    assert [name for name in open_files(gateway.process.pid) if name.endswith("big.bin")] == []


def test_a_client_that_reads_nothing_is_cut_while_others_are_served(gateway: Gateway, server: SeaweedServer) -> None:
    ana = who(gateway, "ana")
    assert ana.content("raw/small.bin").content == b"small"
    with growth_of(gateway.process.pid) as growth:
        stalled = {name: f"/v1/connections/{name}/content/raw/big.bin" for name in ("files", "bucket")}
        with asking(gateway, "GET", stalled["files"]) as one, asking(gateway, "GET", stalled["bucket"]) as other:
            indices = [begun(one), begun(other)]
            assert ana.content("raw/small.bin").content == b"small"
            assert ana.content("raw/small.bin", "bucket").content == b"small"
            for index in indices:
                assert_cut(gateway, index, "client_too_slow")
            for line in (one, other):
                size, made_of = rest_of(line)
                assert size < SIZE
                assert made_of <= {b"a"}
        assert growth() < SIZE // 1024


def test_a_slow_reader_gets_all_of_it(gateway: Gateway) -> None:
    """It reads a little, looks at something else in between, and leaves as soon as it has everything."""
    ana = who(gateway, "ana")
    with asking(gateway, "GET", "/v1/connections/files/content/raw/big.bin") as line:
        index = begun(line)
        size = 0
        while size < SIZE:
            if size < 8 << 20:
                assert ana.content("raw/small.bin").status_code == 200
            piece = line.recv(1 << 20)
            assert piece
            size += len(piece)
        assert size == SIZE
    entry = ended(gateway, index)
    assert (entry["outcome"], entry["bytes"]) == ("completed", SIZE)


def test_a_store_that_dies_within_the_content_cuts_it_and_is_used_again_when_it_is_back(
    gateway: Gateway, server: SeaweedServer
) -> None:
    ana = who(gateway, "ana")
    target = "/v1/connections/bucket/content/raw/big.bin"
    before = opened_in(gateway)
    with asking(gateway, "GET", target) as line, asking(gateway, "GET", target) as other:
        index = begun(line)
        until(lambda: opened_in(gateway) == before + 2, what="both were opened")
        server.stop()
        try:
            with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
                answered(other)
            size, made_of = rest_of(line)
            assert size < SIZE
            assert made_of <= {b"a"}
            assert_cut(gateway, index, "store_unavailable")
            for answer in (
                ana.content("raw/small.bin", "bucket"),
                ana.content("people/many.csv", "bucket"),
                ana.put("drop/new.txt", b"new", "bucket"),
                ana.delete("drop/new.txt", "bucket"),
            ):
                problem = AWAY.assert_is(answer)
                assert gateway.logged()[problem["receipt"]["index"]]["code"] == AWAY.code
            assert ana.content("raw/small.bin").content == b"small"
        finally:
            server.start()
    assert ana.content("raw/small.bin", "bucket").content == b"small"
    assert "new.txt" not in "".join(ana.names("bucket", "drop/"))
    assert server.url not in gateway.output()


def test_a_store_that_dies_within_a_rendering_gives_a_problem_and_no_part_of_it(
    gateway: Gateway, server: SeaweedServer
) -> None:
    ana = who(gateway, "ana")
    running = InBackground(lambda: ana.content("people/many.csv", "bucket"))
    until(lambda: _renders(gateway), what="the rendering began", pause_s=0.001)
    server.stop()
    try:
        answer = running.answer()
    finally:
        server.start()
    problem = AWAY.assert_is(answer)
    assert b"b.example" not in answer.content
    assert gateway.logged()[problem["receipt"]["index"]]["code"] == AWAY.code
    assert ana.content("people/many.csv", "bucket").content.count(b"***@b.example") == 2_000_000


def _renders(gateway: Gateway) -> bool:
    """It has the file that the rendering goes into, which takes seconds to fill."""
    return any("(deleted)" in name for name in open_files(gateway.process.pid))


@contextmanager
def log_that_cannot_grow(gateway: Gateway) -> Iterator[None]:
    pid = gateway.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    size = len((gateway.audit / "0" / "journal").read_bytes().rstrip(b"\0"))
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def test_a_log_that_cannot_be_written_lets_nothing_out_and_nothing_in(gateway: Gateway) -> None:
    unrecorded = Problem(status=503, code="audit_unavailable")
    ana = who(gateway, "ana")
    assert ana.put("drop/old.txt", b"old").status_code == 200
    with asking(gateway, "GET", "/v1/connections/files/content/raw/big.bin") as line:
        index = begun(line)
        with log_that_cannot_grow(gateway):
            # What was opened on record goes on; nothing else begins.
            size, _ = rest_of_content(line)
            assert size == SIZE
            until(lambda: ana.content("raw/small.bin").status_code == 503, what="the log has no gap left for entries")
            for answer in (
                ana.content("raw/small.bin"),
                ana.content("people/few.csv"),
                ana.fetch("people/few.csv"),
                ana.put("drop/new.txt", b"new"),
                ana.delete("drop/old.txt"),
            ):
                unrecorded.assert_is(answer)
                assert b"b.example" not in answer.content
        until(gateway.ready, what="readiness comes back")
    assert [name for name in open_files(gateway.process.pid) if name.endswith(".bin")] == []
    assert ana.names(prefix="drop/") == ["drop/old.txt"]
    assert list((gateway.state / "files" / ".douane-incoming").iterdir()) == []
    later = [entry for entry in gateway.logged() if entry.get("opened_index") == index]
    assert later == [] or later[0]["outcome"] == "completed"
    assert ana.put("drop/new.txt", b"new").status_code == 200
    assert ana.content("drop/new.txt").status_code == 200


def rest_of_content(line: socket.socket) -> tuple[int, bytes]:
    """All of the content that its head announced, on a connection that stays open."""
    size, last = 0, b""
    while size < SIZE:
        last = line.recv(1 << 20)
        assert last
        size += len(last)
    return size, last
