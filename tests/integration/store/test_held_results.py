import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from stored_approvals import at

from app.ports import HeldResults
from app.store.approvals import ApprovalStore
from app.store.held import CHUNK_BYTES, HeldStore
from app.store.sealed import Seal

KEY = bytes(range(32))
LONG = bytes(range(256)) * (CHUNK_BYTES // 256) * 3 + b"the end"
EXPIRES = at(60)


@pytest.fixture
async def held(opened: ApprovalStore) -> HeldStore:
    return HeldStore(opened.engine, KEY)


async def change(opened: ApprovalStore, sql: str, **values: Any) -> None:
    async with opened.engine.execution_options(writes=True).begin() as connection:
        await connection.execute(text(sql), values)


async def rows(opened: ApprovalStore) -> list[Any]:
    async with opened.engine.connect() as connection:
        return list((await connection.execute(text("SELECT * FROM held_results ORDER BY approval_id, number"))).all())


@pytest.mark.parametrize(
    "pieces",
    [[], [b""], [b"x"], [b"a", b"", b"b" * 1000], [LONG], [LONG[:CHUNK_BYTES]], [LONG[: CHUNK_BYTES + 1], LONG]],
)
async def test_what_is_held_comes_back_byte_for_byte(held: HeldResults, pieces: list[bytes]) -> None:
    await held.hold("apr_1", iter(pieces), expires_at=EXPIRES)
    assert await held.take("apr_1") == b"".join(pieces)
    assert await held.take("apr_1") == b"".join(pieces), "taking destroys nothing"


async def test_nothing_of_it_can_be_read_in_the_database(opened: ApprovalStore, held: HeldStore) -> None:
    await held.hold("apr_1", [b"ana@example.org " * 100], expires_at=EXPIRES)
    assert b"ana@example.org" not in b"".join(bytes(row.body) for row in await rows(opened))
    assert await HeldStore(opened.engine, bytes(32)).take("apr_1") is None, "another key"


async def test_the_same_result_is_never_sealed_the_same_way(opened: ApprovalStore, held: HeldStore) -> None:
    await held.hold("apr_1", [LONG], expires_at=EXPIRES)
    await held.hold("apr_2", [LONG], expires_at=EXPIRES)
    found = await rows(opened)
    assert len({bytes(row.nonce) for row in found}) == len({bytes(row.body) for row in found}) == 8


async def test_a_second_one_replaces_the_first_whole(opened: ApprovalStore, held: HeldStore) -> None:
    await held.hold("apr_1", [LONG], expires_at=EXPIRES)
    await held.hold("apr_1", [b"short"], expires_at=EXPIRES)
    assert await held.take("apr_1") == b"short"
    assert len(await rows(opened)) == 1


async def test_two_that_hold_at_once_leave_one_that_is_whole(opened: ApprovalStore, held: HeldStore) -> None:
    contents = [bytes([n]) * (CHUNK_BYTES * 2) for n in range(6)]

    await asyncio.gather(*(held.hold("apr_1", [content], expires_at=EXPIRES) for content in contents))
    assert await held.take("apr_1") in contents


async def test_destroyed_is_gone(opened: ApprovalStore, held: HeldStore) -> None:
    await held.hold("apr_1", [LONG], expires_at=EXPIRES)
    await held.hold("apr_2", [b"other"], expires_at=EXPIRES)
    await held.destroy("apr_1")
    await held.destroy("apr_unknown")
    assert await held.take("apr_1") is None
    assert await held.take("apr_2") == b"other"
    assert {row.approval_id for row in await rows(opened)} == {"apr_2"}


async def test_destroyed_is_gone_from_the_file_as_well(tmp_path: Path) -> None:
    async with ApprovalStore.open(f"sqlite:///{tmp_path}/douane.db") as opened:
        held = HeldStore(opened.engine, KEY)
        await held.hold("apr_1", [LONG], expires_at=EXPIRES)
        sealed = [bytes(row.body) for row in await rows(opened)]
        await held.destroy("apr_1")
    with closing(sqlite3.connect(tmp_path / "douane.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file = (tmp_path / "douane.db").read_bytes()
    assert not any(body[:64] in file or body[-64:] in file for body in sealed)


async def test_expired_ones_are_destroyed_and_counted(held: HeldStore) -> None:
    await held.hold("apr_1", [LONG], expires_at=at(10))
    await held.hold("apr_2", [b"x"], expires_at=at(20))
    await held.hold("apr_3", [b"x"], expires_at=at(30))
    assert await held.destroy_expired(at(9, 59)) == 0
    assert await held.destroy_expired(at(20)) == 2
    assert await held.take("apr_1") is None
    assert await held.take("apr_3") == b"x"


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM held_results WHERE number = 3",
        "DELETE FROM held_results WHERE number = 0",
        "DELETE FROM held_results WHERE number = 1",
        "UPDATE held_results SET number = CASE number WHEN 0 THEN 10 WHEN 1 THEN 11 ELSE number END, chunks = 20",
        "UPDATE held_results SET chunks = 3 WHERE number < 3",
        "UPDATE held_results SET nonce = (SELECT nonce FROM held_results h WHERE h.number = 2) WHERE number = 1",
        "UPDATE held_results SET body = (SELECT body FROM held_results h WHERE h.number = 2) WHERE number = 1",
        "UPDATE held_results SET held_id = nonce",
        "UPDATE held_results SET approval_id = 'apr_1' WHERE approval_id = 'apr_2' AND number > 3",
    ],
)
async def test_nothing_damaged_cut_or_reordered_is_given_out(
    opened: ApprovalStore, held: HeldStore, damage: str
) -> None:
    await held.hold("apr_1", [LONG], expires_at=EXPIRES)
    await held.hold("apr_2", [LONG * 2], expires_at=EXPIRES)
    damage = damage if "apr_2" in damage else damage.replace(" h WHERE", " h WHERE h.approval_id = 'apr_1' AND")
    if "apr_2" not in damage:
        damage += " AND approval_id = 'apr_1'" if "WHERE" in damage.split(")")[-1] else " WHERE approval_id = 'apr_1'"
    await change(opened, damage)
    assert await held.take("apr_1") is None


async def test_chunks_that_changed_places_are_not_given_out(opened: ApprovalStore, held: HeldStore) -> None:
    await held.hold("apr_1", [LONG], expires_at=EXPIRES)
    for before, after in ((0, 9), (1, 0), (9, 1)):
        await change(
            opened,
            "UPDATE held_results SET number = :after, chunks = 20 WHERE number = :before",
            before=before, after=after,
        )  # fmt: skip
    await change(opened, "UPDATE held_results SET chunks = 4")
    assert await held.take("apr_1") is None


async def test_a_result_that_was_cut_does_not_pass_for_a_shorter_one(opened: ApprovalStore, held: HeldStore) -> None:
    await held.hold("apr_1", [LONG], expires_at=EXPIRES)
    await change(opened, "DELETE FROM held_results WHERE number = 3")
    await change(opened, "UPDATE held_results SET chunks = 3")
    assert await held.take("apr_1") is None


def test_what_is_sealed_for_one_purpose_opens_for_no_other() -> None:
    nonce, body = Seal(KEY, "one").close(b"content", (b"place",))
    assert Seal(KEY, "one").open(nonce, body, (b"place",)) == b"content"
    assert Seal(KEY, "two").open(nonce, body, (b"place",)) is None
    assert Seal(KEY, "one").open(nonce, body, (b"pla", b"ce")) is None
    assert Seal(KEY, "one").open(b"", body, (b"place",)) is None


async def test_one_bit_is_enough_to_give_nothing_out(opened: ApprovalStore, held: HeldStore) -> None:
    await held.hold("apr_1", [b"secret"], expires_at=EXPIRES)
    body = bytearray((await rows(opened))[0].body)
    body[0] ^= 1
    await change(opened, "UPDATE held_results SET body = :body", body=bytes(body))
    assert await held.take("apr_1") is None


async def test_a_result_of_another_approval_is_not_given_out(opened: ApprovalStore, held: HeldStore) -> None:
    await held.hold("apr_1", [b"of another"], expires_at=EXPIRES)
    await change(opened, "UPDATE held_results SET approval_id = 'apr_2'")
    assert await held.take("apr_2") is None


async def test_chunks_of_an_earlier_result_of_the_same_approval_do_not_mix_in(
    opened: ApprovalStore, held: HeldStore
) -> None:
    await held.hold("apr_1", [b"a" * CHUNK_BYTES * 2], expires_at=EXPIRES)
    old = (await rows(opened))[1]
    await held.hold("apr_1", [b"b" * CHUNK_BYTES * 2], expires_at=EXPIRES)
    await change(
        opened,
        "UPDATE held_results SET nonce = :nonce, body = :body, held_id = :held_id WHERE number = 1",
        nonce=old.nonce, body=old.body, held_id=old.held_id,
    )  # fmt: skip
    assert await held.take("apr_1") is None


async def test_it_survives_a_restart(url: str) -> None:
    async with ApprovalStore.open(url) as store:
        await HeldStore(store.engine, KEY).hold("apr_1", [LONG], expires_at=EXPIRES)
    async with ApprovalStore.open(url) as store:
        assert await HeldStore(store.engine, KEY).take("apr_1") == LONG


async def test_an_id_that_no_approval_can_have_holds_nothing(held: HeldStore) -> None:
    assert await held.take("apr_\x00") is None
    await held.destroy("apr_\x00")


@pytest.mark.parametrize("size", [0, 16, 31, 33])
async def test_a_key_of_another_size_is_refused(opened: ApprovalStore, size: int) -> None:
    with pytest.raises(ValueError, match="32"):
        HeldStore(opened.engine, bytes(size))
