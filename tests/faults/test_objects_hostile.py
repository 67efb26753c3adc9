"""Hostile content through the real rendering processes, hostile keys as they are sent, no room for what is rendered."""

import gzip
import io
import json
import os
import signal
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from exchange_site import ExchangeSite, children, open_files, sent_raw, who
from fault_site import Gateway, InBackground, Issuer, Problem, assert_all_signed, running_issuer, until
from test_audit_disk_full import small_disk

SECRET = "someone@mail.example"
MIB = 1 << 20


def parquet(rows: int = 1_000) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"id": list(range(rows)), "email": [SECRET] * rows}), out)
    return out.getvalue()


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("people.csv", f"id,email\n1,{SECRET}\n")
    return out.getvalue()


def bomb(times: int) -> bytes:
    return gzip.compress(b"id,email\n" + f"1,{SECRET}\n".encode() * times, 9)


DEEP = "[" * 10_000 + f'"{SECRET}"' + "]" * 10_000
CSV = f"id,email\n1,{SECRET}\n"
BAD: dict[str, tuple[bytes, int, str]] = {
    "ragged.csv": (f"id,email\n1,{SECRET}\n2,{SECRET},more\n".encode(), 422, "content_ragged"),
    "quoted.csv": (f'id,email\n1,"{SECRET}\n'.encode(), 422, "content_"),
    "nul.csv": (f"id,email\n1,{SECRET}\n\0\0\n".encode(), 422, "content_"),
    "deep.json": (DEEP.encode(), 422, "content_"),
    "cut.json": (f'{{"id": 1, "email": "{SECRET}", "more": '.encode(), 422, "content_"),
    "two.json": (f'{{"email": "{SECRET}"}} {{"email": "{SECRET}"}}'.encode(), 422, "content_"),
    "bad.ndjson": (f'{{"id": 1, "email": "{SECRET}"}}\n{{"id": 2, "em\n'.encode(), 422, "content_"),
    "latin.csv": (b"id,email\n1,\xff\xfe\xfd" + SECRET.encode() + b"\n", 422, "content_"),
    "half.parquet": (parquet()[:-200], 422, "content_"),
    "no.parquet": (b"PAR1" + SECRET.encode() * 100 + b"PAR1", 422, "content_"),
    "cut.csv.gz": (gzip.compress(CSV.encode() * 1_000)[:-20], 422, "content_"),
    "none.csv.gz": (CSV.encode(), 422, "content_"),
    "bomb.csv.gz": (bomb(3_000_000), 413, "content_bomb"),
    "people.zip": (zipped(), 403, "content_unknown_type"),
    "people.bin": (SECRET.encode(), 403, "content_unknown_type"),
    "people.parquet": (CSV.encode(), 422, "content_"),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeSite]:
    folder = tmp_path_factory.mktemp("hostile")
    files = {"kind": "filesystem", "root": "files", "max_object_bytes": 64 * MIB}
    with running_issuer() as issuer:
        yield ExchangeSite(folder=folder, issuer=issuer, exchanges={"files": files})


@pytest.fixture(scope="module")
def gateway(site: ExchangeSite) -> Iterator[Gateway]:
    with site.run() as running:
        yield running
    assert_all_signed(site.audit)


