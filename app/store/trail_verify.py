"""`douane audit verify`: reads a log directory, live or copied, and says what is wrong with it. Writes nothing."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.audit.batch import Read
from app.audit.checkpoint import BadCheckpoint, Checkpoint, Vkey, parse_signed, parse_vkey
from app.audit.findings import Finding, Problem, first_bad
from app.audit.tiles import Tile
from app.audit.verify import Progress, Sources, verify
from app.store.trail_files import read_or_none
from app.store.trail_history import HISTORY, LATEST, notes_of
from app.store.trail_open import JOURNAL, VKEY

OK, BAD, UNUSABLE = 0, 1, 2
_SHOWN = 20


class NothingToVerify(Exception):  # noqa: N818 - exit code UNUSABLE
    """No log, or no key to verify it with; the text says what to give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReport:
    directory: Path
    origin: str
    vkey: str
    key_given: bool
    """False: the key came from the directory itself, so whoever could replace both went unnoticed."""
    covered: int
    uncovered: int
    torn: bool
    findings: tuple[Finding, ...]

    @property
    def first_bad(self) -> Finding | None:
        return first_bad(self.findings)

    def __str__(self) -> str:
        lines = [f"{self.origin}: {self.covered} entries under a signed checkpoint"]
        if self.uncovered:
            lines.append(f"  {self.uncovered} more entries are durable but not yet covered by a checkpoint")
        if self.torn:
            lines.append("  the last write is cut short: in progress, or never acknowledged")
        if not self.key_given:
            lines.append(f"  key taken from the directory itself; compare it with the one you know: {self.vkey}")
        if (bad := self.first_bad) is None:
            lines.append("  OK")
        else:
            lines.append(f"  BAD: {bad.problem.value}: {bad.text}")
            lines += [f"    also {f.problem.value}: {f.text}" for f in self.findings if f is not bad][:_SHOWN]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    logs: tuple[LogReport, ...]

    @property
    def sound(self) -> bool:
        return not any(log.findings for log in self.logs)

    @property
    def exit_code(self) -> int:
        return OK if self.sound else BAD

    def __str__(self) -> str:
        return "\n".join(map(str, self.logs))


def verify_directory(
    path: Path, vkey: str | None = None, progress: Progress | None = None, older: Sequence[bytes] = ()
) -> Report:
    """Verifies the log in `path`, or every log below it. `older` are signed checkpoints kept elsewhere; each is held
    against the log it names. Raises NothingToVerify."""
    logs = _logs(path)
    given = _given(vkey)
    notes: dict[Path, list[bytes]] = {log: [] for log in logs}
    keys = {log: _key_of(log, given) for log in logs}
    for note in older:
        named = [log for log in logs if keys[log].name.encode() == note.split(b"\n", 1)[0]]
        if not named:
            raise NothingToVerify("an older checkpoint is of a log that is not in this directory")
        notes[named[0]].append(note)
    try:
        return Report(logs=tuple(_report(log, keys[log], given is not None, notes[log], progress) for log in logs))
    except OSError as problem:
        raise NothingToVerify(f"{path}: cannot be read ({os.strerror(problem.errno or 0)})") from None


def _logs(path: Path) -> list[Path]:
    try:
        if _is_log(path):
            return [path]
        found = sorted((p for p in path.iterdir() if p.name.isdecimal() and _is_log(p)), key=lambda p: int(p.name))
    except OSError:
        raise NothingToVerify(f"{path}: cannot be read; give the directory of the log") from None
    if not found:
        raise NothingToVerify(f"{path}: holds no audit log; give `audit.dir`, a log below it, or an export")
    return found


def _is_log(path: Path) -> bool:
    return any((path / name).exists() for name in (LATEST, JOURNAL, HISTORY, "tile"))


def _given(text: str | None) -> Vkey | None:
    if text is None:
        return None
    try:
        return parse_vkey(text)
    except BadCheckpoint as problem:
        raise NothingToVerify(f"the public key cannot be used: {problem}") from None


def _key_of(log: Path, given: Vkey | None) -> Vkey:
    """Every writer signs with one key under its own name: a key given for one log serves its siblings."""
    if given is not None:
        base, _, _ = given.name.rpartition("/")
        name = f"{base}/{log.name}" if base and log.name.isdecimal() else given.name
        shown = (read_or_none(log / LATEST) or b"").split(b"\n", 1)[0]
        return given if shown == given.name.encode() else Vkey(name, given.key)
    raw = read_or_none(log / VKEY)
    if raw is None:
        raise NothingToVerify(f"{log}: has no {VKEY}; give the public key")
    try:
        return parse_vkey(raw.decode("utf-8", "replace"))
    except BadCheckpoint as problem:
        raise NothingToVerify(f"{log / VKEY}: {problem}; give the public key") from None


def _report(log: Path, vkey: Vkey, key_given: bool, older: Sequence[bytes], progress: Progress | None) -> LogReport:
    # The heads first: a live log may grow while its journal is read, but never below them
    heads, findings = _heads(log, vkey, older)
    if key_given and (known := read_or_none(log / VKEY)) is not None and known != f"{vkey}\n".encode():
        findings.append(_unsigned(f"{VKEY} does not name the key given"))
    fd = _open_or_none(log / JOURNAL)
    try:
        sources = Sources(
            journal=None if fd is None else _reader(fd),
            tile=lambda tile: _tile(log, tile),
            beside=lambda relative: read_or_none(log / relative),
            heads=heads,
        )
        verdict = verify(sources, progress)
    finally:
        if fd is not None:
            os.close(fd)
    return LogReport(
        directory=log,
        origin=vkey.name,
        vkey=str(vkey),
        key_given=key_given,
        covered=verdict.covered,
        uncovered=verdict.uncovered,
        torn=verdict.torn_at is not None,
        findings=(*verdict.findings, *findings),
    )


def _heads(log: Path, vkey: Vkey, older: Sequence[bytes]) -> tuple[list[Checkpoint], list[Finding]]:
    findings: list[Finding] = []
    latest = read_or_none(log / LATEST)
    history = read_or_none(log / HISTORY) or b""
    notes, whole = notes_of(history)
    if latest is None:
        findings.append(_unsigned("the log has no checkpoint"))
    if whole < len(history):
        findings.append(_unsigned("the history of checkpoints ends in the middle of one"))
    labelled = [(f"checkpoint {number} of the history", note) for number, note in enumerate(notes)]
    labelled += [("the newest checkpoint", latest)] if latest is not None else []
    labelled += [("an older checkpoint given", note) for note in older]
    heads: list[Checkpoint] = []
    for label, note in labelled:
        try:
            heads.append(parse_signed(note, vkey))
        except BadCheckpoint as problem:
            findings.append(_unsigned(f"{label}: {problem}"))
    return heads, findings


def _unsigned(text: str) -> Finding:
    return Finding(problem=Problem.UNSIGNED, index=None, text=text)


def _open_or_none(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _reader(fd: int) -> Read:
    return lambda offset, count: os.pread(fd, count, offset)


def _tile(log: Path, tile: Tile) -> bytes | None:
    return read_or_none(log / tile.path)
