"""A request that waits for a human: worked out, held and bound first; nothing of it shown to whoever asks."""

import asyncio
import json
from dataclasses import replace

import pytest

from app.approval.approval import State
from app.approval.digest import check_digest
from app.approval.machine import reject
from app.gateway.record import rfc3339
from connectors.contract import ConnectorError, Failure, Fault
from tests.gateway.execution_site import BLIND, WINDOW, Reader, Site, policy, sha256

UNMASK = "SELECT id, email FROM people"


async def test_a_read_runs_is_held_and_shows_nothing_to_whoever_asks() -> None:
    site = Site()
    told = await site.ask("ana", UNMASK, unmask=("pii.email",), purpose="ticket 4")
    assert told.status == 202
    assert b"example.org" not in told.raw
    assert (told.body["rows"], told.body["row_count"], told.body["affected_rows"]) == ([], 0, None)
    approval = await site.stored(told.body["approval_id"])
    held, until = site.held.held[approval.approval_id]
    outcome = approval.request["outcome"]
    assert (outcome["held_sha256"], outcome["held_bytes"], outcome["rows"]) == (sha256(held), len(held), 2)
    assert until == approval.expires_at
    assert check_digest(approval)
    document = json.loads(held + b"}")
    assert document["rows"] == [[1, "ana@example.org"], [2, "bob@example.org"]]
    assert document["columns"][1]["mask"] is None
    assert document["approval_id"] == approval.approval_id
    # In the order in which they count: intent, then the answer; the result's digest stands in both.
    assert site.outcomes() == ["intent", "pending_approval"]
    assert {entry["held_sha256"] for entry in site.trail.entries} == {sha256(held)}
    assert {entry["rows"] for entry in site.trail.entries} == {0}


async def test_the_answer_says_which_call_comes_next() -> None:
    site = Site()
    told = await site.ask("ana", "DELETE FROM people WHERE id = 1")
    name = told.body["approval_id"]
    for word in ("get_approval", "wait_seconds", "execute_approval", name):
        assert word in told.body["notice"]
    assert (told.body["state"], told.body["affected_rows"]) == ("pending", 2)
    assert told.headers["location"] == told.body["approval_url"] == f"https://gate.test/v1/approvals/{name}"
    assert told.headers["retry-after"] == str(told.body["retry_after_seconds"])
    assert (site.engine.dry, site.engine.committed) == (site.engine.dry[:1], [])


async def test_a_label_that_nobody_unmasked_stays_masked_and_one_that_needs_nobody_is_not_asked_for() -> None:
    site = Site()
    told = await site.ask("ana", UNMASK)
    assert told.status == 200
    assert told.body["columns"][1]["mask"] == "null"
    refused = await site.ask("bob", UNMASK, unmask=("pii.email",))
    assert (refused.status, refused.code) == (403, "access_denied")
    assert not site.store.all


@pytest.mark.parametrize(
    "error",
    [
        ConnectorError(Failure.STATEMENT, fault=Fault.DIVISION_BY_ZERO),
        ConnectorError(Failure.STATEMENT, fault=Fault.INVALID_VALUE),
        ConnectorError(Failure.STATEMENT, fault=Fault.CARDINALITY),
        ConnectorError(Failure.STATEMENT),
        ConnectorError(Failure.VALUE_TOO_LARGE, column=1),
        ConnectorError(Failure.TIMEOUT),
        ConnectorError(Failure.OUT_OF_RESOURCES),
    ],
)
async def test_an_error_that_depends_on_rows_tells_its_requester_nothing(error: ConnectorError) -> None:
    """Or `1/(email LIKE 'a%')` would read letter by letter what nobody approved."""
    well, ill = Site(), Site()
    fine = await well.ask("ana", UNMASK, unmask=("pii.email",))
    ill.engine.error = error
    broken = await ill.ask("ana", UNMASK, unmask=("pii.email",))
    assert fine.raw == broken.raw
    approval = await ill.stored(broken.body["approval_id"])
    assert approval.request["outcome"]["preview_failed"]
    assert approval.request["outcome"]["held_sha256"] is None
    # Whoever approves it all the same lets it run once, and then its error is its answer.
    await ill.said_yes(approval.approval_id)
    assert (await ill.execute("ana", approval.approval_id)).status in (413, 422)
    assert (await ill.stored(approval.approval_id)).state is State.FAILED


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConnectorError(Failure.UNAVAILABLE), 503),
        (ConnectorError(Failure.STATEMENT, fault=Fault.UNDEFINED_COLUMN), 422),
        (ConnectorError(Failure.REFUSED_BY_WALL), 403),
    ],
)
async def test_an_error_that_tells_nothing_of_rows_ends_the_request_and_nothing_is_asked(
    error: ConnectorError, status: int
) -> None:
    site = Site()
    site.engine.error = error
    told = await site.ask("ana", UNMASK, unmask=("pii.email",))
    assert told.status == status
    assert (site.store.all, site.held.held, site.outcomes()) == ([], {}, [site.outcomes()[0]])
    assert "approval_id" not in site.trail.entries[0]


