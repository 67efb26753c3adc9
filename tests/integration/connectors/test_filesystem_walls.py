"""What lies around a folder stays out of reach: links out of it, devices, and names that are no keys."""

import asyncio
import contextlib
import errno
import os
import shutil
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from connectors.conformance.object_harness import fetched, keys_of, names_of, refused, stored
from connectors.contract import ConnectorConfig, ConnectorError, Failure, Severity
from connectors.filesystem import FilesystemConnector, connector, tree
from connectors.filesystem.faults import translated
from connectors.filesystem.tree import INCOMING, require_regular


@pytest.fixture
def root(tmp_path: Path) -> Path:
    inside = tmp_path / "inside"
    inside.mkdir(mode=0o700)
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "secret").write_text("secret")
    (outside / "deep" / "secret").write_text("secret")
    return inside


@pytest.fixture
async def files(root: Path) -> AsyncIterator[FilesystemConnector]:
    made = connector(ConnectorConfig(name="files", options={"root": str(root)}))
    await made.open()
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("link", "target", "key"),
    [
        ("a", "../outside/secret", "a"),
        ("a", "inner", "a"),
        ("a", "a", "a"),
        ("a", "nowhere", "a"),
        ("d", "../outside", "d/secret"),
        ("d", "../outside", "d/deep/secret"),
        ("d", "/", "d/etc/hostname"),
        ("d", "folder", "d/inner"),
        ("folder/up", "..", "folder/up/inner"),
    ],
)
async def test_no_symlink_is_followed_whatever_it_points_to(
    files: FilesystemConnector, root: Path, link: str, target: str, key: str
) -> None:
    await stored(files, "inner", b"1")
    await stored(files, "folder/inner", b"1")
    (root / link).symlink_to(target)
    for call in (
        files.head(key), fetched(files, key), fetched(files, key, count=0), files.delete(key), stored(files, key, b"2"),
        stored(files, key, b"2", if_absent=True), stored(files, f"{key}-new", b"2") if "/" in key else files.head(key),
    ):  # fmt: skip
        assert (await refused(call)).failure is Failure.REFUSED_BY_WALL
    assert await keys_of(files) == ["folder/inner", "inner"]
    assert names_of(await files.list("", after="", limit=9, shallow=True)) == ["folder/", "inner"]
    assert await keys_of(files, f"{link}/") == []
    assert (root / link).is_symlink()
    assert (root.parent / "outside" / "secret").read_text() == "secret"
    assert sorted(os.listdir(root.parent / "outside")) == ["deep", "secret"]


async def test_a_directory_that_becomes_a_symlink_meanwhile_leads_nowhere(
    files: FilesystemConnector, root: Path
) -> None:
    (root / "real").mkdir()
    (root / "real" / "secret").write_text("public")
    (root / "link").symlink_to("../outside")
    stop = threading.Event()

    def swapping() -> None:
        """Renames keep one or the other in the place of `d` nearly always."""
        while not stop.is_set():
            for name in ("real", "link"):
                os.rename(root / name, root / "d")
                os.rename(root / "d", root / name)

    attacker = threading.Thread(target=swapping)
    attacker.start()
    try:
        seen: set[bytes | Failure] = set()
        for turn in range(1_500):
            try:
                seen.add(await fetched(files, "d/secret"))
            except ConnectorError as e:
                seen.add(e.failure)
            if turn % 10 == 0:
                page = await files.list("", after="", limit=9, shallow=False)
                assert all(o.size == len("public") for o in page.objects)
    finally:
        stop.set()
        attacker.join()
    assert seen <= {b"public", Failure.NOT_FOUND, Failure.REFUSED_BY_WALL}
    assert b"public" in seen


