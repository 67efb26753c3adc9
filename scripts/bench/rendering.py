"""How fast one process renders masked content, by format: `python scripts/bench/rendering.py [MEGABYTES]`.

Ten fields a record, three of them masked: an e-mail address shown in part, a name as a pseudonym, a note as null.
Names are those of 20,000 people; in the rows that say "different", no name comes twice, and every pseudonym is an
HMAC; "numbers" is a table of ten measures beside an id, an address and a name. Content is drawn from a seed. MB/s are
given of the content as it is stored and of the same table as CSV has it, since the size of Parquet depends on how
well it compresses. CPU seconds are those of the process that renders, alone. "bare" is what PyArrow takes to read the
same file and to write its columns again as Douane does, with no mask and nothing checked.
"""

import argparse
import asyncio
import io
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.ipc
import pyarrow.parquet as pq
import zstandard

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from process_cost import cpu_s, forget_peak, peak

from app.masking.masks import Null, Partial, Pseudonym, Redact
from app.objects.formats import ContentFormat, FormatKind, Wrapping
from app.objects.plan import RenderPlan
from app.policy.content import ContentView, FieldView
from app.workers.rendering import RenderingWorkers
from app.workers.rendering_process import ENVIRONMENT

RAW_NAMES = ("id", "city", "created", "amount", "currency", "country", "comment")
MASKED = {
    "email": FieldView(label="pii.email", mask=Partial(email=True)),
    "name": FieldView(label="pii.name", mask=Pseudonym(domain="people")),
    "note": FieldView(label="pii.note", mask=Null()),
}
FIELDS = {**dict.fromkeys(RAW_NAMES, FieldView()), **MASKED}
VIEW = ContentView(columns=FIELDS, paths={f"$.{name}": view for name, view in FIELDS.items()})
LISTED = ContentView(paths={f"$[*].{name}": view for name, view in FIELDS.items()})
TEXT = ContentView(text=FieldView(mask=Redact()), default_found=FieldView(mask=Null()))
TARGETS_MB_S = {"csv": 50, "ndjson": 30, "parquet": 100}
CHUNK_BYTES = 1 << 20
BATCH_ROWS = 20_000
MEGABYTE = 1e6
SEED = 4
PEOPLE = 20_000
ALL_DIFFERENT = 0
MEASURES = 10
MEASURED = ContentView(
    columns={
        **dict.fromkeys(("id", *(f"measure_{n}" for n in range(MEASURES))), FieldView()),
        **{name: MASKED[name] for name in ("email", "name")},
    }
)
Draw = Callable[[random.Random, int], pa.RecordBatch]
"""A source of chance and the number of the first row, to BATCH_ROWS rows."""


def batch(drawn: random.Random, first: int, people: int = PEOPLE) -> pa.RecordBatch:
    ids = range(first, first + BATCH_ROWS)
    cities = ["Paris", "Lyon", "Berlin", "São Paulo", "New York", "Köln"]
    words = ["call back", "prefers mail", 'moved, see "new" address', "vip", "late payer", "asked for an invoice"]
    return pa.record_batch(
        {
            "id": pa.array(ids, pa.int64()),
            "email": [f"user.{n}@{drawn.choice(('example.org', 'mail.example.com'))}" for n in ids],
            "name": [f"Person Number {drawn.randrange(people) if people else n}" for n in ids],
            "note": [f"{drawn.choice(words)} ({n % 97})" for n in ids],
            "city": [drawn.choice(cities) for _ in ids],
            "created": [f"2026-{n % 12 + 1:02}-{n % 28 + 1:02}T10:{n % 60:02}:00Z" for n in ids],
            "amount": [round(drawn.uniform(1, 5_000), 2) for _ in ids],
            "currency": [drawn.choice(("EUR", "USD", "BRL")) for _ in ids],
            "country": [drawn.choice(("FR", "DE", "US", "BR")) for _ in ids],
            "comment": [drawn.choice(words) for _ in ids],
        }
    )


different = partial(batch, people=ALL_DIFFERENT)


def numbers(drawn: random.Random, first: int) -> pa.RecordBatch:
    people = batch(drawn, first)
    measures = {f"measure_{n}": [drawn.uniform(0, 1_000) for _ in range(BATCH_ROWS)] for n in range(MEASURES)}
    return pa.record_batch({"id": people["id"], **measures, "email": people["email"], "name": people["name"]})


