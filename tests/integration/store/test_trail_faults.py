"""The log under real faults: kill -9, no room, a disk that fails to sync, two processes, damaged files."""

import asyncio
import contextlib
import errno
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from logbook import KEY, ORIGIN, batches_in, entries_in, entry, failed, forge, opened, until, written

from app.audit.batch import encode
from app.ports import TrailUnavailable
from app.store.trail import FileTrail
from app.store.trail_files import write_durably
from app.store.trail_journal import Journal
from app.store.trail_key import KeyUnusable, ensure_key, load_key
from app.store.trail_open import TrailCorrupt, open_first_free
from app.store.trail_verify import verify_directory

ROOT = Path(__file__).parents[3]
KILLS = 4


def test_nothing_acknowledged_is_lost_when_the_process_is_killed_under_load(tmp_path: Path) -> None:
    key = tmp_path / "audit.key"
    ensure_key(key)
    acknowledged: dict[int, str] = {}
    for kill in range(KILLS):
        writer = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).with_name("trail_writer.py")),
                str(tmp_path / "log"),
                str(key),
                str(kill),
            ],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == f"open {ORIGIN}/0\n".encode()
        lines = [writer.stdout.readline() for _ in range(700 * (kill + 1))]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.read().splitlines(keepends=True)
        writer.wait()
        writer.stdout.close()
        for line in lines:
            if line.endswith(b"\n"):
                index, text = line.decode().split()
                assert int(index) not in acknowledged
                acknowledged[int(index)] = text
        report = verify_directory(tmp_path / "log")
        assert report.sound, str(report)
        assert report.logs[0].covered + report.logs[0].uncovered > max(acknowledged)

    async def reopen() -> None:
        async with await FileTrail.open(tmp_path / "log", origin=ORIGIN, key=load_key(key)) as trail:
            assert trail.durable_size > max(acknowledged)

    asyncio.run(reopen())
    report = verify_directory(tmp_path / "log")
    assert report.sound, str(report)
    assert report.logs[0].uncovered == 0
    found = [json.loads(e) for e in entries_in(tmp_path / "log/0")]
    for index, text in acknowledged.items():
        assert found[index]["text"] == text
        assert found[index]["index_promised"] == index


@contextlib.contextmanager
def no_file_beyond(size_bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_without_room_every_queued_entry_fails_and_the_log_recovers_by_itself(tmp_path: Path) -> None:
    problems: list[Exception] = []
    async with await opened(tmp_path, report=problems.append) as trail:
        await trail.append(entry(0))
        with no_file_beyond(4096):
            waits = [trail.append(entry(n, padding="x" * 100)) for n in range(1, 101)]
            results = await asyncio.gather(*(failed(w) for w in waits))
            assert all(isinstance(r, TrailUnavailable) for r in results)
            assert trail.next_index() == trail.durable_size == 1
            assert not trail.healthy
            assert isinstance(await failed(trail.append(entry(1, padding="x" * 8000))), TrailUnavailable)
        assert any(isinstance(p, OSError) for p in problems)
        await until(lambda: trail.healthy)
        assert trail.next_index() == 1
        await trail.append(entry(1))
        log = trail.directory
    assert [json.loads(e)["trace_id"] for e in entries_in(log)] == [f"{n:032x}" for n in (0, 1)]
    assert verify_directory(tmp_path).sound


async def test_what_was_queued_behind_a_failed_write_fails_too_because_its_index_is_gone(tmp_path: Path) -> None:
    async with await opened(tmp_path) as trail:
        with no_file_beyond(8192):
            in_flight = trail.append(entry(0, padding="x" * 9000))
            await asyncio.sleep(0)
            assert trail.next_index() == 1
            behind = trail.append(entry(1))
            assert isinstance(await failed(in_flight), TrailUnavailable)
            assert isinstance(await failed(behind), TrailUnavailable)
        assert trail.next_index() == 0
        await trail.append(entry(0))
    assert len(entries_in(tmp_path / "0")) == 1


async def test_an_entry_that_fits_is_written_while_larger_ones_do_not_fit(tmp_path: Path) -> None:
    async with await opened(tmp_path) as trail:
        with no_file_beyond(8192):
            assert isinstance(await failed(trail.append(entry(0, padding="x" * 9000))), TrailUnavailable)
            await trail.append(entry(1))
            assert trail.durable_size == 1
    assert verify_directory(tmp_path).sound


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)) == 4096:
            pass


