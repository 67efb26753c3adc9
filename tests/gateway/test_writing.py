"""Writes that need nobody: dry or for good, once per key, never without an intent."""

import asyncio
from typing import Any

import pytest

from connectors.contract import ConnectorError, Failure, Fault
from tests.gateway.execution_site import Site

INSERT = "INSERT INTO people (id) VALUES (7)"


async def test_an_allowed_write_runs_at_once_with_its_intent_first() -> None:
    site = Site()
    told = await site.ask("ana", INSERT)
    assert (told.status, told.body["affected_rows"], told.body["dry_run"]) == (200, 2, False)
    assert (told.body["rows"], told.body["row_count"], told.body["columns"]) == ([], 0, [])
    assert [(entry["outcome"], entry.get("affected_rows")) for entry in site.trail.entries] == [
        ("intent", None),
        ("completed", 2),
    ]
    assert site.trail.entries[0]["statement"] == INSERT
    assert site.trail.entries[1]["statement_run"] == site.engine.committed[0]


async def test_returning_comes_in_the_envelope_of_every_answer() -> None:
    site = Site()
    told = await site.ask("ana", INSERT + " RETURNING id")
    assert (told.body["rows"], told.body["columns"][0]["name"], told.body["row_count"]) == ([[0], [1]], "id", 2)
    assert (told.body["affected_rows"], site.trail.entries[-1]["rows"]) == (2, 2)
    cut = await site.ask("ana", INSERT + " RETURNING id", max_rows=1)
    assert (cut.body["row_count"], cut.body["affected_rows"]) == (1, 2)


async def test_reads_say_that_they_touched_nothing() -> None:
    site = Site()
    told = await site.ask("ana", "SELECT id, email FROM people")
    assert (told.body["affected_rows"], told.body["dry_run"]) == (None, False)
    assert not {"affected_rows", "dry_run"} & set(site.trail.entries[-1])


@pytest.mark.parametrize(("sql", "rows"), [(INSERT + " RETURNING id", [[0], [1]]), ("DELETE FROM people", [])])
async def test_a_dry_run_changes_nothing_and_needs_nobody(sql: str, rows: list[object]) -> None:
    site = Site()
    told = await site.ask("ana", sql, dry_run=True, idempotency_key="k")
    assert (told.status, told.body["dry_run"], told.body["affected_rows"]) == (200, True, 2)
    assert told.body["rows"] == rows
    assert (site.engine.committed, len(site.engine.dry), site.store.all, site.keys.kept) == ([], 1, [], {})
    assert [(entry["outcome"], entry["dry_run"]) for entry in site.trail.entries] == [("completed", True)]


async def test_a_change_of_the_schema_always_waits_for_a_human() -> None:
    site = Site(rules="p, client:cli, **, *, allow,\np, user:ana, shop/**, *, allow,\n")
    told = await site.ask("ana", "DROP TABLE people")
    assert told.status == 403
    assert (site.engine.committed, site.engine.dry) == ([], [])
    for _ in range(2):
        refused = await site.ask("ana", "DROP TABLE people", idempotency_key="k")
        assert (refused.status, refused.code) == (told.status, told.code)
        await site.settled()
    assert site.keys.kept == {}


async def test_a_key_whose_write_broke_in_a_fault_of_ours_runs_nothing_again() -> None:
    site = Site()
    fault: Any = RuntimeError("after the commit")
    site.engine.error = fault
    assert (await site.ask("ana", INSERT, idempotency_key="k")).status == 500
    await site.settled()
    site.engine.error = None
    site.restart()
    assert (await site.ask("ana", INSERT, idempotency_key="k")).code == "idempotency_in_flight"
    assert site.engine.committed == []


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ConnectorError(Failure.STATEMENT, fault=Fault.INTEGRITY), 422, "statement_integrity"),
        (ConnectorError(Failure.STATEMENT, fault=Fault.ROW_FILTER), 403, "row_filter_violation"),
        (ConnectorError(Failure.UNAVAILABLE), 503, "connection_unavailable"),
        (ConnectorError(Failure.OUTCOME_UNKNOWN), 409, "outcome_unknown"),
    ],
)
async def test_a_write_that_fails_says_whether_anything_changed(error: ConnectorError, status: int, code: str) -> None:
    site = Site()
    site.engine.error = error
    told = await site.ask("ana", INSERT, idempotency_key="k")
    assert (told.status, told.code) == (status, code)
    assert ("nothing was changed" in told.body["detail"]) == (status in (422, 403))
    assert site.outcomes()[0] == "intent"
    await site.settled()
    site.engine.error = None
    again = await site.ask("ana", INSERT, idempotency_key="k")
    if code == "outcome_unknown":
        assert (again.code, site.engine.committed) == ("idempotency_in_flight", [])
    else:
        assert (again.status, len(site.engine.committed)) == (200, 1)


