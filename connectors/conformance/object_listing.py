"""What an object connector's listing must do: a part of the suite for object connectors."""

import asyncio

from connectors.conformance.object_harness import ObjectHarness, keys_of, names_of, opened, pages_of, stored


class ListingConformance:
    """Every name once, in order, in pages of any size."""

    async def test_names_come_page_by_page_each_once(self, harness: ObjectHarness) -> None:
        keys = [f"d{i % 7}/f{i:03}" for i in range(60)] + [f"top{i}" for i in range(5)]
        async with opened(harness, pool_max=8) as connector:
            await asyncio.gather(*(stored(connector, key, b"1") for key in keys))
            for limit in (1, 2, 7, 64, 65, 66, 1_000):
                pages = await pages_of(connector, limit=limit)
                assert [name for page in pages for name in names_of(page)] == sorted(keys)
                assert all(len(page.objects) == limit for page in pages[:-1])
                assert len(pages) == -(-len(keys) // limit)
            assert await keys_of(connector, "d3/", limit=3) == sorted(k for k in keys if k.startswith("d3/"))
            assert await keys_of(connector, "d3/f00", limit=2) == ["d3/f003"]
            assert await keys_of(connector, "none/", limit=2) == []
            assert await keys_of(connector, "top1/", limit=2) == []

    async def test_names_can_start_behind_any_text(self, harness: ObjectHarness) -> None:
        keys = ["a", "b/a", "b/b", "c"]
        async with opened(harness) as connector:
            for key in keys:
                await stored(connector, key, b"1")
            names = ("", "a", "b/a", "b/b", "c")
            others = ("0", "a0", "b", "b/", "b/aa", "b/zz", "bb", "d") if harness.sorts_by_bytes else ()
            for after in (*names, *others):
                page = await connector.list("", after=after, limit=10, shallow=False)
                assert names_of(page) == [k for k in keys if k > after], after
                page = await connector.list("b/", after=after, limit=10, shallow=False)
                assert names_of(page) == [k for k in keys if k.startswith("b/") and k > after], after

    async def test_a_page_goes_on_behind_a_key_that_is_the_prefix_itself(self, harness: ObjectHarness) -> None:
        async with opened(harness) as connector:
            for key in ("b/1", "b/12", "b/123", "b/2"):
                await stored(connector, key, b"1")
            assert await keys_of(connector, "b/1", limit=1) == ["b/1", "b/12", "b/123"]
            for shallow in (False, True):
                page = await connector.list("b/1", after="b/1", limit=10, shallow=shallow)
                assert names_of(page) == ["b/12", "b/123"]
                assert names_of(await connector.list("b/2", after="b/2", limit=10, shallow=shallow)) == []

    async def test_folders_are_folded_and_skipped_as_one_name(self, harness: ObjectHarness) -> None:
        async with opened(harness) as connector:
            for key in ("a", "b/1", "b/2", "b/c/3", "d", "e/f/g"):
                await stored(connector, key, b"1")
            page = await connector.list("", after="", limit=10, shallow=True)
            assert ([o.key for o in page.objects], page.prefixes) == (["a", "d"], ("b/", "e/"))
            for limit in (1, 2, 3, 4):
                pages = await pages_of(connector, limit=limit, shallow=True)
                assert [name for page in pages for name in names_of(page)] == ["a", "b/", "d", "e/"]
            page = await connector.list("b/", after="", limit=10, shallow=True)
            assert ([o.key for o in page.objects], page.prefixes) == (["b/1", "b/2"], ("b/c/",))
            page = await connector.list("", after="b/", limit=10, shallow=True)
            assert names_of(page) == ["d", "e/"]
            page = await connector.list("b", after="", limit=10, shallow=True)
            assert names_of(page) == ["b/"]
            assert names_of(await connector.list("b/c/3", after="", limit=10, shallow=True)) == ["b/c/3"]
            assert names_of(await connector.list("e/f", after="", limit=10, shallow=True)) == ["e/f/"]

    async def test_the_order_is_that_of_utf_8(self, harness: ObjectHarness) -> None:
        keys = ["A", "a", "a!", "a-b", "a.b", "a/b", "a/b-", "a/b0", "a0", "é", "￡", "😀"]
        async with opened(harness) as connector:
            for key in keys:
                if key not in ("a", "a/b"):
                    await stored(connector, key, b"1")
            expected = sorted((k for k in keys if k not in ("a", "a/b")), key=str.encode)
            found = await keys_of(connector, limit=3)
            assert set(found) == set(expected)
            assert found == expected or not harness.sorts_by_bytes