async def test_a_write_that_breaks_a_constraint_is_refused_before_anybody_is_asked() -> None:
    site = Site()
    site.engine.error = ConnectorError(Failure.STATEMENT, fault=Fault.INTEGRITY)
    told = await site.ask("ana", "DELETE FROM people WHERE id = 1")
    assert (told.status, told.code) == (422, "statement_integrity")
    assert not site.store.all


async def test_a_write_that_reads_what_a_human_has_to_allow_tells_no_number() -> None:
    site = Site()
    sql = "DELETE FROM people WHERE email = 'x'"
    told = await site.ask("ana", sql, unmask=("pii.email",))
    assert (told.status, told.body["affected_rows"]) == (202, None)
    assert (await site.stored(told.body["approval_id"])).request["outcome"]["rows"] == 2
    refused = await site.ask("ana", sql, unmask=("pii.email",), dry_run=True)
    assert (refused.status, refused.code) == (403, "access_denied")
    other = Site()
    other.engine.error = ConnectorError(Failure.STATEMENT, fault=Fault.DIVISION_BY_ZERO)
    silent = await other.ask("ana", sql, unmask=("pii.email",))
    assert silent.raw == told.raw


async def test_without_a_preview_nothing_runs_before_somebody_said_yes() -> None:
    site = Site(terms=BLIND)
    for sql in ("SELECT id FROM asked", "DELETE FROM people WHERE id = 1"):
        assert (await site.ask("ana", sql)).status == 202
    assert (site.engine.reads, site.engine.dry, site.held.held) == ([], [], {})
    outcomes = [approval.request["outcome"] for approval in site.store.all]
    assert [(outcome["rows"], outcome["estimated_rows"]) for outcome in outcomes] == [(None, 7), (None, None)]


async def test_a_preview_larger_than_may_be_held_is_cut_and_says_so() -> None:
    site = Site()
    site.engine.rows = [(number, "x" * 10) for number in range(1_000)]
    told = await site.ask("ana", UNMASK, unmask=("pii.email",))
    held, _ = site.held.held[told.body["approval_id"]]
    document = json.loads(held + b"}")
    assert (document["row_count"], document["truncated"], document["next_cursor"]) == (100, False, None)


async def test_what_has_no_exact_form_or_further_pages_is_not_asked_for() -> None:
    site = Site()
    assert (await site.ask("ana", "SELECT id FROM asked", cursor="x")).code == "invalid_request"
    assert (await site.ask("ana", "SELECT id FROM asked", purpose="\ud800")).code == "invalid_request"
    assert (await site.ask("ana", "SELECT id FROM asked", dry_run=True)).code == "invalid_request"
    assert (await site.ask("ana", "SELECT id FROM people", dry_run=True)).code == "invalid_request"
    assert not site.store.all


async def test_explain_says_who_would_have_to_agree_and_what_would_run() -> None:
    site = Site()
    told = await site.explain("ana", "DELETE FROM people WHERE id = 1")
    assert (told.body["effect"], told.body["approval"]["requirements"][0]["approvers"]) == ("approve", ["user:max"])
    assert (told.body["approval"]["expires_in_seconds"], told.body["approval"]["preview"]) == (3600, True)
    assert told.body["rewritten_sql"].startswith("DELETE")
    assert (await site.explain("ana", "SELECT id FROM people")).body["approval"] is None
    unmasked = await site.explain("ana", UNMASK, unmask=("pii.email",))
    # What the planner knows of values that are still masked for the requester is not told.
    assert (unmasked.body["effect"], unmasked.body["estimated_rows"]) == ("approve", None)
    assert (site.engine.reads, site.engine.dry, site.store.all) == ([], [], [])


async def test_a_connection_that_only_reads_asks_nobody_for_a_write() -> None:
    site = Site(engine=Reader())
    assert (await site.ask("ana", "DELETE FROM people WHERE id = 1")).code == "writes_need_approval"
    assert (await site.ask("ana", "INSERT INTO people (id) VALUES (7)")).code == "writes_need_approval"
    assert not site.store.all


async def test_whoever_waits_gets_the_result_as_soon_as_somebody_says_yes() -> None:
    site = Site()
    waiting = asyncio.ensure_future(site.ask("ana", "DELETE FROM people WHERE id = 1", wait_seconds=20))
    while not site.store.all:
        await asyncio.sleep(0)
    await site.said_yes(site.store.all[0].approval_id)
    told = await waiting
    assert (told.status, told.body["affected_rows"], told.body["status"]) == (200, 2, "completed")
    assert len(site.engine.committed) == 1
    assert site.outcomes() == ["intent", "intent", "completed"]
    again = await site.execute("ana", told.body["approval_id"])
    assert (again.status, again.code) == (409, "approval_already_executed")


