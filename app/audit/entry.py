"""How a record becomes a log entry: canonical bytes, at most 65,535 of them (tlog-tiles).

Of a larger record the longest fields move aside: in their place stands their digest, and `aside` names them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from app.audit.canonical import canonical, canonical_of_anything, recordable
from app.audit.tiles import MAX_ENTRY_BYTES

ASIDE = "aside"
_WORTH_MOVING_BYTES = 512


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
    slim: dict[str, Any] = recordable(document)
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
