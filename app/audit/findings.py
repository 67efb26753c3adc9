"""What is wrong with a log, as values: which entry first, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.audit.merkle import HASH_BYTES


class Problem(StrEnum):
    ALTERED = "altered"
    DROPPED = "dropped"
    INSERTED = "inserted"
    REORDERED = "reordered"
    TRUNCATED = "truncated"
    FORKED = "forked"
    UNSIGNED = "unsigned"
    """A checkpoint that is missing, malformed or not signed by the key."""
    ASIDE = "aside"
    """A field stored beside the log is missing or altered; the entry itself is whole."""
    DERIVED = "derived"
    """A tile or bundle differs from the journal it was made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`index` is the first bad entry; `until` is set where only a range [index, until) can be told."""

    problem: Problem
    index: int | None
    text: str
    until: int | None = None


def difference(signed: bytes, found: bytes) -> Finding | None:
    """The first difference between the leaf hashes that were signed and those of the entries that are there."""
    if found[: len(signed)] == signed:
        return None
    signed_count, found_count = len(signed) // HASH_BYTES, len(found) // HASH_BYTES
    index = _first_difference(signed, found, min(signed_count, found_count))
    if index == found_count:
        return Finding(
            problem=Problem.TRUNCATED, index=index, text=f"entries {index} to {signed_count - 1} are signed but missing"
        )
    was, now = _leaf(signed, index), _leaf(found, index)
    was_elsewhere = was in _leaves(found, index + 1)
    now_elsewhere = now in _leaves(signed, index + 1)
    match was_elsewhere, now_elsewhere:
        case True, True:
            return Finding(problem=Problem.REORDERED, index=index, text=f"entry {index} was signed at another place")
        case True, False:
            return Finding(problem=Problem.INSERTED, index=index, text=f"entry {index} was never signed")
        case False, True:
            return Finding(problem=Problem.DROPPED, index=index, text=f"entry {index} is missing, later ones are there")
        case _:
            return Finding(problem=Problem.ALTERED, index=index, text=f"entry {index} is not what was signed")


def _first_difference(signed: bytes, found: bytes, count: int) -> int:
    low, high = 0, count
    while low < high:  # the longest equal prefix
        middle = (low + high + 1) // 2
        if signed[low * HASH_BYTES : middle * HASH_BYTES] == found[low * HASH_BYTES : middle * HASH_BYTES]:
            low = middle
        else:
            high = middle - 1
    return low


def _leaf(leaves: bytes, index: int) -> bytes:
    return leaves[index * HASH_BYTES : (index + 1) * HASH_BYTES]


def _leaves(leaves: bytes, start: int) -> frozenset[bytes]:
    return frozenset(leaves[at : at + HASH_BYTES] for at in range(start * HASH_BYTES, len(leaves), HASH_BYTES))


def first_bad(findings: Sequence[Finding]) -> Finding | None:
    """The finding to name first: the lowest entry, and among equals what concerns the entry itself."""
    order = list(Problem)
    return min(
        findings,
        key=lambda f: (f.index is None, f.index or 0, order.index(f.problem)),
        default=None,
    )
