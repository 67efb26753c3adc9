"""Whom a bucket lets in, what the connector asks it for, and what a probe finds unsafe."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Iterator

import pytest

from connectors.conformance.object_harness import MIB, LargeBody, fetched, keys_of, refused, stored
from connectors.contract import ConnectorError, Failure, ObjectConnector, Severity
from tests.object_servers import SeaweedServer, connected, seaweed_server
from tests.stalling_proxy import Proxy, proxy_before


@pytest.fixture(scope="module")
def server() -> Iterator[SeaweedServer]:
    with seaweed_server() as running:
        yield running


@pytest.fixture
def bucket(server: SeaweedServer) -> Iterator[str]:
    with server.new_bucket() as name:
        yield name


@pytest.fixture
def proxy(server: SeaweedServer) -> Iterator[Proxy]:
    with proxy_before(server.port) as running:
        yield running


async def _outcomes(store: ObjectConnector) -> list[Failure]:
    """Of one call of each kind."""
    calls = (
        store.list("", after="", limit=5, shallow=False),
        store.head("a"),
        fetched(store, "a"),
        stored(store, "b", b"1"),
        LargeBody(10 * MIB).put_into(store, "c"),
        store.delete("a"),
    )
    return [(await refused(call)).failure for call in calls]


@pytest.mark.parametrize("key", [("unknown-key", "x"), ("admin-key", "wrong-secret")])
async def test_wrong_credentials_are_unavailable_and_the_probe_says_why(
    server: SeaweedServer, key: tuple[str, str]
) -> None:
    async with connected(server.config(key=key)) as store:
        assert await _outcomes(store) == [Failure.UNAVAILABLE] * 6
        assert [f.code for f in await store.probe()] == ["credentials_refused"]


async def test_missing_credentials_are_unavailable_and_the_probe_says_why(
    server: SeaweedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    config = dataclasses.replace(server.config(), secrets={})
    async with connected(config) as store:
        assert (await refused(store.head("a"))).failure is Failure.UNAVAILABLE
        assert [f.code for f in await store.probe()] == ["credentials_refused"]


async def test_credentials_of_the_machine_are_used_where_none_are_configured(
    server: SeaweedServer, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.admin[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.admin[1])
    async with connected(dataclasses.replace(server.config(bucket), secrets={})) as store:
        await stored(store, "a", b"1")
        await store.delete("a")


async def test_who_may_only_read_reads_and_is_refused_the_rest(server: SeaweedServer) -> None:
    async with connected(server.config()) as writer, connected(server.config(key=server.reader)) as reader:
        etag = (await stored(writer, "a", b"1")).etag
        assert await keys_of(reader) == ["a"]
        assert await fetched(reader, "a", etag=etag) == b"1"
        for call in (stored(reader, "a", b"2"), stored(reader, "b", b"2", if_absent=True), reader.delete("a"),
                     LargeBody(10 * MIB).put_into(reader, "c")):  # fmt: skip
            assert (await refused(call)).failure is Failure.REFUSED_BY_WALL
        assert await fetched(writer, "a", etag=etag) == b"1"
        assert "reachable" in {f.code for f in await reader.probe()}
        await writer.delete("a")


async def test_who_may_nothing_is_refused_everything(server: SeaweedServer) -> None:
    async with connected(server.config(key=server.nobody)) as store:
        assert await _outcomes(store) == [Failure.REFUSED_BY_WALL] * 6
        codes = {f.code for f in await store.probe()}
        assert {"reachable", "listing_refused", "sharing_unknown"} <= codes


async def test_a_bucket_that_is_not_there_is_told_by_the_probe(server: SeaweedServer) -> None:
    async with connected(server.config("no-such-bucket")) as store:
        assert [f.code for f in await store.probe()] == ["bucket_missing"]
        assert (await refused(store.list("", after="", limit=1, shallow=False))).failure is Failure.UNAVAILABLE


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        ({"server_side_encryption": "AES256"}, [b"x-amz-server-side-encryption: AES256"]),
        (
            {"server_side_encryption": "aws:kms", "kms_key_id": "our-key"},
            [b"x-amz-server-side-encryption: aws:kms", b"x-amz-server-side-encryption-aws-kms-key-id: our-key"],
        ),
        ({}, []),
    ],
)
async def test_encryption_is_asked_for_and_access_lists_never(
    server: SeaweedServer, bucket: str, proxy: Proxy, options: dict[str, str], headers: list[bytes]
) -> None:
    """This store has no keys to encrypt with, so what counts is what it is asked."""
    config = server.config(bucket)
    config = dataclasses.replace(config, options={**config.options, **options, "endpoint_url": proxy.url})
    async with connected(config) as store:
        for size in (1, 10 * MIB):
            with contextlib.suppress(ConnectorError):
                await LargeBody(size).put_into(store, "a")
    puts = [head for head in proxy.heads if head.startswith(b"PUT /") and b"partNumber" not in head]
    starts = [head for head in proxy.heads if head.startswith(b"POST /") and b"?uploads" in head]
    assert puts
    assert starts
    for head in puts + starts:
        assert all(header.lower() in head.lower() for header in headers)
        assert (b"x-amz-server-side-encryption" in head.lower()) is bool(headers)
        assert b"x-amz-acl" not in head.lower()
        assert b"x-amz-grant" not in head.lower()


async def test_a_rotated_secret_is_read_again_without_a_restart(server: SeaweedServer) -> None:
    secret = ["admin-secret"]
    secrets = {"access_key": lambda: "admin-key", "secret_key": lambda: secret[0]}
    async with connected(dataclasses.replace(server.config(), secrets=secrets)) as store:
        await stored(store, "a", b"1")
        await asyncio.to_thread(server.rotate, ("admin-key", "new-secret"))
        try:
            assert (await refused(store.head("a"))).failure is Failure.UNAVAILABLE
            assert (await refused(stored(store, "a", b"2"))).failure is Failure.UNAVAILABLE
            secret[0] = "new-secret"
            calls = (store.head("a"), fetched(store, "a"), stored(store, "b", b"2"), keys_of(store))
            assert (await asyncio.gather(*calls))[1] == b"1"
            await store.delete("a")
            await store.delete("b")
        finally:
            await asyncio.to_thread(server.rotate, server.admin)


async def test_a_public_bucket_is_unsafe(server: SeaweedServer) -> None:
    with server.new_bucket() as bucket:
        async with connected(server.config(bucket)) as store:
            assert [f.code for f in await store.probe()] == ["reachable", "versions_not_kept"]

            def share() -> None:
                with server.client() as client:
                    client.put_bucket_acl(Bucket=bucket, ACL="public-read")

            await asyncio.to_thread(share)
            assert ("public_bucket", Severity.UNSAFE) in {(f.code, f.severity) for f in await store.probe()}


@pytest.mark.parametrize(
    ("url", "unsafe"),
    [
        ("http://store.invalid:9000", True),
        ("http://127.0.0.1:1", False),
        ("http://[::1]:1", False),
        ("https://store.invalid", False),
    ],
)
async def test_an_endpoint_without_encryption_is_unsafe_off_this_machine(
    server: SeaweedServer, url: str, unsafe: bool
) -> None:
    config = server.config(timeout_s=1.0)
    async with connected(dataclasses.replace(config, options={**config.options, "endpoint_url": url})) as store:
        found = {(f.code, f.severity) for f in await store.probe()}
        assert (("plain_http", Severity.UNSAFE) in found) is unsafe
        assert ("unreachable", Severity.WARNING) in found


async def test_no_error_carries_a_word_of_the_store(server: SeaweedServer) -> None:
    async with connected(server.config(key=("unknown-key", "secret-of-mine"))) as store:
        error = await refused(store.head("a"))
        assert isinstance(error, ConnectorError)
        assert str(error) == "unavailable"
