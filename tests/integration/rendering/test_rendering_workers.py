"""Rendering in processes of its own: bounded, and nothing of one job is left for the next."""

import asyncio
import gzip
import io
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.masking.masks import Redact
from app.objects.plan import Rendered, RenderLimits, RenderPlan
from app.objects.refusal import ContentFault, ContentRefused
from app.policy.content import ContentView, FieldView
from app.workers.rendering import RenderingWorkers
from tests.core.objects.renderings import GZIP, KEYS, NAME, NOTE, RAW, plan, rendered
from tests.freezing import freeze

VIEW = ContentView(columns={"id": RAW, "name": NAME, "note": NOTE}, paths={"$.id": RAW, "$.name": NAME})
TEXT = ContentView(text=FieldView(mask=Redact()))
ROWS = b"".join(b"%d,Person %d,note %d\n" % (n, n, n) for n in range(20_000))
CSV = b"id,name,note\n" + ROWS
MEMORY_BYTES = 512 << 20


@pytest.fixture
async def workers() -> AsyncIterator[RenderingWorkers]:
    workers = RenderingWorkers(size=1, memory_bytes=MEMORY_BYTES, timeout_s=30)
    await workers.warm()
    yield workers
    await workers.aclose()


async def run(
    workers: RenderingWorkers, what: RenderPlan, content: bytes, chunk: int = 65_536
) -> tuple[Rendered, bytes]:
    async with workers.job(what) as job:
        for start in range(0, len(content), chunk):
            await job.write(content[start : start + chunk])
        result, file = await job.finish()
    with file:
        return result, file.read()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def parquet(rows: int) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"id": range(rows), "name": ["Ada"] * rows, "note": ["x"] * rows}), out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("what", "content"),
    [
        (plan("csv", VIEW), CSV),
        (plan("csv", VIEW, **GZIP), gzip.compress(CSV)),
        (plan("ndjson", VIEW), b'{"id":1.10,"name":"Ada"}\n' * 5_000),
        (plan("json", VIEW), b'{"id":1.10,"name":"Ada"}'),
        (plan("text", TEXT), b"mail ada@example.org\n" * 5_000),
        (plan("parquet", VIEW), parquet(5_000)),
        (plan("parquet", VIEW, **GZIP), gzip.compress(parquet(5_000))),
        (plan("csv", VIEW), b""),
    ],
    ids=lambda value: str(value.format.kind.value) if isinstance(value, RenderPlan) else "",
)
async def test_a_process_renders_what_the_core_renders(
    workers: RenderingWorkers, what: RenderPlan, content: bytes
) -> None:
    view, of_format = what.view, {"wrapping": what.format.wrapping}
    assert await run(workers, what, content) == rendered(what.format.kind.value, content, view, **of_format)


async def test_one_process_serves_job_after_job(workers: RenderingWorkers) -> None:
    (pid,) = workers.pids()
    for _ in range(3):
        await run(workers, plan("csv", VIEW), CSV)
        await run(workers, plan("parquet", VIEW), parquet(10))
    assert workers.pids() == (pid,)


async def test_a_refusal_comes_over_and_the_process_stays(workers: RenderingWorkers) -> None:
    (pid,) = workers.pids()
    with pytest.raises(ContentRefused) as caught:
        await run(workers, plan("csv", VIEW), CSV + b"1,2\n")
    assert (caught.value.code, caught.value.place) == (ContentFault.RAGGED, "row 20001")
    assert (await run(workers, plan("csv", VIEW), CSV))[0].rows == 20_000
    assert workers.pids() == (pid,)


async def test_content_is_refused_while_it_still_arrives(workers: RenderingWorkers) -> None:
    sent = 0

    async def send() -> None:
        nonlocal sent
        async with workers.job(plan("csv", VIEW)) as job:
            await job.write(b"id,name,note\n1,2\n")
            for _ in range(2_000):
                await job.write(ROWS)
                sent += len(ROWS)
            await job.finish()

    with pytest.raises(ContentRefused):
        await send()
    assert sent < 100 * len(ROWS)


async def test_a_job_that_is_given_up_leaves_the_process_to_others(workers: RenderingWorkers) -> None:
    (pid,) = workers.pids()
    for _ in range(3):
        async with workers.job(plan("csv", VIEW)) as job:
            await job.write(CSV[:100_000])
    assert (await run(workers, plan("csv", VIEW), CSV))[0].rows == 20_000
    assert workers.pids() == (pid,)


async def test_a_cancelled_job_leaves_the_process_to_others(workers: RenderingWorkers) -> None:
    began = asyncio.Event()

    async def endless() -> None:
        async with workers.job(plan("csv", VIEW)) as job:
            await job.write(b"id,name,note\n")
            while True:
                await job.write(ROWS)
                began.set()

    task = asyncio.create_task(endless())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await run(workers, plan("csv", VIEW), CSV))[0].rows == 20_000


async def test_jobs_wait_for_their_turn(workers: RenderingWorkers) -> None:
    results = await asyncio.gather(*(run(workers, plan("csv", VIEW), CSV) for _ in range(5)))
    assert len({content for _, content in results}) == 1


