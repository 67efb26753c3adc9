"""A gateway for approvals without a network: real policy, planner and guard; stores, trail and engine that fail on
demand, at any call, before or after it took effect."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.api.problems import Problems
from app.approval.approval import Approval
from app.approval.machine import approve, revoke
from app.approval.people import Person
from app.gateway.answer import Answer
from app.gateway.bulletin import Bulletin
from app.gateway.command import ExecuteApproval, QueryCommand
from app.gateway.connections import Catalogs, Connection
from app.gateway.pipeline import Customs, UseCase
from app.gateway.planning import Planner
from app.gateway.record import Record, rfc3339
from app.policy.connections import ConnectionKind
from app.policy.load import load
from app.sql.guards import guard_of
from connectors.contract import (
    Catalog,
    Column,
    ConnectorError,
    Dialect,
    Failure,
    Fault,
    Index,
    Limits,
    ReadOutcome,
    ResultColumn,
    Runnable,
    Table,
    TableKind,
    WriteLimits,
    WriteOutcome,
    WriteRunnable,
)
from tests.gateway.execution_fakes import START_S, MemoryHeld, MemoryKeys, Numbers, Outages, Store, use_cases
from tests.gateway.fakes import FakeTokens, FakeTrail, caller, passage_of
from tests.integration.store.memory_approvals import MemoryApprovals

MODEL = (Path(__file__).parents[2] / "policies" / "model.conf").read_bytes()
MASKS = b"masks:\n  pii.*: null\n"
DATA = b"default: allow\ntables:\n  main.people:\n    columns:\n      email: pii.email\n"
RULES = """\
p, client:cli, **, *, allow,
p, client:other, **, *, allow,
p, user:ana, shop/main.*, select, allow,
p, user:ana, shop/main.asked, select, approve,
p, user:ana, shop/main.asked, delete, approve,
p, user:ana, shop/main.people, delete, approve,
p, user:ana, shop/main.people, insert, allow,
p, user:eve, shop/main.people, delete, allow,
p, user:eve, shop/main.people, update, approve,
p, user:eve, shop/main.people, insert, allow,
p, user:ana, shop/main.people, update, approve,
p, user:ana, label:pii.email, unmask, approve,
p, user:bob, shop/main.people, select, allow,
p, user:max, douane/approvals, decide, allow,
"""
TERMS = """\
default: {approvers: [user:max], quorum: 1, expires: 1h, grant: once, preview: true}
rules:
  - resource: shop/main.people
    action: update
    grant: {window: 30m, uses: 3, rows: 10}
