"""Puts that end in the middle, approvals across restarts, a store of approvals that is away: nothing is half there."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from approval_site import refused, story
from exchange_site import ExchangeSite, s3_section, secret_file, who
from fault_site import InBackground, Issuer, Problem, assert_verifies, entries, kill, until

from tests.object_servers import SeaweedServer, seaweed_server
from tests.servers import free_port

BIG = b"".join(n.to_bytes(8, "big") * 128 for n in range(150_000))
LOST = Problem(status=503, code="store_unavailable")


@pytest.fixture(scope="module")
def server() -> Iterator[SeaweedServer]:
    with seaweed_server() as running:
        yield running


def intents(site: ExchangeSite, operation: str) -> list[dict[str, Any]]:
    return [e for e in entries(site.audit) if (e["operation"], e["outcome"]) == (operation, "intent")]


def staged(site: ExchangeSite) -> list[Path]:
    folder = site.root / ".douane-incoming"
    return list(folder.iterdir()) if folder.exists() else []


KEYS = ("drop/new.bin", "drop/before.bin")


def put_and_killed(site: ExchangeSite, connection: str, under_way: Callable[[], int]) -> None:
    """One put of a new object and one over another, both killed while they are written."""
    with site.run() as gateway:
        puts = [InBackground(lambda key=key: who(gateway, "ana").put(key, BIG, connection)) for key in KEYS]
        until(lambda: under_way() == len(KEYS), what="both are being written", pause_s=0.0005)
        kill(gateway)
        for each in puts:
            with pytest.raises(AssertionError):
                each.answer()
    intended = [entry["resources"] for entry in intents(site, "put_content")]
    assert sorted(intended) == sorted([f"{connection}/{key}"] for key in KEYS)


def test_a_gateway_killed_within_puts_leaves_no_part_of_an_object(tmp_path: Path, issuer: Issuer) -> None:
    site = ExchangeSite(folder=tmp_path, issuer=issuer)
    site.put_file("drop/before.bin", b"before")
    put_and_killed(site, "files", lambda: len(staged(site)))
    assert (site.root / "drop" / "before.bin").read_bytes() == b"before"
    assert not (site.root / "drop" / "new.bin").exists()
    with site.run() as second:
        ana = who(second, "ana")
        assert staged(site) == []
        assert ana.names() == ["drop/before.bin"]
        assert ana.content("drop/new.bin").status_code == 404
        assert ana.put("drop/new.bin", BIG).status_code == 200
        assert (site.root / "drop" / "new.bin").read_bytes() == BIG
    assert_verifies(site.audit)


def test_a_client_that_leaves_within_its_body_puts_nothing(tmp_path: Path, issuer: Issuer) -> None:
    site = ExchangeSite(folder=tmp_path, issuer=issuer)
    with site.run() as gateway:
        with closing(gateway.line()) as line:
            line.putrequest("PUT", "/v1/connections/files/content/drop/part.txt")
            for name, value in {**gateway.auth("ana"), "content-type": "text/plain", "content-length": "100"}.items():
                line.putheader(name, value)
            line.endheaders()
            line.send(b"only this much")
        left = until(
            lambda: [e for e in gateway.logged() if e["outcome"] == "cancelled"],
            what="the client that left is on record",
        )
        assert [(e["operation"], e["status"], e["code"]) for e in left] == [("put_content", 499, "client_left")]
        assert who(gateway, "ana").names() == []
        assert staged(site) == []
    assert_verifies(site.audit)


def test_a_gateway_killed_within_multipart_uploads_leaves_no_part_of_an_object(
    tmp_path: Path, issuer: Issuer, server: SeaweedServer
) -> None:
    with server.new_bucket() as bucket, server.client() as client:
        site = ExchangeSite(folder=tmp_path, issuer=issuer, exchanges={"bucket": s3_section(tmp_path, server, bucket)})
        client.put_object(Bucket=bucket, Key="drop/before.bin", Body=b"before")

        def uploads() -> list[Any]:
            return list(client.list_multipart_uploads(Bucket=bucket).get("Uploads", ()))

        put_and_killed(site, "bucket", lambda: len(uploads()))
        assert client.get_object(Bucket=bucket, Key="drop/before.bin")["Body"].read() == b"before"
        with site.run() as second:
            ana = who(second, "ana")
            assert ana.names("bucket") == ["drop/before.bin"]
            assert ana.content("drop/new.bin", "bucket").status_code == 404
            assert ana.put("drop/new.bin", BIG, "bucket").status_code == 200
            assert client.get_object(Bucket=bucket, Key="drop/new.bin")["Body"].read() == BIG
        for upload in uploads():
            client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        for key in KEYS:
            client.delete_object(Bucket=bucket, Key=key)
    assert_verifies(site.audit)


def test_held_puts_and_fetches_survive_restarts_byte_for_byte(tmp_path: Path, issuer: Issuer) -> None:
    site = ExchangeSite(folder=tmp_path, issuer=issuer)
    site.put_file("sealed/people.csv", b"id,email\n1,first@mail.example\n")
    content = bytes(range(256)) * 4_000
    with site.run() as first:
        ana = who(first, "ana")
        putting = ana.put("partner/held.bin", content)
        fetching = ana.fetch("sealed/people.csv")
        assert (putting.status_code, fetching.status_code) == (202, 202), putting.text + fetching.text
        assert not (site.root / "partner" / "held.bin").exists()
        put, fetch = putting.json()["approval_id"], fetching.json()["approval_id"]
        seen = who(first, "max").ask("GET", f"/v1/approvals/{fetch}/preview").json()["answer"]
        assert content not in (site.folder / "store" / "douane.db").read_bytes()
        kill(first)
    # What is released is what was seen, whatever the object is by now.
    site.put_file("sealed/people.csv", b"id,email\n2,second@mail.example\n")
    with site.run() as second:
        ana = who(second, "ana")
        for approval in (put, fetch):
            refused(ana.execute(approval), "approval_not_approved")
            assert who(second, "max").decide(approval).status_code == 200
        ran = ana.execute(put)
        assert (ran.status_code, ran.json()["size"]) == (200, len(content)), ran.text
        assert (site.root / "partner" / "held.bin").read_bytes() == content
        released = ana.execute(fetch)
        assert released.status_code == 200, released.text
        assert released.json()["content"] == seen["content"] == "id,email\n1,***@mail.example\n"
        for approval in (put, fetch):
            refused(ana.execute(approval), "approval_already_executed")
            told = story(second.logged(), approval)
            assert ("execute_approval", "intent", None) in told
            assert ("execute_approval", "completed", None) in told
    assert_verifies(site.audit)


def test_a_store_of_approvals_that_is_away_holds_back_what_needs_it_alone(tmp_path: Path, issuer: Issuer) -> None:
    site = ExchangeSite(folder=tmp_path, issuer=issuer)
    site.put_file("sealed/people.csv", b"id,email\n1,first@mail.example\n")
    site.put_file("people/few.csv", b"id,email\n1,first@mail.example\n")
    with site.run() as gateway:
        ana = who(gateway, "ana")
        with closing(sqlite3.connect(site.folder / "store" / "douane.db", isolation_level=None, timeout=20)) as other:
            other.execute("BEGIN EXCLUSIVE")
            waiting = [
                InBackground(lambda: ana.put("partner/held.txt", b"held")),
                InBackground(lambda: ana.fetch("sealed/people.csv")),
                InBackground(lambda: ana.put("drop/keyed.txt", b"keyed", headers={"idempotency-key": "one"})),
            ]
            assert ana.content("people/few.csv").text == "id,email\n1,***@mail.example\n"
            assert ana.put("drop/free.txt", b"free").status_code == 200
            for answer in [each.answer() for each in waiting]:
                problem = LOST.assert_is(answer)
                assert gateway.logged()[problem["receipt"]["index"]]["code"] == LOST.code
            other.execute("ROLLBACK")
        assert ana.names(prefix="partner/") == []
        assert ana.names(prefix="drop/") == ["drop/free.txt"]
        assert ana.put("partner/held.txt", b"held").status_code == 202
        keyed = [ana.put("drop/keyed.txt", b"keyed", headers={"idempotency-key": "one"}) for _ in range(2)]
        assert [answer.status_code for answer in keyed] == [200, 200]
        assert keyed[1].headers["idempotency-replayed"] == "true"
        assert keyed[0].json()["etag"] == keyed[1].json()["etag"]
    assert_verifies(site.audit)


def test_the_operator_reads_what_kind_of_error_a_failure_came_from_and_no_word_of_it(
    tmp_path: Path, issuer: Issuer
) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    section = {
        "kind": "s3", "bucket": "lake", "endpoint_url": nowhere, "path_style": True,
        "access_key": secret_file(tmp_path, "s3.access", "key-of-nobody"),
        "secret_key": secret_file(tmp_path, "s3.secret", "secret-of-nobody"),
    }  # fmt: skip
    site = ExchangeSite(folder=tmp_path, issuer=issuer, exchanges={"bucket": section})
    with site.run() as gateway:
        answer = who(gateway, "ana").content("drop/private-name.bin", "bucket")
        assert (answer.status_code, answer.json()["code"]) == (503, "connection_unavailable")
        assert "botocore" not in answer.text
        output = until(lambda: "not_served" in (said := gateway.output()) and said, what="the failure is in the log")
    told = [json.loads(line) for line in output.splitlines() if '"not_served"' in line]
    assert [each["trace_id"] for each in told] == [answer.json()["trace_id"]]
    assert "botocore.exceptions.EndpointConnectionError" in told[0]["causes"]
    for secret in (nowhere, "private-name", "of-nobody"):
        assert secret not in output
    assert all("causes" not in entry for entry in entries(site.audit))
