"""Checks a log against its signed tree heads, given nothing but bytes: names the first entry that is bad, and how.

The heads are the caller's to trust: every one was parsed under the log's public key. The journal, or where there is
none (an export) the entry bundles, says what is there; leaf tiles are believed only where a signed root bears them out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from app.audit.batch import HEADER_BYTES, Batch, Broken, Read, batches, interrupted, next_sound
from app.audit.checkpoint import Checkpoint
from app.audit.entry import aside_path, asides_of
from app.audit.findings import Finding, Problem, difference
from app.audit.merkle import EMPTY_ROOT, HASH_BYTES, CompactRange
from app.audit.tiles import TILE_WIDTH, BadBundle, Tile, bundle, entries_of, partial_tiles

Progress = Callable[[int, int], None]
"""(entries read, entries expected), about every ten thousand."""

_PROGRESS_EVERY = 10_000
_SALVAGE_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """`journal` None: the entries come from the bundles. `tile` and `beside` answer None for what is not there."""

    journal: Read | None
    tile: Callable[[Tile], bytes | None]
    beside: Callable[[str], bytes | None]
    heads: Sequence[Checkpoint]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`covered` entries are proven by the largest head; `uncovered` ones are durable but not signed yet."""

    covered: int
    uncovered: int
    torn_at: int | None
    """Offset of a batch that is cut short at the very end: being written, or never acknowledged."""
    findings: tuple[Finding, ...]


def verify(sources: Sources, progress: Progress | None = None) -> Verdict:
    heads = sorted(sources.heads, key=lambda head: head.size)
    signed = heads[-1].size if heads else 0
    reading = _Reading(sources, signed, progress or (lambda _done, _expected: None))
    roots = reading.roots_at({head.size for head in heads})
    return Verdict(
        covered=min(signed, reading.count),
        uncovered=max(0, reading.count - signed),
        torn_at=reading.torn_at,
        findings=_told(tuple(_against(heads, roots, reading, sources)), reading.findings),
    )


def _told(against_heads: tuple[Finding, ...], on_the_way: Sequence[Finding]) -> tuple[Finding, ...]:
    """Without what another finding explains: the frame around an altered entry, tiles that no longer fit it."""
    exact = {found.index for found in against_heads if found.until is None and found.index is not None}
    told = [
        found
        for found in on_the_way
        if not any(found.until is not None and (found.index or 0) <= index < found.until for index in exact)
    ]
    if against_heads or any(found.problem is Problem.ALTERED for found in told):
        told = [found for found in told if found.problem is not Problem.DERIVED]
    return (*against_heads, *told)


def _against(
    heads: Sequence[Checkpoint], roots: dict[int, bytes], reading: "_Reading", sources: Sources
) -> Iterator[Finding]:
    """The first head that the entries do not bear out, and the entry that breaks it."""
    broken = next((head for head in heads if roots.get(head.size) != head.root), None)
    if broken is None:
        return
    agreed = max((head.size for head in heads if head.size < broken.size), default=0)
    signed_leaves = _signed_leaves(heads, sources)
    if signed_leaves is not None and (found := difference(signed_leaves, bytes(reading.leaves))) is not None:
        yield found
        return
    later_agrees = any(roots.get(head.size) == head.root for head in heads if head.size >= broken.size)
    if later_agrees:
        text = f"two signed checkpoints disagree about the entries from {agreed} to {broken.size - 1}"
        yield Finding(problem=Problem.FORKED, index=agreed, until=broken.size, text=text)
    elif reading.count < broken.size:
        text = f"{broken.size} entries are signed, {reading.count} are there"
        yield Finding(problem=Problem.TRUNCATED, index=reading.count, text=text)
    else:
        text = f"an entry from {agreed} to {broken.size - 1} is not what was signed"
        yield Finding(problem=Problem.ALTERED, index=agreed, until=broken.size, text=text)