def assert_refused(gateway: Gateway, answer: Any, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text[:500]
    document = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert document["code"].startswith(code), document
    assert len(document["detail"]) > 40
    assert SECRET not in answer.text
    entry = gateway.logged()[document["receipt"]["index"]]
    assert (entry["code"], entry["status"]) == (document["code"], status)
    assert entry["outcome"] in {"failed", "denied"}


@pytest.mark.parametrize("name", BAD)
def test_content_that_cannot_be_masked_is_a_clear_problem_and_nothing_of_it_leaves(
    site: ExchangeSite, gateway: Gateway, name: str
) -> None:
    content, status, code = BAD[name]
    site.put_file(f"people/{name}", content)
    ana = who(gateway, "ana")
    assert_refused(gateway, ana.content(f"people/{name}"), status, code)
    assert_refused(gateway, ana.fetch(f"people/{name}"), status, code)
    site.put_file("people/good.csv", CSV.encode())
    assert ana.content("people/good.csv").text == "id,email\n1,***@mail.example\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("utf16.csv", CSV.encode("utf-16")),
        ("bom.csv", b"\xef\xbb\xbf" + CSV.encode()),
        ("gz.csv.gz", gzip.compress(CSV.encode())),
        ("zst.csv.zst", zstandard.compress(CSV.encode())),
        ("good.parquet", parquet()),
        ("good.json", json.dumps([{"id": 1, "email": SECRET}]).encode()),
    ],
)
def test_unusual_content_comes_masked(site: ExchangeSite, gateway: Gateway, name: str, content: bytes) -> None:
    site.put_file(f"people/{name}", content)
    answer = who(gateway, "ana").content(f"people/{name}")
    assert answer.status_code == 200, answer.text
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        assert SECRET.encode(encoding) not in answer.content
    shown = answer.content
    if name.endswith(".gz"):
        shown = gzip.decompress(shown)
    elif name.endswith(".zst"):
        shown = zstandard.ZstdDecompressor().decompressobj().decompress(shown)
    elif name.endswith(".parquet"):
        shown = json.dumps(pq.read_table(io.BytesIO(shown)).to_pylist()).encode()
    assert b"***@mail.example" in shown.replace(b"\0", b"")


def renderers(gateway: Gateway) -> list[int]:
    return children(gateway.process.pid, "rendering_child")


def rendered_so_far(gateway: Gateway) -> int:
    """Bytes in the files without a name, which renderings go into."""
    sizes = [0]
    for descriptor in Path(f"/proc/{gateway.process.pid}/fd").iterdir():
        try:
            if "(deleted)" in os.readlink(descriptor):
                sizes.append(descriptor.stat().st_size)
        except FileNotFoundError:
            continue
    return max(sizes)


def test_a_rendering_process_that_is_killed_within_a_job_takes_nobody_elses_with_it(
    site: ExchangeSite, gateway: Gateway
) -> None:
    site.put_file("people/many.csv", b"id,email\n" + f"1,{SECRET}\n".encode() * 1_500_000)
    site.put_file("people/few.csv", CSV.encode())
    ana = who(gateway, "ana")
    for _ in range(3):
        running = InBackground(lambda: ana.content("people/many.csv"))
        until(lambda: rendered_so_far(gateway), what="a job is under way", pause_s=0.001)
        for pid in until(lambda: renderers(gateway), what="there are processes", pause_s=0.001):
            os.kill(pid, signal.SIGKILL)
        answer = running.answer()
        assert 400 <= answer.status_code < 600, "it was done before its process was killed"
        assert answer.headers["content-type"] == "application/problem+json"
        assert SECRET.encode() not in answer.content
        entry = gateway.logged()[answer.json()["receipt"]["index"]]
        assert (entry["status"], entry["code"]) == (answer.status_code, answer.json()["code"])
        assert ana.content("people/few.csv").text == "id,email\n1,***@mail.example\n"
    until(
        lambda: [f for f in open_files(gateway.process.pid) if "(deleted)" in f or "many.csv" in f] == [],
        what="nothing of the jobs stays open",
    )


HOSTILE_KEYS = [
    "..%2f..%2fetc/passwd",
    "../../../../../../etc/passwd",
    "people/../../secret.txt",
    "people/%2e%2e/%2e%2e/secret.txt",
    "people/..%5c..%5csecret.txt",
    "people/%252e%252e/secret.txt",
    "people//few.csv",
    "people/./few.csv",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "people/few.csv%00",
    "people/few.csv%00.png",
    "people/%c0%ae%c0%ae/secret.txt",
    "people/%ff%fe",
    "people/%ed%a0%80",
    "people/few%0d%0aset-cookie:%20a",
    "people/few.csv%",
    "people/few.csv%2",
    "people/few.csv%zz",
    "people/e%cc%81.csv/..",
    "~root/.ssh/id_rsa",
    ".douane-incoming/put-1",
    "people/" + "a" * 2_000,
    "a/" * 600 + "a",
    "people/few.csv?key=../x",
    "link/secret.txt",
    "people/link.csv",
    "people/loop",
    "people/pipe",
    "people",
]