"""
BLIND = TERMS.replace("preview: true", "preview: false")
WINDOW = "default: {approvers: [user:max], quorum: 1, expires: 1h, grant: {window: 30m, uses: 3, rows: 10}}\n"


def policy(rules: str = RULES, terms: str = TERMS, data: bytes = DATA, masks: bytes = MASKS) -> Any:
    files = {"model.conf": MODEL, "policy.csv": rules.encode(), "masks.yaml": masks, "data/shop.yaml": data}
    return load({**files, "approvals.yaml": terms.encode()}, {"shop": ConnectionKind.SQL})


def table(name: str, *columns: str) -> Table:
    return Table(
        schema="main",
        name=name,
        kind=TableKind.TABLE,
        columns=tuple(Column(name=column, type="integer") for column in columns),
        primary_key=("id",),
        indexes=(Index(name="pk", columns=("id",), unique=True, primary=True),),
    )


TABLES = [table("people", "id", "email"), table("asked", "id"), table("logs", "id")]


class Engine:
    """A database that reads and writes: `rows` is what a read gives, `touches` how many rows a write does. `gate` holds
    a statement back before it is done."""

    dialect = Dialect.SQLITE

    def __init__(self) -> None:
        self.reads: list[Runnable] = []
        self.committed: list[str] = []
        self.dry: list[str] = []
        self.timeouts_s: list[float] = []
        self.rows: list[tuple[Any, ...]] = [(1, "ana@example.org"), (2, "bob@example.org")]
        self.touches = 2
        self.error: ConnectorError | None = None
        self.gate: asyncio.Event | None = None
        self.running = 0
        self.lands_late = False
        """The commit is under way when a cancellation comes."""
        tables = {each.key: each for each in TABLES}
        self._catalog = Catalog(dialect=Dialect.SQLITE, version="c1", server_version=3040001, tables=tables)

    def catalog(self) -> Catalog:
        return self._catalog

    async def _held_back(self) -> None:
        self.running += 1
        try:
            if self.gate is not None:
                await self.gate.wait()
            await asyncio.sleep(0)
        finally:
            self.running -= 1
        if self.error is not None:
            raise self.error

    async def read(
        self, statement: Runnable, limits: Limits, sink: Any, on_columns: Callable[..., None] | None = None
    ) -> ReadOutcome:
        self.reads.append(statement)
        self.timeouts_s.append(limits.timeout_s)
        await self._held_back()
        columns = (ResultColumn(name="id", type="integer"), ResultColumn(name="email", type="text"))
        if on_columns is not None:
            on_columns(columns)
        rows = self.rows[: limits.max_rows]
        sink(rows)
        return ReadOutcome(columns=columns, row_count=len(rows))

    async def estimate(self, statement: Runnable, timeout_s: float) -> int | None:
        return 7

    async def write(
        self, statement: WriteRunnable, limits: WriteLimits, sink: Any, on_columns: Any = None
    ) -> WriteOutcome:
        self.timeouts_s.append(limits.read.timeout_s)
        try:
            await self._held_back()
        except asyncio.CancelledError:
            if not self.lands_late:
                raise
        if limits.max_affected is not None and self.touches > limits.max_affected:
            raise ConnectorError(Failure.STATEMENT, fault=Fault.TOO_MANY_AFFECTED)
        columns: tuple[ResultColumn, ...] = ()
        count = 0
        if statement.returning:
            columns = (ResultColumn(name="id", type="integer"),)
            if on_columns is not None:
                on_columns(columns)
            rows = [(number,) for number in range(min(self.touches, limits.read.max_rows))]
            sink(rows)
            count = len(rows)
        (self.dry if limits.dry_run else self.committed).append(statement.sql)
        return WriteOutcome(affected=self.touches, columns=columns, row_count=count)


class Reader(Engine):
    """A connector that does not write at all."""

    write = None  # type: ignore[assignment]


@dataclass
class Told:
    status: int
    body: dict[str, Any]
    raw: bytes
    headers: Mapping[str, str]

    @property
    def code(self) -> str | None:
        return self.body.get("code")


class Site:
    def __init__(self, *, rules: str = RULES, terms: str = TERMS, data: bytes = DATA, engine: Engine | None = None):
        self.now = START_S
        self.outages = Outages()
        self.store = Store(self.outages)
        self.held = MemoryHeld(self.outages)
        self.keys = MemoryKeys(self.outages)
        self.engine = engine or Engine()
        self.trail = FakeTrail()
        self.current = policy(rules, terms, data)
        self.faults: list[BaseException] = []
        self.beside: set[asyncio.Task[None]] = set()
        self.slept: list[float] = []
        self.withdrawn: set[str] = set()
        self.numbers = Numbers()
        self.problems = Problems(docs_url="https://docs.test", challenge=lambda *_: "Bearer")
        self.tokens = {
            "ana": caller("ana"),
            "bob": caller("bob"),
            "eve": caller("eve"),
            "max": caller("max"),
            "ana-other": replace(caller("ana"), actor="other", client="other"),
            "ana-chain": replace(caller("ana"), actor_chain=("other",)),
        }
        self.restart()

    def restart(self) -> None:
        """A process of its own on the same stores: it remembers nothing."""
        site: Any = self
        engine: Any = self.engine
        customs = Customs(
            tokens=FakeTokens(known=self.tokens),
            trail=self.trail,
            now=lambda: self.now,
            render=self.problems.render,
            report=lambda fault, _trace: self.faults.append(fault),
            started=lambda: None,
            settled=lambda _record, _size: None,
        )
        self.customs = customs
        connections = {
            "shop": Connection(
                name="shop",
                kind="sqlite",
                connector=engine,
                guard=guard_of(Dialect.SQLITE),
                max_rows=100,
                max_bytes=10_000,
                max_value_bytes=1_000,
                timeout_s=5,
            )
        }
        planner = Planner(catalogs=Catalogs(connections, lambda _name, _catalog: None), heavy=site)
        self.bulletin = Bulletin(self.store, poll_s=0.01)
        self.query, self.explaining, self.executing = use_cases(
            connections=connections,
            planner=planner,
            policies=site,
            store=self.store,
            held=self.held,
            keys=self.keys,
            intend=customs.intend,
            now=lambda: self.now,
            background=self.background,
            sleep=self.sleep,
            random=self.numbers,
            bulletin=self.bulletin,
            withdrawn=lambda who: who.principal in self.withdrawn,
        )

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self.beside.add(task)

    async def sleep(self, pause_s: float) -> None:
        self.slept.append(pause_s)
        await asyncio.sleep(0)

    async def settled(self) -> None:
        """Everything that was left to run beside the requests is done."""
        while self.beside:
            await self.beside.pop()

    passage = staticmethod(passage_of)

    async def _call(self, who: str, use_case: UseCase, command: Any, operation: str) -> Told:
        answer: Answer = await self.customs.passage(self.passage(who, use_case, command, operation))
        raw = b"".join(answer.opening.pieces())
        return Told(status=answer.status, body=json.loads(raw), raw=raw, headers=answer.headers)

    async def ask(self, who: str, sql: str, **more: Any) -> Told:
        command = QueryCommand(connection="shop", sql=sql, params=more.pop("params", {}), **more)
        return await self._call(who, self.query.run, command, "query_sql")

    async def explain(self, who: str, sql: str, **more: Any) -> Told:
        command = QueryCommand(connection="shop", sql=sql, params={}, **more)
        return await self._call(who, self.explaining.explain, command, "explain_sql")

    async def execute(self, who: str, approval_id: str, key: str | None = None) -> Told:
        command = ExecuteApproval(approval_id=approval_id, idempotency_key=key)
        return await self._call(who, self.executing.execute, command, "execute_approval")

    async def said_yes(self, approval_id: str) -> Approval:
        """What an approver does, past every outage."""
        before = await MemoryApprovals.get(self.store, approval_id)
        assert before is not None
        after = approve(before, self.max, at=rfc3339(self.now), reason="fine")
        assert await MemoryApprovals.replace(self.store, before, after)
        self.bulletin.changed(approval_id)
        return after

    async def took_it_back(self, approval_id: str) -> None:
        before = await MemoryApprovals.get(self.store, approval_id)
        assert before is not None
        after = revoke(before, self.max, at=rfc3339(self.now), reason="no")
        assert await MemoryApprovals.replace(self.store, before, after)
        self.bulletin.changed(approval_id)

    @property
    def max(self) -> Person:
        return Person.of(self.tokens["max"], frozenset({"user:max"}))

    async def approved(self, sql: str, **more: Any) -> str:
        told = await self.ask("ana", sql, **more)
        assert told.status == 202, told.body
        name: str = told.body["approval_id"]
        await self.said_yes(name)
        return name

    async def stored(self, approval_id: str) -> Approval:
        found = await MemoryApprovals.get(self.store, approval_id)
        assert found is not None
        return found

    def outcomes(self) -> Sequence[str]:
        return [entry["outcome"] for entry in self.trail.entries]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def record() -> Record:
    return Record(operation="query_sql", method="POST", path="/", trace_id="0", started=0.0)
