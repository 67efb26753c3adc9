"""What the desk shows of an approval, to whom; what is held, to whom; and what those hear who follow along."""

import asyncio
import json
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import pytest

from app.approval.approval import Approval, Outcome
from app.approval.machine import approve, begin, finish, reject, reopen, revoke
from app.approval.terms import Grant, GrantKind, Terms
from app.gateway.admission import Admission
from app.gateway.answer import Answer
from app.gateway.approvals import ApprovalDesk, GetApproval, ListApprovals, PreviewApproval
from app.gateway.bulletin import Bulletin
from app.gateway.cursor import Cursors
from app.gateway.errors import ApprovalNotApprover, InvalidToken, NoPreview, Refused, UnknownApproval
from app.gateway.feed import Feed
from app.gateway.following import Following, StreamApprovals
from app.policy.caller import Caller
from tests.gateway.approval_fakes import (
    ANA,
    AT,
    DEE,
    EVE,
    MAX,
    NOW_S,
    MemoryApprovals,
    MemoryHeld,
    Policy,
    as_person,
    person,
    quorum,
    record,
    register,
    waiting,
)

NAME = waiting().approval_id
ROWS = b'{"status":"completed","columns":[],"rows":[["raw"]],"row_count":1'
READ = Outcome(
    kind="read",
    rewritten_sql="SELECT email FROM customers WHERE hidden = 1",
    labels=("pii.email",),
    masks=("partial",),
    row_filtered=True,
    estimated_rows=12,
    rows=1,
    held_sha256=sha256(ROWS).hexdigest(),
    held_bytes=len(ROWS),
    salt="5a17" * 8,
)


@dataclass
class Office:
    store: MemoryApprovals = field(default_factory=MemoryApprovals)
    held: MemoryHeld = field(default_factory=MemoryHeld)
    policy: Policy = field(default_factory=Policy)
    now_s: float = NOW_S
    entries: list[Any] = field(default_factory=list)
    admitted: bool = True

    def __post_init__(self) -> None:
        self.bulletin = Bulletin(self.store, poll_s=0.02)
        self.feed = Feed(self.store, poll_s=0.01)
        self.desk = ApprovalDesk(
            register=register(self.store, self.policy, lambda: self.now_s),
            approvals=self.store,
            held=self.held,
            bulletin=self.bulletin,
            cursors=Cursors(b"k" * 32),
            public_url="https://gate.test",
            admission=Admission(now=lambda: self.now_s, withdrawn=lambda _: not self.admitted),
        )
        self.following = Following(
            feed=self.feed,
            policies=self.policy,  # type: ignore[arg-type]
            now=lambda: self.now_s,
            admitted=lambda _: self.admitted,
            enter=self.entries.append,
            heartbeat_s=0.02,
            max_streams=2,
        )

    async def get(self, caller: Caller, wait_s: int = 0) -> Any:
        return document(
            await self.desk.get_approval(caller, GetApproval(approval_id=NAME, wait_seconds=wait_s), record())
        )

    async def preview(self, caller: Caller) -> Any:
        return document(await self.desk.preview_approval(caller, PreviewApproval(approval_id=NAME), record()))

    async def list(self, caller: Caller, limit: int = 100, **given: Any) -> tuple[list[str], str | None]:
        answer = await self.desk.list_approvals(caller, ListApprovals(limit=limit, **given), record())
        found = document(answer)
        return [one["approval_id"] for one in found["approvals"]], found["next_cursor"]

    async def stream(self, caller: Caller, after: int | None = None) -> Answer:
        return await self.following.stream(caller, StreamApprovals(after=after), record("stream_approvals"))


def document(answer: Answer) -> Any:
    answer.seal({"log": "x", "index": 0})
    return json.loads(b"".join(answer.opening.pieces()))


def office(*approvals: Approval) -> Office:
    made = Office()
    made.store.put(*(approvals or (waiting(),)))
    return made


def events(pieces: list[bytes]) -> list[dict[str, Any]]:
    return [
        json.loads(line.removeprefix(b"data: "))
        for piece in pieces
        for line in piece.splitlines()
        if line.startswith(b"data: ")
    ]