async def test_a_file_that_becomes_something_else_before_it_is_opened_is_refused(
    files: FilesystemConnector, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def symlink() -> None:
        (root / "a").symlink_to("../outside/secret")

    def pipe() -> None:
        os.mkfifo(root / "a")

    for other in (symlink, pipe):
        (root / "a").unlink(missing_ok=True)
        (root / "a").write_text("public")

        def swapped(seen: os.stat_result, other: Callable[[], None] = other) -> None:
            """Behind the first look at it, in front of open(2)."""
            monkeypatch.setattr(tree, "require_regular", require_regular)
            (root / "a").unlink()
            other()

        monkeypatch.setattr(tree, "require_regular", swapped)
        assert (await refused(fetched(files, "a"))).failure is Failure.REFUSED_BY_WALL
        assert not (root / "a").is_file() or (root / "a").is_symlink()


async def test_a_put_through_a_directory_that_becomes_a_symlink_stays_inside(
    files: FilesystemConnector, root: Path
) -> None:
    (root / "real").mkdir()
    (root / "link").symlink_to("../outside")
    stop = threading.Event()

    def swapping() -> None:
        while not stop.is_set():
            for name in ("real", "link"):
                with contextlib.suppress(OSError):
                    os.rename(root / name, root / "d")
                    os.rename(root / "d", root / name)
            if not (root / "d").is_symlink():
                # A put between two swaps made the directory itself.
                shutil.rmtree(root / "d", ignore_errors=True)

    attacker = threading.Thread(target=swapping)
    attacker.start()
    try:
        for _ in range(200):
            with contextlib.suppress(ConnectorError):
                await stored(files, "d/new", b"1")
    finally:
        stop.set()
        attacker.join()
    assert sorted(os.listdir(root.parent / "outside")) == ["deep", "secret"]


async def test_pipes_sockets_and_devices_are_no_objects(files: FilesystemConnector, root: Path) -> None:
    os.mkfifo(root / "pipe")
    (root / "null").symlink_to("/dev/null")
    for key in ("pipe", "null"):
        for call in (files.head(key), fetched(files, key), files.delete(key), stored(files, key, b"1")):
            assert (await refused(call)).failure is Failure.REFUSED_BY_WALL
    assert await keys_of(files) == []


async def test_names_that_are_no_keys_are_not_there(files: FilesystemConnector, root: Path) -> None:
    raw = os.fsencode(root)
    names = (
        b"e\xcc\x81", b"broken-\xff", b"new\nline", b"tab\t", b"del\x7f", b"c1-\xc2\x85", b"surrogate-\xed\xa0\x80",
    )  # fmt: skip
    for name in names:
        Path(os.fsdecode(raw + b"/" + name)).write_bytes(b"1")
        folder = Path(os.fsdecode(raw + b"/folder-" + name))
        folder.mkdir()
        (folder / "inner").write_bytes(b"1")
    (root / "good").write_bytes(b"1")
    assert await keys_of(files) == ["good"]
    assert names_of(await files.list("", after="", limit=99, shallow=True)) == ["good"]
    for name in names:
        for key in (os.fsdecode(name), f"folder-{os.fsdecode(name)}/inner"):
            assert (await refused(files.head(key))).failure is Failure.NOT_FOUND
            assert await keys_of(files, key) == []


async def test_files_that_are_being_written_are_not_reachable(files: FilesystemConnector, root: Path) -> None:
    waiting = asyncio.Event()
    reached = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"1"
        reached.set()
        await waiting.wait()

    putting = asyncio.create_task(files.put("a", body(), size=1, content_type="text/plain"))
    await reached.wait()
    (name,) = os.listdir(root / INCOMING)
    hidden = f"{INCOMING}/{name}"
    assert await keys_of(files) == []
    assert await keys_of(files, INCOMING) == await keys_of(files, f"{INCOMING}/") == []
    assert names_of(await files.list("", after="", limit=9, shallow=True)) == []
    assert (await refused(files.head(hidden))).failure is Failure.NOT_FOUND
    assert (await refused(files.delete(hidden))).failure is Failure.NOT_FOUND
    assert (await refused(stored(files, f"{INCOMING}/x", b"1"))).failure is Failure.REFUSED_BY_WALL
    waiting.set()
    await putting
    assert await keys_of(files) == ["a"]


async def test_a_listing_holds_few_descriptors_however_deep_folders_go(files: FilesystemConnector, root: Path) -> None:
    deepest = "/".join([*"f" * tree.MAX_FOLDERS, "a"])
    await stored(files, deepest, b"1")
    assert (await refused(stored(files, f"f/{deepest}", b"1"))).failure is Failure.REFUSED_BY_WALL
    below = root.joinpath(*"f" * 400)
    below.mkdir(parents=True)
    (below / "g").write_text("1")
    assert await keys_of(files) == [deepest]
    assert names_of(await files.list("", after="", limit=5, shallow=True)) == ["f/"]
    assert (await refused(files.head("/".join([*"f" * 400, "g"])))).failure is Failure.NOT_FOUND


async def test_too_few_descriptors_are_no_full_disk() -> None:
    assert translated(OSError(errno.EMFILE, "")).failure is Failure.UNAVAILABLE
    assert translated(OSError(errno.ENOSPC, "")).failure is Failure.OUT_OF_RESOURCES


async def test_a_symlink_in_the_place_of_the_hidden_directory_is_refused(
    files: FilesystemConnector, root: Path
) -> None:
    (root / INCOMING).symlink_to("../outside")
    assert (await refused(stored(files, "a", b"1"))).failure is Failure.REFUSED_BY_WALL
    assert sorted(os.listdir(root.parent / "outside")) == ["deep", "secret"]


async def test_files_and_folders_are_for_their_owner_alone(files: FilesystemConnector, root: Path) -> None:
    await stored(files, "a/b/c", b"1")
    assert stat.S_IMODE((root / "a/b/c").stat().st_mode) == 0o600
    assert {stat.S_IMODE((root / folder).stat().st_mode) for folder in ("a", "a/b", INCOMING)} == {0o700}


async def test_a_key_cannot_be_put_below_a_file_or_over_a_folder(files: FilesystemConnector, root: Path) -> None:
    await stored(files, "a/b", b"1")
    for key in ("a", "a/b/c", "a/b/c/d"):
        assert (await refused(stored(files, key, b"2"))).failure is Failure.REFUSED_BY_WALL
    assert await keys_of(files) == ["a/b"]
    assert (await refused(stored(files, "x" * 300, b"2"))).failure is Failure.REFUSED_BY_WALL


def _findings(root: Path) -> Iterator[tuple[str, Severity]]:
    made = connector(ConnectorConfig(name="files", options={"root": str(root)}))

    async def probing() -> list[tuple[str, Severity]]:
        await made.open()
        found = [(f.code, f.severity) for f in await made.probe()]
        await made.close()
        return found

    yield from asyncio.run(probing())


@pytest.mark.parametrize(
    ("mode", "codes"),
    [
        (0o700, []),
        (0o755, [("world_readable_root", Severity.WARNING)]),
        (0o757, [("world_writable_root", Severity.UNSAFE), ("world_readable_root", Severity.WARNING)]),
    ],
)
def test_a_probe_tells_who_else_reaches_the_folder(root: Path, mode: int, codes: list[tuple[str, Severity]]) -> None:
    root.chmod(mode)
    assert list(_findings(root)) == [("reachable", Severity.OK), *codes]
    assert os.listdir(root / INCOMING) == []


def test_a_probe_of_a_folder_that_is_not_there_says_so(root: Path) -> None:
    assert list(_findings(root / "absent")) == [("unreachable", Severity.WARNING)]
    (root / "file").write_text("1")
    assert list(_findings(root / "file")) == [("unreachable", Severity.WARNING)]