def batches(rows: int, draw: Draw) -> Iterator[pa.RecordBatch]:
    drawn = random.Random(SEED)
    for first in range(0, rows, BATCH_ROWS):
        yield draw(drawn, first)


def schema_of(draw: Draw) -> pa.Schema:
    return draw(random.Random(SEED), 0).schema


def as_csv(one: pa.RecordBatch) -> bytes:
    out = io.BytesIO()
    pa_csv.write_csv(one, out, pa_csv.WriteOptions(include_header=False))
    return out.getvalue()


def write_csv(path: Path, rows: int, draw: Draw) -> None:
    with path.open("wb") as file:
        file.write(",".join(schema_of(draw).names).encode() + b"\n")
        file.writelines(map(as_csv, batches(rows, draw)))


def write_ndjson(path: Path, rows: int, draw: Draw) -> None:
    with path.open("wb") as file:
        for one in batches(rows, draw):
            file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in one.to_pylist())


def write_json(path: Path, rows: int, draw: Draw) -> None:
    with path.open("wb") as file:
        between = b"["
        for one in batches(rows, draw):
            for row in one.to_pylist():
                file.write(between + orjson.dumps(row))
                between = b","
        file.write(b"]")


def write_parquet(path: Path, rows: int, draw: Draw) -> None:
    with pq.ParquetWriter(path, schema_of(draw)) as writer:
        for one in batches(rows, draw):
            writer.write_batch(one, row_group_size=BATCH_ROWS)


def write_arrow(path: Path, rows: int, draw: Draw) -> None:
    with pa.ipc.new_file(str(path), schema_of(draw)) as writer:
        for one in batches(rows, draw):
            writer.write_batch(one)


def write_zstd_csv(path: Path, rows: int, draw: Draw) -> None:
    plain = path.with_suffix(".plain")
    write_csv(plain, rows, draw)
    with plain.open("rb") as content, path.open("wb") as file:
        zstandard.ZstdCompressor().copy_stream(content, file)
    plain.unlink()