async def test_requester_and_approvers_see_it_and_nobody_else_knows_of_it() -> None:
    made = office(waiting(terms=quorum(1, "role:dba")))
    for caller in (ANA, MAX):
        assert (await made.get(caller))["approval_id"] == NAME
    for caller in (DEE, EVE):
        with pytest.raises(UnknownApproval):
            await made.get(caller)


async def test_who_is_named_by_the_escalation_knows_of_it_before() -> None:
    made = office(waiting(terms=quorum(1, "role:dba", escalate_after_s=60, escalate_to=("role:dpo",))))
    found = await made.get(DEE)
    assert found["may_decide"] is False
    made.now_s = NOW_S + 61
    assert (await made.get(DEE))["may_decide"] is True


async def test_who_reads_all_sees_it_and_decides_nothing() -> None:
    made = office()
    made.policy.readers = frozenset({"user:eve"})
    found = await made.get(EVE)
    assert found["may_decide"] is False
    assert "not decide" in found["next_step"]


async def test_the_document_says_how_many_still_have_to_say_yes() -> None:
    made = office(waiting(terms=quorum(2, "role:dba")))
    made.store.put(approve(made.store.stored[NAME], as_person(MAX), at=AT, reason="fine"))
    found = await made.get(ANA)
    (requirement,) = found["terms"]["requirements"]
    assert (requirement["quorum"], requirement["votes"], requirement["missing"]) == (2, 1, 1)
    assert [(step["happening"], step["by"]) for step in found["history"]] == [("requested", "ana"), ("voted", "max")]
    assert found["history"][1]["reason"] == "fine"


async def test_the_requester_sees_nothing_that_would_tell_of_rows() -> None:
    made = office(waiting(outcome=READ))
    outcome = (await made.get(ANA))["outcome"]
    for name in ("rows", "held_sha256", "held_bytes", "rewritten_sql", "estimated_rows", "preview_failed"):
        assert outcome[name] is None, name
    assert outcome["labels"] == ["pii.email"]
    assert READ.salt is not None
    assert READ.salt not in json.dumps(await made.get(ANA))


async def test_the_approver_sees_all_of_the_outcome() -> None:
    outcome = (await office(waiting(outcome=READ)).get(MAX))["outcome"]
    assert (outcome["rows"], outcome["estimated_rows"], outcome["previewed"]) == (1, 12, True)
    assert outcome["rewritten_sql"] == READ.rewritten_sql
    assert outcome["held_sha256"] == READ.held_sha256
    assert "salt" not in outcome


async def test_an_approver_who_asked_sees_what_a_requester_sees() -> None:
    made = office(waiting(outcome=READ, caller=MAX))
    assert (await made.get(MAX))["outcome"]["rows"] is None
    agent = person("sales-agent", roles=["dba"])
    made.store.put(replace(waiting(outcome=READ, caller=person("ana", actor="sales-agent")), version=3))
    assert (await made.get(agent))["outcome"]["rows"] is None


async def test_what_a_plain_statement_would_do_is_shown_to_its_requester() -> None:
    plain = Outcome(kind="read", rewritten_sql="SELECT 1", estimated_rows=4)
    outcome = (await office(waiting(outcome=plain)).get(ANA))["outcome"]
    assert (outcome["rewritten_sql"], outcome["estimated_rows"]) == ("SELECT 1", 4)


async def test_a_digest_from_which_the_rows_could_be_guessed_is_for_approvers_alone() -> None:
    made = office(waiting(outcome=replace(READ, salt=None)))
    assert (await made.get(ANA))["digest"] is None
    assert (await made.get(MAX))["digest"] == made.store.stored[NAME].digest
    salted = office(waiting(outcome=READ))
    assert (await salted.get(ANA))["digest"] == salted.store.stored[NAME].digest


async def test_the_difference_of_a_reopening_is_shown_to_approvers_and_named_to_the_requester() -> None:
    made = office(waiting(outcome=READ))
    first = approve(made.store.stored[NAME], as_person(MAX), at=AT, reason=None)
    request = {**first.request, "policy_version": "v2"}
    difference = {"rewritten_sql": {"before": "SELECT hidden", "now": "SELECT secret"}}
    made.store.put(reopen(first, at=AT, request=request, difference=difference))
    assert (await made.get(MAX))["history"][-1]["detail"]["difference"] == difference
    found = await made.get(ANA)
    assert found["history"][-1]["detail"] == {"changed": ["rewritten_sql"]}
    assert "changed" in found["next_step"]


