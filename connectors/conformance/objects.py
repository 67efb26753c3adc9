"""The suite for object connectors.

A test class inherits `ObjectConformance` and gives a fixture (or attribute) `harness`. The suite itself needs no test
framework: every method takes the harness and asserts.
"""

import asyncio
import contextlib

from connectors.conformance.object_harness import (
    MIB,
    LargeBody,
    ObjectHarness,
    fetched,
    keys_of,
    opened,
    refused,
    stored,
)
from connectors.conformance.object_listing import ListingConformance
from connectors.conformance.object_putting import PuttingConformance
from connectors.contract import CHUNK_BYTES, Failure, ObjectConnector


class ObjectConformance(ListingConformance, PuttingConformance):
    """Inherit, give `harness`, and every method that starts with `test_` must pass."""

    async def test_it_opens_and_closes_with_the_store_away(self, harness: ObjectHarness) -> None:
        connector = harness.factory(harness.config_of_nothing())
        await connector.open()
        assert isinstance(connector, ObjectConnector)
        calls = (
            connector.head("a"),
            fetched(connector, "a"),
            connector.list("", after="", limit=10, shallow=False),
            stored(connector, "a", b"1"),
            connector.delete("a"),
        )
        for call in calls:
            assert (await refused(call)).failure in (Failure.UNAVAILABLE, Failure.TIMEOUT)
        assert all(f.code != "reachable" for f in await connector.probe())
        await connector.close()

    async def test_a_probe_finds_the_store(self, harness: ObjectHarness) -> None:
        async with opened(harness) as connector:
            assert [f.code for f in await connector.probe() if f.code == "reachable"] == ["reachable"]

    async def test_what_was_put_is_read_with_its_facts(self, harness: ObjectHarness) -> None:
        async with opened(harness) as connector:
            put = await stored(connector, "folder/a.csv", b"a,b\n1,2\n", "text/csv")
            assert (put.key, put.size, put.content_type) == ("folder/a.csv", 8, "text/csv")
            assert put.etag
            assert '"' not in put.etag
            assert put.last_modified.endswith("Z")
            seen = await connector.head("folder/a.csv")
            assert (seen.etag, seen.size, seen.content_type) == (put.etag, 8, "text/csv")
            async with connector.read("folder/a.csv") as reading:
                assert reading.info == seen
                assert [chunk async for chunk in reading.chunks] == [b"a,b\n1,2\n"]
            (listed,) = (await connector.list("", after="", limit=10, shallow=False)).objects
            assert (listed.key, listed.size, listed.etag) == (seen.key, seen.size, seen.etag)

    async def test_a_content_type_is_kept_where_the_store_can(self, harness: ObjectHarness) -> None:
        async with opened(harness) as connector:
            await stored(connector, "no-extension", b"1", "application/x-of-our-own")
            kept = (await connector.head("no-extension")).content_type
            assert (kept == "application/x-of-our-own") is harness.keeps_content_types

    async def test_an_empty_object_is_an_object(self, harness: ObjectHarness) -> None:
        async with opened(harness) as connector:
            put = await stored(connector, "empty", b"")
            assert (await connector.head("empty")).size == 0
            assert await fetched(connector, "empty") == b""
            assert await fetched(connector, "empty", first=0, count=10, etag=put.etag) == b""
            assert await keys_of(connector) == ["empty"]

    async def test_what_is_absent_is_not_found(self, harness: ObjectHarness) -> None:
        async with opened(harness) as connector:
            await stored(connector, "a/b", b"1")
            for key in ("x", "a", "a/x", "a/b/c", "A/B"):
                assert (await refused(connector.head(key))).failure is Failure.NOT_FOUND
                assert (await refused(fetched(connector, key))).failure is Failure.NOT_FOUND
                assert (await refused(fetched(connector, key, count=0))).failure is Failure.NOT_FOUND
                assert (await refused(connector.delete(key))).failure is Failure.NOT_FOUND
            assert await fetched(connector, "a/b") == b"1"

    async def test_ranges_give_exactly_their_bytes(self, harness: ObjectHarness) -> None:
        data = bytes(range(256)) * 12_000  # three chunks, the last one short
        async with opened(harness) as connector:
            etag = (await stored(connector, "data", data)).etag
            last = len(data) - 1
            for first, count in (
                (0, 1), (0, None), (1, 2), (0, CHUNK_BYTES), (CHUNK_BYTES - 1, 2), (5, None), (last, 1), (last, None),
                (last, 10), (100, 2 * CHUNK_BYTES), (0, len(data) + 5), (7, 0), (len(data), None), (len(data) + 9, 3),
            ):  # fmt: skip
                end = len(data) if count is None else first + count
                async with connector.read("data", first=first, count=count, etag=etag) as reading:
                    got = [chunk async for chunk in reading.chunks]
                    assert b"".join(got) == data[first:end]
                    assert all(0 < len(chunk) <= CHUNK_BYTES for chunk in got)
                    assert (reading.info.size, reading.info.etag) == (len(data), etag)

    async def test_etags_tell_one_content_from_another(self, harness: ObjectHarness) -> None:
        async with opened(harness) as connector:
            old = (await stored(connector, "a", b"old")).etag
            new = (await stored(connector, "a", b"new")).etag
            assert old != new
            assert await fetched(connector, "a", etag=new) == b"new"
            for options in ({}, {"first": 1, "count": 1}, {"count": 0}, {"first": 99}):
                assert (await refused(fetched(connector, "a", etag=old, **options))).failure is Failure.CHANGED

    async def test_leaving_a_read_early_leaves_nothing_open(self, harness: ObjectHarness) -> None:
        async with opened(harness, pool_max=2) as connector:
            large = LargeBody(20 * MIB)
            await connector.put("large", large.chunks(), size=large.size, content_type="text/plain")
            for taken in range(12):
                async with connector.read("large") as reading:
                    for _ in range(taken % 4):
                        assert len(await anext(reading.chunks)) > 0
            assert len(await fetched(connector, "large", first=20 * MIB - 5)) == 5

    async def test_a_cancelled_read_leaves_nothing_open(self, harness: ObjectHarness) -> None:
        async with opened(harness, pool_max=2) as connector:
            large = LargeBody(20 * MIB)
            await connector.put("large", large.chunks(), size=large.size, content_type="text/plain")
            for turn in range(12):
                reading = asyncio.create_task(fetched(connector, "large"))
                await asyncio.sleep(0.002 * turn)
                reading.cancel()
                await asyncio.wait({reading})
            assert len(await fetched(connector, "large", first=20 * MIB - 5)) == 5

    async def test_more_reads_than_threads_all_get_their_own_bytes(self, harness: ObjectHarness) -> None:
        async with opened(harness, pool_max=2) as connector:
            for number in range(10):
                await stored(connector, f"k{number}", b"%d" % number * 100_000)
            got = await asyncio.gather(*(fetched(connector, f"k{i % 10}") for i in range(40)))
            assert got == [b"%d" % (i % 10) * 100_000 for i in range(40)]

    async def test_readers_that_wait_keep_nobody_else_waiting(self, harness: ObjectHarness) -> None:
        async with opened(harness, pool_max=1) as connector:
            large = LargeBody(8 * MIB)
            await connector.put("large", large.chunks(), size=large.size, content_type="text/plain")
            async with contextlib.AsyncExitStack() as stack:
                readings = [await stack.enter_async_context(connector.read("large")) for _ in range(4)]
                for reading in readings:
                    await anext(reading.chunks)
                assert (await connector.head("large")).size == large.size
                assert await stored(connector, "other", b"1")
                for reading in readings:
                    assert CHUNK_BYTES + sum([len(c) async for c in reading.chunks]) == large.size
