"""Many at once from two processes, and processes and servers that die in between."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from sqlalchemy import text
from stored_approvals import WINDOW, approval, approved, begun

from app.approval.approval import Approval, Happening, State, Step
from app.ports import StoreUnavailable
from app.store.approvals import ApprovalStore
from app.store.feed import publish
from tests.servers import PostgresServer

HERE = Path(__file__).parent
TASKS = 50


def racer(*args: object) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(HERE.parents[2]), str(HERE)])
    return subprocess.Popen(
        [sys.executable, str(HERE / "approval_racer.py"), *map(str, args)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


def race(mode: str, url: str, made: Approval) -> list[int]:
    racers = [racer(mode, url, made.approval_id, TASKS) for _ in range(2)]
    try:
        for process in racers:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in racers:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        shown = [process.communicate(timeout=120)[0] for process in racers]
    finally:
        for process in racers:
            process.kill()
            process.communicate()
    return [win for text in shown for win in json.loads(text)]


async def stored(url: str, made: Approval) -> tuple[Approval, list[Step]]:
    async with ApprovalStore.open(url) as store:
        found = await store.get(made.approval_id)
        assert found is not None
        return found, [change.step for change in await store.changes(0, 1_000)]


async def test_of_a_hundred_executions_from_two_processes_exactly_one_starts(url: str) -> None:
    made = approval(1)
    async with ApprovalStore.open(url) as store:
        await store.create(made)
        assert await store.replace(made, approved(made))
    wins = race("start", url, made)
    assert (len(wins), sum(wins)) == (100, 1)
    found, feed = await stored(url, made)
    assert (found.state, found.uses) == (State.EXECUTING, 1)
    assert feed == list(found.history)


async def test_of_a_hundred_decisions_from_two_processes_exactly_one_counts(url: str) -> None:
    made = approval(1)
    async with ApprovalStore.open(url) as store:
        await store.create(made)
    wins = race("decide", url, made)
    assert (len(wins), sum(wins)) == (100, 1)
    found, feed = await stored(url, made)
    assert [step.happening for step in found.history] == [Happening.REQUESTED, Happening.APPROVED]
    assert feed == list(found.history)


async def test_a_window_of_three_uses_has_three_and_never_two_at_once(url: str) -> None:
    made = approval(1, terms=WINDOW)
    async with ApprovalStore.open(url) as store:
        await store.create(made)
        assert await store.replace(made, approved(made))
    assert sum(race("window", url, made)) == 3
    found, feed = await stored(url, made)
    assert (found.state, found.uses, found.rows_used) == (State.EXECUTED, 3, 3)
    assert [step.happening.value for step in found.history[2:]] == [
        "started", "used", "started", "used", "started", "executed"
    ]  # fmt: skip
    assert feed == list(found.history)


async def test_a_writer_that_is_killed_leaves_whole_approvals_and_all_that_it_was_told_is_kept(url: str) -> None:
    process = racer("churn", url)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        told = [process.stdout.readline() for _ in range(37)]
    finally:
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0]
    told += [line + "\n" for line in rest.split("\n")[:-1]]
    durable = {line.split()[0]: int(line.split()[1]) for line in told}
    async with ApprovalStore.open(url) as store:
        every = await store.page(owner=None, state=None, before=None, size=10_000)
        feed = defaultdict(list)
        for change in await store.changes(0, 100_000):
            feed[change.approval_id].append(change.step)
    versions = {each.approval_id: each.version for each in every}
    assert all(versions[approval_id] >= version for approval_id, version in durable.items())
    assert len(every) <= len(durable) + 1
    for each in every:
        assert feed[each.approval_id] == list(each.history)
        assert len(each.history) == each.version + 1


async def test_a_reader_of_the_feed_misses_nothing_while_many_write(url: str) -> None:
    seen: list[int] = []
    steps = 0

    async def read(store: ApprovalStore, stop: asyncio.Event) -> None:
        position = 0
        while True:
            last_round = stop.is_set()
            found = await store.changes(position, 7)
            seen.extend(change.seq for change in found)
            position = found[-1].seq if found else position
            if last_round and not found:
                return

    async with ApprovalStore.open(url) as store, ApprovalStore.open(url) as other:
        stop = asyncio.Event()
        reader = asyncio.create_task(read(other, stop))
        for start in range(0, 60, 20):
            made = [approval(n, minute=1) for n in range(start, start + 20)]
            await asyncio.gather(*(store.create(each) for each in made))
            await asyncio.gather(*(store.replace(each, approved(each)) for each in made))
            steps += 40
        stop.set()
        await reader
    assert len(seen) == steps
    assert seen == sorted(set(seen))


async def test_a_step_gets_its_number_only_when_those_before_it_can_be_read(postgres: PostgresServer) -> None:
    postgres.create_database("turns")
    url = postgres.dsn(database="turns")
    made = [approval(1), approval(2)]
    waits = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    async with ApprovalStore.open(url) as store, store.engine.connect() as slow, store.engine.connect() as watch:
        await publish(slow, made[0].approval_id, made[0].history)
        quick = asyncio.create_task(store.create(made[1]))
        while not quick.done() and not (await watch.execute(waits)).scalar():
            await asyncio.sleep(0.01)
        assert not quick.done(), "the second step could be read before the first"
        assert await store.last_change() == 0
        await slow.commit()
        await quick
        assert [change.approval_id for change in await store.changes(0, 10)] == [each.approval_id for each in made]


async def test_a_server_that_dies_between_decision_and_use_loses_and_repeats_nothing(postgres: PostgresServer) -> None:
    postgres.create_database("dies")
    async with ApprovalStore.open(postgres.dsn(database="dies")) as store:
        made = approval(1)
        await store.create(made)
        yes = approved(made)
        assert await store.replace(made, yes)
        postgres.stop(signal.SIGQUIT)
        with pytest.raises(StoreUnavailable):
            await store.replace(yes, begun(yes))
        with pytest.raises(StoreUnavailable):
            await store.get(made.approval_id)
        postgres.start()
        assert await store.get(made.approval_id) == yes
        assert await store.replace(yes, begun(yes))
        assert not await store.replace(yes, begun(yes))
        assert await store.get(made.approval_id) == begun(yes)


async def test_a_server_that_dies_while_many_write_leaves_steps_that_are_whole(postgres: PostgresServer) -> None:
    postgres.create_database("dies_busy")
    async with ApprovalStore.open(postgres.dsn(database="dies_busy")) as store:
        made = [approval(n, minute=1) for n in range(200)]
        for each in made[:40]:
            await store.create(each)

        async def step(each: Approval) -> bool | None:
            try:
                return await store.replace(each, approved(each))
            except StoreUnavailable:
                return None

        tasks = [asyncio.create_task(step(each)) for each in made[:40]]
        while sum(task.done() for task in tasks) < 5:
            await asyncio.sleep(0)
        await asyncio.to_thread(postgres.stop, signal.SIGQUIT)
        answers = await asyncio.gather(*tasks)
        postgres.start()
        feed = defaultdict(list)
        for change in await store.changes(0, 1_000):
            feed[change.approval_id].append(change.step)
        for each, answer in zip(made, answers, strict=False):
            found = await store.get(each.approval_id)
            assert found is not None
            assert feed[each.approval_id] == list(found.history)
            if answer:
                assert found == approved(each)
            else:
                assert found in (each, approved(each))


@pytest.mark.parametrize("_", range(3))
async def test_a_step_that_is_cancelled_is_whole_or_not_at_all(opened: ApprovalStore, _: int) -> None:
    made = [approval(n, minute=1) for n in range(20)]
    for each in made:
        await opened.create(each)
    tasks = [asyncio.create_task(opened.replace(each, approved(each))) for each in made]
    while not any(task.done() for task in tasks):
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    feed = defaultdict(list)
    for change in await opened.changes(0, 1_000):
        feed[change.approval_id].append(change.step)
    for each in made:
        found = await opened.get(each.approval_id)
        assert found in (each, approved(each))
        assert feed[each.approval_id] == list(found.history)
