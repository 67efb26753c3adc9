"""However large the answer: what is held in memory stays small. Each measurement is a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import PostgresServer, postgres_server

_READER = """
import asyncio, resource, sys
import orjson
from connectors.contract import ConnectorError, Limits, Runnable, SqlConnectorConfig
from connectors.postgres import connector

async def main(dsn, sql, max_bytes):
    made = connector(SqlConnectorConfig(name="shop", secret=lambda: dsn, pool_max=2))
    await made.open()
    limits = Limits(max_rows=2_000_000, max_bytes=max_bytes, max_value_bytes=1 << 20, timeout_s=60)
    await made.read(Runnable(sql="SELECT 1"), limits, lambda rows: len(orjson.dumps(rows)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        outcome = await made.read(Runnable(sql=sql), limits, lambda rows: len(orjson.dumps(rows)))
        said = f"{outcome.row_count} {outcome.stopped}"
    except ConnectorError as e:
        said = f"- {e.failure.value}"
    await made.close()
    print(said, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        running.create_role("reader")
        yield running


def _read(server: PostgresServer, sql: str, max_bytes: int = 1 << 30) -> tuple[str, str, int]:
    """(rows, how it ended, growth in MiB)"""
    done = subprocess.run(
        [sys.executable, "-c", _READER, server.dsn("reader", "reader"), sql, str(max_bytes)],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows, ended, grown = done.stdout.split()
    return rows, ended, int(grown)


def test_a_million_rows_pass_through_a_few_megabytes(server: PostgresServer) -> None:
    rows, ended, grown = _read(server, "SELECT i, 'row number ' || i, now() FROM generate_series(1, 1000000) AS i")
    assert (rows, ended) == ("1000000", "None")
    assert grown < 40


def test_an_enormous_value_is_never_held(server: PostgresServer) -> None:
    rows, ended, grown = _read(server, "SELECT repeat('x', 500000000)")
    assert (rows, ended) == ("-", "value_too_large")
    assert grown < 80


def test_enormous_values_in_later_rows_are_never_held(server: PostgresServer) -> None:
    sql = "SELECT repeat('x', CASE WHEN i > 5000 THEN 100000000 ELSE 1 END) FROM generate_series(1, 9000) AS i"
    _, _, grown = _read(server, sql, max_bytes=16 << 20)
    assert grown < 150


def test_wide_rows_stop_at_the_byte_cap(server: PostgresServer) -> None:
    rows, ended, grown = _read(server, "SELECT repeat('x', 500000) FROM generate_series(1, 9000)", max_bytes=16 << 20)
    assert ended == "bytes"
    assert 20 <= int(rows) <= 40
    assert grown < 100
