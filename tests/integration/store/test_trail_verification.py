"""A log that was tampered with is found out, and the first bad entry is named."""

import asyncio
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from logbook import KEY, ORIGIN, entries_in, entry, forge, opened, written

from app.audit.batch import encode
from app.audit.checkpoint import Checkpoint, sign, vkey_of
from app.audit.findings import Problem
from app.store.trail_verify import BAD, OK, LogReport, NothingToVerify, verify_directory

VKEY = str(vkey_of(f"{ORIGIN}/0", KEY))
COUNT = 300


@pytest.fixture(scope="module")
def sound_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, so that the history has checkpoints of several sizes; entry 5 has a field beside the log."""
    directory = tmp_path_factory.mktemp("sound") / "audit"
    asyncio.run(written(directory, COUNT // 2, large=(5,)))
    asyncio.run(written(directory, COUNT // 2))
    return directory


@pytest.fixture
def audit(sound_log: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound_log, tmp_path / "audit"))


def bad(directory: Path, **more: object) -> LogReport:
    report = verify_directory(directory, VKEY, **more)  # type: ignore[arg-type]
    assert report.exit_code == BAD, str(report)
    return report.logs[0]


def test_a_sound_log_is_sound_and_progress_is_told(audit: Path) -> None:
    told: list[tuple[int, int]] = []
    report = verify_directory(audit, VKEY, progress=lambda done, expected: told.append((done, expected)))
    assert report.exit_code == OK, str(report)
    assert report.logs[0].covered == COUNT
    assert report.logs[0].key_given
    assert told[-1] == (COUNT, COUNT)
    assert verify_directory(audit / "0").exit_code == OK


def test_an_export_without_the_journal_verifies_from_its_bundles(audit: Path, tmp_path: Path) -> None:
    export = tmp_path / "export"
    shutil.copytree(audit / "0" / "tile", export / "tile")
    shutil.copytree(audit / "0" / "aside", export / "aside")
    shutil.copy(audit / "0" / "checkpoint", export)
    report = verify_directory(export, VKEY)
    assert report.exit_code == OK, str(report)
    assert report.logs[0].covered == COUNT
    bundle = export / "tile/entries/001.p/44"
    changed = bytearray(bundle.read_bytes())
    changed[30] ^= 1
    bundle.write_bytes(changed)
    found = bad(export).first_bad
    assert found is not None
    assert (found.problem, found.index) == (Problem.ALTERED, 256)


def test_no_flipped_bit_anywhere_goes_unnoticed(audit: Path) -> None:
    dice = random.Random(7)
    files = [p for p in audit.rglob("*") if p.is_file() and p.name not in ("lock", "resume")]
    assert {"journal", "checkpoint", "checkpoints", "log.vkey", "000"} <= {p.name for p in files}
    for path in files:
        whole = path.read_bytes()
        for at in {0, len(whole) - 1, *(dice.randrange(len(whole)) for _ in range(12))}:
            flipped = bytearray(whole)
            flipped[at] ^= 1 << dice.randrange(8)
            path.write_bytes(flipped)
            report = verify_directory(audit, VKEY)
            assert not report.sound, f"{path} at {at}"
        path.write_bytes(whole)
    assert verify_directory(audit, VKEY).sound


def test_a_flipped_bit_inside_an_entry_names_that_entry(audit: Path) -> None:
    log = audit / "0"
    whole = (log / "journal").read_bytes()
    for index, data in list(enumerate(entries_in(log)))[::23]:
        at = whole.index(data)
        for offset in (-1, 0, len(data) - 1):  # the length prefix, the first and the last byte
            flipped = bytearray(whole)
            flipped[at + offset] ^= 1
            (log / "journal").write_bytes(flipped)
            found = bad(audit).first_bad
            assert found is not None
            assert found.problem in (Problem.ALTERED, Problem.INSERTED, Problem.TRUNCATED, Problem.DROPPED)
            assert found.index == index, (offset, found)


def test_a_frame_that_claims_other_indexes_is_found_though_its_checksum_fits(audit: Path) -> None:
    entries = entries_in(audit / "0")
    (audit / "0" / "journal").write_bytes(encode(0, entries[:20]) + encode(21, entries[20:]))
    found = bad(audit).first_bad
    assert found is not None
    assert (found.problem, found.index) == (Problem.ALTERED, 20)


CHANGES: list[tuple[Problem, int, Callable[[list[bytes]], None]]] = [
    (Problem.ALTERED, 17, lambda e: e.__setitem__(17, e[17].replace(b"query_sql", b"query_xql"))),
    (Problem.ALTERED, 299, lambda e: e.__setitem__(299, b"{}")),
    (Problem.DROPPED, 0, lambda e: e.pop(0) and None),
    (Problem.DROPPED, 123, lambda e: e.pop(123) and None),
    (Problem.TRUNCATED, 299, lambda e: e.pop() and None),
    (Problem.TRUNCATED, 100, lambda e: e.__delitem__(slice(100, None))),
    (Problem.TRUNCATED, 0, lambda e: e.clear()),
    (Problem.REORDERED, 40, lambda e: e.__setitem__(slice(40, 42), [e[41], e[40]])),
    (Problem.REORDERED, 12, lambda e: e.insert(12, e.pop(290))),
    (Problem.INSERTED, 33, lambda e: e.insert(33, b'{"v":1}')),
]


@pytest.mark.parametrize(("problem", "index", "change"), CHANGES)
def test_a_perfect_forgery_of_the_journal_is_named(
    audit: Path, problem: Problem, index: int, change: Callable[[list[bytes]], None]
) -> None:
    forge(audit / "0", change)
    found = bad(audit).first_bad
    assert found is not None
    assert (found.problem, found.index) == (problem, index)


@pytest.mark.parametrize(("problem", "index", "change"), CHANGES)
def test_without_tiles_to_compare_the_forgery_is_narrowed_to_the_signed_range(
    audit: Path, problem: Problem, index: int, change: Callable[[list[bytes]], None]
) -> None:
    shutil.rmtree(audit / "0" / "tile")
    forge(audit / "0", change)
    found = bad(audit).first_bad
    assert found is not None
    assert found.index is not None
    assert found.index <= index < (found.until or COUNT)


def test_a_log_cut_back_with_all_its_checkpoints_is_caught_by_an_older_one(sound_log: Path, tmp_path: Path) -> None:
    kept_elsewhere = (sound_log / "0" / "checkpoint").read_bytes()
    directory = tmp_path / "audit"
    asyncio.run(written(directory, COUNT // 2, large=(5,)))
    assert verify_directory(directory, VKEY).sound
    found = bad(directory, older=[kept_elsewhere]).first_bad
    assert found is not None
    assert (found.problem, found.index) == (Problem.TRUNCATED, COUNT // 2)


def test_a_log_continued_from_a_backup_is_a_fork_of_the_older_checkpoint(audit: Path) -> None:
    async def carry_on(directory: Path, note: str) -> bytes:
        async with await opened(directory) as trail:
            for number in range(20):
                await trail.append(entry(number, note=note))
        return (directory / "0" / "checkpoint").read_bytes()

    backup = audit.with_name("backup")
    shutil.copytree(audit, backup)
    kept_elsewhere = asyncio.run(carry_on(audit, "what happened"))
    asyncio.run(carry_on(backup, "what did not"))
    assert verify_directory(audit, VKEY, older=[kept_elsewhere]).sound
    assert verify_directory(backup, VKEY).sound
    found = bad(backup, older=[kept_elsewhere]).first_bad
    assert found is not None
    assert (found.problem, found.index, found.until) == (Problem.FORKED, COUNT, COUNT + 20)


def test_a_log_signed_again_with_another_key_is_not_believed(audit: Path, tmp_path: Path) -> None:
    stranger = Ed25519PrivateKey.generate()
    head = Checkpoint(origin=f"{ORIGIN}/0", size=0, root=bytes(32))
    (audit / "0" / "checkpoint").write_bytes(sign(head, stranger))
    assert {f.problem for f in bad(audit).findings} >= {Problem.UNSIGNED}


def test_a_log_without_checkpoints_proves_nothing(audit: Path) -> None:
    (audit / "0" / "checkpoint").unlink()
    assert {f.problem for f in bad(audit).findings} == {Problem.UNSIGNED}
    (audit / "0" / "checkpoints").unlink()
    log = bad(audit)
    assert (log.covered, log.uncovered) == (0, COUNT)


def test_a_field_beside_the_log_is_checked_too(audit: Path) -> None:
    aside = next(p for p in (audit / "0" / "aside").rglob("*") if p.is_file())
    aside.write_bytes(aside.read_bytes().replace(b"s", b"t", 1))
    found = bad(audit).first_bad
    assert found is not None
    assert (found.problem, found.index) == (Problem.ASIDE, 5)
    aside.unlink()
    found = bad(audit).first_bad
    assert found is not None
    assert "missing" in found.text


def test_what_cannot_be_verified_at_all_says_what_to_give(tmp_path: Path, audit: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(NothingToVerify):
            verify_directory(path)
    with pytest.raises(NothingToVerify, match="public key"):
        verify_directory(audit, "nonsense")
    with pytest.raises(NothingToVerify, match="not in this directory"):
        verify_directory(audit, VKEY, older=[b"other.example\n1\n"])
    (audit / "0" / "log.vkey").unlink()
    with pytest.raises(NothingToVerify, match="give the public key"):
        verify_directory(audit)


def test_the_report_reads_as_sentences(audit: Path) -> None:
    assert "300 entries" in str(verify_directory(audit))
    assert "key taken from the directory" in str(verify_directory(audit))
    forge(audit / "0", lambda e: e.__setitem__(17, b"{}"))
    assert "BAD: altered: entry 17 is not what was signed" in str(verify_directory(audit, VKEY))