def _signed_leaves(heads: Sequence[Checkpoint], sources: Sources) -> bytes | None:
    """The leaf hashes below the largest head whose root the leaf tiles give."""
    for head in reversed(heads):
        leaves = bytearray()
        tree = CompactRange()
        for tile in _leaf_tiles(head.size):
            leaves += (_tile_or_full(sources, tile) or b"")[: tile.width * HASH_BYTES]
        for at in range(0, len(leaves), HASH_BYTES):
            tree.append(bytes(leaves[at : at + HASH_BYTES]))
        if tree.size == head.size and tree.root() == head.root:
            return bytes(leaves)
    return None


def _leaf_tiles(size: int) -> Iterator[Tile]:
    yield from (Tile(level=0, index=index) for index in range(size // TILE_WIDTH))
    if size % TILE_WIDTH:
        yield Tile(level=0, index=size // TILE_WIDTH, width=size % TILE_WIDTH)


@dataclass(slots=True)
class _Reading:
    """One pass over the entries: leaf hashes, roots where they are asked for, and what is wrong on the way."""

    sources: Sources
    signed: int
    progress: Progress
    leaves: bytearray = field(default_factory=bytearray)
    findings: list[Finding] = field(default_factory=list)
    torn_at: int | None = None
    _run: list[bytes] = field(default_factory=list)
    _tiles: list[bytearray] = field(default_factory=list)
    _tree: CompactRange = field(default_factory=CompactRange)

    @property
    def count(self) -> int:
        return self._tree.size

    def roots_at(self, sizes: set[int]) -> dict[int, bytes]:
        roots = {0: EMPTY_ROOT}
        wanted = iter([*sorted(sizes - {0}), -1])
        stop = next(wanted)
        tree, leaves, run = self._tree, self.leaves, self._run
        for entries in self._batches():
            for entry in entries:
                leaf = sha256(b"\x00" + entry).digest()
                leaves += leaf
                run.append(entry)
                tree.append(leaf)
                if b'"aside":[' in entry:
                    self._check_aside(entry, tree.size - 1)
                if not tree.size % TILE_WIDTH:
                    self._check_tiles()
                if tree.size == stop:
                    roots[stop] = tree.root()
                    self._check_partials()
                    stop = next(wanted)
                if not tree.size % _PROGRESS_EVERY:
                    self.progress(tree.size, max(self.signed, tree.size))
        self.progress(tree.size, tree.size)
        return roots

    def _batches(self) -> Iterator[Sequence[bytes]]:
        journal = self.sources.journal
        if journal is None:
            yield from self._bundles()
            return
        offset: int | None = 0
        while offset is not None:
            start, offset = offset, None
            for found in batches(journal, start):
                match found:
                    case Batch(sound=True) if found.first == self.count:
                        yield found.entries
                    case _ if self._torn(found, journal):
                        return
                    case Batch():
                        self._frame(len(found.entries))
                        yield found.entries
                    case Broken():
                        entries, offset = self._broken(found, journal)
                        yield entries

    def _torn(self, found: Batch | Broken, journal: Read) -> bool:
        """Nothing behind it was ever durable, nothing signed reaches into it, and part of it never came to the disk."""
        if self.count < self.signed:
            return False
        rest = journal(found.offset, _SALVAGE_BYTES)
        if next_sound(rest, self.count) is not None or not interrupted(rest, found.offset):
            return False
        self.torn_at = found.offset
        return True

    def _broken(self, found: Broken, journal: Read) -> tuple[Sequence[bytes], int | None]:
        """What can still be told apart behind a frame that cannot be read, and where the next whole one starts."""
        rest = journal(found.offset, _SALVAGE_BYTES)
        following = next_sound(rest, self.count)
        end = len(rest.rstrip(b"\0")) if following is None else following.offset
        entries = _salvaged(rest[HEADER_BYTES:end])
        self._frame(max(1, len(entries)))
        return entries, None if following is None else found.offset + following.offset

    def _bundles(self) -> Iterator[Sequence[bytes]]:
        for leaf_tile in _leaf_tiles(self.signed):
            data = _tile_or_full(self.sources, Tile(level=None, index=leaf_tile.index, width=leaf_tile.width))
            if data is None:
                return
            try:
                yield entries_of(data)[: leaf_tile.width]
            except BadBundle:
                entries = _salvaged(data)[: leaf_tile.width]
                self._frame(max(1, len(entries)))
                yield entries

    def _frame(self, entries: int) -> None:
        text = f"the frame around the entries from {self.count} on is not what was written"
        self._found(Problem.ALTERED, self.count, text, until=self.count + entries)

    def _check_aside(self, entry: bytes, index: int) -> None:
        try:
            refs = asides_of(entry)
        except ValueError:
            self._found(Problem.ASIDE, index, f"entry {index} names fields beside the log that it does not have")
            return
        for ref in refs:
            data = self.sources.beside(aside_path(ref.sha256))
            if data is None:
                self._found(Problem.ASIDE, index, f"a field of entry {index}, kept beside the log, is missing")
            elif len(data) != ref.size_bytes or sha256(data).hexdigest() != ref.sha256:
                self._found(Problem.ASIDE, index, f"a field of entry {index}, kept beside the log, was altered")

    def _check_tiles(self) -> None:
        """At every full tile: what was derived from these entries must still say the same."""
        index = self.count // TILE_WIDTH - 1
        if self.sources.journal is not None:
            self._compare(Tile(level=None, index=index), bundle(self._run))
        level, hashes = 0, bytes(self.leaves[index * TILE_WIDTH * HASH_BYTES :])
        while True:
            self._compare(Tile(level=level, index=index), hashes)
            while len(self._tiles) <= level:
                self._tiles.append(bytearray())
            self._tiles[level] += _root(hashes)
            if len(self._tiles[level]) < TILE_WIDTH * HASH_BYTES:
                break
            hashes = bytes(self._tiles[level])
            self._tiles[level].clear()
            level, index = level + 1, index // TILE_WIDTH
        self._run.clear()

    def _check_partials(self) -> None:
        for tile in partial_tiles(self.count):
            if tile.level is None:
                if self.sources.journal is not None:
                    self._compare(tile, bundle(self._run))
            elif tile.level == 0:
                self._compare(tile, bytes(self.leaves[tile.index * TILE_WIDTH * HASH_BYTES :]))
            else:
                self._compare(tile, bytes(self._tiles[tile.level - 1]))

    def _compare(self, tile: Tile, expected: bytes) -> None:
        data = self.sources.tile(tile)
        if data is not None and data != expected:
            start = tile.index * TILE_WIDTH ** (1 + (tile.level or 0))
            self._found(Problem.DERIVED, start, f"{tile.path} differs from the entries it was made of")

    def _found(self, problem: Problem, index: int, text: str, until: int | None = None) -> None:
        if len(self.findings) < _MAX_FINDINGS:
            self.findings.append(Finding(problem=problem, index=index, text=text, until=until))


_MAX_FINDINGS = 1000


def _tile_or_full(sources: Sources, tile: Tile) -> bytes | None:
    """A partial tile may be gone once the full one is there, which starts with the same bytes."""
    data = sources.tile(tile)
    if data is None and tile.width < TILE_WIDTH:
        return sources.tile(Tile(level=tile.level, index=tile.index))
    return data


def _root(hashes: bytes) -> bytes:
    tree = CompactRange()
    for at in range(0, len(hashes), HASH_BYTES):
        tree.append(hashes[at : at + HASH_BYTES])
    return tree.root()


def _salvaged(data: bytes) -> list[bytes]:
    """Entries as far as their length prefixes lead; where they lead astray, the hashes will tell."""
    found: list[bytes] = []
    at = 0
    while at + 2 <= len(data):
        end = at + 2 + (data[at] << 8 | data[at + 1])
        found.append(data[at + 2 : end])
        at = end
    return found
