"""The C2SP tlog-tiles layout: where a tile or entry bundle lives, and what its bytes are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

TILE_WIDTH = 256
TILE_HEIGHT = 8
MAX_ENTRY_BYTES = 65_535


class BadBundle(ValueError):  # noqa: N818 - a refusal of bytes
    """Bytes that are no sequence of length-prefixed entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """`width` 256 is a full tile; `level` None is an entry bundle."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        kind = "entries" if self.level is None else str(self.level)
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{kind}/{_number(self.index)}{partial}"


def _number(index: int) -> str:
    groups = [f"{index % 1000:03d}"]
    while index >= 1000:
        index //= 1000
        groups.append(f"x{index % 1000:03d}")
    return "/".join(reversed(groups))


def full_tiles(size: int) -> Iterator[Tile]:
    """Every full hash tile of a tree of that size, lowest level first."""
    level, width = 0, size
    while width >= TILE_WIDTH:
        width //= TILE_WIDTH
        yield from (Tile(level=level, index=index) for index in range(width))
        level += 1


def partial_tiles(size: int) -> tuple[Tile, ...]:
    """The partial tiles, and the partial bundle, that a checkpoint of that size needs."""
    found: list[Tile] = []
    level, hashes = 0, size
    while hashes:
        if hashes % TILE_WIDTH:
            found.append(Tile(level=level, index=hashes // TILE_WIDTH, width=hashes % TILE_WIDTH))
        level, hashes = level + 1, hashes // TILE_WIDTH
    if size % TILE_WIDTH:
        found.append(Tile(level=None, index=size // TILE_WIDTH, width=size % TILE_WIDTH))
    return tuple(found)


def framed(entry: bytes) -> bytes:
    """One entry of a bundle."""
    return len(entry).to_bytes(2, "big") + entry


def bundle(entries: Sequence[bytes]) -> bytes:
    return b"".join(map(framed, entries))


def entries_of(data: bytes) -> list[bytes]:
    """The entries of a bundle; raises BadBundle unless they fill it exactly."""
    found: list[bytes] = []
    at, end = 0, len(data)
    while at < end:
        start = at + 2
        at = start + (data[at] << 8 | data[at + 1]) if start <= end else end + 1
        if at > end:
            raise BadBundle("an entry is cut short")
        found.append(data[start:at])
    return found
