"""The job as it runs: several processes, one that is killed, a store that goes away, a target that holds nobody up."""

import asyncio
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from office import agreed, asked, courier, office, postman
from receivers import never, receiver, status

from app.gateway.notifying import EVENTS
from app.jobs.deliveries import DeliveryJob
from app.ports import Delivery, DeliveryState, StoreUnavailable
from app.store.approvals import ApprovalStore
from app.store.deliveries import DeliveryStore
from tests.servers import postgres_server

SCRIPT = Path(__file__).with_name("delivery_process.py")
PATIENCE_S = 120.0


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not await holds():
        assert time.monotonic() < deadline, "it never came to be"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def process(url: str, port: int, lease_s: float) -> AsyncIterator[asyncio.subprocess.Process]:
    started = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), url, str(port), str(lease_s), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert started.stdout is not None
        assert await started.stdout.readline() == b"ready\n"
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


@asynccontextmanager
async def running(job: DeliveryJob) -> AsyncIterator[None]:
    task = asyncio.get_running_loop().create_task(job.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def all_delivered(deliveries: DeliveryStore, count: int) -> bool:
    found = await deliveries.page(target=None, state="delivered", before=None, size=1_000)
    return len(found) == count


async def test_two_processes_deliver_each_step_once(store_url: str) -> None:
    async with receiver(status(200)) as hook, office(store_url, {}) as there:
        async with process(store_url, hook.port, 60), process(store_url, hook.port, 60):
            for _ in range(15):
                made = asked()
                await there.approvals.create(made)
                await there.approvals.replace(made, agreed(made))
            await until(lambda: all_delivered(there.deliveries, 30))
        counted = Counter(got.headers["webhook-id"] for got in hook.got)
        assert len(counted) == 30
        assert set(counted.values()) == {1}


async def test_a_process_killed_between_sending_and_marking_is_made_good_under_the_same_id(store_url: str) -> None:
    async with receiver(never) as hook, office(store_url, {}) as there:
        await there.approvals.create(asked())
        async with process(store_url, hook.port, 1.0) as first:
            await hook.arrived.wait()
            first.send_signal(signal.SIGKILL)
            assert await first.wait() == -signal.SIGKILL
    async with receiver(status(200), port=hook.port) as again, office(store_url, {}) as there:
        async with process(store_url, again.port, 1.0):
            await until(lambda: all_delivered(there.deliveries, 1))
        assert [got.headers["webhook-id"] for got in again.got] == [hook.got[0].headers["webhook-id"]]
        (delivery,) = await there.deliveries.page(target=None, state=None, before=None, size=10)
        assert [attempt.error for attempt in delivery.attempts] == ["interrupted", None]


async def test_a_slow_target_holds_up_itself_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/douane.db"
    async with receiver(never) as slow, receiver(status(200)) as quick, office(url, {}) as there:
        carried_by = courier({"slow": slow.port, "quick": quick.port}, total_timeout_s=30.0)
        made = postman(there.approvals, there.deliveries, carried_by, {"slow": EVENTS, "quick": EVENTS})
        async with running(DeliveryJob(made, poll_s=0.05)):
            for _ in range(10):
                await there.approvals.create(asked())
            await until(lambda: all_delivered(there.deliveries, 10))
        assert len(quick.got) == 10


async def test_it_goes_on_where_it_was_when_the_store_comes_back() -> None:
    with postgres_server() as server:
        async with receiver(status(200)) as hook, office(server.dsn(), {}) as there:
            made = postman(there.approvals, there.deliveries, courier({"ops": hook.port}), {"ops": EVENTS})
            async with running(DeliveryJob(made, poll_s=0.05, store_away_s=0.2)):
                await there.approvals.create(asked())
                await until(lambda: all_delivered(there.deliveries, 1))
                await asyncio.to_thread(server.stop, signal.SIGQUIT)
                await asyncio.sleep(0.5)
                await asyncio.to_thread(server.start)
                await there.approvals.create(asked())
                await until(lambda: all_delivered(there.deliveries, 2))
            assert len(hook.got) == 2


class Forgetful(DeliveryStore):
    """Cannot be reached when a success is to be marked, the first time."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.failed = False

    async def settle(self, delivery: Delivery, *args: Any, **kwargs: Any) -> bool:
        if not self.failed:
            self.failed = True
            raise StoreUnavailable("gone for a moment")
        return await super().settle(delivery, *args, **kwargs)


async def test_what_was_sent_and_could_not_be_marked_is_sent_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/douane.db"
    async with receiver(status(200)) as hook, ApprovalStore.open(url) as approvals:
        store = Forgetful(approvals.engine)
        made = postman(approvals, store, courier({"ops": hook.port}), {"ops": EVENTS}, lease_s=0.5)
        await made.begin()
        async with running(DeliveryJob(made, poll_s=0.05, store_away_s=0.1)):
            await approvals.create(asked())
            await until(lambda: all_delivered(store, 1))
        assert len({got.headers["webhook-id"] for got in hook.got}) == 1
        assert len(hook.got) == 2


class Away(DeliveryStore):
    """Cannot be reached at the start."""

    asked = 0

    async def position(self) -> int | None:
        self.asked += 1
        if self.asked < 3:
            raise StoreUnavailable("not yet")
        return await super().position()


async def test_a_job_that_is_woken_looks_at_once_and_one_without_a_store_waits_for_it(tmp_path: Path) -> None:
    async with receiver(status(200)) as hook, ApprovalStore.open(f"sqlite:///{tmp_path}/douane.db") as approvals:
        store = Away(approvals.engine)
        job = DeliveryJob(
            postman(approvals, store, courier({"ops": hook.port}), {"ops": EVENTS}), poll_s=3_600, store_away_s=0.05
        )
        async with running(job):
            await until(lambda: _began(store))
            await approvals.create(asked())
            job.wake()
            await until(lambda: all_delivered(store, 1))
        found: Sequence[Delivery] = await store.page(target="ops", state=None, before=None, size=10)
        assert [each.state for each in found] == [DeliveryState.DELIVERED]


async def _began(store: Away) -> bool:
    return store.asked >= 3 and await DeliveryStore.position(store) is not None
