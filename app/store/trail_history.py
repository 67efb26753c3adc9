"""The signed tree heads of a log directory: the newest one, and the append-only file of earlier ones."""

from pathlib import Path

from app.audit.checkpoint import BadCheckpoint, Checkpoint, Vkey, parse_signed
from app.store.trail_files import read_or_none

LATEST = "checkpoint"
HISTORY = "checkpoints"
_SEPARATOR = b"\n\n"


def notes_of(history: bytes) -> tuple[list[bytes], int]:
    """The complete notes of a history, and how many of its bytes they fill (a crash may cut the last one short)."""
    notes: list[bytes] = []
    at = 0
    while True:
        body_end = history.find(_SEPARATOR, at)
        note_end = history.find(_SEPARATOR, body_end + 2) if body_end >= 0 else -1
        if note_end < 0:
            return notes, at
        notes.append(history[at : note_end + 1])
        at = note_end + 2


def signed_heads(directory: Path, vkey: Vkey) -> list[Checkpoint]:
    """Every checkpoint kept, oldest first, the newest last. Raises BadCheckpoint when one is not this key's."""
    notes, _ = notes_of(read_or_none(directory / HISTORY) or b"")
    latest = read_or_none(directory / LATEST)
    heads = [parse_signed(note, vkey) for note in notes]
    if latest is not None:
        heads.append(parse_signed(latest, vkey))
    return sorted(heads, key=lambda head: head.size)


def newest_head(directory: Path, vkey: Vkey) -> Checkpoint | None:
    """The largest of the newest checkpoint and the last of the history: a crash may come between the two."""
    notes, _ = notes_of(read_or_none(directory / HISTORY) or b"")
    candidates = [*notes[-1:], *([latest] if (latest := read_or_none(directory / LATEST)) is not None else [])]
    heads = [parse_signed(note, vkey) for note in candidates]
    sizes = {head.size: head.root for head in heads}
    if any(sizes[head.size] != head.root for head in heads):
        raise BadCheckpoint("two signed checkpoints of one size differ: the log was forked")
    return max(heads, key=lambda head: head.size, default=None)
