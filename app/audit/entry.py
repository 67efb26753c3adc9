"""What a record says, and how it fits into a log entry.

Absent facts are left out. An entry has at most 65,535 bytes (tlog-tiles); of a larger one the longest fields move
aside: in their place stands their digest, and `aside` names them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

import orjson

from app.audit.canonical import canonical, canonical_of_anything
from app.audit.tiles import MAX_ENTRY_BYTES

VERSION = 1
ASIDE = "aside"
_WORTH_MOVING_BYTES = 512


class Outcome(StrEnum):
    """How a request left. `intended` is the record before an effect; the entry that closes it names its index."""

    INTENDED = "intended"
    COMPLETED = "completed"
    PENDING_APPROVAL = "pending_approval"
    DENIED = "denied"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNAUTHENTICATED = "unauthenticated"
    INVALID = "invalid"


def record(
    *,
    time: str,
    trace_id: str,
    operation: str,
    outcome: Outcome,
    status: int | None = None,
    code: str | None = None,
    method: str | None = None,
    path: str | None = None,
    session: str | None = None,
    issuer: str | None = None,
    principal: str | None = None,
    actor: str | None = None,
    actor_chain: Sequence[str] = (),
    client: str | None = None,
    token_id: str | None = None,
    connection: str | None = None,
    action: str | None = None,
    resources: Sequence[str] = (),
    labels: Sequence[str] = (),
    masks: Sequence[str] = (),
    effect: str | None = None,
    rules: Sequence[str] = (),
    policy_version: str | None = None,
    statement_asked: str | None = None,
    statement_run: str | None = None,
    params: Any = None,
    unmask: Sequence[str] = (),
    purpose: str | None = None,
    approval_id: str | None = None,
    rows: int | None = None,
    bytes_out: int | None = None,
    duration_us: int | None = None,
    answer_sha256: str | None = None,
    intent: int | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    """The document of one entry. `time` is UTC in RFC 3339; `rules` are `file:line`; `reason` is a stable word
    (why a token was refused, which limit stopped a read)."""
    document: dict[str, Any] = {
        "v": VERSION,
        "time": time,
        "trace_id": trace_id,
        "operation": operation,
        "outcome": outcome.value,
    }
    for name, fact in (
        ("status", status),
        ("code", code),
        ("method", method),
        ("path", path),
        ("session", session),
        ("issuer", issuer),
        ("principal", principal),
        ("actor", actor),
        ("client", client),
        ("token_id", token_id),
        ("connection", connection),
        ("action", action),
        ("effect", effect),
        ("policy_version", policy_version),
        ("statement_asked", statement_asked),
        ("statement_run", statement_run),
        ("params", params),
        ("purpose", purpose),
        ("approval_id", approval_id),
        ("rows", rows),
        ("bytes", bytes_out),
        ("duration_us", duration_us),
        ("answer_sha256", answer_sha256),
        ("intent", intent),
        ("reason", reason),
    ):
        if fact is not None:
            document[name] = fact
    for name, several in (
        ("actor_chain", actor_chain),
        ("resources", resources),
        ("labels", labels),
        ("masks", masks),
        ("rules", rules),
        ("unmask", unmask),
    ):
        if several:
            document[name] = list(several)
    return document


@dataclass(frozen=True, slots=True)
class Aside:
    """A field's canonical bytes, stored beside the log under their digest."""

    sha256: str
    data: bytes

    @property
    def path(self) -> str:
        return aside_path(self.sha256)


@dataclass(frozen=True, slots=True)
class AsideRef:
    sha256: str
    size_bytes: int


def aside_path(digest: str) -> str:
    return f"aside/{digest[:2]}/{digest}"


def fitted(document: Mapping[str, Any]) -> tuple[bytes, tuple[Aside, ...]]:
    """The entry's bytes, and what moved aside for them to fit. Any value can be recorded (see canonical)."""
    if ASIDE in document:
        raise ValueError("`aside` is the log's own field")
    data = canonical_of_anything(document)
    if len(data) <= MAX_ENTRY_BYTES:
        return data, ()
    return _moved(document)


def _moved(document: Mapping[str, Any]) -> tuple[bytes, tuple[Aside, ...]]:
    slim: dict[str, Any] = orjson.loads(canonical_of_anything(document))
    fields = {name: canonical(slim[name]) for name in slim}
    moved: list[Aside] = []
    names: list[str] = []
    for name in sorted(fields, key=lambda n: len(fields[n]), reverse=True):
        if len(fields[name]) < _WORTH_MOVING_BYTES:
            break
        aside = Aside(sha256(fields[name]).hexdigest(), fields[name])
        slim[name] = {"sha256": aside.sha256, "bytes": len(aside.data)}
        moved.append(aside)
        names.append(name)
        slim[ASIDE] = sorted(names)
        data = canonical(slim)
        if len(data) <= MAX_ENTRY_BYTES:
            return data, tuple(moved)
    raise ValueError("an entry has too many fields to fit")


_ASIDE_KEY = b'"aside":['
_DIGEST = re.compile(r"[0-9a-f]{64}")


def asides_of(entry: bytes) -> tuple[AsideRef, ...]:
    """What an entry keeps beside the log. Raises ValueError when the entry is no record of this version."""
    if _ASIDE_KEY not in entry:
        return ()
    document = orjson.loads(entry)
    names = document.get(ASIDE, ())
    try:
        refs = [document[name] for name in names]
        found = tuple(AsideRef(str(ref["sha256"]), int(ref["bytes"])) for ref in refs)
    except (KeyError, TypeError, AttributeError):
        raise ValueError("`aside` names a field that has no digest") from None
    if not all(_DIGEST.fullmatch(ref.sha256) for ref in found):  # it becomes a path
        raise ValueError("`aside` names a field whose digest is none")
    return found
