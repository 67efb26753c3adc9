"""The one chokepoint: every request of every door goes through `Customs.passage`, and every way out is on the trail."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from app.gateway.answer import Answer, json_answer
from app.gateway.errors import (
    AuditUnavailable,
    IdentityProviderUnavailable,
    InsufficientScope,
    InternalFault,
    InvalidToken,
    MissingToken,
    Refused,
    ShuttingDown,
)
from app.gateway.record import Record
from app.policy.caller import Caller
from app.ports import IdentityUnavailable, TokenRefused, TokenVerifier, Trail, TrailUnavailable

UseCase = Callable[[Caller, Any, Record], Awaitable[Answer]]
"""(caller, command, record) -> answer; raises Refused. It fills the record with what it learns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`scopes`: one of them is enough; empty means that any valid token will do."""

    name: str
    scopes: frozenset[str]
    use_case: UseCase


@dataclass(slots=True, kw_only=True)
class Passage:
    """One request in transit. `refused` needs no token to be true (no such path, wrong host). `bearer` and `parse` may
    raise Refused; `parse` runs after authentication: 401 comes before every 4xx about the content. `client_left`: of a
    cancelled request, whether nobody waits for it any more; False: the server stops."""

    operation: Operation
    method: str
    path: str
    trace_id: str
    bearer: Callable[[], str | None]
    parse: Callable[[], Any]
    refused: Refused | None = None
    client_left: Callable[[], bool] = lambda: True


class Customs:
    """`now` is wall-clock seconds; `report` is told of faults of our own (exception and trace id), which the caller
    never sees; `render` makes an answer of a refusal (the door knows the wire form of problems)."""

    def __init__(
        self,
        *,
        tokens: TokenVerifier,
        trail: Trail,
        now: Callable[[], float],
        render: Callable[[Refused, str], tuple[int, dict[str, Any], dict[str, str]]],
        report: Callable[[BaseException, str], None],
        started: Callable[[], None],
        settled: Callable[[Record, int], None],
    ) -> None:
        self._tokens = tokens
        self._trail = trail
        self._now = now
        self._render = render
        self._report = report
        self._started = started
        self._settled = settled

    async def passage(self, request: Passage) -> Answer:
        record = self._begun(request)
        try:
            caller = await self._authenticate(request)
            record.caller = caller
            _require_scope(request.operation, caller)
            answer = await request.operation.use_case(caller, request.parse(), record)
            record.status = answer.status
        except Refused as refused:
            answer = self._refuse(refused, record)
        except asyncio.CancelledError:
            if request.client_left():
                await self._record_cancelled(record)
                raise
            # Taken as the order to come to an end: what is left to do is to say so, on record.
            answer = self._refuse(
                ShuttingDown(
                    "This process ends before your answer was ready: send the request again.", retry_after_s=1
                ),
                record,
            )
        except Exception as fault:
            # The last wall: recorded, reported to the operator, answered without a word of what it was.
            self._report(fault, request.trace_id)
            answer = self._refuse(InternalFault("This is a fault of ours; the trace id finds it in our log."), record)
        return await self._release(answer, record)

    async def abandoned(self, request: Passage) -> None:
        """The client left, or the server stops, before the request was whole: nothing to answer, an entry all the
        same."""
        await self._record_cancelled(self._begun(request))

    async def intend(self, record: Record) -> None:
        """Make durable what is about to change the store or a target; raises AuditUnavailable, and nothing happens."""
        entry = record.entry(self._now(), None, 0) | {"outcome": "intent"}
        try:
            await self._trail.append(entry)
        except TrailUnavailable as unavailable:
            raise unrecorded() from unavailable

    def _begun(self, request: Passage) -> Record:
        self._started()
        return Record(
            operation=request.operation.name,
            method=request.method,
            path=request.path,
            trace_id=request.trace_id,
            started=self._now(),
        )

    async def _authenticate(self, request: Passage) -> Caller:
        if request.refused is not None:
            raise request.refused
        token = request.bearer()
        if token is None:
            raise MissingToken("Send `Authorization: Bearer <access token>`.")
        known = self._tokens.cached(token)
        if known is not None:
            return known
        try:
            return await self._tokens.verify(token)
        except TokenRefused as refused:
            raise InvalidToken(refused.detail, reason=refused.reason) from refused
        except IdentityUnavailable as unavailable:
            raise IdentityProviderUnavailable(
                "The identity provider's keys cannot be fetched: retry later.",
                retry_after_s=unavailable.retry_after_s,
            ) from unavailable

    def _refuse(self, refused: Refused, record: Record) -> Answer:
        status, document, headers = self._render(refused, record.trace_id)
        record.refuse(refused, status)
        return json_answer(status, document, media_type="application/problem+json", headers=headers)

    async def _release(self, answer: Answer, record: Record, *, last: bool = False) -> Answer:
        """Nothing leaves before its entry is durable; what cannot be recorded is replaced by a 503, what cannot be
        closed (its spool's disk is full) by a refusal that is recorded in its place."""
        flows = answer.length is not None
        if flows:
            record.outcome = "opened"
        try:
            # No await between next_index and append: the index in the receipt is the entry's own.
            index = self._trail.next_index()
            digest = answer.seal({"log": self._trail.origin, "index": index})
            await self._trail.append(record.entry(self._now(), None if flows else digest, answer.opening.size))
        except TrailUnavailable:
            await self._withdraw(answer, record)
            return self._unrecorded(record)
        except asyncio.CancelledError:
            # The entry is in the queue and stays there; one that says that something began has an end as well.
            await self._withdraw(answer, record)
            if flows:
                await self._ended(record, index, 0, None, "client_left")
            else:
                self._settled(record, 0)
            raise
        except Exception as fault:
            await self._withdraw(answer, record)
            self._report(fault, record.trace_id)
            if last:
                return self._unrecorded(record)
            refused = InternalFault("The answer could not be completed: retry later, or ask for less.")
            return await self._release(self._refuse(refused, record), record, last=True)
        if flows:
            answer.ended = lambda size, blake3, code: self._ended(record, index, size, blake3, code)
        else:
            self._settled(record, answer.opening.size)
        return answer

    async def _withdraw(self, answer: Answer, record: Record) -> None:
        """Nothing of it leaves: what it holds is freed, what it took is given back."""
        answer.opening.close()
        try:
            if answer.stream is not None:
                await answer.stream.aclose()
            if answer.withdrawn is not None:
                await answer.withdrawn()
        except Exception as fault:
            self._report(fault, record.trace_id)

    async def _ended(self, record: Record, index: int, size: int, blake3: str | None, code: str | None) -> None:
        """The second entry of content that was streamed: how much of it left, and which bytes. That it was opened is
        durable already, so a log that fails now keeps nothing back; the operator hears of it."""
        record.outcome = "completed" if code is None else "cut"
        record.code = code
        record.facts["opened_index"] = index
        if blake3 is not None:
            record.facts["answer_blake3"] = blake3
        try:
            await self._trail.append(record.entry(self._now(), None, size))
        except TrailUnavailable as unavailable:
            self._report(unavailable, record.trace_id)
        finally:
            self._settled(record, size)

    async def _record_cancelled(self, record: Record) -> None:
        record.outcome, record.status, record.code = "cancelled", 499, "client_left"
        try:
            await self._trail.append(record.entry(self._now(), None, 0))
        except TrailUnavailable as unavailable:
            # Nothing was released, and nobody is left to tell; the operator is.
            self._report(unavailable, record.trace_id)
        finally:
            self._settled(record, 0)

    def _unrecorded(self, record: Record) -> Answer:
        refused = unrecorded()
        status, document, headers = self._render(refused, record.trace_id)
        record.refuse(refused, status)
        self._settled(record, 0)
        answer = json_answer(status, document, media_type="application/problem+json", headers=headers)
        answer.seal_unrecorded()
        return answer


def unrecorded() -> AuditUnavailable:
    return AuditUnavailable("The audit log cannot be written, so nothing is released: retry later.", retry_after_s=5)


def _require_scope(operation: Operation, caller: Caller) -> None:
    if operation.scopes and operation.scopes.isdisjoint(caller.scopes):
        wanted = " or ".join(sorted(operation.scopes))
        raise InsufficientScope(
            f"This operation needs the scope {wanted}: ask your identity provider for a token that has it.",
            scope=" ".join(sorted(operation.scopes)),
        )