@pytest.mark.parametrize("lost", ["expired", "revoked"])
async def test_whoever_waits_and_loses_the_token_gets_nothing_and_runs_nothing(lost: str) -> None:
    site = Site()
    waiting = asyncio.ensure_future(site.ask("ana", "DELETE FROM people WHERE id = 1", wait_seconds=20))
    while not site.store.all:
        await asyncio.sleep(0)
    if lost == "expired":
        site.tokens["ana"] = replace(site.tokens["ana"], expires_at=int(site.now) + 10)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        waiting = asyncio.ensure_future(site.ask("ana", "DELETE FROM people WHERE id = 1", wait_seconds=20))
        while len(site.store.all) < 2:
            await asyncio.sleep(0)
        site.now += 10
    else:
        site.withdrawn.add("ana")
    name = site.store.all[-1].approval_id
    await site.said_yes(name)
    told = await waiting
    assert (told.status, told.code) == (401, "invalid_token")
    assert (site.trail.entries[-1]["reason"], site.engine.committed) == (lost, [])
    assert (await site.stored(name)).state is State.APPROVED


async def test_whoever_waits_hears_of_a_no_and_of_time_that_ran_out() -> None:
    site = Site()
    waiting = asyncio.ensure_future(site.ask("ana", "DELETE FROM people WHERE id = 1", wait_seconds=20))
    while not site.store.all:
        await asyncio.sleep(0)
    before = site.store.all[0]
    assert await site.store.replace(before, reject(before, site.max, at=rfc3339(site.now), reason="no"))
    site.bulletin.changed(before.approval_id)
    told = await waiting
    assert (told.status, told.code) == (409, "approval_rejected")
    site.bulletin.close()
    drained = await site.ask("ana", "DELETE FROM people WHERE id = 1", wait_seconds=20)
    assert (drained.status, drained.body["state"]) == (202, "pending")


async def test_a_key_asks_once_across_restarts_and_follows_what_became_of_it() -> None:
    site = Site()
    sql = "DELETE FROM people WHERE id = 1"
    first = await site.ask("ana", sql, idempotency_key="k")
    site.restart()
    again = await site.ask("ana", sql, idempotency_key="k")
    assert (again.status, again.body["approval_id"]) == (202, first.body["approval_id"])
    assert (await site.ask("ana", sql + "1", idempotency_key="k")).code == "idempotency_mismatch"
    site.restart()
    assert (await site.ask("ana", sql + "1", idempotency_key="k")).code == "idempotency_mismatch"
    assert len(site.store.all) == 1
    await site.said_yes(first.body["approval_id"])
    ready = await site.ask("ana", sql, idempotency_key="k")
    assert (ready.status, ready.body["state"]) == (202, "approved")
    assert "execute_approval" in ready.body["notice"]
    done = await site.ask("ana", sql, idempotency_key="k", wait_seconds=5)
    assert (done.status, done.body["affected_rows"], len(site.engine.committed)) == (200, 2, 1)
    over = await site.ask("ana", sql, idempotency_key="k", wait_seconds=5)
    assert (over.status, over.code) == (409, "approval_already_executed")


async def test_a_key_whose_request_never_came_to_be_is_free() -> None:
    site = Site()
    sql = "DELETE FROM people WHERE id = 1"
    site.trail.down = True
    assert (await site.ask("ana", sql, idempotency_key="k")).code == "audit_unavailable"
    site.trail.down = False
    await site.settled()
    assert site.keys.kept == {}
    assert (await site.ask("ana", sql, idempotency_key="k")).status == 202
    # Kept, and then the store lost the approval itself.
    site.store._by_id.clear()
    assert (await site.ask("ana", sql, idempotency_key="k")).status == 202
    assert len(site.store.all) == 1


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", range(5))
@pytest.mark.parametrize("key", [None, "k"])
async def test_a_store_lost_at_any_step_of_asking_leaves_nothing_half_done(
    call: int, after: bool, key: str | None
) -> None:
    site = Site()
    site.outages.at, site.outages.after = call, after
    told = await site.ask("ana", UNMASK, unmask=("pii.email",), idempotency_key=key)
    site.outages.at = None
    await site.settled()
    assert told.status in (202, 503)
    assert b"example.org" not in told.raw
    # Whatever can be approved is held and on the trail; what is not, is not held either.
    for approval in site.store.all:
        assert approval.approval_id in site.held.held
        assert approval.approval_id in {entry.get("approval_id") for entry in site.trail.entries}
    assert set(site.held.held) == {approval.approval_id for approval in site.store.all}
    if told.status == 503 and not (call == 0 and after and key):
        again = await site.ask("ana", UNMASK, unmask=("pii.email",), idempotency_key=key)
        assert again.status == 202
        if key:
            assert len(site.store.all) == 1


async def test_a_trail_that_is_lost_asks_nobody_and_holds_nothing() -> None:
    site = Site()
    site.trail.down = True
    told = await site.ask("ana", UNMASK, unmask=("pii.email",))
    await site.settled()
    assert (told.status, told.code, site.store.all, site.held.held) == (503, "audit_unavailable", [], {})


async def test_what_no_approval_may_cover_asks_nobody_and_says_what_to_narrow() -> None:
    site = Site()
    site.current = policy(terms=WINDOW)
    site.engine.touches = 11
    told = await site.ask("ana", "DELETE FROM people WHERE id = 1")
    assert (told.status, told.code) == (409, "approval_rows_exceeded")
    assert "more than the 10 rows" in told.body["detail"]
    assert "send the request again" not in told.body["detail"]
    assert await site.store.last_change() == 0