async def test_whoever_loses_the_token_while_waiting_is_told_nothing() -> None:
    made = office()
    waits = asyncio.create_task(made.get(ANA, wait_s=20))
    while not made.bulletin._waiters:
        await asyncio.sleep(0)
    made.admitted = False
    before = made.store.stored[NAME]
    assert await made.store.replace(before, approve(before, as_person(MAX), at=AT, reason=None))
    made.bulletin.changed(NAME)
    with pytest.raises(InvalidToken):
        await waits


async def test_the_next_step_is_a_call_that_the_one_who_asks_can_make() -> None:
    made = office()
    assert "wait_seconds 60" in (await made.get(ANA))["next_step"]
    assert "decide_approval" in (await made.get(MAX))["next_step"]
    made.store.put(approve(waiting(), as_person(MAX), at=AT, reason=None))
    assert f"call execute_approval with approval_id {NAME}" in (await made.get(ANA))["next_step"]
    assert "only cli" in (await made.get(person("ana", actor="elsewhere")))["next_step"]
    assert "revoke_approval" in (await made.get(MAX))["next_step"]
    made.store.put(begin(made.store.stored[NAME], as_person(ANA), at=AT))
    assert "running" in (await made.get(ANA))["next_step"]
    made.store.put(finish(made.store.stored[NAME], at=AT, rows=3, detail={}))
    found = await made.get(ANA)
    assert "has run" in found["next_step"]
    assert found["history"][-1]["detail"] == {"use": 1, "rows": 3}
    assert (found["uses"], found["uses_left"], found["rows_used"]) == (1, 0, 3)


async def test_a_window_says_what_is_left_of_it() -> None:
    window = Terms(grant=Grant(kind=GrantKind.WINDOW, duration_s=600, max_uses=3, max_rows=10))
    made = office(approve(waiting(terms=window), as_person(MAX), at=AT, reason=None))
    running = begin(made.store.stored[NAME], as_person(ANA), at=AT)
    made.store.put(finish(running, at=AT, rows=4, detail={}))
    found = await made.get(ANA)
    assert (found["uses_left"], found["rows_left"], found["state"]) == (2, 6, "approved")
    assert "2 more times, for 6 rows in all" in found["next_step"]


async def test_rejection_and_revocation_say_why() -> None:
    made = office(reject(waiting(), as_person(MAX), at=AT, reason="wrong table"))
    assert "wrong table" in (await made.get(ANA))["next_step"]
    again = office(approve(waiting(), as_person(MAX), at=AT, reason=None))
    again.store.put(revoke(again.store.stored[NAME], as_person(DEE), at=AT, reason="too early"))
    assert "too early" in (await again.get(ANA))["next_step"]


async def test_who_waits_is_told_when_it_is_decided_and_may_have_lost_sight_of_it_meanwhile() -> None:
    made = office()
    made.policy.readers = frozenset({"user:eve"})
    requester, reader = asyncio.create_task(made.get(ANA, 30)), asyncio.create_task(made.get(EVE, 30))
    await asyncio.sleep(0.05)
    made.policy.readers = frozenset()
    made.store.put(approve(waiting(), as_person(MAX), at=AT, reason=None))
    assert (await asyncio.wait_for(requester, 5))["state"] == "approved"
    with pytest.raises(UnknownApproval):
        await asyncio.wait_for(reader, 5)


async def test_the_preview_is_exactly_what_is_held_for_those_alone_who_decide() -> None:
    made = office(waiting(outcome=READ))
    made.held.held[NAME] = ROWS
    made.policy.readers = frozenset({"user:eve"})
    found = await made.preview(MAX)
    assert found["answer"] == {"status": "completed", "columns": [], "rows": [["raw"]], "row_count": 1}
    assert found["sha256"] == READ.held_sha256
    assert found["digest"] == made.store.stored[NAME].digest
    made.policy.deciders |= {"user:ana"}
    for caller in (ANA, EVE):
        with pytest.raises(Refused) as refused:
            await made.preview(caller)
        assert refused.value.stable_code in ("approval_self_decision", "approval_not_approver")
    with pytest.raises(UnknownApproval):
        await made.preview(person("nobody"))


