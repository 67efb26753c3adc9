"""What a human approved is what runs, once: for the one who asked, as it was bound, as long as policy says the same."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from app.approval.approval import Happening, State
from app.approval.machine import begin
from app.approval.people import Person
from app.gateway.record import rfc3339
from connectors.contract import ConnectorError, Failure, Fault
from tests.gateway.execution_site import BLIND, DATA, RULES, TERMS, WINDOW, Site, policy, sha256
from tests.gateway.fakes import caller

DELETE = "DELETE FROM people WHERE id = 1"
UPDATE = "UPDATE people SET id = id WHERE id = 1"
UNMASK = "SELECT id, email FROM people"


async def test_a_held_read_is_released_byte_for_byte_and_destroyed() -> None:
    site = Site()
    name = await site.approved(UNMASK, unmask=("pii.email",))
    held, _ = site.held.held[name]
    site.engine.rows = [(9, "somebody@else.example")]
    told = await site.execute("ana", name)
    assert (told.status, len(site.engine.reads)) == (200, 1)
    assert told.raw.startswith(held)
    assert set(json.loads(told.raw)) == {*json.loads(held + b"}"), "receipt"}
    assert site.held.held == {}
    approval = await site.stored(name)
    assert (approval.state, approval.rows_used, approval.uses) == (State.EXECUTED, 2, 1)
    last = site.trail.entries[-1]
    assert (last["outcome"], last["rows"], last["held_sha256"]) == ("completed", 2, sha256(held))
    assert (last["approval_state"], last["approval_id"]) == ("executed", name)
    assert last["answer_sha256"] == sha256(told.raw)
    again = await site.execute("ana", name)
    assert (again.status, again.code, again.body.get("rows")) == (409, "approval_already_executed", None)


async def test_a_write_runs_once_with_its_intent_on_the_trail_first() -> None:
    site = Site()
    name = await site.approved(DELETE)
    before = len(site.trail.entries)
    told = await site.execute("ana", name)
    assert (told.status, told.body["affected_rows"], told.body["approval_id"]) == (200, 2, name)
    entries = site.trail.entries[before:]
    assert [(entry["outcome"], entry["approval_state"]) for entry in entries] == [
        ("intent", "executing"),
        ("completed", "executed"),
    ]
    assert entries[0]["statement_run"] == site.engine.committed[0]
    assert (entries[1]["affected_rows"], entries[1]["dry_run"]) == (2, False)
    assert (await site.stored(name)).history[-1].happening is Happening.EXECUTED


@pytest.mark.parametrize("sql", [DELETE, "SELECT id FROM asked"])
async def test_of_a_hundred_executes_at_once_one_runs(sql: str) -> None:
    site = Site(terms=BLIND)
    name = await site.approved(sql)
    told = await asyncio.gather(*(site.execute("ana", name) for _ in range(100)))
    assert sorted(each.status for each in told) == [200] + [409] * 99
    assert {each.code for each in told} <= {None, "approval_in_use", "approval_already_executed"}
    assert len(site.engine.committed) + len(site.engine.reads) == 1
    assert site.outcomes().count("completed") == 1


@pytest.mark.parametrize(
    ("who", "status", "code"),
    [
        ("bob", 404, "unknown_approval"),
        ("max", 404, "unknown_approval"),
        ("ana-other", 403, "approval_not_requester"),
        ("ana-chain", 403, "approval_not_requester"),
    ],
)
async def test_only_whoever_asked_uses_it_and_only_from_where_it_was_asked(who: str, status: int, code: str) -> None:
    site = Site()
    name = await site.approved(DELETE)
    for key in (None, "k"):
        told = await site.execute(who, name, key)
        assert (told.status, told.code) == (status, code)
    assert (site.engine.committed, (await site.stored(name)).state) == ([], State.APPROVED)
    unknown = await site.execute("ana", "apr_" + "0" * 32)
    assert (unknown.status, unknown.code) == (404, "unknown_approval")


@pytest.mark.parametrize(
    "change",
    [
        {"statement": "DELETE FROM people"},
        {"params": {"a": 1}},
        {"max_rows": 5},
        {"connection": "other"},
        {"principal": "bob"},
        {"unmask": ["pii.email"]},
        {"outcome": {"kind": "write"}},
    ],
)
async def test_a_stored_request_that_is_not_what_was_bound_is_not_run(change: dict[str, object]) -> None:
    site = Site()
    name = await site.approved(DELETE)
    approval = await site.stored(name)
    site.store.tampered(replace(approval, request={**approval.request, **change}))
    told = await site.execute("ana", name)
    assert (told.status, told.code) == (500, "approval_altered")
    assert (site.engine.committed, site.trail.entries[-1]["code"]) == ([], "approval_altered")


async def test_what_was_held_and_is_not_what_was_approved_is_not_released() -> None:
    for damage in ("other", "gone"):
        site = Site()
        name = await site.approved(UNMASK, unmask=("pii.email",))
        if damage == "gone":
            del site.held.held[name]
        else:
            site.held.held[name] = (b'{"rows":[]', "2026")
        told = await site.execute("ana", name)
        assert (told.status, told.code) == (500, "approval_altered")
        assert ((await site.stored(name)).state, site.held.held) == (State.FAILED, {})
        assert len(site.engine.reads) == 1


@pytest.mark.parametrize(
    ("later_s", "code"), [(3599.0, None), (3600.0, "approval_expired"), (9_999.0, "approval_expired")]
)
async def test_time_is_looked_at_when_it_is_used(later_s: float, code: str | None) -> None:
    site = Site()
    name = await site.approved(DELETE)
    site.now += later_s
    told = await site.execute("ana", name)
    assert told.code == code
    assert len(site.engine.committed) == (code is None)
    if code is None:
        # No longer than what is left.
        assert site.engine.timeouts_s[-1] == pytest.approx(1.0)


async def test_the_same_decision_under_a_new_policy_is_the_same_decision() -> None:
    site = Site()
    name = await site.approved(DELETE)
    site.current = policy(RULES + "p, user:zoe, shop/main.logs, select, allow,\n")
    assert (await site.execute("ana", name)).status == 200
    # Also when policy needs nobody for it any more.
    name = await site.approved(DELETE)
    site.current = policy(RULES.replace("people, delete, approve", "people, delete, allow"))
    assert (await site.execute("ana", name)).status == 200
    assert len(site.engine.committed) == 2


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"data": DATA.replace(b"email: pii.email", b"id: pii.email")}, {"rewritten_sql"}),
        ({"data": DATA + b"    rows:\n      '*': id = 1\n"}, {"rewritten_sql", "row_filtered"}),
        ({"terms": TERMS.replace("quorum: 1", "quorum: 2").replace("[user:max]", "[user:max, user:eve]")}, {"terms"}),
    ],
)
async def test_what_would_run_differently_goes_back_to_people_with_the_difference(
    changes: dict[str, object], difference: set[str]
) -> None:
    site = Site()
    name = await site.approved("SELECT id FROM asked a WHERE id IN (SELECT id FROM people)")
    before = await site.stored(name)
    held, _ = site.held.held[name]
    site.current = policy(**changes)  # type: ignore[arg-type]
    site.engine.rows = [(3, "c@example.org")]
    told = await site.execute("ana", name)
    assert (told.status, told.code) == (409, "approval_reopened")
    after = await site.stored(name)
    assert (after.state, after.history[-1].happening) == (State.PENDING, Happening.REOPENED)
    assert difference <= set(after.history[-1].detail["difference"])
    assert after.digest != before.digest
    anew, _ = site.held.held[name]
    assert sha256(anew) == after.request["outcome"]["held_sha256"] != sha256(held)
    assert (await site.execute("ana", name)).code == "approval_not_approved"
    assert site.trail.entries[-3]["outcome"] == "intent"
    assert site.trail.entries[-2]["approval_state"] == "pending"
    if "terms" not in difference:
        await site.said_yes(name)
        done = await site.execute("ana", name)
        assert done.raw.startswith(anew)


async def test_other_claims_mean_other_rows_so_people_decide_anew() -> None:
    site = Site()
    site.current = policy(data=DATA + b"    rows:\n      '*': id = claims.n\n")
    first, second = (replace(caller("ana", claims={"n": n}), policy_key=f"ana{n}") for n in (1, 2))
    site.tokens["ana"] = first
    name = await site.approved(DELETE)
    site.tokens["ana"] = second
    assert (await site.execute("ana", name)).code == "approval_reopened"
    assert site.engine.committed == []
    step = (await site.stored(name)).history[-1]
    assert step.detail["difference"] == {"policy_values": {"before": "as approved", "after": "changed"}}
    await site.said_yes(name)
    assert (await site.execute("ana", name)).status == 200


@pytest.mark.parametrize(
    "rules",
    [
        RULES + "p, *, shop/main.people, delete, deny,\n",
        RULES + "p, *, shop/main.people, *, deny,\n",
        RULES + "p, *, shop/**, *, deny,\n",
    ],
)
async def test_what_policy_denies_by_now_is_taken_back(rules: str) -> None:
    site = Site()
    name = await site.approved(DELETE)
    site.current = policy(rules)
    told = await site.execute("ana", name)
    assert (told.status, told.code) == (403, "access_denied")
    assert (await site.stored(name)).state is State.REVOKED
    assert site.trail.entries[-1]["approval_state"] == "revoked"
    assert (await site.execute("ana", name)).code == "approval_revoked"
    assert site.engine.committed == []


async def test_an_unmask_that_nobody_may_ask_for_any_more_is_taken_back_and_what_was_held_destroyed() -> None:
    site = Site()
    name = await site.approved(UNMASK, unmask=("pii.email",))
    site.current = policy(RULES.replace("label:pii.email, unmask, approve", "label:pii.other, unmask, approve"))
    assert (await site.execute("ana", name)).status == 403
    assert ((await site.stored(name)).state, site.held.held) == (State.REVOKED, {})


async def test_a_write_that_would_touch_more_than_was_shown_changes_nothing() -> None:
    site = Site()
    name = await site.approved(DELETE)
    site.engine.touches = 3
    told = await site.execute("ana", name)
    assert (told.status, told.code) == (409, "approval_rows_exceeded")
    assert "nothing was changed" in told.body["detail"]
    assert (site.engine.committed, (await site.stored(name)).state) == ([], State.FAILED)
    fewer = await site.approved(DELETE)
    site.engine.touches = 1
    assert (await site.execute("ana", fewer)).body["affected_rows"] == 1


async def test_a_window_counts_uses_and_rows_and_ends() -> None:
    site = Site()
    name = await site.approved(UPDATE)
    for left in (2, 1):
        assert (await site.execute("ana", name)).status == 200
        stored = await site.stored(name)
        assert (stored.state, 3 - stored.uses) == (State.APPROVED, left)
    assert (await site.execute("ana", name)).status == 200
    assert (await site.stored(name)).state is State.EXECUTED
    assert (await site.execute("ana", name)).code == "approval_already_executed"
    assert len(site.engine.committed) == 3


async def test_the_rows_of_a_window_are_those_of_all_its_uses_together() -> None:
    site = Site()
    site.engine.touches = 6
    name = await site.approved(UPDATE)
    assert (await site.execute("ana", name)).status == 200
    told = await site.execute("ana", name)
    # Four are left, and the window goes on: nothing was changed.
    assert (told.code, (await site.stored(name)).state) == ("approval_rows_exceeded", State.APPROVED)
    site.engine.touches = 4
    assert (await site.execute("ana", name)).status == 200
    assert ((await site.stored(name)).rows_used, len(site.engine.committed)) == (10, 2)
    site.engine.touches = 11
    beyond = await site.ask("ana", UPDATE)
    assert (beyond.status, beyond.code) == (409, "approval_rows_exceeded")


async def test_the_reads_of_a_window_are_the_held_one_and_then_live_ones_within_its_rows() -> None:
    site = Site(terms=WINDOW)
    site.engine.rows = [(number, "x") for number in range(6)]
    name = await site.approved("SELECT id FROM asked")
    first = await site.execute("ana", name)
    assert (first.body["row_count"], len(site.engine.reads)) == (6, 1)
    second = await site.execute("ana", name)
    assert (second.body["row_count"], len(site.engine.reads)) == (4, 2)
    assert (await site.execute("ana", name)).code == "approval_already_executed"


async def test_a_running_use_of_a_window_ends_when_the_window_is_taken_back() -> None:
    site = Site()
    name = await site.approved(UPDATE)
    site.engine.gate = asyncio.Event()
    running = asyncio.ensure_future(site.execute("ana", name))
    while not site.engine.running:
        await asyncio.sleep(0)
    await site.took_it_back(name)
    told = await running
    assert (told.status, told.code) == (409, "approval_revoked")
    stored = await site.stored(name)
    assert (stored.state, site.engine.committed) == (State.REVOKED, [])
    assert site.trail.entries[-1]["approval_state"] == "revoked"


async def test_a_write_that_was_committed_when_its_window_was_taken_back_is_on_record_as_done() -> None:
    site = Site()
    name = await site.approved(UPDATE)
    site.engine.gate, site.engine.lands_late = asyncio.Event(), True
    running = asyncio.ensure_future(site.execute("ana", name))
    while not site.engine.running:
        await asyncio.sleep(0)
    await site.took_it_back(name)
    told = await running
    assert (told.status, told.body["affected_rows"]) == (200, 2)
    stored = await site.stored(name)
    assert (stored.state, stored.history[-1].happening) == (State.REVOKED, Happening.EXECUTED)


@pytest.mark.parametrize(("sql", "after"), [(DELETE, State.FAILED), (UPDATE, State.APPROVED)])
async def test_a_client_that_leaves_ends_what_runs_and_that_is_on_record(sql: str, after: State) -> None:
    site = Site()
    name = await site.approved(sql)
    site.engine.gate = asyncio.Event()
    running = asyncio.ensure_future(site.execute("ana", name))
    while not site.engine.running:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    stored = await site.stored(name)
    assert (stored.state, stored.history[-1].detail["code"]) == (after, "client_left")
    assert site.engine.committed == []
    last = site.trail.entries[-1]
    assert (last["outcome"], last["approval_state"], "affected_rows" in last) == ("cancelled", after.value, False)


@pytest.mark.parametrize("key", [None, "k"])
async def test_a_write_that_was_committed_when_its_client_left_is_on_record_as_done(key: str | None) -> None:
    site = Site()
    name = await site.approved(DELETE)
    site.engine.gate, site.engine.lands_late = asyncio.Event(), True
    running = asyncio.ensure_future(site.execute("ana", name, key))
    while not site.engine.running:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await site.settled()
    assert ((await site.stored(name)).state, len(site.engine.committed)) == (State.EXECUTED, 1)
    last = site.trail.entries[-1]
    assert (last["outcome"], last["approval_state"], last["affected_rows"]) == ("cancelled", "executed", 2)
    if key:
        replayed = await site.execute("ana", name, key)
        assert (replayed.status, replayed.body["affected_rows"]) == (200, 2)
        assert replayed.headers["idempotency-replayed"] == "true"
    assert len(site.engine.committed) == 1


async def test_nobody_runs_again_what_may_have_run() -> None:
    site = Site()
    name = await site.approved(DELETE)
    site.engine.error = ConnectorError(Failure.OUTCOME_UNKNOWN)
    told = await site.execute("ana", name, "k")
    assert (told.status, told.code) == (409, "outcome_unknown")
    stored = await site.stored(name)
    assert (stored.state, stored.history[-1].detail["outcome_known"]) == (State.FAILED, False)
    assert (await site.execute("ana", name)).code == "approval_failed"
    assert (await site.execute("ana", name, "k")).code == "idempotency_in_flight"
    window = Site()
    name = await window.approved(UPDATE)
    window.engine.error = ConnectorError(Failure.OUTCOME_UNKNOWN)
    await window.execute("ana", name)
    assert (await window.stored(name)).state is State.FAILED


async def test_a_fault_of_ours_in_the_middle_of_a_write_counts_as_not_known() -> None:
    site = Site()
    name = await site.approved(UPDATE)
    site.engine.error = RuntimeError("a bug")  # type: ignore[assignment]
    assert (await site.execute("ana", name)).code == "internal_error"
    assert (await site.stored(name)).history[-1].detail == {"use": 1, "code": "internal_error", "outcome_known": False}


async def test_a_read_without_preview_runs_when_it_is_used() -> None:
    site = Site(terms=BLIND)
    name = await site.approved("SELECT id FROM asked", max_rows=1)
    told = await site.execute("ana", name)
    assert (told.status, told.body["row_count"], len(site.engine.reads)) == (200, 1, 1)
    site.engine.error = ConnectorError(Failure.STATEMENT, fault=Fault.DIVISION_BY_ZERO)
    name = await site.approved("SELECT id FROM asked", max_rows=1)
    assert (await site.execute("ana", name)).code == "statement_division_by_zero"
    assert (await site.stored(name)).state is State.FAILED


async def test_a_key_gives_a_write_the_same_answer_with_a_receipt_of_its_own() -> None:
    site = Site()
    name = await site.approved(DELETE + " RETURNING id")
    first = await site.execute("ana", name, "k")
    assert first.body["rows"] == [[0], [1]]
    site.restart()
    again = await site.execute("ana", name, "k")
    assert {**again.body, "receipt": None} == {**first.body, "receipt": None}
    assert again.body["receipt"] != first.body["receipt"]
    assert len(site.engine.committed) == 1
    assert (await site.execute("ana", name, "other")).code == "approval_already_executed"
    # What did not run leaves its key free.
    await site.settled()
    assert len(site.keys.kept) == 1


STEPS = range(8)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", STEPS)
@pytest.mark.parametrize(("sql", "unmask"), [(DELETE, ()), (UNMASK, ("pii.email",)), (UPDATE, ())])
async def test_a_store_lost_at_any_step_of_a_use_never_lets_it_run_twice(
    sql: str, unmask: tuple[str, ...], call: int, after: bool
) -> None:
    site = Site()
    name = await site.approved(sql, unmask=unmask)
    reads = len(site.engine.reads)
    site.outages.calls.clear()
    site.outages.at, site.outages.after = call, after
    told = await site.execute("ana", name)
    site.outages.at = None
    await site.settled()
    ran = len(site.engine.committed)
    assert ran == (1 if told.status == 200 and not unmask else 0)
    assert len(site.engine.reads) == reads
    stored = await site.stored(name)
    window = sql == UPDATE
    if told.status == 200:
        assert stored.state is (State.APPROVED if window else State.EXECUTED)
        assert stored.uses == 1
    else:
        assert (told.status, told.code) == (503, "store_unavailable")
        assert stored.state in (State.APPROVED, State.FAILED)
    # Never without an intent, never without an outcome.
    assert site.outcomes().count("intent") >= 1 + (ran or told.status == 200)
    assert site.trail.entries[-1]["outcome"] in ("completed", "failed")
    for _ in range(5):
        await site.execute("ana", name)
    await site.settled()
    used = await site.stored(name)
    assert len(site.engine.committed) <= (3 if window else 1)
    assert len(site.engine.committed) + (0 if not unmask else 1) <= used.uses + (1 if unmask else 0)
    assert site.held.held == {}


@pytest.mark.parametrize("nth", range(3))
@pytest.mark.parametrize("key", [None, "k"])
async def test_a_trail_lost_at_any_step_runs_nothing_without_intent_and_releases_nothing(
    nth: int, key: str | None
) -> None:
    for sql, unmask in ((DELETE, ()), (UNMASK, ("pii.email",))):
        site = Site()
        name = await site.approved(sql, unmask=unmask)
        appended = site.trail.append
        count = 0

        def losing(entry, appended=appended, site=site):  # type: ignore[no-untyped-def]
            nonlocal count
            site.trail.down = count >= nth
            count += 1
            return appended(entry)

        site.trail.append = losing  # type: ignore[method-assign]
        before = len(site.trail.entries)
        told = await site.execute("ana", name, key)
        if nth == 0:
            assert (told.code, site.engine.committed) == ("audit_unavailable", [])
            assert (await site.stored(name)).state is State.APPROVED
        elif nth == 1:
            # It ran, and that is in the store; nothing of it leaves, and it does not run again.
            assert told.code == "audit_unavailable"
            assert b"example.org" not in told.raw
            assert site.trail.entries[before]["outcome"] == "intent"
            assert (await site.stored(name)).state is State.EXECUTED
        else:
            assert told.status == 200
        assert len(site.engine.committed) == (nth > 0 and not unmask)


async def test_a_step_of_somebody_else_in_between_wins() -> None:
    site = Site()
    name = await site.approved(DELETE)
    before = await site.stored(name)
    ana = Person.of(site.tokens["ana"], frozenset())
    get = site.store.get
    first = True

    async def overtaken(approval_id: str):  # type: ignore[no-untyped-def]
        nonlocal first
        found = await get(approval_id)
        if first:
            first = False
            assert await site.store.replace(before, begin(before, ana, at=rfc3339(site.now)))
        return found

    site.store.get = overtaken  # type: ignore[method-assign]
    told = await site.execute("ana", name)
    assert (told.status, told.code, site.engine.committed) == (409, "approval_in_use", [])


@pytest.mark.parametrize("sql", [DELETE, "SELECT id FROM asked"])
async def test_a_use_that_the_store_confirms_after_its_deadline_gives_nothing_out(sql: str) -> None:
    site = Site()
    name = await site.approved(sql)
    replaced = site.store.replace

    async def slow(before: Any, after: Any) -> bool:
        won = await replaced(before, after)
        if after.state is State.EXECUTING:
            site.now += 3_600
        return won

    site.store.replace = slow  # type: ignore[method-assign]
    told = await site.execute("ana", name)
    assert (told.status, told.code) == (409, "approval_expired")
    assert ((await site.stored(name)).state, site.engine.committed, site.held.held) == (State.FAILED, [], {})


async def test_of_many_executes_at_once_those_that_cannot_win_read_and_preview_nothing() -> None:
    site = Site()
    name = await site.approved("SELECT id FROM asked")
    calls = len(site.outages.calls)
    site.now += 1
    told = await asyncio.gather(*(site.execute("ana", name) for _ in range(20)))
    assert sorted(each.status for each in told) == [200, *[409] * 19]
    assert {each.code for each in told if each.code} <= {"approval_in_use", "approval_already_executed"}
    assert site.outages.calls[calls:].count("take") == 1
    name = await site.approved("SELECT id FROM asked")
    previews = len(site.engine.reads)
    site.current = policy(data=DATA.replace(b"main.people", b"main.asked").replace(b"email: pii", b"id: pii"))
    told = await asyncio.gather(*(site.execute("ana", name) for _ in range(20)))
    assert {each.status for each in told} == {409}
    assert len(site.engine.reads) == previews + 1


async def test_a_client_that_leaves_while_people_are_asked_anew_leaves_what_they_have_to_see() -> None:
    site = Site()
    name = await site.approved("SELECT id FROM asked a WHERE id IN (SELECT id FROM people)")
    site.current = policy(data=DATA + b"    rows:\n      '*': id = 1\n")
    site.engine.rows = [(3, "c@example.org")]
    replaced = site.store.replace
    running: list[asyncio.Future[Any]] = []

    async def left(before: Any, after: Any) -> bool:
        done = await replaced(before, after)
        running[0].cancel()
        return done

    site.store.replace = left  # type: ignore[method-assign]
    running.append(asyncio.ensure_future(site.execute("ana", name)))
    with pytest.raises(asyncio.CancelledError):
        await running[0]
    await site.settled()
    after = await site.stored(name)
    assert after.state is State.PENDING
    assert sha256(site.held.held[name][0]) == after.request["outcome"]["held_sha256"]


async def test_what_is_taken_back_is_destroyed_though_its_client_leaves() -> None:
    site = Site()
    name = await site.approved(UNMASK, unmask=("pii.email",))
    site.current = policy(RULES.replace("label:pii.email, unmask, approve", "label:pii.other, unmask, approve"))
    replaced = site.store.replace
    running: list[asyncio.Future[Any]] = []

    async def left(before: Any, after: Any) -> bool:
        done = await replaced(before, after)
        running[0].cancel()
        return done

    site.store.replace = left  # type: ignore[method-assign]
    running.append(asyncio.ensure_future(site.execute("ana", name)))
    with pytest.raises(asyncio.CancelledError):
        await running[0]
    await site.settled()
    assert ((await site.stored(name)).state, site.held.held) == (State.REVOKED, {})


async def test_a_window_that_people_decided_anew_releases_what_they_saw_then_within_the_rows_that_are_left() -> None:
    site = Site(terms=WINDOW)
    site.engine.rows = [(number, "x") for number in range(8)]
    name = await site.approved("SELECT id FROM asked a WHERE id IN (SELECT id FROM people)")
    assert (await site.execute("ana", name)).body["row_count"] == 8
    site.current = policy(terms=WINDOW, data=DATA + b"    rows:\n      '*': id = 1\n")
    assert (await site.execute("ana", name)).code == "approval_reopened"
    assert (await site.stored(name)).request["outcome"]["rows"] == 2
    held, _ = site.held.held[name]
    await site.said_yes(name)
    site.engine.rows = [(99, "y")]
    told = await site.execute("ana", name)
    assert told.raw.startswith(held)
    assert ((await site.stored(name)).rows_used, site.held.held) == (10, {})
