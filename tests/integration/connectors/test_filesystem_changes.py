"""Files that change while they are read, processes that die while they write, and disks that are full."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from connectors.conformance.object_harness import MIB, fetched, keys_of, names_of, refused, stored
from connectors.contract import ConnectorConfig, ConnectorError, Failure
from connectors.filesystem import FilesystemConnector, connector
from connectors.filesystem.tree import INCOMING

_HERE = Path(__file__).parents[3]


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[FilesystemConnector]:
    made = connector(ConnectorConfig(name="files", options={"root": str(tmp_path)}))
    await made.open()
    yield made
    await made.close()


def _in_place(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(3 * MIB)
        file.write(b"another byte")


def _in_place_with_its_old_time(path: Path) -> None:
    before = path.stat()
    _in_place(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _appended(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _truncated(path: Path) -> None:
    os.truncate(path, 2 * MIB)


@pytest.mark.parametrize("change", [_in_place, _in_place_with_its_old_time, _appended, _truncated])
async def test_a_file_that_is_written_while_it_is_read_ends_the_read(
    files: FilesystemConnector, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    info = await stored(files, "a", b"0" * (8 * MIB))

    async def reading() -> None:
        async with files.read("a", etag=info.etag) as read:
            async for chunk in read.chunks:
                assert chunk == b"0" * len(chunk)
                change(tmp_path / "a")

    assert (await refused(reading())).failure is Failure.CHANGED
    assert (await files.head("a")).etag != info.etag


def _replaced(path: Path) -> None:
    (path.parent / "other").write_bytes(b"1" * MIB)
    os.replace(path.parent / "other", path)


def _removed(path: Path) -> None:
    path.unlink(missing_ok=True)


@pytest.mark.parametrize("change", [_replaced, _removed])
async def test_a_file_that_is_replaced_or_removed_is_read_on_as_it_was(
    files: FilesystemConnector, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    await stored(files, "a", b"0" * (8 * MIB))
    async with files.read("a") as read:
        data = await anext(read.chunks)
        change(tmp_path / "a")
        data += b"".join([chunk async for chunk in read.chunks])
    assert data == b"0" * (8 * MIB)


async def test_every_way_to_change_a_file_changes_its_etag(files: FilesystemConnector, tmp_path: Path) -> None:
    await stored(files, "a", b"0" * (4 * MIB))
    seen = {(await files.head("a")).etag}
    for number, change in enumerate(
        (_in_place, _in_place_with_its_old_time, _appended, _truncated, _replaced), start=2
    ):
        change(tmp_path / "a")
        seen.add((await files.head("a")).etag)
        assert len(seen) == number


_WRITER = """
import asyncio, sys
from connectors.contract import ConnectorConfig, ConnectorError
from connectors.filesystem import connector

async def body(size):
    yield b"0" * (size - 1)
    print("half", flush=True)
    await asyncio.sleep(60)

async def main(root):
    made = connector(ConnectorConfig(name="files", options={"root": root}))
    await made.open()
    await made.put("new/a", body(3_000_000), size=3_000_000, content_type="text/plain")

asyncio.run(main(sys.argv[1]))
"""


async def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    writers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _WRITER, str(tmp_path), cwd=_HERE, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert await writer.stdout.readline() == b"half\n"
        assert len(os.listdir(tmp_path / INCOMING)) == 2
        writers[0].send_signal(signal.SIGKILL)
        await writers[0].wait()
        made = connector(ConnectorConfig(name="files", options={"root": str(tmp_path)}))
        await made.open()
        assert len(os.listdir(tmp_path / INCOMING)) == 1
        assert await keys_of(made) == []
        await made.close()
    finally:
        for writer in writers:
            if writer.returncode is None:
                writer.kill()
            await writer.wait()
            writer._transport.close()  # type: ignore[attr-defined]


_RACER = """
import asyncio, sys
from connectors.contract import ConnectorConfig, ConnectorError, Failure
from connectors.filesystem import connector

async def body(data):
    yield data

async def main(root, name):
    made = connector(ConnectorConfig(name="files", options={"root": root}))
    await made.open()
    won = lost = 0
    while won < 60:
        before = await made.head("counter")
        try:
            async with made.read("counter", etag=before.etag) as read:
                data = b"".join([chunk async for chunk in read.chunks]) + name
            await made.put("counter", body(data), size=len(data), content_type="text/plain", if_match=before.etag)
            won += 1
        except ConnectorError as e:
            if e.failure is not Failure.CHANGED:
                raise
            lost += 1
    await made.close()
    print(won, lost)

