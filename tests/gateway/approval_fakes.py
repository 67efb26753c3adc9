"""A store of approvals in memory, people who decide, and a policy that knows them: for tests of what gateways do."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from app.approval.approval import Approval, Happening, Outcome, State
from app.approval.digest import pending
from app.approval.machine import Person
from app.approval.terms import Grant, Requirement, Terms
from app.gateway.approvals import Register
from app.gateway.record import Record
from app.policy.caller import Caller
from app.policy.decision import Action, Allow, Deny
from app.ports import Change, StoreUnavailable

NOW_S = 1_750_000_000.0
AT = "2025-06-15T15:06:40.000000Z"
SOON = "2025-06-15T16:06:40.000000Z"


def person(name: str, *, roles: Iterable[str] = (), actor: str = "cli") -> Caller:
    return Caller(
        issuer="https://issuer.test",
        principal=name,
        actor=actor,
        actor_chain=(),
        client=actor,
        principal_subjects=frozenset({f"user:{name}", *(f"role:{role}" for role in roles)}),
        actor_subjects=frozenset({f"client:{actor}"}),
        scopes=frozenset({"douane:query", "douane:approvals"}),
        claims={},
        token_id=f"token of {name}",
        expires_at=2_000_000_000,
        policy_key=name,
    )


ANA, MAX, DEE, EVE = person("ana"), person("max", roles=["dba"]), person("dee", roles=["dpo"]), person("eve")


def waiting(
    number: int = 1,
    *,
    terms: Terms | None = None,
    outcome: Outcome | None = None,
    caller: Caller = ANA,
    expires_at: str = SOON,
    statement: str = "DELETE FROM orders WHERE id = 9",
) -> Approval:
    return pending(
        random=number.to_bytes(16, "big"),
        created_at=AT,
        expires_at=expires_at,
        caller=caller,
        connection="shop",
        action="delete",
        resources=["shop/main.orders"],
        reasons=["policy.csv:28"],
        statement=statement,
        params={},
        unmask=[],
        purpose="ticket 7",
        policy_version="v1",
        terms=terms or Terms(),
        outcome=outcome or Outcome(kind="write", rewritten_sql="DELETE …", rows=3, salt="ab"),
        max_rows=None,
    )


def quorum(size: int, *approvers: str, **more: Any) -> Terms:
    return Terms(requirements=(Requirement(quorum=size, approvers=approvers, **more),), grant=Grant())


def as_person(caller: Caller) -> Person:
    return Person.of(caller, caller.principal_subjects)


@dataclass
class MemoryApprovals:
    """Implements `ports.Approvals`; `away` makes every method fail, `asked` counts the questions."""

    stored: dict[str, Approval] = field(default_factory=dict)
    feed: list[Change] = field(default_factory=list)
    away: bool = False
    asked: list[str] = field(default_factory=list)
    pause_s: float = 0.0

    async def _ask(self, what: str) -> None:
        self.asked.append(what)
        await asyncio.sleep(self.pause_s)
        if self.away:
            raise StoreUnavailable("away")

    def put(self, *approvals: Approval) -> None:
        for approval in approvals:
            before = self.stored.get(approval.approval_id)
            known = 0 if before is None else len(before.history)
            self.stored[approval.approval_id] = approval
            for step in approval.history[known:]:
                self.feed.append(Change(seq=len(self.feed) + 1, approval_id=approval.approval_id, step=step))

    async def create(self, approval: Approval) -> None:
        await self._ask("create")
        self.put(approval)

    async def get(self, approval_id: str) -> Approval | None:
        await self._ask("get")
        return self.stored.get(approval_id)

    async def page(
        self, *, owner: tuple[str, str] | None, state: str | None, before: tuple[str, str] | None, size: int
    ) -> Sequence[Approval]:
        await self._ask("page")
        newest = sorted(self.stored.values(), key=lambda one: (one.created_at, one.approval_id), reverse=True)
        return [
            one
            for one in newest
            if (owner is None or (one.issuer, one.principal) == owner)
            and (state is None or one.state.value == state)
            and (before is None or (one.created_at, one.approval_id) < before)
        ][:size]

    async def replace(self, before: Approval, after: Approval) -> bool:
        await self._ask("replace")
        if self.stored[before.approval_id].version != before.version:
            return False
        self.put(replace(after, version=before.version + 1))
        return True

    async def versions(self, approval_ids: Sequence[str]) -> Mapping[str, int]:
        await self._ask(f"versions of {len(approval_ids)}")
        return {name: self.stored[name].version for name in approval_ids if name in self.stored}

    async def overdue(self, now: str, *, started_before: str, size: int) -> Sequence[Approval]:
        await self._ask("overdue")
        return [
            one
            for one in self.stored.values()
            if (one.state is State.PENDING and one.expires_at <= now)
            or (one.state is State.APPROVED and (one.usable_until or one.expires_at) <= now)
            or (one.state is State.EXECUTING and (one.started_at or "") < started_before)
        ][:size]

    async def unescalated(self, size: int) -> Sequence[Approval]:
        await self._ask("unescalated")
        return [
            one
            for one in self.stored.values()
            if one.state is State.PENDING
            and any(requirement.escalate_to for requirement in one.terms.requirements)
            and all(step.happening is not Happening.ESCALATED for step in one.history)
        ][:size]

    async def changes(self, after: int, size: int) -> Sequence[Change]:
        await self._ask("changes")
        return [change for change in self.feed if change.seq > after][:size]

    async def last_change(self) -> int:
        await self._ask("last_change")
        return len(self.feed)


@dataclass
class MemoryHeld:
    """Implements `ports.HeldResults`."""

    held: dict[str, bytes] = field(default_factory=dict)
    away: bool = False

    async def hold(self, approval_id: str, pieces: Iterable[bytes], *, expires_at: str) -> None:
        self.held[approval_id] = b"".join(pieces)

    async def take(self, approval_id: str) -> bytes | None:
        return self.held.get(approval_id)

    async def destroy(self, approval_id: str) -> None:
        if self.away:
            raise StoreUnavailable("away")
        self.held.pop(approval_id, None)

    async def destroy_expired(self, now: str) -> int:
        return 0


@dataclass
class Policy:
    """`ports.Policies` and its snapshot in one: who may decide and read approvals, by subject."""

    deciders: frozenset[str] = frozenset({"role:dba", "role:dpo"})
    readers: frozenset[str] = frozenset()
    version: str = "v1"

    @property
    def current(self) -> Any:
        return SimpleNamespace(version=self.version, decide=self.decide, identities=self.identities)

    def decide(self, caller: Caller, resource: str, action: Action, context: Any) -> Allow | Deny:
        assert resource == "douane/approvals"
        allowed = {Action.DECIDE: self.deciders, Action.READ: self.readers}[action]
        if caller.principal_subjects.isdisjoint(allowed):
            return Deny(rules=(), reason="No rule.")
        return Allow(rules=())

    def identities(self, caller: Caller) -> frozenset[str]:
        return caller.principal_subjects


def register(approvals: MemoryApprovals, policy: Policy, now: Any = lambda: NOW_S) -> Register:
    return Register(approvals=approvals, policies=policy, public_url="https://gate.test", now=now)  # type: ignore[arg-type]


def record(operation: str = "get_approval") -> Record:
    return Record(operation=operation, method="GET", path="/v1/approvals", trace_id="0" * 32, started=NOW_S)
