import random
from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audit.batch import (
    HEADER_BYTES,
    MAGIC,
    SECTOR_BYTES,
    Batch,
    Broken,
    batch_at,
    batches,
    encode,
    interrupted,
    next_sound,
)
from app.audit.edge import Edge, edge_from
from app.audit.entry import ASIDE, asides_of, fitted
from app.audit.merkle import leaf_hash, root_of
from app.audit.tiles import MAX_ENTRY_BYTES, BadBundle, Tile, bundle, entries_of, full_tiles, partial_tiles


def test_tiles_lie_where_the_specification_says() -> None:
    assert Tile(level=0, index=1_234_067).path == "tile/0/x001/x234/067"
    assert Tile(level=None, index=0).path == "tile/entries/000"
    assert Tile(level=2, index=5, width=17).path == "tile/2/005.p/17"


def test_a_tree_of_70_000_has_the_tiles_of_the_specifications_example() -> None:
    assert [t.path for t in partial_tiles(70_000)] == [
        "tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1", "tile/entries/273.p/112",
    ]  # fmt: skip
    assert sum(1 for t in full_tiles(70_000) if t.level == 0) == 273
    assert [t.path for t in full_tiles(70_000) if t.level == 1] == ["tile/1/000"]
    assert [t.path for t in partial_tiles(256)] == ["tile/1/000.p/1"]
    assert partial_tiles(0) == ()


@given(st.lists(st.binary(max_size=40)))
def test_a_bundle_reads_back(entries: list[bytes]) -> None:
    assert entries_of(bundle(entries)) == entries


def test_a_bundle_that_is_cut_short_is_refused() -> None:
    for cut in range(1, 7):
        with pytest.raises(BadBundle):
            entries_of(bundle([b"abcde"])[:cut])


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 513, 65_536 + 300])
def test_an_edge_knows_the_root_and_can_be_taken_up_from_its_tiles(size: int) -> None:
    entries = [b"%d" % n for n in range(size)]
    edge, store = Edge(), {}
    for start in range(0, size, 1000):
        store.update({tile.path: data for tile, data in edge.extend(entries[start : start + 1000])})
    assert edge.root() == root_of([leaf_hash(e) for e in entries])
    assert set(store) >= {tile.path for tile in full_tiles(size)}
    store.update({tile.path: data for tile, data in edge.partials()})
    again = edge_from(size, lambda tile: store[tile.path])
    assert again is not None
    assert again.root() == edge.root()
    more = [b"more %d" % n for n in range(300)]
    assert [t for t, _ in again.extend(more)] == [t for t, _ in edge.extend(more)]
    assert again.root() == edge.root() == root_of([leaf_hash(e) for e in entries + more])


def test_an_edge_is_not_taken_up_from_a_bundle_that_does_not_fit_its_tile() -> None:
    edge = Edge()
    edge.extend([b"a", b"b"])
    store = {tile.path: data for tile, data in edge.partials()}
    store["tile/entries/000.p/2"] = bundle([b"a", b"c"])
    assert edge_from(2, lambda tile: store[tile.path]) is None


@given(st.lists(st.lists(st.binary(max_size=20), min_size=1, max_size=4), max_size=5))
def test_a_journal_reads_back_batch_by_batch(groups: list[list[bytes]]) -> None:
    data, first = b"", 0
    for group in groups:
        data += encode(first, group)
        first += len(group)
    found = list(batches(lambda offset, count: data[offset : offset + min(count, 16)]))
    assert [list(b.entries) for b in found if isinstance(b, Batch) and b.sound] == groups


