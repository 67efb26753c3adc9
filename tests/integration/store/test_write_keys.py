import asyncio

import pytest
from sqlalchemy import text
from stored_approvals import at

from app.ports import Claim, ClaimState
from app.store.approvals import ApprovalStore
from app.store.held import HeldStore
from app.store.write_keys import WriteKeyStore

KEY = bytes(range(32))
SCOPE, OTHER = "a" * 64, "b" * 64
ASKED, CHANGED = "c" * 64, "d" * 64


@pytest.fixture
async def keys(opened: ApprovalStore) -> WriteKeyStore:
    return WriteKeyStore(opened.engine, KEY)


async def claim(
    keys: WriteKeyStore, scope: str = SCOPE, asked: str = ASKED, *, now: int = 0, expires: int = 60
) -> Claim:
    return await keys.claim(scope, asked, now=at(now), expires_at=at(expires))


async def test_the_first_claim_runs_and_the_next_gets_its_answer(keys: WriteKeyStore) -> None:
    assert await claim(keys) == Claim(state=ClaimState.NEW)
    assert await claim(keys) == Claim(state=ClaimState.IN_FLIGHT)
    await keys.settle(SCOPE, b'{"rows": 3}')
    assert await claim(keys) == Claim(state=ClaimState.DONE, answer=b'{"rows": 3}')
    assert await claim(keys, OTHER) == Claim(state=ClaimState.NEW)


async def test_a_key_belongs_to_its_request(keys: WriteKeyStore) -> None:
    await claim(keys)
    assert await claim(keys, asked=CHANGED) == Claim(state=ClaimState.MISMATCH)
    await keys.settle(SCOPE, b"")
    assert await claim(keys, asked=CHANGED) == Claim(state=ClaimState.MISMATCH)
    assert await claim(keys) == Claim(state=ClaimState.DONE, answer=b"")


async def test_a_released_key_is_free_and_a_settled_one_is_not_released(keys: WriteKeyStore) -> None:
    await claim(keys)
    await keys.release(SCOPE)
    assert await claim(keys, asked=CHANGED) == Claim(state=ClaimState.NEW)
    await keys.settle(SCOPE, b"x")
    await keys.release(SCOPE)
    await keys.settle(SCOPE, b"another answer")
    assert await claim(keys, asked=CHANGED) == Claim(state=ClaimState.DONE, answer=b"x")


async def test_an_answer_that_came_to_nothing_is_taken_back_and_no_other(keys: WriteKeyStore) -> None:
    await keys.retract(SCOPE, b"x")
    await claim(keys)
    await keys.retract(SCOPE, b"x")
    assert await claim(keys) == Claim(state=ClaimState.IN_FLIGHT)
    await keys.settle(SCOPE, b"x")
    await keys.retract(SCOPE, b"y")
    assert await claim(keys) == Claim(state=ClaimState.DONE, answer=b"x")
    await keys.retract(SCOPE, b"x")
    assert await claim(keys, asked=CHANGED) == Claim(state=ClaimState.NEW)


async def test_an_expired_key_is_as_if_it_had_never_been(keys: WriteKeyStore) -> None:
    await claim(keys, expires=10)
    await keys.settle(SCOPE, b"old")
    assert (await claim(keys, now=9)).state is ClaimState.DONE
    assert await claim(keys, asked=CHANGED, now=10) == Claim(state=ClaimState.NEW)
    assert await claim(keys, asked=CHANGED, now=10) == Claim(state=ClaimState.IN_FLIGHT)


async def test_expired_ones_are_forgotten_and_counted(keys: WriteKeyStore) -> None:
    await claim(keys, expires=10)
    await claim(keys, OTHER, expires=20)
    assert await keys.forget_expired(at(5)) == 0
    assert await keys.forget_expired(at(10)) == 1
    assert (await claim(keys, OTHER, now=10)).state is ClaimState.IN_FLIGHT


async def test_of_many_claims_from_two_stores_exactly_one_is_new(url: str) -> None:
    async with ApprovalStore.open(url) as one, ApprovalStore.open(url) as two:
        stores = [WriteKeyStore(each.engine, KEY) for each in (one, two)]
        found = await asyncio.gather(*(claim(stores[n % 2], now=n % 2) for n in range(100)))
    assert [each.state for each in found].count(ClaimState.NEW) == 1
    assert {each.state for each in found} == {ClaimState.NEW, ClaimState.IN_FLIGHT}


async def test_of_many_claims_of_an_expired_key_exactly_one_is_new(url: str) -> None:
    async with ApprovalStore.open(url) as one, ApprovalStore.open(url) as two:
        stores = [WriteKeyStore(each.engine, KEY) for each in (one, two)]
        await claim(stores[0], expires=10)
        found = await asyncio.gather(*(claim(stores[n % 2], now=10) for n in range(60)))
    assert [each.state for each in found].count(ClaimState.NEW) == 1


async def test_claims_and_releases_at_once_all_get_an_answer(keys: WriteKeyStore) -> None:
    running = 0

    async def use() -> None:
        nonlocal running
        for _ in range(5):
            if (await claim(keys)).state is ClaimState.NEW:
                running += 1
                assert running == 1
                await asyncio.sleep(0)
                running -= 1
                await keys.release(SCOPE)

    await asyncio.gather(*(use() for _ in range(10)))


async def test_answers_survive_a_restart_and_cannot_be_read_in_the_database(url: str) -> None:
    async with ApprovalStore.open(url) as store:
        keys = WriteKeyStore(store.engine, KEY)
        await claim(keys)
        await keys.settle(SCOPE, b"ana@example.org")
        async with store.engine.connect() as connection:
            (body,) = (await connection.execute(text("SELECT answer FROM write_keys"))).scalars()
        assert b"ana" not in bytes(body)
    async with ApprovalStore.open(url) as store:
        assert await claim(WriteKeyStore(store.engine, KEY)) == Claim(state=ClaimState.DONE, answer=b"ana@example.org")


async def test_an_answer_that_does_not_open_is_one_nobody_knows(opened: ApprovalStore, keys: WriteKeyStore) -> None:
    for scope in (SCOPE, OTHER):
        await claim(keys, scope)
        await keys.settle(scope, scope.encode())
    async with opened.engine.execution_options(writes=True).begin() as connection:
        await connection.execute(
            text(
                "UPDATE write_keys SET nonce = (SELECT nonce FROM write_keys w WHERE w.scope = :o), "
                "answer = (SELECT answer FROM write_keys w WHERE w.scope = :o) WHERE scope = :s"
            ),
            {"s": SCOPE, "o": OTHER},
        )
    assert await claim(keys) == Claim(state=ClaimState.IN_FLIGHT)
    assert (await claim(keys, OTHER)).state is ClaimState.DONE
    assert await claim(WriteKeyStore(opened.engine, bytes(32)), OTHER) == Claim(state=ClaimState.IN_FLIGHT)


async def test_one_key_serves_both_without_one_passing_for_the_other(opened: ApprovalStore) -> None:
    keys, held = WriteKeyStore(opened.engine, KEY), HeldStore(opened.engine, KEY)
    await held.hold(SCOPE, [b"held"], expires_at=at(60))
    await claim(keys)
    async with opened.engine.execution_options(writes=True).begin() as connection:
        await connection.execute(
            text(
                "UPDATE write_keys SET nonce = (SELECT nonce FROM held_results), "
                "answer = (SELECT body FROM held_results)"
            )
        )
    assert await claim(keys) == Claim(state=ClaimState.IN_FLIGHT)
