"""Everyday writes on a shop that others made, through guard and connector: all of them work, and masks stay on."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.masking.masks import Null, Partial
from app.policy.decision import ColumnView, Compare, Comparison, TableView
from app.sql.postgres import guard
from connectors.conformance.harness import GENEROUS, Collected
from connectors.contract import (
    Catalog,
    ConnectorError,
    Fault,
    SqlConnectorConfig,
    WriteLimits,
    WriteOutcome,
    WriteRunnable,
)
from connectors.postgres import connector
from tests.core.sql_postgres.world import types_of
from tests.integration.guard_postgres.twin_shops import bound
from tests.servers import PostgresServer, postgres_server

SCRIPT = Path(__file__).parents[4] / "shared" / "data" / "chinook" / "Chinook_PostgreSql.sql"
_MASKS = {("customer", "email"): Partial(email=True), ("customer", "phone"): Null(), ("employee", "birth_date"): Null()}

WRITES: list[tuple[str, dict[str, Any], int]] = [
    ("UPDATE customer SET company = 'Acme' WHERE customer_id = 1", {}, 1),
    ("UPDATE customer SET city = :city WHERE country = :country RETURNING customer_id, email, phone",
     {"city": "Berlin", "country": "Germany"}, 4),
    ("UPDATE track SET unit_price = unit_price * 1.1 WHERE genre_id = (SELECT genre_id FROM genre WHERE name = 'Jazz')",
     {}, 130),
    ("UPDATE track t SET composer = a.title FROM album a WHERE a.album_id = t.album_id AND t.composer IS NULL",
     {}, 977),
    ("UPDATE customer c SET support_rep_id = e.employee_id FROM employee e WHERE e.last_name = 'Park' "
     "AND c.support_rep_id = 4 RETURNING c.customer_id, e.last_name", {}, 20),
    ("UPDATE invoice SET total = (SELECT sum(l.unit_price * l.quantity) FROM invoice_line l "
     "WHERE l.invoice_id = invoice.invoice_id) RETURNING invoice_id, total", {}, 321),
    ("DELETE FROM playlist_track WHERE playlist_id = :p", {"p": 1}, 3290),
    ("DELETE FROM playlist_track p USING track t WHERE t.track_id = p.track_id AND t.milliseconds > 5000000 "
     "RETURNING t.name, p.playlist_id", {}, 4),
    ("WITH idle AS (SELECT artist_id FROM artist EXCEPT SELECT artist_id FROM album) "
     "DELETE FROM artist WHERE artist_id IN (SELECT artist_id FROM idle) RETURNING name", {}, 71),
    ("INSERT INTO genre (genre_id, name) VALUES (:id, :name), (101, 'Fado') RETURNING *",
     {"id": 100, "name": "Ska"}, 2),
    ("INSERT INTO genre VALUES (1, 'Rock!') ON CONFLICT (genre_id) DO UPDATE SET name = excluded.name RETURNING name",
     {}, 1),
    ("INSERT INTO playlist (playlist_id, name) SELECT 100 + genre_id, name FROM genre", {}, 25),
    ("INSERT INTO playlist_track SELECT 2, track_id FROM track WHERE album_id = :album", {"album": 10}, 14),
    ("INSERT INTO employee (employee_id, last_name, first_name, hire_date, reports_to) "
     "VALUES (:id, 'Doe', 'Jo', :hired, NULL) RETURNING employee_id, hire_date, birth_date",
     {"id": 99, "hired": "2026-01-02T03:04:05"}, 1),
    ("UPDATE employee SET hire_date = hire_date + interval '1 year' WHERE reports_to IS NOT NULL "
     "RETURNING extract(year FROM hire_date) AS year", {}, 7),
    ("UPDATE customer SET (city, state) = (upper(city), NULL) WHERE customer_id IN "
     "(SELECT customer_id FROM invoice GROUP BY customer_id HAVING sum(total) > 40) RETURNING city", {}, 10),
]  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    if not SCRIPT.exists():
        pytest.skip(f"no Chinook at {SCRIPT.name}: the shared data folder is not here")
    with postgres_server() as running:
        running.create_database("chinook")
        running.create_role("clerk")
        lines = SCRIPT.read_text().splitlines()
        kept = [line for line in lines if not line.startswith(("DROP DATABASE", "CREATE DATABASE", "\\c "))]
        running.psql("\n".join(kept), "chinook")
        running.psql("GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk", "chinook")
        yield running


def _views(catalog: Catalog) -> dict[Any, TableView]:
    return {
        key: TableView(
            schema=table.schema,
            name=table.name,
            columns=tuple(
                ColumnView(
                    name=column.name, type=column.type, mask=_MASKS.get((table.name, column.name)),
                    max_length=column.max_length,
                )
                for column in table.columns
            ),
            row_filter=Comparison(column="billing_country", op=Compare.NE, value="USA")
            if table.name == "invoice"
            else None,
        )
        for key, table in catalog.tables.items()
    }  # fmt: skip


async def _run(server: PostgresServer, sql: str, params: dict[str, Any]) -> tuple[WriteOutcome, Collected]:
    made = connector(SqlConnectorConfig(name="c", secret=lambda: server.dsn("clerk", "clerk", "chinook")))
    await made.open()
    try:
        catalog = await made.refresh()
        statement = guard.inspect(sql, types_of(params), catalog)
        rewritten = guard.rewrite_write(statement, _views(catalog).get, catalog)
        runnable = WriteRunnable(
            sql=rewritten.sql,
            args=tuple(bound(bind, params) for bind in rewritten.binds),
            returning=rewritten.returning,
        )
        sink = Collected()
        outcome = await made.write(runnable, replace(WriteLimits(read=GENEROUS), dry_run=True), sink)
        return outcome, sink
    finally:
        await made.close()


@pytest.mark.parametrize(("sql", "params", "affected"), WRITES, ids=lambda part: str(part)[:60])
def test_an_everyday_write_works(server: PostgresServer, sql: str, params: dict[str, Any], affected: int) -> None:
    outcome, sink = asyncio.run(_run(server, sql, params))
    assert outcome.affected == affected
    assert outcome.row_count == (affected if "RETURNING" in sql else 0)
    if "email" in sql:
        assert all(row[1].startswith("***@") and row[2] is None for row in sink.rows)


def test_rows_of_others_are_out_of_reach(server: PostgresServer) -> None:
    outcome, _ = asyncio.run(_run(server, "UPDATE invoice SET total = 0 WHERE billing_country = 'USA'", {}))
    assert outcome.affected == 0
    with pytest.raises(ConnectorError) as refused:
        asyncio.run(_run(server, "UPDATE invoice SET billing_country = 'USA' WHERE billing_city = 'Paris'", {}))
    assert refused.value.fault is Fault.ROW_FILTER
