"""Stores of approvals in memory that fail on demand, and the use cases of statements wired to whatever a test has."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

from app.approval.approval import Approval
from app.gateway.admission import Admission
from app.gateway.asking import Asking
from app.gateway.bulletin import Bulletin
from app.gateway.cursor import Cursors
from app.gateway.executing import Executing
from app.gateway.explaining import Explain
from app.gateway.idempotency import StoredKeys
from app.gateway.parameters import Binder
from app.gateway.planning import Planner
from app.gateway.previewing import Previews
from app.gateway.query import Query
from app.gateway.reading import Reads
from app.gateway.record import Record
from app.gateway.statement_errands import STATEMENT_KINDS, StatementErrands
from app.gateway.statements import Statements
from app.gateway.submitting import Submitting
from app.gateway.using import Uses
from app.gateway.writing import Writes
from app.policy.caller import Caller
from app.ports import Claim, ClaimState, StoreUnavailable
from app.secrets.mask_keys import NoMaskKeys
from tests.integration.store.memory_approvals import MemoryApprovals

START_S = 1_750_000_000.0


@dataclass
class Outages:
    """Counts calls to the store; call number `at` fails, before it takes effect or after."""

    at: int | None = None
    after: bool = False
    down: bool = False
    calls: list[str] = field(default_factory=list)

    async def call(self, name: str, work: Awaitable[Any]) -> Any:
        self.calls.append(name)
        fails = self.down or (self.at is not None and len(self.calls) - 1 == self.at)
        await asyncio.sleep(0)
        if fails and not self.after:
            if asyncio.iscoroutine(work):
                work.close()
            raise StoreUnavailable("away")
        result = await work
        if fails:
            raise StoreUnavailable("away")
        return result


class Store(MemoryApprovals):
    def __init__(self, outages: Outages) -> None:
        super().__init__()
        self.outages = outages

    async def create(self, approval: Approval) -> None:
        await self.outages.call("create", super().create(approval))

    async def get(self, approval_id: str) -> Approval | None:
        found: Approval | None = await self.outages.call("get", super().get(approval_id))
        return found

    async def replace(self, before: Approval, after: Approval) -> bool:
        done: bool = await self.outages.call("replace", super().replace(before, after))
        return done

    @property
    def all(self) -> list[Approval]:
        return list(self._by_id.values())

    def tampered(self, approval: Approval) -> None:
        self._by_id[approval.approval_id] = approval


@dataclass
class MemoryHeld:
    """Implements ports.HeldResults."""

    outages: Outages = field(default_factory=Outages)
    held: dict[str, tuple[bytes, str]] = field(default_factory=dict)

    async def hold(self, approval_id: str, pieces: Iterable[bytes], *, expires_at: str) -> None:
        await self.outages.call("hold", self._hold(approval_id, b"".join(pieces), expires_at))

    async def _hold(self, approval_id: str, data: bytes, expires_at: str) -> None:
        self.held[approval_id] = (data, expires_at)

    async def take(self, approval_id: str) -> bytes | None:
        found: bytes | None = await self.outages.call("take", self._take(approval_id))
        return found

    async def _take(self, approval_id: str) -> bytes | None:
        return self.held[approval_id][0] if approval_id in self.held else None

    async def destroy(self, approval_id: str) -> None:
        await self.outages.call("destroy", self._destroy(approval_id))

    async def _destroy(self, approval_id: str) -> None:
        self.held.pop(approval_id, None)

    async def destroy_expired(self, now: str) -> int:
        over = [name for name, (_, expires_at) in self.held.items() if expires_at <= now]
        for name in over:
            del self.held[name]
        return len(over)


@dataclass
class MemoryKeys:
    """Implements ports.WriteKeys."""

    outages: Outages = field(default_factory=Outages)
    kept: dict[str, tuple[str, str, bytes | None]] = field(default_factory=dict)

    async def claim(self, scope: str, request_sha256: str, *, now: str, expires_at: str) -> Claim:
        claim: Claim = await self.outages.call("claim", self._claim(scope, request_sha256, now, expires_at))
        return claim

    async def _claim(self, scope: str, request_sha256: str, now: str, expires_at: str) -> Claim:
        known = self.kept.get(scope)
        if known is None or known[1] <= now:
            self.kept[scope] = (request_sha256, expires_at, None)
            return Claim(state=ClaimState.NEW)
        if known[0] != request_sha256:
            return Claim(state=ClaimState.MISMATCH)
        if known[2] is None:
            return Claim(state=ClaimState.IN_FLIGHT)
        return Claim(state=ClaimState.DONE, answer=known[2])

    async def settle(self, scope: str, answer: bytes) -> None:
        await self.outages.call("settle", self._settle(scope, answer))

    async def _settle(self, scope: str, answer: bytes) -> None:
        if scope in self.kept:
            self.kept[scope] = (*self.kept[scope][:2], answer)

    async def forget_expired(self, now: str) -> int:
        gone = [scope for scope, (_, expires_at, _answer) in self.kept.items() if expires_at <= now]
        for scope in gone:
            del self.kept[scope]
        return len(gone)

    async def release(self, scope: str) -> None:
        await self.outages.call("release", self._release(scope))

    async def _release(self, scope: str) -> None:
        if scope in self.kept and self.kept[scope][2] is None:
            del self.kept[scope]

    async def retract(self, scope: str, answer: bytes) -> None:
        await self.outages.call("retract", self._retract(scope, answer))

    async def _retract(self, scope: str, answer: bytes) -> None:
        if scope in self.kept and self.kept[scope][2] == answer:
            del self.kept[scope]


class Numbers:
    """Bytes that are different each time, and the same in each run of a test."""

    def __init__(self) -> None:
        self._made = 0

    def __call__(self, size: int) -> bytes:
        self._made += 1
        return self._made.to_bytes(size, "big")


def _beside(work: Coroutine[Any, Any, None]) -> None:
    asyncio.ensure_future(work)  # noqa: RUF006 - tests of what happens beside requests keep their tasks themselves


def use_cases(
    *,
    connections: Any,
    planner: Planner,
    policies: Any,
    store: Any,
    held: MemoryHeld,
    keys: MemoryKeys,
    intend: Callable[[Record], Awaitable[None]],
    now: Callable[[], float] = lambda: START_S,
    background: Callable[[Coroutine[Any, Any, None]], None] = _beside,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    random: Callable[[int], bytes] | None = None,
    bulletin: Bulletin | None = None,
    withdrawn: Callable[[Caller], bool] = lambda _caller: False,
) -> tuple[Query, Explain, Executing]:
    numbers = random or Numbers()
    common: dict[str, Any] = {"now": now, "background": background, "sleep": sleep}
    stores: dict[str, Any] = {
        "approvals": store, "held": held, "bulletin": bulletin or Bulletin(store, poll_s=0.01), **common
    }  # fmt: skip
    statements = Statements(connections=connections, planner=planner, binder=Binder(NoMaskKeys()), now=now)
    stored_keys = StoredKeys(keys=keys, **common)
    reads = Reads(
        statements=statements,
        cursors=Cursors(b"k" * 32),
        public_url="https://gate.test",
        refresh_soon=lambda _connection: None,
    )
    writes = Writes(statements=statements, keys=stored_keys, intend=intend, refresh_soon=lambda _connection: None)
    previews = Previews(statements=statements, reads=reads, writes=writes, random=numbers, max_held_bytes=5_000)
    errands = StatementErrands(statements=statements, reads=reads, writes=writes, previews=previews)
    asking = Asking(
        keys=stored_keys,
        random=numbers,
        public_url="https://gate.test",
        intend=intend,
        **stores,
    )
    executing = Executing(
        policies=policies,
        errands=dict.fromkeys(STATEMENT_KINDS, errands),
        uses=Uses(**stores),
        keys=stored_keys,
        public_url="https://gate.test",
        intend=intend,
        **stores,
    )
    query = Query(
        policies=policies,
        statements=statements,
        reads=reads,
        writes=writes,
        errands=errands,
        submitting=Submitting(
            asking=asking,
            executing=executing,
            keys=stored_keys,
            admission=Admission(now=now, withdrawn=withdrawn),
        ),
    )
    return query, Explain(statements=statements, policies=policies), executing