async def test_the_preview_is_there_for_who_voted_and_who_could_revoke_and_gone_with_the_approval() -> None:
    made = office(waiting(outcome=READ, terms=quorum(2)))
    made.held.held[NAME] = ROWS
    made.store.put(approve(made.store.stored[NAME], as_person(MAX), at=AT, reason=None))
    assert (await made.preview(MAX))["answer"]["rows"] == [["raw"]]
    made.store.put(approve(made.store.stored[NAME], as_person(DEE), at=AT, reason=None))
    assert (await made.preview(MAX))["answer"]["rows"] == [["raw"]]
    made.store.put(revoke(made.store.stored[NAME], as_person(DEE), at=AT, reason=None))
    with pytest.raises(Refused) as refused:
        await made.preview(MAX)
    assert refused.value.stable_code == "approval_revoked"


async def test_nothing_held_nothing_left_or_something_else_is_no_preview() -> None:
    without = office()
    with pytest.raises(NoPreview):
        await without.preview(MAX)
    made = office(waiting(outcome=READ))
    with pytest.raises(NoPreview):
        await made.preview(MAX)
    made.held.held[NAME] = ROWS.replace(b"raw", b"war")
    with pytest.raises(Refused) as refused:
        await made.preview(MAX)
    assert refused.value.stable_code == "approval_altered"


async def test_a_list_has_ones_own_and_those_one_may_decide_page_by_page() -> None:
    made = Office()
    for number in range(1, 8):
        terms = quorum(1, "role:dba") if number % 2 else quorum(1, "role:dpo")
        made.store.put(waiting(number, terms=terms, caller=EVE if number == 7 else ANA))
    assert len((await made.list(ANA))[0]) == 6
    assert [name[-1] for name in (await made.list(MAX))[0]] == ["7", "5", "3", "1"]
    assert [name[-1] for name in (await made.list(DEE))[0]] == ["6", "4", "2"]
    assert (await made.list(EVE))[0] == [waiting(7).approval_id]
    first, cursor = await made.list(MAX, limit=3)
    assert cursor is not None
    second, end = await made.list(MAX, limit=3, cursor=cursor)
    assert ([name[-1] for name in first + second], end) == (["7", "5", "3", "1"], None)
    with pytest.raises(Refused):
        await made.list(DEE, limit=3, cursor=cursor)


async def test_a_list_of_one_role_leaves_the_other_out() -> None:
    made = office(waiting(1), waiting(2, caller=MAX))
    assert (await made.list(MAX, role="mine"))[0] == [waiting(2).approval_id]
    assert (await made.list(MAX, role="decide"))[0] == [waiting(1).approval_id]
    assert (await made.list(ANA, role="decide"))[0] == []
    assert (await made.list(ANA, role="mine", state="approved"))[0] == []


async def test_many_of_others_are_scanned_to_a_bound_and_the_page_says_where_it_goes_on() -> None:
    made = Office()
    terms = quorum(1, "role:dpo")
    made.store.put(*(waiting(number, terms=terms) for number in range(2, 2_500)), waiting(1))
    found: list[str] = []
    cursor: str | None = None
    for _ in range(4):
        page, cursor = await made.list(MAX, cursor=cursor)
        found += page
        if cursor is None:
            break
    assert found == [waiting(1).approval_id]


