"""Two gigabytes pass through in little memory; many renderings at once leave room for everybody else."""

import hashlib
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

from blake3 import blake3
from exchange_site import ExchangeSite, digest_of, growth_of, s3_section, who
from fault_site import Gateway, Issuer, assert_all_signed, until

from tests.object_servers import SeaweedServer, seaweed_server

SIZE = 2_000_000_000
BOUND_KIB = 150 * 1024
KEY = "raw/two-gigabytes.bin"
BLOCK_BYTES = 1 << 20


def two_gigabytes(path: Path) -> str:
    """Different in every block, and its BLAKE3."""
    digest = blake3()
    path.parent.mkdir(parents=True, exist_ok=True)
    stuffing = hashlib.shake_256(b"stuffing").digest(BLOCK_BYTES)
    with path.open("wb", buffering=0) as file:
        for number in range(-(-SIZE // BLOCK_BYTES)):
            block = (number.to_bytes(8, "big") + stuffing[8:])[: SIZE - number * BLOCK_BYTES]
            file.write(block)
            digest.update(block)
    return digest.hexdigest()


def assert_passes_in_little_memory(gateway: Gateway, connection: str, expected: str) -> None:
    """Once to warm up: what every first request loads is none of the stream's memory."""
    assert who(gateway, "ana").content("raw/small.bin", connection).content == b"small"
    with growth_of(gateway.process.pid) as growth:
        size, digest, index = digest_of(gateway, KEY, connection)
        grew_kib = growth()
    assert (size, digest) == (SIZE, expected)
    # `pytest --log-cli-level=INFO` shows the figure.
    logging.getLogger(__name__).info("2 GB of %s: the gateway grew by %d MiB", connection, grew_kib // 1024)
    assert grew_kib < BOUND_KIB
    ended = until(lambda: [e for e in gateway.logged() if e.get("opened_index") == index], what="the second entry")
    opened = gateway.logged()[index]
    assert (opened["outcome"], opened["status"], opened["content_bytes"]) == ("opened", 200, SIZE)
    assert "answer_blake3" not in opened
    assert [(e["outcome"], e["bytes"], e["answer_blake3"]) for e in ended] == [("completed", SIZE, expected)]


def test_two_gigabytes_of_a_folder_pass_through_in_little_memory(tmp_path: Path, issuer: Issuer) -> None:
    site = ExchangeSite(folder=tmp_path, issuer=issuer)
    site.put_file("raw/small.bin", b"small")
    path = tmp_path / "files" / KEY
    expected = two_gigabytes(path)
    try:
        with site.run() as gateway:
            assert_passes_in_little_memory(gateway, "files", expected)
    finally:
        path.unlink()
    assert_all_signed(site.audit)


@contextmanager
def bucket_of_two_gigabytes(folder: Path) -> Iterator[tuple[SeaweedServer, str]]:
    source = folder / "source"
    digest = two_gigabytes(source)
    with seaweed_server() as server:
        with server.client() as client, source.open("rb") as file:
            client.put_object(Bucket=server.bucket, Key="raw/small.bin", Body=b"small")
            _upload(client, server.bucket, file)
        source.unlink()
        yield server, digest


def _upload(client: Any, bucket: str, file: IO[bytes]) -> None:
    client.upload_fileobj(file, bucket, KEY)


def test_two_gigabytes_of_a_bucket_pass_through_in_little_memory(tmp_path: Path, issuer: Issuer) -> None:
    with bucket_of_two_gigabytes(tmp_path) as (server, expected):
        folder = tmp_path / "site"
        site = ExchangeSite(
            folder=folder, issuer=issuer, exchanges={"bucket": s3_section(folder, server, server.bucket)}
        )
        with site.run() as gateway:
            assert_passes_in_little_memory(gateway, "bucket", expected)
    assert_all_signed(site.audit)


ROWS = 120_000
RENDERINGS = 20


def people(count: int) -> bytes:
    lines = ["id,email,note\n", *(f"{n},someone{n}@mail.example,{'x' * 40}\n" for n in range(count))]
    return "".join(lines).encode()


def test_twenty_renderings_at_once_keep_nobody_elses_statement_waiting(tmp_path: Path, issuer: Issuer) -> None:
    """Statements are counted that were answered while renderings were under way: a loop that is held for the time of a
    rendering lets one through between two of them."""
    site = ExchangeSite(folder=tmp_path, issuer=issuer)
    site.put_file("people/many.csv", people(ROWS))
    with site.run() as gateway:
        whole = who(gateway, "ana").content("people/many.csv")
        assert whole.status_code == 200
        assert b"someone" not in whole.content
        assert whole.content.count(b"\n") == ROWS + 1
        site.put_file("people/many.csv", people(ROWS))
        digests: list[tuple[int, str]] = []
        threads = [threading.Thread(target=_take, args=(gateway, digests), daemon=True) for _ in range(RENDERINGS)]
        for thread in threads:
            thread.start()
        answered = 0
        with closing(gateway.line()) as line:
            while any(thread.is_alive() for thread in threads):
                body = json.dumps({"sql": f"SELECT n FROM people WHERE id = {answered % 2_000 + 1}"})
                headers = {**gateway.auth("ana"), "content-type": "application/json"}
                line.request("POST", "/v1/connections/lite/query", body, headers)
                answer = line.getresponse()
                assert (answer.status, json.loads(answer.read())["rows"]) == (200, [[(answered % 2_000 + 1) % 7]])
                answered += 1
        expected = (len(whole.content), blake3(whole.content).hexdigest())
        assert digests == [expected] * RENDERINGS
        assert answered >= 3 * RENDERINGS
    assert_all_signed(site.audit)


def _take(gateway: Gateway, digests: list[tuple[int, str]]) -> None:
    size, digest, _ = digest_of(gateway, "people/many.csv", "files")
    digests.append((size, digest))