async def test_a_process_that_is_killed_refuses_its_job_and_is_replaced(workers: RenderingWorkers) -> None:
    (pid,) = workers.pids()

    async def send() -> None:
        async with workers.job(plan("csv", VIEW)) as job:
            # More than the pipe holds: once it is written, the process has begun to read.
            await job.write(CSV + ROWS * 7)
            os.kill(pid, signal.SIGKILL)
            await job.finish()

    with pytest.raises(ContentRefused) as caught:
        await send()
    assert caught.value.code is ContentFault.TOO_EXPENSIVE
    assert (await run(workers, plan("csv", VIEW), CSV))[0].rows == 20_000
    assert workers.pids() != (pid,)


async def test_a_process_that_died_between_jobs_costs_no_job(workers: RenderingWorkers) -> None:
    (pid,) = workers.pids()
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert (await run(workers, plan("csv", VIEW), CSV))[0].rows == 20_000
    assert workers.pids() != (pid,)


@pytest.mark.parametrize("size", [100_000_000, 2_000_000_000])
async def test_a_process_that_needs_too_much_memory_refuses_its_job(workers: RenderingWorkers, size: int) -> None:
    out = io.BytesIO()
    values = pa.array(["x" * 1_000_000]).dictionary_encode().take(pa.array([0] * (size // 1_000_000)))
    pq.write_table(pa.table({"id": values}), out, compression="zstd")
    limits = RenderLimits(max_expanded_bytes=1 << 40, max_output_bytes=1 << 40)
    bounded = RenderingWorkers(size=1, memory_bytes=MEMORY_BYTES // 4, timeout_s=60)
    try:
        with pytest.raises(ContentRefused) as caught:
            await run(bounded, plan("parquet", VIEW, limits), out.getvalue())
        assert caught.value.code is ContentFault.TOO_EXPENSIVE
        assert (await run(bounded, plan("csv", VIEW), CSV))[0].rows == 20_000
    finally:
        await bounded.aclose()


async def test_a_job_that_takes_too_long_is_refused_and_its_process_killed() -> None:
    workers = RenderingWorkers(size=1, memory_bytes=MEMORY_BYTES, timeout_s=0.2)
    await workers.warm()
    (pid,) = workers.pids()
    freeze(pid)
    try:
        with pytest.raises(ContentRefused) as caught:
            await run(workers, plan("csv", VIEW), CSV * 10)
        assert caught.value.code is ContentFault.TOO_EXPENSIVE
    finally:
        await workers.aclose()
    assert not alive(pid)


async def test_a_slow_source_costs_nothing_of_the_time(workers: RenderingWorkers) -> None:
    hasty = RenderingWorkers(size=1, memory_bytes=MEMORY_BYTES, timeout_s=5)
    await hasty.warm()
    hasty_plan = plan("csv", VIEW)
    try:
        async with hasty.job(hasty_plan) as job:
            await job.write(b"id,name,note\n")
            await asyncio.sleep(0.1)
            await job.write(ROWS)
            result, file = await job.finish()
        file.close()
        assert result.rows == 20_000
    finally:
        await hasty.aclose()


async def test_the_event_loop_goes_on_while_content_is_rendered(workers: RenderingWorkers) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await run(workers, plan("csv", VIEW), CSV + ROWS * 20)
    counting.cancel()
    assert turns > 100


async def test_a_spooled_job_beyond_its_bound_is_refused_on_arrival(workers: RenderingWorkers) -> None:
    with pytest.raises(ContentRefused) as caught:
        await run(workers, plan("parquet", VIEW, RenderLimits(max_input_bytes=1_000)), parquet(50_000))
    assert caught.value.code is ContentFault.TOO_LARGE


async def test_a_process_has_no_file_and_no_environment_of_its_parent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOUANE_TEST_SECRET", "not for the process")
    workers = RenderingWorkers(size=1, memory_bytes=MEMORY_BYTES, timeout_s=30)
    with (tmp_path / "held").open("wb") as held:
        os.set_inheritable(held.fileno(), True)
        await workers.warm()
        (pid,) = workers.pids()
        await run(workers, plan("csv", VIEW), CSV)
        open_files = [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        limits = Path(f"/proc/{pid}/limits").read_text()
    await workers.aclose()
    assert sorted(name.split(":")[0] for name in open_files) == ["/dev/null"] * 3 + ["socket"]
    assert b"DOUANE_TEST_SECRET" not in environment
    assert next(line for line in limits.splitlines() if line.startswith("Max core")).split()[4:6] == ["0", "0"]
    assert str(MEMORY_BYTES) in next(line for line in limits.splitlines() if line.startswith("Max data"))


async def test_signals_of_the_terminal_do_not_end_a_process(workers: RenderingWorkers) -> None:
    (pid,) = workers.pids()
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, each)
    await run(workers, plan("csv", VIEW), CSV)
    assert workers.pids() == (pid,)


def test_a_process_ends_with_its_parent() -> None:
    script = textwrap.dedent(
        """
        import asyncio, sys
        from app.workers.rendering import RenderingWorkers

        async def main():
            workers = RenderingWorkers(size=1, memory_bytes=1 << 29, timeout_s=30)
            await workers.warm()
            print(*workers.pids(), flush=True)
            sys.stdin.read()

        asyncio.run(main())
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    for _ in range(1_000):
        if not alive(pid):
            break
        time.sleep(0.01)
    assert not alive(pid)


def test_keys_do_not_show_where_a_plan_is_printed() -> None:
    what = RenderPlan(format=plan("csv", VIEW).format, view=VIEW, keys=KEYS)
    assert "kkkk" not in repr(what)