async def test_who_follows_hears_of_each_step_and_of_nothing_else() -> None:
    made = office(waiting(1), waiting(2, terms=quorum(1, "role:dpo")))
    answer = await made.stream(MAX, after=0)
    assert answer.stream is not None
    pieces = [await anext(answer.stream) for _ in range(2)]
    assert pieces[0] == b"retry: 3000\nid: 0\n\n"
    made.store.put(approve(waiting(1), as_person(MAX), at=AT, reason="secret thought"))
    while b"approved" not in pieces[-1]:
        pieces.append(await anext(answer.stream))
    found = events(pieces)
    assert [(one["approval_id"], one["happening"]) for one in found] == [(NAME, "requested"), (NAME, "approved")]
    assert set(found[0]) == {
        "approval_id", "happening", "state", "principal", "actor", "connection", "action", "resources", "at",
        "expires_at",
    }  # fmt: skip
    assert pieces[-1].startswith(b"id: 3\nevent: approval\n")
    await answer.stream.aclose()
    assert (made.entries[0]["outcome"], made.entries[0]["events"]) == ("stream_ended", 2)


async def test_who_resumes_misses_nothing_and_hears_nothing_twice() -> None:
    made = office(*(waiting(number) for number in range(1, 301)))
    answer = await made.stream(MAX, after=100)
    assert answer.stream is not None
    pieces = [await anext(answer.stream)]
    made.store.put(*(waiting(number) for number in range(301, 341)))
    while len(events(pieces)) < 240:
        pieces.append(await anext(answer.stream))
    ids = [int(piece.split()[1]) for piece in pieces if b"event:" in piece]
    assert ids == list(range(101, 341))
    await answer.stream.aclose()


async def test_nobody_follows_who_may_not_decide() -> None:
    with pytest.raises(ApprovalNotApprover):
        await office().stream(ANA)


async def _rest(answer: Answer) -> list[bytes]:
    assert answer.stream is not None
    return [piece async for piece in answer.stream]


@pytest.mark.parametrize("reason", ["token_expired", "token_revoked", "right_lost", "cut"])
async def test_a_stream_ends_with_the_token_the_right_or_the_server(reason: str) -> None:
    made = office()
    answer = await made.stream(replace(MAX, expires_at=int(NOW_S) + 60))
    task = asyncio.create_task(_rest(answer))
    await asyncio.sleep(0.05)
    assert not task.done()
    match reason:
        case "token_expired":
            made.now_s += 60
        case "token_revoked":
            made.admitted = False
        case "right_lost":
            made.policy.deciders = frozenset()
        case _:
            made.feed.close()
    pieces = await asyncio.wait_for(task, 5)
    assert b": \n\n" in pieces
    assert made.entries[0]["reason"] == reason


async def test_who_falls_too_far_behind_is_cut() -> None:
    made = office()
    answer = await made.stream(MAX)
    assert answer.stream is not None
    await anext(answer.stream)
    made.store.put(*(waiting(number) for number in range(2, 400)))
    await asyncio.sleep(0.2)
    pieces = await asyncio.wait_for(_rest(answer), 5)
    assert len(events(pieces)) <= 256
    assert made.entries[0]["reason"] == "cut"


async def test_streams_have_a_bound_and_give_their_place_back() -> None:
    made = office()
    first, _ = await made.stream(MAX), await made.stream(MAX)
    with pytest.raises(Refused) as refused:
        await made.stream(MAX)
    assert refused.value.stable_code == "overloaded"
    first.opening.close()
    first.opening.close()
    await made.stream(MAX)


async def test_one_reader_serves_all_who_follow_and_none_reads_for_nobody() -> None:
    made = office()
    streams = [await made.stream(MAX), await made.stream(DEE)]
    tasks = [asyncio.create_task(_rest(each)) for each in streams]
    await asyncio.sleep(0.05)
    made.store.asked.clear()
    made.store.put(waiting(2))
    await asyncio.sleep(0.1)
    assert made.store.asked.count("get") == 1
    made.feed.close()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    made.store.asked.clear()
    await asyncio.sleep(0.05)
    assert made.store.asked == []


async def test_while_the_store_is_away_followers_wait_and_then_hear_all() -> None:
    made = office()
    answer = await made.stream(MAX)
    assert answer.stream is not None
    pieces = [await anext(answer.stream)]
    made.store.away = True
    made.store.put(waiting(2))
    pieces += [await anext(answer.stream) for _ in range(3)]
    assert events(pieces) == []
    made.store.away = False
    while not events(pieces):
        pieces.append(await anext(answer.stream))
    await answer.stream.aclose()
