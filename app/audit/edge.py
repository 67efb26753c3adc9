"""The right edge of a tiled log: what a writer keeps in memory, and the tiles that each entry completes.

Memory and time per entry do not depend on the length of the log. An edge is rebuilt from the partial tiles of a
checkpoint; whoever does that compares `root()` with the signed one.
"""

from collections.abc import Callable, Iterable, Sequence

from app.audit.merkle import HASH_BYTES, CompactRange, leaf_hash, root_of
from app.audit.tiles import TILE_HEIGHT, TILE_WIDTH, BadBundle, Tile, bundle, entries_of, partial_tiles

Written = tuple[Tile, bytes]


class Edge:
    __slots__ = ("_entries", "_levels", "size")

    def __init__(self) -> None:
        self.size = 0
        self._levels: list[list[bytes]] = [[]]
        self._entries: list[bytes] = []

    def extend(self, entries: Sequence[bytes]) -> list[Written]:
        """Takes the next entries; answers the full tiles and bundles they complete (mostly none)."""
        done: list[Written] = []
        at = 0
        while at < len(entries):
            chunk = entries[at : at + TILE_WIDTH - self.size % TILE_WIDTH]
            self._entries.extend(chunk)
            self._levels[0].extend(leaf_hashes(chunk))
            self.size += len(chunk)
            at += len(chunk)
            if self.size % TILE_WIDTH == 0:
                done.extend(self._completed())
        return done

    def _completed(self) -> list[Written]:
        index = self.size // TILE_WIDTH - 1
        done: list[Written] = [(Tile(level=None, index=index), bundle(self._entries))]
        self._entries.clear()
        level = 0
        while len(hashes := self._levels[level]) == TILE_WIDTH:
            done.append((Tile(level=level, index=index), b"".join(hashes)))
            if level + 1 == len(self._levels):
                self._levels.append([])
            self._levels[level + 1].append(root_of(hashes))
            hashes.clear()
            level, index = level + 1, index // TILE_WIDTH
        return done

    def root(self) -> bytes:
        tree = CompactRange()
        for level in range(len(self._levels) - 1, -1, -1):
            for subtree in self._levels[level]:
                tree.append_subtree(subtree, level * TILE_HEIGHT)
        return tree.root()

    def partials(self) -> tuple[Written, ...]:
        """The partial tiles and the partial bundle that a checkpoint of this size needs."""
        return tuple(
            (tile, bundle(self._entries) if tile.level is None else b"".join(self._levels[tile.level]))
            for tile in partial_tiles(self.size)
        )


def edge_from(size: int, read: Callable[[Tile], bytes]) -> Edge | None:
    """The edge of a checkpoint from its partial tiles; None when they do not fit together."""
    edge = Edge()
    edge.size = size
    for tile in partial_tiles(size):
        data = read(tile)
        if tile.level is None:
            try:
                edge._entries = entries_of(data)
            except BadBundle:
                return None
            continue
        while len(edge._levels) <= tile.level:
            edge._levels.append([])
        edge._levels[tile.level] = hashes_of(data)
        if len(data) != tile.width * HASH_BYTES:
            return None
    return edge if edge._levels[0] == leaf_hashes(edge._entries) else None


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    return [leaf_hash(entry) for entry in entries]


def hashes_of(tile: bytes) -> list[bytes]:
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]
