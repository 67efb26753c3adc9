"""Every way out of the gateway is on the trail before a byte leaves."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from app.api.problems import STATUS
from app.gateway import errors
from app.gateway.answer import Answer, json_answer
from app.gateway.errors import AccessDenied, InvalidRequest, Refused
from app.gateway.pipeline import Passage
from app.gateway.record import Record
from app.policy.caller import Caller
from app.ports import IdentityUnavailable, TokenRefused
from tests.gateway.fakes import FakeTokens, FakeTrail, Told, customs, passage


async def hello(caller: Caller, command: Any, record: Record) -> Answer:
    record.rows = 3
    return json_answer(200, {"hello": caller.principal})


def raising(error: BaseException) -> Any:
    async def use_case(caller: Caller, command: Any, record: Record) -> Answer:
        record.rows = 3
        raise error

    return use_case


async def run(request: Passage, trail: FakeTrail, tokens: FakeTokens | None = None) -> tuple[int, Any, bytes, Told]:
    told = Told()
    answer = await customs(trail, told, tokens).passage(request)
    body = b"".join(answer.opening.pieces())
    assert told.started == len(told.settled) == 1
    return answer.status, json.loads(body), body, told


async def test_an_answer_carries_the_index_of_its_own_entry_and_the_entry_its_digest() -> None:
    trail = FakeTrail(entries=[{}, {}])
    status, document, body, _ = await run(passage(hello), trail)
    assert (status, document["receipt"]) == (200, {"log": "test/log/0", "index": 2})
    entry = trail.entries[2]
    assert entry["answer_sha256"] == hashlib.sha256(body).hexdigest()
    assert (entry["bytes"], entry["rows"], entry["principal"]) == (len(body), 3, "ana")


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (AccessDenied("no"), "denied", "access_denied"),
        (InvalidRequest("no"), "invalid", "invalid_request"),
        (RuntimeError("secret: hunter2"), "failed", "internal_error"),
        (AssertionError("secret: hunter2"), "failed", "internal_error"),
        (RecursionError(), "failed", "internal_error"),
        (MemoryError(), "failed", "internal_error"),
        (OSError(28, "secret: hunter2"), "failed", "internal_error"),
    ],
)
async def test_every_exception_of_a_use_case_is_an_entry_and_says_nothing_of_itself(
    error: Exception, outcome: str, code: str
) -> None:
    trail = FakeTrail()
    _, document, body, _ = await run(passage(raising(error)), trail)
    assert document["code"] == code
    assert b"hunter2" not in body
    assert "hunter2" not in json.dumps(trail.entries)
    assert [(e["outcome"], e["code"], e["rows"]) for e in trail.entries] == [(outcome, code, 0)]


@pytest.mark.parametrize(
    ("token", "failure", "code"),
    [
        (None, None, "missing_token"),
        ("bad", TokenRefused("expired", "Get a new one."), "invalid_token"),
        ("bad", IdentityUnavailable(5), "identity_unavailable"),
        ("bad", UnicodeError("odd"), "internal_error"),
    ],
)
async def test_the_content_is_not_looked_at_before_the_token(
    token: str | None, failure: Exception | None, code: str
) -> None:
    def parse() -> Any:
        pytest.fail("parsed before authentication")

    trail = FakeTrail()
    _, document, _, _ = await run(passage(hello, token=token, parse=parse), trail, FakeTokens(failure=failure))
    assert document["code"] == trail.entries[0]["code"] == code
    assert "principal" not in trail.entries[0]


async def test_a_missing_scope_is_refused_before_the_content_is_looked_at() -> None:
    trail = FakeTrail()
    _, document, _, _ = await run(
        passage(hello, scopes=frozenset({"other"}), parse=lambda: pytest.fail("parsed")), trail
    )
    assert document["code"] == trail.entries[0]["code"] == "insufficient_scope"


async def test_nothing_is_released_when_the_log_cannot_be_written() -> None:
    trail = FakeTrail(down=True)
    _, document, body, told = await run(passage(hello), trail)
    assert document["code"] == "audit_unavailable"
    assert b"ana" not in body
    assert "receipt" not in document
    assert told.settled[0][0].outcome == "failed"


@pytest.mark.parametrize("failures", [1, 2])
async def test_a_log_that_fails_in_an_unforeseen_way_releases_nothing_either(failures: int) -> None:
    trail = FakeTrail(refuses=[ValueError("odd")] * failures)
    _, document, body, told = await run(passage(hello), trail)
    assert b"ana" not in body
    assert len(told.faults) == failures
    assert document["code"] == ("internal_error" if failures == 1 else "audit_unavailable")
    assert [e["code"] for e in trail.entries] == (["internal_error"] if failures == 1 else [])


async def test_an_answer_whose_spool_cannot_take_its_receipt_is_replaced_and_recorded() -> None:
    class Full(Answer):
        def seal(self, receipt: Mapping[str, Any]) -> str:
            raise OSError(28, "No space left on device")

    async def use_case(caller: Caller, command: Any, record: Record) -> Answer:
        answer = await hello(caller, command, record)
        return Full(status=200, opening=answer.opening)

    trail = FakeTrail()
    _, document, body, _ = await run(passage(use_case), trail)
    assert document["code"] == trail.entries[0]["code"] == "internal_error"
    assert b"ana" not in body
    assert trail.entries[0]["rows"] == 0


async def test_a_cancelled_request_is_an_entry_and_stays_cancelled() -> None:
    async def hangs(caller: Caller, command: Any, record: Record) -> Answer:
        record.statement = "SELECT 1"
        await asyncio.Event().wait()
        raise AssertionError

    trail, told = FakeTrail(), Told()
    task = asyncio.create_task(customs(trail, told).passage(passage(hangs)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(e["outcome"], e["statement"], e["principal"]) for e in trail.entries] == [("cancelled", "SELECT 1", "ana")]
    assert told.started == len(told.settled) == 1


async def test_a_request_cancelled_while_its_entry_is_written_keeps_that_entry() -> None:
    trail, told = FakeTrail(gate=asyncio.Event()), Told()
    task = asyncio.create_task(customs(trail, told).passage(passage(hello)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(trail.entries) == 1
    assert told.started == len(told.settled) == 1


async def test_a_request_whose_client_left_before_it_was_whole_is_an_entry() -> None:
    trail, told = FakeTrail(), Told()
    await customs(trail, told).abandoned(passage(hello))
    assert [(e["outcome"], e["status"], e["operation"]) for e in trail.entries] == [("cancelled", 499, "query_sql")]
    assert told.started == len(told.settled) == 1


def _all(kind: type[Refused]) -> set[type[Refused]]:
    return {kind, *(each for sub in kind.__subclasses__() for each in _all(sub))}


def test_every_refusal_has_a_status() -> None:
    assert _all(errors.Refused) - {errors.Refused} == set(STATUS)


def test_long_parameters_are_recorded_whole_and_quickly() -> None:
    record = Record(operation="query_sql", method="POST", path="/", trace_id="0", started=0.0)
    record.params = {"a": [0.1] * 60_000, "n": 2**80}
    entry = record.entry(1.0, None, 0)
    assert "params" not in entry
    assert json.loads(entry["params_json"]) == record.params
    record.params = {"a": [1, 2, 3]}
    assert record.entry(1.0, None, 0)["params"] == {"a": [1, 2, 3]}