asyncio.run(main(sys.argv[1], sys.argv[2].encode()))
"""


async def test_processes_that_change_one_object_lose_no_change(files: FilesystemConnector, tmp_path: Path) -> None:
    await stored(files, "counter", b"")

    def race() -> None:
        racers = [
            subprocess.Popen(
                [sys.executable, "-c", _RACER, str(tmp_path), name], cwd=_HERE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for name in "abc"
        ]  # fmt: skip
        for racer in racers:
            _, errors = racer.communicate(timeout=120)
            assert racer.returncode == 0, errors.decode()

    await asyncio.to_thread(race)
    data = await fetched(files, "counter")
    assert sorted(data) == sorted(b"abc" * 60)


_FULL = """
import asyncio, os, resource, sys
from connectors.contract import ConnectorConfig, ConnectorError
from connectors.filesystem import connector

async def body():
    for _ in range(8):
        yield b"0" * 1_000_000

async def main(root):
    made = connector(ConnectorConfig(name="files", options={"root": root}))
    await made.open()
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
    try:
        await made.put("new/a", body(), size=8_000_000, content_type="text/plain")
    except ConnectorError as e:
        print(e.failure.value)
    await made.close()

asyncio.run(main(sys.argv[1]))
"""


async def test_a_full_disk_is_told_and_leaves_nothing(files: FilesystemConnector, tmp_path: Path) -> None:
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", _FULL, str(tmp_path)], cwd=_HERE, capture_output=True, check=True
    )
    assert done.stdout == b"out_of_resources\n"
    assert os.listdir(tmp_path) == [INCOMING]
    assert os.listdir(tmp_path / INCOMING) == []
    assert await keys_of(files) == []


async def test_a_put_that_fails_leaves_no_new_folder(files: FilesystemConnector, tmp_path: Path) -> None:
    await stored(files, "a/b", b"1")
    for key in ("new/deep/er/c", "a/new/c"):
        assert (await refused(stored(files, key, b"1", if_match="0"))).failure is Failure.CHANGED
    assert sorted(os.listdir(tmp_path)) == sorted([INCOMING, "a"])
    assert os.listdir(tmp_path / "a") == ["b"]


async def test_folders_that_a_delete_empties_are_gone_and_others_stay(
    files: FilesystemConnector, tmp_path: Path
) -> None:
    (tmp_path / "kept").mkdir()
    for key in ("a/b/c", "a/b/d", "x/y/z"):
        await stored(files, key, b"1")
    await files.delete("a/b/c")
    await files.delete("x/y/z")
    assert sorted(os.listdir(tmp_path)) == sorted([INCOMING, "a", "kept"])
    assert names_of(await files.list("", after="", limit=9, shallow=True)) == ["a/"]


async def test_puts_and_deletes_below_the_same_new_folder_do_not_disturb_each_other(
    files: FilesystemConnector,
) -> None:
    async def come_and_go(number: int) -> None:
        for _ in range(15):
            key = f"shared/folder/{number}"
            await stored(files, key, b"1", if_absent=True)
            await files.delete(key)

    await asyncio.gather(*(come_and_go(number) for number in range(8)))
    assert await keys_of(files) == []


async def test_a_folder_that_comes_back_is_served_again(tmp_path: Path) -> None:
    root = tmp_path / "late"
    made = connector(ConnectorConfig(name="files", options={"root": str(root)}))
    await made.open()
    assert (await refused(made.head("a"))).failure is Failure.UNAVAILABLE
    root.mkdir()
    await stored(made, "a", b"1")
    assert await fetched(made, "a") == b"1"
    await made.close()


async def test_a_closed_connector_is_unavailable(tmp_path: Path) -> None:
    made = connector(ConnectorConfig(name="files", options={"root": str(tmp_path)}))
    await made.open()
    await made.close()
    error = await refused(made.head("a"))
    assert isinstance(error, ConnectorError)
    assert error.failure is Failure.UNAVAILABLE


async def test_what_a_file_is_its_name_says(files: FilesystemConnector) -> None:
    for key, expected in {
        "a.csv": "text/csv",
        "a.CSV": "text/csv",
        "a.csv.gz": "application/gzip",
        "b/a.ndjson": "application/x-ndjson",
        "a.parquet": "application/vnd.apache.parquet",
        "csv": None,
        ".csv": None,
        "a.unknown": None,
        "folder.csv/a": None,
    }.items():
        assert (await stored(files, key, b"1", "application/else")).content_type == expected
        assert (await files.head(key)).content_type == expected
