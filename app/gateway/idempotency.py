"""Idempotency keys: the same request twice changes once, and asks a human once.

Scope: principal, actor, operation and connection. Reads are safe to repeat and run again; in this process a key is kept
from being used for two requests, or twice at once. What changes something, or asks, is kept by the store, across
processes and restarts.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from hashlib import sha256

import orjson

from app.gateway.answer import Answer, Spool, json_answer
from app.gateway.cursor import digest_of_request
from app.gateway.endings import Background, Sleep, now_or_later, to_the_end, until_stored
from app.gateway.envelope import Closing, rowless_document
from app.gateway.errors import ApprovalsUnavailable, IdempotencyInFlight, IdempotencyMismatch, OutcomeUnknown
from app.gateway.lru import Lru
from app.gateway.record import rfc3339
from app.policy.caller import Caller
from app.ports import Claim, ClaimState, StoreUnavailable, WriteKeys

LIFETIME_S = 24 * 3600
MAX_KEPT_BYTES = 1024 * 1024
"""A longer answer is kept without its rows."""

_NOBODYS = ""


@dataclass(slots=True)
class Remembered:
    digest: str
    running: bool


class IdempotencyKeys:
    """Of this process: the newest `size` keys."""

    def __init__(self, size: int = 10_000) -> None:
        self._seen: Lru[tuple[str, ...], Remembered] = Lru(size)

    @contextmanager
    def use(self, caller: Caller, operation: str, connection: str, key: str, request: object) -> Iterator[None]:
        """`request` is everything that must be the same next time. Raises IdempotencyInFlight, IdempotencyMismatch."""
        digest = digest_of_request(request)
        scope = (caller.issuer, caller.principal, caller.actor, operation, connection, key)
        found = self._seen.get(scope)
        if found is None:
            found = Remembered(digest=digest, running=False)
            self._seen.put(scope, found)
        elif found.digest not in (digest, _NOBODYS):
            raise _mismatch()
        elif found.running:
            raise _in_flight()
        found.digest, found.running = digest, True
        try:
            yield
        except IdempotencyMismatch:
            # The store knows the key of another request: this one has no claim to it.
            found.digest = _NOBODYS
            raise
        finally:
            found.running = False


@dataclass(slots=True, kw_only=True)
class Ticket:
    """A first claim: run, then settle or release. `settled`: the answer is kept, and the key is taken for good."""

    scope: str
    settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """It ran before; `opening` is the answer it gave, without its receipt."""

    scope: str
    opening: bytes

    @property
    def approval_id(self) -> str | None:
        """Of an answer that said that a human has to approve first."""
        if not self.opening.startswith(b'{"status":"pending_approval"'):
            return None
        found: str = orjson.loads(self.opening + b"}")["approval_id"]
        return found

    def answer(self) -> Answer:
        spool = Spool()
        spool.add(self.opening)
        return Answer(status=200, opening=spool, headers={"idempotency-replayed": "true"})


class StoredKeys:
    def __init__(
        self, *, keys: WriteKeys, now: Callable[[], float], background: Background, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._keys = keys
        self._now = now
        self._background = background
        self._sleep = sleep

    async def claim(self, caller: Caller, operation: str, target: str, key: str, request: object) -> Ticket | Replay:
        """Raises IdempotencyInFlight, IdempotencyMismatch, ApprovalsUnavailable."""
        parts = [caller.issuer, caller.principal, caller.actor, operation, target, key]
        scope = sha256(orjson.dumps(parts)).hexdigest()
        now = self._now()
        digest = digest_of_request(request)
        claiming = asyncio.ensure_future(
            self._keys.claim(scope, digest, now=rfc3339(now), expires_at=rfc3339(now + LIFETIME_S))
        )
        try:
            claim = await asyncio.shield(claiming)
        except asyncio.CancelledError:
            self._background(self._unclaimed(claiming, scope))
            raise
        except StoreUnavailable as error:
            raise ApprovalsUnavailable(
                "Idempotency keys cannot be read right now, and nothing ran: retry later, with the same key.",
                retry_after_s=5,
            ) from error
        match claim.state:
            case ClaimState.NEW:
                return Ticket(scope=scope)
            case ClaimState.DONE:
                return Replay(scope=scope, opening=claim.answer or b"{")
            case ClaimState.MISMATCH:
                raise _mismatch()
            case ClaimState.IN_FLIGHT:
                raise _in_flight()

    async def _unclaimed(self, claiming: "asyncio.Future[Claim]", scope: str) -> None:
        """The client left while its claim was made: nothing ran, and the key is free if it was ours."""
        try:
            claim = await claiming
        except StoreUnavailable:
            return
        if claim.state is ClaimState.NEW:
            await until_stored(lambda: self._keys.release(scope), self._sleep)

    @asynccontextmanager
    async def using(self, ticket: Ticket) -> AsyncIterator[None]:
        """Frees the key when nothing ran; one whose outcome is unknown stays taken."""
        try:
            yield
        except OutcomeUnknown:
            raise
        except BaseException:
            if not ticket.settled:
                self._background(until_stored(lambda: self._keys.release(ticket.scope), self._sleep))
            raise

    async def keep(self, ticket: Ticket, answer: Answer) -> None:
        """Keeps a small answer before what it says has happened. Raises StoreUnavailable."""
        await self._keys.settle(ticket.scope, b"".join(answer.opening.pieces()))
        ticket.settled = True

    async def free(self, replay: Replay) -> None:
        """What it announced never came to be. Raises ApprovalsUnavailable."""
        try:
            await self._keys.retract(replay.scope, replay.opening)
        except StoreUnavailable as error:
            raise ApprovalsUnavailable("Nothing ran: retry later, with the same key.", retry_after_s=5) from error

    async def settle(self, ticket: Ticket, answer: Answer, closing: Closing, policy_version: str) -> None:
        """The answer is kept before it leaves; while the store is away, as soon as it is back."""
        ticket.settled = True
        if answer.opening.size <= MAX_KEPT_BYTES:
            opening = b"".join(answer.opening.pieces())
        else:
            rowless = Closing(
                approval_id=closing.approval_id,
                approval_url=closing.approval_url,
                affected_rows=closing.affected_rows,
                notice="It ran when this key came first; its rows were in that answer and are not kept.",
            )
            opening = b"".join(json_answer(200, rowless_document(policy_version, rowless)).opening.pieces())
        await to_the_end(now_or_later(lambda: self._keys.settle(ticket.scope, opening), self._background, self._sleep))


def _mismatch() -> IdempotencyMismatch:
    return IdempotencyMismatch("This idempotency key belongs to another request of yours: choose a new one.")


def _in_flight() -> IdempotencyInFlight:
    return IdempotencyInFlight(
        "The request with this idempotency key is still running, or ended without a word: wait for its answer, or look "
        "whether it ran before you use another key.",
        retry_after_s=1,
    )