def test_every_flipped_bit_of_a_batch_shows() -> None:
    whole = encode(7, [b'{"a":1}', b'{"b":2}'])
    for at in range(len(whole) * 8):
        flipped = bytearray(whole)
        flipped[at // 8] ^= 1 << at % 8
        found = batch_at(bytes(flipped), 0)
        assert isinstance(found, Broken) or not found.sound


def test_every_cut_of_a_batch_is_cut_short() -> None:
    whole = encode(7, [b'{"a":1}', b'{"b":2}'])
    for cut in range(len(whole)):
        found = batch_at(whole[:cut], 0)
        assert isinstance(found, Broken)
        assert found.cut_short


def test_a_whole_batch_behind_a_broken_one_is_found_and_an_entry_cannot_pretend_to_be_one() -> None:
    first, second = encode(0, [b"{}"]), encode(1, [b"{}"])
    assert next_sound(b"garbage" + second, 0) is not None
    assert next_sound(first, 0) is None
    record = {"statement": second.decode("latin-1"), "params": {"1": second.decode("latin-1")}}
    entry, _ = fitted(record)
    assert MAGIC in entry
    assert next_sound(entry, 0) is None


def test_a_large_record_fits_and_its_long_fields_stand_beside_it() -> None:
    asked, run = "a" * 65_536, "\x01" * 65_536
    entry, asides = fitted({"v": 1, "statement": asked, "statement_run": run, "operation": "query_sql"})
    assert len(entry) <= MAX_ENTRY_BYTES
    document = orjson.loads(entry)
    assert document["operation"] == "query_sql"
    refs = asides_of(entry)
    assert {(ref.sha256, ref.size_bytes) for ref in refs} == {(a.sha256, len(a.data)) for a in asides}
    assert document[ASIDE] == ["statement_run"] or document[ASIDE] == ["statement", "statement_run"]
    assert orjson.loads(next(a.data for a in asides if len(a.data) > 200_000)) == run


@given(st.lists(st.integers(0, 70_000), max_size=8), st.integers(0, 2**32))
def test_records_of_any_shape_fit(sizes: list[int], seed: int) -> None:
    letters = random.Random(seed)
    record = {f"field{n}": letters.choice(["é", "\ud800", "x", "\x00"]) * size for n, size in enumerate(sizes)}
    entry, asides = fitted(record)
    assert len(entry) <= MAX_ENTRY_BYTES
    assert len(asides_of(entry)) == len(asides)


def test_a_caller_cannot_make_an_entry_point_beside_the_log() -> None:
    with pytest.raises(ValueError, match="own field"):
        fitted({ASIDE: ["params"]})
    entry, _ = fitted({"params": {"aside": ["x"], "x": {"sha256": "0" * 64, "bytes": 1}}})
    assert asides_of(entry) == ()


def test_an_altered_entry_cannot_lead_out_of_the_directory() -> None:
    with pytest.raises(ValueError, match="digest"):
        asides_of(b'{"aside":["x"],"x":{"bytes":1,"sha256":"../../etc/passwd"}}')
    with pytest.raises(ValueError):
        asides_of(b'{"aside":["x"]}')


ROOM = bytes(5_000)
LONG = [b'{"n":"' + b"x" * 700 + b'"}'] * 4


def read_of(data: bytes) -> Callable[[int, int], bytes]:
    return lambda offset, count: data[offset : offset + count]


@given(st.lists(st.lists(st.binary(max_size=20), min_size=1, max_size=4), max_size=5), st.integers(0, 3_000))
def test_room_behind_the_last_batch_is_no_batch_and_no_damage(groups: list[list[bytes]], room: int) -> None:
    data, first = b"", 0
    for group in groups:
        data += encode(first, group)
        first += len(group)
    found = list(batches(read_of(data + bytes(room))))
    assert [list(b.entries) for b in found if isinstance(b, Batch) and b.sound] == groups
    assert not [b for b in found if isinstance(b, Broken)]


def test_what_is_behind_the_room_is_damage() -> None:
    found = list(batches(read_of(encode(0, [b"{}"]) + ROOM + b"x")))
    assert isinstance(found[-1], Broken)


def test_a_log_that_grew_into_its_room_while_it_was_read_is_read_on() -> None:
    whole = encode(0, [b"{}"]) + encode(1, [b"{}"])
    first = len(encode(0, [b"{}"]))
    reads: list[int] = []

    def read(offset: int, count: int) -> bytes:
        reads.append(offset)
        seen = whole[:first] + bytes(len(whole) - first) if len(reads) == 1 else whole
        return (seen + ROOM)[offset : offset + count]

    assert [b.first for b in batches(read) if isinstance(b, Batch) and b.sound] == [0, 1]


@pytest.mark.parametrize("offset", [0, 1, 300, 511, 512, 1_000])
def test_a_write_of_which_a_sector_never_came_was_interrupted(offset: int) -> None:
    whole = encode(7, LONG)
    ends = [*range(SECTOR_BYTES - offset % SECTOR_BYTES, len(whole), SECTOR_BYTES), len(whole)]
    start = 0
    for end in ends:
        lost = whole[:start] + bytes(end - start) + whole[end:]
        assert interrupted(lost + ROOM, offset), (start, end)
        start = end
    assert not interrupted(whole + ROOM, offset)


@given(st.integers(0, 600), st.data())
def test_a_write_that_came_whole_and_was_changed_later_was_not_interrupted(offset: int, data: st.DataObject) -> None:
    whole = encode(7, LONG)
    at = data.draw(st.integers(HEADER_BYTES, len(whole) - 1))
    changed = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255)) or 1]) + whole[at + 1 :]
    assert not interrupted(changed + ROOM, offset)


def test_a_write_that_the_end_of_the_file_cuts_was_interrupted() -> None:
    whole = encode(7, LONG)
    assert all(interrupted(whole[:cut], 0) for cut in range(len(whole)))
