"""A store that is away, dies or loses its answers: every end of a call says what it means."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator

import pytest

from connectors.conformance.object_harness import MIB, LargeBody, fetched, keys_of, refused, stored
from connectors.contract import Failure, ObjectConnector, Severity
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
async def store(server: SeaweedServer, bucket: str) -> AsyncIterator[ObjectConnector]:
    async with connected(server.config(bucket)) as made:
        yield made


@pytest.fixture
def proxy(server: SeaweedServer) -> Iterator[Proxy]:
    with proxy_before(server.port) as running:
        yield running


@pytest.fixture
async def shaky(server: SeaweedServer, bucket: str, proxy: Proxy) -> AsyncIterator[ObjectConnector]:
    """The same bucket through the proxy, with little patience."""
    config = server.config(bucket, timeout_s=1.5)
    async with connected(dataclasses.replace(config, options={**config.options, "endpoint_url": proxy.url})) as made:
        yield made


async def test_a_store_that_dies_while_it_sends_ends_the_read_with_an_error() -> None:
    with seaweed_server() as own:
        async with connected(own.config()) as store:
            large = LargeBody(48 * MIB)
            await large.put_into(store, "large")

            async def reading() -> None:
                async with store.read("large") as read:
                    seen = len(await anext(read.chunks))
                    await asyncio.to_thread(own.stop)
                    async for chunk in read.chunks:
                        seen += len(chunk)
                assert seen == large.size, "the stream ended early in silence"

            assert (await refused(reading())).failure in (Failure.UNAVAILABLE, Failure.TIMEOUT)
            assert (await refused(store.head("large"))).failure is Failure.UNAVAILABLE
            assert [f.code for f in await store.probe()] == ["unreachable"]


async def test_an_answer_that_is_cut_is_an_error_after_every_byte_that_came(
    store: ObjectConnector, shaky: ObjectConnector, proxy: Proxy
) -> None:
    await stored(store, "a", b"0" * (3 * MIB))
    for kept in (0, 100, 600, MIB, 2 * MIB + 5):
        fault = proxy.fail_next(b"GET /", keep_answer_bytes=kept)

        async def reading() -> None:
            async with shaky.read("a", first=1) as read:
                async for chunk in read.chunks:
                    assert chunk == b"0" * len(chunk)

        if kept == 0:
            # Nothing came: asked again.
            await reading()
        else:
            assert (await refused(reading())).failure is Failure.UNAVAILABLE
        assert fault.used.is_set()


async def test_an_answer_whose_head_is_cut_is_no_answer(
    store: ObjectConnector, shaky: ObjectConnector, proxy: Proxy
) -> None:
    await stored(store, "a", b"1")
    for match, kept, call, failure in (
        (b"HEAD /", 20, shaky.head("a"), Failure.UNAVAILABLE),
        (b"HEAD /", 100, shaky.head("a"), Failure.UNAVAILABLE),
        (b"GET /", 20, shaky.list("", after="", limit=5, shallow=False), Failure.UNAVAILABLE),
        (b"GET /", 200, shaky.list("", after="", limit=5, shallow=False), Failure.UNAVAILABLE),
        (b"PUT /", 20, stored(shaky, "b", b"1"), Failure.OUTCOME_UNKNOWN),
        (b"PUT /", 60, stored(shaky, "b", b"1"), Failure.OUTCOME_UNKNOWN),
    ):
        fault = proxy.fail_next(match, keep_answer_bytes=kept)
        assert (await refused(call)).failure is failure
        assert fault.used.is_set()


async def test_a_store_that_falls_silent_is_a_timeout(
    store: ObjectConnector, shaky: ObjectConnector, proxy: Proxy
) -> None:
    await stored(store, "a", b"0" * (3 * MIB))
    for match, kept, call in (
        (b"HEAD /", 0, shaky.head("a")),
        (b"GET /", 0, fetched(shaky, "a")),
        (b"GET /", 2 * MIB, fetched(shaky, "a")),
        (b"GET /", 0, shaky.list("", after="", limit=5, shallow=False)),
    ):
        fault = proxy.fail_next(match, keep_answer_bytes=kept, hold=True)
        assert (await refused(call)).failure is Failure.TIMEOUT
        assert fault.used.is_set()
    assert await fetched(shaky, "a", first=3 * MIB - 2) == b"00"


async def test_a_put_whose_answer_is_lost_may_have_happened(
    store: ObjectConnector, shaky: ObjectConnector, proxy: Proxy
) -> None:
    for number, hold in enumerate((False, True)):
        fault = proxy.fail_next(b"PUT /", hold=hold)
        error = await refused(stored(shaky, f"a{number}", b"1", if_absent=True))
        assert error.failure is Failure.OUTCOME_UNKNOWN
        assert fault.used.is_set()
        # It did happen, and a repetition would have called it a conflict.
        assert await fetched(store, f"a{number}") == b"1"
    fault = proxy.fail_next(b"DELETE /")
    assert (await refused(shaky.delete("a0"))).failure is Failure.OUTCOME_UNKNOWN
    assert fault.used.is_set()
    assert await keys_of(store) == ["a1"]


async def test_a_large_put_whose_last_answer_is_lost_may_have_happened_and_leaves_no_parts(
    server: SeaweedServer, bucket: str, shaky: ObjectConnector, proxy: Proxy
) -> None:
    fault = proxy.fail_next(b"POST /" + bucket.encode() + b"/large?uploadId=")
    error = await refused(LargeBody(20 * MIB).put_into(shaky, "large"))
    assert error.failure is Failure.OUTCOME_UNKNOWN
    assert fault.used.is_set()
    assert await _uploads(server, bucket) == 0


async def test_a_part_whose_answer_is_lost_is_sent_again(
    server: SeaweedServer, bucket: str, store: ObjectConnector, shaky: ObjectConnector, proxy: Proxy
) -> None:
    fault = proxy.fail_next(b"partNumber=2")
    large = LargeBody(20 * MIB)
    etag = (await large.put_into(shaky, "large")).etag
    assert fault.used.is_set()
    assert len(await fetched(store, "large", etag=etag)) == large.size
    assert await _uploads(server, bucket) == 0


async def test_a_large_put_without_an_upload_changed_nothing(shaky: ObjectConnector, proxy: Proxy) -> None:
    fault = proxy.fail_next(b"?uploads")
    assert (await refused(LargeBody(20 * MIB).put_into(shaky, "large"))).failure is Failure.UNAVAILABLE
    assert fault.used.is_set()


async def test_a_large_put_that_is_cancelled_while_parts_travel_leaves_none(
    server: SeaweedServer, bucket: str, store: ObjectConnector
) -> None:
    for turn in range(8):
        putting = asyncio.create_task(LargeBody(40 * MIB).put_into(store, "large"))
        await asyncio.sleep(0.02 * turn)
        putting.cancel()
        await asyncio.wait({putting})
        assert putting.cancelled()
        assert await _uploads(server, bucket) == 0
    assert await keys_of(store) == []


async def _uploads(server: SeaweedServer, bucket: str) -> int:
    def listed() -> int:
        with server.client() as client:
            return len(client.list_multipart_uploads(Bucket=bucket).get("Uploads", []))

    return await asyncio.to_thread(listed)


async def test_versions_are_named_and_a_read_stays_on_its_own(server: SeaweedServer) -> None:
    with server.new_bucket(versions=True) as bucket:
        async with connected(server.config(bucket)) as store:
            old = await stored(store, "a", b"0" * (20 * MIB))
            assert old.version
            async with store.read("a") as read:
                assert read.info.version == old.version
                data = await anext(read.chunks)
                new = await stored(store, "a", b"1" * (20 * MIB), if_match=old.etag)
                assert new.version not in (None, old.version)
                await store.delete("a", if_match=new.etag)
                data += b"".join([chunk async for chunk in read.chunks])
            assert data == b"0" * (20 * MIB)
            assert (await refused(store.head("a"))).failure is Failure.NOT_FOUND
            assert (await stored(store, "a", b"2", if_absent=True)).version
            assert ("versions_kept", Severity.OK) in {(f.code, f.severity) for f in await store.probe()}