def write_text(path: Path, rows: int, draw: Draw) -> None:
    with path.open("wb") as file:
        for one in batches(rows, draw):
            for row in one.to_pylist():
                file.write(f"{row['created']} {row['comment']} of {row['city']}, mail to {row['email']}\n".encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    name: str
    format: ContentFormat
    write: Callable[[Path, int, Draw], None]
    draw: Draw = batch
    view: ContentView = VIEW
    bytes_a_row: int


CASES = (
    Case(name="csv", format=ContentFormat(kind=FormatKind.CSV), write=write_csv, bytes_a_row=140),
    Case(
        name="csv, different",
        format=ContentFormat(kind=FormatKind.CSV),
        write=write_csv,
        draw=different,
        bytes_a_row=140,
    ),
    Case(
        name="csv in zstd",
        format=ContentFormat(kind=FormatKind.CSV, wrapping=Wrapping.ZSTD),
        write=write_zstd_csv,
        bytes_a_row=140,
    ),
    Case(name="ndjson", format=ContentFormat(kind=FormatKind.NDJSON), write=write_ndjson, bytes_a_row=230),
    Case(name="json", format=ContentFormat(kind=FormatKind.JSON), write=write_json, view=LISTED, bytes_a_row=230),
    Case(name="parquet", format=ContentFormat(kind=FormatKind.PARQUET), write=write_parquet, bytes_a_row=30),
    Case(
        name="parquet, different",
        format=ContentFormat(kind=FormatKind.PARQUET),
        write=write_parquet,
        draw=different,
        bytes_a_row=30,
    ),
    Case(
        name="parquet, numbers",
        format=ContentFormat(kind=FormatKind.PARQUET),
        write=write_parquet,
        draw=numbers,
        view=MEASURED,
        bytes_a_row=119,
    ),
    Case(name="arrow", format=ContentFormat(kind=FormatKind.ARROW), write=write_arrow, bytes_a_row=155),
    Case(name="text", format=ContentFormat(kind=FormatKind.TEXT), write=write_text, view=TEXT, bytes_a_row=75),
)


def rows_of(case: Case, megabytes: int) -> int:
    return int(megabytes * MEGABYTE / case.bytes_a_row) // BATCH_ROWS * BATCH_ROWS + BATCH_ROWS


async def measure(workers: RenderingWorkers, case: Case, megabytes: int, folder: Path) -> None:
    rows = rows_of(case, megabytes)
    path = folder / "content"
    case.write(path, rows, case.draw)
    table_mb = sum(len(as_csv(one)) for one in batches(BATCH_ROWS, case.draw)) * rows / BATCH_ROWS / MEGABYTE
    plan = RenderPlan(format=case.format, view=case.view, keys={"people": b"k" * 32})
    (pid,) = workers.pids()
    forget_peak(pid)
    cpu_before_s, began_s = cpu_s(pid), time.perf_counter()
    with path.open("rb") as content:
        async with workers.job(plan) as job:
            while chunk := content.read(CHUNK_BYTES):
                await job.write(chunk)
            rendered, file = await job.finish()
    file.close()
    wall_s, spent_s = time.perf_counter() - began_s, cpu_s(pid) - cpu_before_s
    size_mb = path.stat().st_size / MEGABYTE
    target = TARGETS_MB_S.get(case.name.split(",")[0])
    print(
        f"{case.name:<19}{size_mb:>9.0f}{table_mb:>10.0f}{size_mb / spent_s:>11.0f}{table_mb / spent_s:>12.0f}"
        f"{size_mb / wall_s:>11.0f}{target or '-':>8}{rendered.bytes_out / MEGABYTE:>9.0f}"
        f"{peak(pid).largest_mb:>10.0f}",
        flush=True,
    )
    if case.format.kind is FormatKind.PARQUET:
        print(measure_bare(case, path, table_mb), flush=True)


def measure_bare(case: Case, path: Path, table_mb: float) -> str:
    """In a process with the same allocator, so that memory costs it the same."""
    written = subprocess.run(
        [sys.executable, __file__, "--bare", str(path)],
        env={**os.environ, **ENVIRONMENT},
        check=True,
        capture_output=True,
        text=True,
    )
    spent_s, out_mb = map(float, written.stdout.split())
    size_mb = path.stat().st_size / MEGABYTE
    return (
        f"{'  bare':<19}{size_mb:>9.0f}{table_mb:>10.0f}{size_mb / spent_s:>11.0f}{table_mb / spent_s:>12.0f}"
        f"{'-':>11}{'-':>8}{out_mb:>9.0f}{'-':>10}"
    )


def rewrite(path: Path) -> None:
    """Prints CPU seconds and MB written."""
    pa.set_cpu_count(1)
    content = pq.ParquetFile(path, pre_buffer=False)
    with tempfile.NamedTemporaryFile() as out:
        began_s = time.process_time()
        with pq.ParquetWriter(
            out, content.schema_arrow, compression="zstd", compression_level=1, write_statistics=False,
            store_schema=False,
        ) as writer:  # fmt: skip
            for one in content.iter_batches(65_536, use_threads=False):
                writer.write_batch(one, row_group_size=one.num_rows)
        print(time.process_time() - began_s, out.tell() / MEGABYTE)


async def main(megabytes: int, names: list[str]) -> None:
    print(f"{'':<19}{'content':>9}{'as CSV':>10}{'content':>11}{'as CSV':>12}{'content':>11}{'target':>8}", end="")
    print(f"{'out':>9}{'peak':>10}")
    print(f"{'':<19}{'MB':>9}{'MB':>10}{'MB/CPU s':>11}{'MB/CPU s':>12}{'MB/wall s':>11}{'MB/s':>8}", end="")
    print(f"{'MB':>9}{'RSS MB':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if names and case.name not in names:
                continue
            workers = RenderingWorkers(size=1, memory_bytes=1 << 30, timeout_s=600)
            await workers.warm()
            try:
                await measure(workers, case, megabytes, Path(folder))
            finally:
                await workers.aclose()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("megabytes", type=int, nargs="?", default=120)
    parser.add_argument("names", nargs="*", help="formats; none: all")
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare is not None:
        rewrite(arguments.bare)
    else:
        asyncio.run(main(arguments.megabytes, arguments.names))
