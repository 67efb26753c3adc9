"""What putting and deleting objects must do: a part of the suite for object connectors."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator

from connectors.conformance.object_harness import (
    MIB,
    LargeBody,
    ObjectHarness,
    came_first,
    fetched,
    keys_of,
    opened,
    refused,
    sent,
    stored,
)
from connectors.contract import CHUNK_BYTES, Failure, Fault

_ODD_KEYS = (
    "plain.txt",
    "with blank and + plus.txt",
    "per%cent%20.txt",
    "?query=1&b=2#fragment",
    "quotes'\"<>&;.txt",
    "über/straße/Ärger.csv",
    "日本語/テスト.json",
    "emoji/😀.bin",
    "dots/.hidden/..b/...",
    "colon:semi;star*bracket[1].txt",
    "not-xml-\ufffe-\uffff.txt",
    "a/b/c/d/e/f/g/h/i/j/k/l/m.txt",
    "~tilde/$dollar!/@at",
    "long-" + "x" * 200,
)
_LARGE_BYTES = 64 * MIB


class PuttingConformance:
    """All of the new object or all of the old one, and nothing left behind."""

    async def test_odd_keys_are_keys_like_others(self, harness: ObjectHarness) -> None:
        async with opened(harness) as connector:
            for key in _ODD_KEYS:
                await stored(connector, key, key.encode())
            assert sorted(await keys_of(connector), key=str.encode) == sorted(_ODD_KEYS, key=str.encode)
            for key in _ODD_KEYS:
                assert await fetched(connector, key) == key.encode()
                assert (await connector.list(key, after="", limit=5, shallow=True)).objects[0].key == key
                await connector.delete(key)
            assert await keys_of(connector) == []

    async def test_what_is_no_key_is_not_there_and_cannot_be_put(self, harness: ObjectHarness) -> None:
        bad = (
            "",
            "/a",
            "a//b",
            "a/",
            "../a",
            "a/../b",
            "./a",
            "a/.",
            "a\x00b",
            "a\nb",
            "e\u0301",
            "\ud800",
            "x" * 1_025,
        )
        async with opened(harness) as connector:
            for key in bad:
                assert (await refused(connector.head(key))).failure is Failure.NOT_FOUND
                assert (await refused(fetched(connector, key))).failure is Failure.NOT_FOUND
                assert (await refused(connector.delete(key))).failure is Failure.NOT_FOUND
                assert (await refused(stored(connector, key, b"1"))).failure is Failure.REFUSED_BY_WALL
            assert await keys_of(connector) == []

    async def test_put_over_another_version_is_refused(self, harness: ObjectHarness) -> None:
        async with opened(harness) as connector:
            old = (await stored(connector, "a", b"old", if_absent=True)).etag
            new = (await stored(connector, "a", b"new", if_match=old)).etag
            for conditions in ({"if_match": old}, {"if_absent": True}):
                error = await refused(stored(connector, "a", b"lost", **conditions))
                assert error.failure is Failure.CHANGED
            assert (await refused(stored(connector, "b", b"lost", if_match=new))).failure is Failure.CHANGED
            assert await keys_of(connector) == ["a"]
            assert await fetched(connector, "a", etag=new) == b"new"
            assert await harness.unfinished() == 0

    async def test_of_twenty_that_create_one_object_one_wins(self, harness: ObjectHarness) -> None:
        async with opened(harness, pool_max=10) as connector:
            key = "deep/er/race"
            for _ in range(3):
                puts = (came_first(stored(connector, key, b"%d" % number, if_absent=True)) for number in range(20))
                (winner,) = [number for number, first in enumerate(await asyncio.gather(*puts)) if first]
                assert await fetched(connector, key) == b"%d" % winner
                await connector.delete(key)
            assert await harness.unfinished() == 0

    async def test_of_twenty_that_change_one_version_one_wins(self, harness: ObjectHarness) -> None:
        async with opened(harness, pool_max=10) as connector:
            etag = (await stored(connector, "race", b"start")).etag
            puts = (came_first(stored(connector, "race", b"%d" % number, if_match=etag)) for number in range(20))
            (winner,) = [number for number, first in enumerate(await asyncio.gather(*puts)) if first]
            assert await fetched(connector, "race") == b"%d" % winner

    async def test_readers_see_the_old_object_or_the_new_one(self, harness: ObjectHarness) -> None:
        size = 3 * MIB
        async with opened(harness, pool_max=8) as connector:
            await stored(connector, "a", b"0" * size)
            done = asyncio.Event()

            async def reader() -> int:
                seen = 0

                async def read_once() -> None:
                    nonlocal seen
                    data = await fetched(connector, "a")
                    assert len(data) == size
                    assert data == data[:1] * size
                    seen += 1

                while not done.is_set():
                    await came_first(read_once())
                return seen

            readers = [asyncio.create_task(reader()) for _ in range(3)]
            for number in range(1, 10):
                await stored(connector, "a", b"%d" % number * size)
            done.set()
            assert sum(await asyncio.gather(*readers)) > 0
            assert await fetched(connector, "a") == b"9" * size

    async def test_a_body_of_another_size_changes_nothing(self, harness: ObjectHarness) -> None:
        async with opened(harness) as connector:
            etag = (await stored(connector, "a", b"old")).etag
            for data, size in (
                (b"12", 3),
                (b"12", 1),
                (b"", 1),
                (b"1", 0),
                (b"x" * MIB, 30 * MIB),
                (b"x" * MIB, 1_000),
            ):
                for key in ("a", "new/b"):
                    putting = connector.put(key, sent(data), size=size, content_type="text/plain")
                    error = await refused(putting)
                    assert (error.failure, error.fault) == (Failure.STATEMENT, Fault.INVALID_VALUE)
            assert await keys_of(connector) == ["a"]
            assert await fetched(connector, "a", etag=etag) == b"old"
            assert await harness.unfinished() == 0

    async def test_what_a_body_raises_passes_through_and_changes_nothing(self, harness: ObjectHarness) -> None:
        class ClientGone(Exception):  # noqa: N818
            pass

        async def broken(good_bytes: int) -> AsyncIterator[bytes]:
            async for chunk in LargeBody(good_bytes).chunks():
                yield chunk
            raise ClientGone

        async with opened(harness) as connector:
            for good_bytes in (0, 1_000, 20 * MIB):
                try:
                    await connector.put("a", broken(good_bytes), size=30 * MIB, content_type="text/plain")
                except ClientGone:
                    pass
                else:
                    raise AssertionError("the body's exception was swallowed")
            assert await keys_of(connector) == []
            assert await harness.unfinished() == 0

    async def test_a_cancelled_put_changes_nothing_and_leaves_nothing(self, harness: ObjectHarness) -> None:
        async def stalling(good_bytes: int, reached: asyncio.Event) -> AsyncIterator[bytes]:
            async for chunk in LargeBody(good_bytes).chunks():
                yield chunk
            reached.set()
            await asyncio.Event().wait()

        async with opened(harness) as connector:
            for good_bytes in (0, 1_000, 20 * MIB):
                reached = asyncio.Event()
                body = stalling(good_bytes, reached)
                putting = asyncio.create_task(connector.put("a/b", body, size=30 * MIB, content_type="text/plain"))
                await reached.wait()
                putting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await putting
                assert putting.cancelled()
            assert await keys_of(connector) == []
            assert await harness.unfinished() == 0

    async def test_a_put_that_is_cancelled_at_any_moment_is_done_or_not(self, harness: ObjectHarness) -> None:
        async with opened(harness) as connector:
            for turn in range(30):
                key = f"turn/{turn}"
                putting = asyncio.create_task(stored(connector, key, b"1", if_absent=True))
                for _ in range(turn):
                    await asyncio.sleep(0.0005)
                putting.cancel()
                try:
                    info = await putting
                except asyncio.CancelledError:
                    assert (await refused(connector.head(key))).failure is Failure.NOT_FOUND
                else:
                    assert (await connector.head(key)).etag == info.etag
            assert await harness.unfinished() == 0

    async def test_delete_takes_the_object_that_was_meant(self, harness: ObjectHarness) -> None:
        async with opened(harness) as connector:
            old = (await stored(connector, "a/b/c", b"old")).etag
            new = (await stored(connector, "a/b/c", b"new")).etag
            assert (await refused(connector.delete("a/b/c", if_match=old))).failure is Failure.CHANGED
            assert await fetched(connector, "a/b/c") == b"new"
            await connector.delete("a/b/c", if_match=new)
            for call in (connector.head("a/b/c"), connector.delete("a/b/c"), connector.delete("a/b/c", if_match=new)):
                assert (await refused(call)).failure is Failure.NOT_FOUND
            await stored(connector, "a", b"a key where a folder was")
            await connector.delete("a")
            assert await keys_of(connector) == []

    async def test_a_large_object_goes_in_and_comes_out_whole(self, harness: ObjectHarness) -> None:
        async with opened(harness) as connector:
            body = LargeBody(_LARGE_BYTES + 12_345)
            put = await connector.put("large", body.chunks(), size=body.size, content_type="text/plain", if_absent=True)
            assert put.size == body.size
            digest = hashlib.sha256()
            async with connector.read("large", etag=put.etag) as reading:
                assert reading.info.size == body.size
                async for chunk in reading.chunks:
                    assert len(chunk) <= CHUNK_BYTES
                    digest.update(chunk)
            assert digest.digest() == body.digest.digest()
            again = LargeBody(_LARGE_BYTES, seed=1)
            for conditions in ({"if_absent": True}, {"if_match": "0" * 32}):
                putting = connector.put(
                    "large", again.chunks(), size=again.size, content_type="text/plain", **conditions
                )
                assert (await refused(putting)).failure is Failure.CHANGED
            assert (await connector.head("large")).etag == put.etag
            assert await harness.unfinished() == 0