async def test_a_key_runs_a_write_once_across_restarts_and_gives_the_same_answer() -> None:
    site = Site()
    first = await site.ask("ana", INSERT + " RETURNING id", idempotency_key="k")
    for _ in range(2):
        site.restart()
        again = await site.ask("ana", INSERT + " RETURNING id", idempotency_key="k")
        assert {**again.body, "receipt": None} == {**first.body, "receipt": None}
        assert again.body["receipt"] != first.body["receipt"]
        assert again.headers["idempotency-replayed"] == "true"
        assert site.trail.entries[-1]["reason"] == "idempotency_replayed"
    site.restart()
    assert (await site.ask("ana", INSERT, idempotency_key="k")).code == "idempotency_mismatch"
    assert len(site.engine.committed) == 1
    site.now += 24 * 3600 + 1
    assert (await site.ask("ana", INSERT, idempotency_key="k")).status == 200


async def test_of_many_processes_with_one_key_one_runs() -> None:
    site = Site()
    told = []
    for _ in range(20):
        site.restart()
        told.append(asyncio.ensure_future(site.ask("ana", INSERT, idempotency_key="k")))
    answers = await asyncio.gather(*told)
    assert len(site.engine.committed) == 1
    assert {each.status for each in answers} <= {200, 409}
    assert {each.code for each in answers} <= {None, "idempotency_in_flight"}


@pytest.mark.parametrize("lands_late", [False, True])
async def test_a_client_that_leaves_learns_from_its_key_whether_it_ran(lands_late: bool) -> None:
    site = Site()
    site.engine.gate, site.engine.lands_late = asyncio.Event(), lands_late
    running = asyncio.ensure_future(site.ask("ana", INSERT, idempotency_key="k"))
    while not site.engine.running:
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running})
    await site.settled()
    assert len(site.engine.committed) == lands_late
    assert ("affected_rows" in site.trail.entries[-1]) == lands_late
    site.engine.gate = None
    again = await site.ask("ana", INSERT, idempotency_key="k")
    assert (again.status, len(site.engine.committed)) == (200, 1)
    assert ("idempotency-replayed" in again.headers) == lands_late


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", range(3))
async def test_a_store_lost_at_any_step_of_a_write_with_a_key_never_lets_it_run_twice(call: int, after: bool) -> None:
    site = Site()
    site.outages.at, site.outages.after = call, after
    told = await site.ask("ana", INSERT, idempotency_key="k")
    site.outages.at = None
    await site.settled()
    assert told.status == (503 if call == 0 else 200)
    assert len(site.engine.committed) == (told.status == 200)
    site.restart()
    again = await site.ask("ana", INSERT, idempotency_key="k")
    assert again.status == (409 if call == 0 and after else 200)
    assert len(site.engine.committed) <= 1


async def test_no_write_runs_without_an_intent() -> None:
    site = Site()
    site.trail.down = True
    told = await site.ask("ana", INSERT)
    assert (told.code, site.engine.committed) == ("audit_unavailable", [])


@pytest.mark.parametrize("sql", ["DELETE FROM people WHERE id > 5", "UPDATE people SET id = id WHERE id > 5"])
async def test_whoever_may_only_change_rows_counts_none_before_they_are_changed(sql: str) -> None:
    """Or `dry_run` with one WHERE after the other would read the table."""
    site = Site()
    told = await site.ask("eve", sql, dry_run=True)
    assert (told.status, told.code, site.engine.dry) == (403, "access_denied", [])
    waits = await site.ask("eve", "UPDATE people SET id = id WHERE id > 5")
    assert (waits.status, waits.body["affected_rows"]) == (202, None)
    silent = Site()
    silent.engine.error = ConnectorError(Failure.STATEMENT, fault=Fault.DIVISION_BY_ZERO)
    assert (await silent.ask("eve", "UPDATE people SET id = id WHERE id > 5")).raw == (
        await Site().ask("eve", "UPDATE people SET id = id WHERE id > 5")
    ).raw


@pytest.mark.parametrize("sql", ["DELETE FROM people WHERE id = 1 RETURNING id", INSERT + " RETURNING id"])
async def test_whoever_may_only_change_rows_is_shown_none(sql: str) -> None:
    site = Site()
    told = await site.ask("eve", sql)
    assert (told.status, site.engine.committed) == (403, [])
    assert (await site.ask("eve", sql.removesuffix(" RETURNING id"))).status == 200