async def test_a_full_disk_refuses_until_there_is_room_again(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    async with await opened(small_disk / "log") as trail:
        await trail.append(entry(0))
        fill(ballast)
        refused = None
        for n in range(1, 400):
            refused = await failed(trail.append(entry(n, padding="x" * 2000)))
            if refused is not None:
                break
        assert isinstance(refused, TrailUnavailable)
        durable = trail.durable_size
        assert trail.next_index() == durable
        assert not trail.healthy
        ballast.unlink()
        await until(lambda: trail.healthy)
        await trail.append(entry(durable))
        log = trail.directory
    assert [json.loads(e)["trace_id"] for e in entries_in(log)] == [f"{n:032x}" for n in range(durable + 1)]
    assert verify_directory(small_disk / "log").sound


async def test_a_log_that_closes_on_a_full_disk_says_so_and_is_signed_at_the_next_start(tmp_path: Path) -> None:
    trail = await opened(tmp_path)
    await trail.append(entry(0))
    with no_file_beyond(16), pytest.raises(TrailUnavailable, match="next start"):
        await trail.aclose()
    assert verify_directory(tmp_path).logs[0].uncovered == 1
    async with await opened(tmp_path):
        assert verify_directory(tmp_path).logs[0].covered == 1


def test_after_a_failed_sync_the_journal_is_cut_back_to_what_was_durable(tmp_path: Path) -> None:
    fails = [False]

    def write(fd: int, data: bytes, offset: int) -> None:
        write_durably(fd, data, offset)
        if fails[0]:
            raise OSError(errno.EIO, "the disk is dying")

    path = tmp_path / "journal"
    journal = Journal(path, entries=0, durable_bytes=0, last_batch_at=None, write=write)
    journal.write([b"a"])
    durable = encode(0, [b"a"])
    assert path.read_bytes().rstrip(b"\0") == durable
    fails[0] = True
    with pytest.raises(OSError, match="dying"):
        journal.write([b"b"])
    fails[0] = False
    journal.write([b"c"])
    journal.close()
    assert path.read_bytes() == durable + encode(1, [b"c"])


def test_a_journal_whose_last_durable_batch_is_gone_is_not_written_to(tmp_path: Path) -> None:
    def write(fd: int, data: bytes, offset: int) -> None:
        write_durably(fd, data, offset)
        if offset:
            raise OSError(errno.EIO, "the disk is dying")

    path = tmp_path / "journal"
    first_bytes = len(encode(0, [b"a"]))
    journal = Journal(path, entries=0, durable_bytes=0, last_batch_at=None, write=write)
    journal.write([b"a"])
    with pytest.raises(OSError, match="dying"):
        journal.write([b"b"])
    damaged = bytearray(path.read_bytes())
    damaged[first_bytes - 1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(OSError, match="read back"):
        journal.repair()
    with pytest.raises(OSError, match="read back"):
        journal.write([b"b"])


async def test_two_processes_write_two_logs_and_a_free_one_is_carried_on(tmp_path: Path) -> None:
    async with await opened(tmp_path) as first, await opened(tmp_path) as second:
        assert (first.origin, second.origin) == (f"{ORIGIN}/0", f"{ORIGIN}/1")
        await asyncio.gather(first.append(entry(0)), second.append(entry(0)))
    async with await opened(tmp_path) as again:
        assert (again.origin, again.next_index()) == (f"{ORIGIN}/0", 1)
        await again.append(entry(1))
    report = verify_directory(tmp_path)
    assert report.sound
    assert [(log.origin, log.covered) for log in report.logs] == [(f"{ORIGIN}/0", 2), (f"{ORIGIN}/1", 1)]


async def test_a_torn_last_write_is_cut_and_kept_aside_and_the_log_goes_on(tmp_path: Path) -> None:
    log = await written(tmp_path, 5)
    torn = encode(5, [b'{"never":"acknowledged"}'])[:-3]
    with (log / "journal").open("ab") as journal:
        journal.write(torn)
    assert verify_directory(tmp_path).logs[0].torn
    assert verify_directory(tmp_path).sound
    async with await opened(tmp_path) as trail:
        assert trail.cut_bytes == len(torn)
        assert trail.next_index() == 5
        await trail.append(entry(5))
    assert (log / "cut-5").read_bytes() == torn
    assert len(entries_in(log)) == 6
    assert verify_directory(tmp_path).sound


async def test_a_damaged_entry_with_durable_ones_behind_it_is_no_torn_write(tmp_path: Path) -> None:
    log = await written(tmp_path, 5)
    damaged = bytearray(encode(5, [b'{"n":5}']))
    damaged[-1] ^= 1
    with (log / "journal").open("ab") as journal:
        journal.write(bytes(damaged) + encode(6, [b'{"n":6}']))
    with pytest.raises(TrailCorrupt, match="entry 5"):
        await opened(tmp_path)
    assert not verify_directory(tmp_path).sound


async def test_a_log_that_contradicts_its_checkpoint_is_not_opened(tmp_path: Path) -> None:
    log = await written(tmp_path, 20)
    whole = (log / "journal").read_bytes()
    for at in range(30, len(whole), 97):
        flipped = bytearray(whole)
        flipped[at] ^= 1
        (log / "journal").write_bytes(flipped)
        with pytest.raises(TrailCorrupt, match="douane audit verify"):
            await opened(tmp_path)
    (log / "journal").write_bytes(whole[: batches_in_bytes(whole)])
    with pytest.raises(TrailCorrupt, match="truncated"):
        await opened(tmp_path)
    (log / "journal").write_bytes(whole)
    async with await opened(tmp_path) as trail:
        assert trail.next_index() == 20


def batches_in_bytes(whole: bytes) -> int:
    return whole.rfind(b"DTB1")


@pytest.mark.parametrize("full_scan_bytes", [0, 2**30])
async def test_a_perfect_forgery_is_not_opened_either(tmp_path: Path, full_scan_bytes: int) -> None:
    log = await written(tmp_path, 20)
    (log / "resume").unlink()
    forge(log, lambda entries: entries.__setitem__(5, b"{}"))
    with pytest.raises(TrailCorrupt, match="not those of the signed checkpoint"):
        open_first_free(tmp_path, ORIGIN, KEY, full_scan_bytes=full_scan_bytes)


async def test_a_log_without_its_checkpoint_or_with_another_key_is_not_opened(tmp_path: Path) -> None:
    log = await written(tmp_path, 3)
    with pytest.raises(TrailCorrupt, match="another origin or key"):
        open_first_free(tmp_path, ORIGIN, Ed25519PrivateKey.generate())
    with pytest.raises(TrailCorrupt, match="another origin or key"):
        open_first_free(tmp_path, "other.example/log", KEY)
    (log / "checkpoint").unlink()
    (log / "checkpoints").unlink()
    with pytest.raises(TrailCorrupt, match="no checkpoint"):
        await opened(tmp_path)


async def test_a_crash_between_history_and_checkpoint_is_no_contradiction(tmp_path: Path) -> None:
    log = await written(tmp_path, 3)
    older = (log / "checkpoint").read_bytes()
    await written(tmp_path, 3)
    (log / "checkpoint").write_bytes(older)
    with (log / "checkpoints").open("ab") as history:
        history.write(b"douane.example/log/0\n9\nha")
    async with await opened(tmp_path) as trail:
        assert trail.next_index() == 6
    assert verify_directory(tmp_path).sound


@pytest.mark.parametrize("count", [1, 255, 256, 300, 1000])
async def test_a_large_log_is_taken_up_from_its_checkpoint(tmp_path: Path, count: int) -> None:
    log = await written(tmp_path, count, group=64)
    taken = open_first_free(tmp_path, ORIGIN, KEY, full_scan_bytes=0)
    os.close(taken.lock_fd)
    assert taken.edge.size == count
    assert taken.tiles == ()
    whole = open_first_free(tmp_path, ORIGIN, KEY)
    os.close(whole.lock_fd)
    assert (whole.edge.root(), whole.journal_bytes) == (taken.edge.root(), taken.journal_bytes)
    spoils: list[Callable[[Path], object]] = [
        lambda log: (log / "resume").write_bytes(b'{"size":%d,"last_batch_at":7}' % count),
        lambda log: (log / "resume").write_bytes(b'{"size":%d,"last_batch_at":0}' % (count - 1)),
        lambda log: [p.write_bytes(bytes(len(p.read_bytes()))) for p in (log / "tile/1").glob("*.p/*")],
        lambda log: shutil.rmtree(log / "tile"),
    ]
    for number, spoil in enumerate(spoils):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(log, copy / "0")
        spoil(copy / "0")
        again = open_first_free(copy, ORIGIN, KEY, full_scan_bytes=0)
        os.close(again.lock_fd)
        assert again.edge.root() == whole.edge.root()


async def test_lost_tiles_are_made_again(tmp_path: Path) -> None:
    log = await written(tmp_path, 600, group=100)
    before = {p.relative_to(log): p.read_bytes() for p in (log / "tile").rglob("*") if p.is_file()}
    shutil.rmtree(log / "tile/0")
    (log / "tile/entries/001").write_bytes(b"")
    async with await opened(tmp_path):
        pass
    assert {p.relative_to(log): p.read_bytes() for p in (log / "tile").rglob("*") if p.is_file()} == before


async def test_a_cancelled_waiter_takes_nobody_with_it(tmp_path: Path) -> None:
    async with await opened(tmp_path) as trail:

        async def wait(number: int) -> None:
            await trail.append(entry(number))

        tasks = [asyncio.ensure_future(wait(n)) for n in range(10)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [r for r in results if r is not None] == [results[3]]
        assert isinstance(results[3], asyncio.CancelledError)
        assert trail.durable_size == 10
        log = trail.directory
    assert len(entries_in(log)) == 10


async def test_an_awaitable_can_be_awaited_late_and_twice(tmp_path: Path) -> None:
    async with await opened(tmp_path) as trail:
        wait = trail.append(entry(0))
        await trail.append(entry(1))
        await wait
        await wait
    assert isinstance(await failed(trail.append(entry(2))), TrailUnavailable)


async def test_many_entries_share_a_flush(tmp_path: Path) -> None:
    async with await opened(tmp_path) as trail:
        await asyncio.gather(*(trail.append(entry(n)) for n in range(500)))
        log = trail.directory
    assert len(batches_in(log)) == 1


async def test_a_checkpoint_follows_by_itself_and_closing_signs_the_rest(tmp_path: Path) -> None:
    async with await opened(tmp_path) as trail:
        await trail.append(entry(0))
        await until(lambda: b"\n1\n" in (trail.directory / "checkpoint").read_bytes())
        await trail.append(entry(1))
    assert b"\n2\n" in (trail.directory / "checkpoint").read_bytes()
    assert (trail.directory / "log.vkey").read_text() == f"{trail.vkey}\n"


async def test_a_live_log_verifies_while_it_is_written(tmp_path: Path) -> None:
    async with await opened(tmp_path) as trail:
        for round_ in range(5):
            waits = [trail.append(entry(n)) for n in range(200)]
            report = await asyncio.to_thread(verify_directory, tmp_path)
            assert report.sound, str(report)
            for wait in waits:
                await wait
            log = verify_directory(tmp_path).logs[0]
            assert log.covered + log.uncovered == (round_ + 1) * 200


async def test_a_directory_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrailUnavailable, match="cannot be written"):
        await opened(tmp_path / "file" / "log")


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state" / "audit.key"
    made = ensure_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ensure_key(path).private_bytes_raw() == made.private_bytes_raw()
    for mode in (0o640, 0o604):
        path.chmod(mode)
        with pytest.raises(KeyUnusable, match="chmod 600"):
            load_key(path)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "audit.key"
    with pytest.raises(KeyUnusable, match="cannot be read"):
        load_key(path)
    path.touch(mode=0o600)
    with pytest.raises(KeyUnusable, match="PEM"):
        load_key(path)