def test_no_key_that_is_sent_leads_out_of_the_root(site: ExchangeSite, gateway: Gateway) -> None:
    site.put_file("people/few.csv", CSV.encode())
    secret = site.folder / "secret.txt"
    secret.write_text("the secret of the host")
    outside = site.folder / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("the secret of the host")
    (site.root / "link").symlink_to(outside)
    (site.root / "people" / "link.csv").symlink_to(secret)
    (site.root / "people" / "loop").symlink_to("loop")
    os.mkfifo(site.root / "people" / "pipe")
    (site.root / ".douane-incoming").mkdir(exist_ok=True)
    (site.root / ".douane-incoming" / "put-1").write_text("the secret of the host")
    for key in HOSTILE_KEYS:
        for method, place in (("GET", "content"), ("GET", "objects"), ("PUT", "content"), ("DELETE", "objects")):
            logged = len(gateway.logged())
            status, body = sent_raw(gateway, method, f"/v1/connections/files/{place}/{key}")
            assert 400 <= status < 500, (key, method, status, body[:300])
            assert b"secret of the host" not in body
            assert b"root:" not in body
            document = json.loads(body)
            assert document["status"] == status
            entry = gateway.logged()[logged]
            assert (entry["status"], entry["code"]) == (status, document["code"]), key
    assert secret.read_text() == "the secret of the host"
    assert sorted(path.name for path in outside.iterdir()) == ["secret.txt"]
    names = who(gateway, "ana").names()
    assert [name for name in names if "link" in name or "secret" in name or "put-1" in name or "pipe" in name] == []
    assert sent_raw(gateway, "GET", "/v1/connections/files/content/people%2ffew.csv")[0] == 200


def test_no_room_for_what_is_rendered_or_put_is_a_clear_answer_and_leaves_nothing(
    tmp_path: Path, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk for temporary files has four megabytes."""
    with small_disk(tmp_path / "tmp") as disk:
        site = ExchangeSite(folder=tmp_path / "site", issuer=issuer)
        site.put_file("people/many.csv", b"id,email\n" + f"1,{SECRET}\n".encode() * 500_000)
        site.put_file("people/few.csv", CSV.encode())
        # Of one there is no room for what arrives, of the other none for what is made of it.
        site.put_file("people/large.parquet", parquet_of(6 * MIB))
        site.put_file("people/many.parquet", parquet_of(5 * MIB // 2))
        full = Problem(status=503, code="no_space")
        with monkeypatch.context() as patched:
            patched.setenv("TMPDIR", str(disk))
            with site.run() as gateway:
                ana = who(gateway, "ana")
                for _ in range(2):
                    for answer in (
                        ana.content("people/many.csv"),
                        ana.content("people/large.parquet"),
                        ana.content("people/many.parquet"),
                        ana.put("drop/big.bin", b"x" * 12_000_000),
                    ):
                        problem = full.assert_is(answer)
                        assert SECRET not in answer.text
                        assert gateway.logged()[problem["receipt"]["index"]]["code"] == full.code
                    until(
                        lambda: [f for f in open_files(gateway.process.pid) if f.startswith(str(disk))] == [],
                        what="nothing of it stays open",
                    )
                    assert list(disk.iterdir()) == []
                    assert ana.content("people/few.csv").text == "id,email\n1,***@mail.example\n"
                assert ana.names(prefix="drop/") == []
                assert ana.put("drop/small.bin", b"x").status_code == 200
        assert_all_signed(site.audit)


def parquet_of(size: int) -> bytes:
    """Of that many bytes that no compression makes fewer."""
    out = io.BytesIO()
    rows = size // 8
    numbers = pa.array([int.from_bytes(os.urandom(7)) for _ in range(rows)])
    pq.write_table(pa.table({"id": numbers, "email": [SECRET] * rows}), out)
    return out.getvalue()
