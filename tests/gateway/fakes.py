"""Small ports for gateway tests: they keep what they are told, and fail on demand."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.gateway.errors import Refused
from app.gateway.pipeline import Customs, Operation, Passage, UseCase
from app.gateway.record import Record
from app.policy.caller import Caller
from app.ports import TrailUnavailable


def caller(name: str = "ana", *, claims: Mapping[str, Any] | None = None) -> Caller:
    return Caller(
        issuer="https://issuer.test",
        principal=name,
        actor="cli",
        actor_chain=(),
        client="cli",
        principal_subjects=frozenset({f"user:{name}"}),
        actor_subjects=frozenset({"client:cli"}),
        scopes=frozenset({"douane:query"}),
        claims=claims or {},
        token_id="t1",
        expires_at=2_000_000_000,
        policy_key=f"{name}:{sorted((claims or {}).items())}",
    )


@dataclass
class FakeTokens:
    known: Mapping[str, Caller] = field(default_factory=lambda: {"good": caller()})
    failure: Exception | None = None

    def cached(self, token: str) -> Caller | None:
        return self.known.get(token)

    async def verify(self, token: str) -> Caller:
        assert self.failure is not None
        raise self.failure

    def ready(self) -> Mapping[str, bool]:
        return {"https://issuer.test": True}


class _Durable:
    def __init__(self, trail: "FakeTrail") -> None:
        self._trail = trail

    def __await__(self) -> Generator[Any, None, None]:
        if self._trail.gate is not None:
            yield from self._trail.gate.wait().__await__()
        if self._trail.down:
            raise TrailUnavailable("full")


@dataclass
class FakeTrail:
    origin: str = "test/log/0"
    entries: list[Mapping[str, Any]] = field(default_factory=list)
    down: bool = False
    refuses: list[Exception] = field(default_factory=list)
    """Raised by `append` itself, one per call."""
    gate: asyncio.Event | None = None

    def next_index(self) -> int:
        return len(self.entries)

    def append(self, entry: Mapping[str, Any]) -> Awaitable[None]:
        if self.refuses:
            raise self.refuses.pop()
        if not self.down:
            self.entries.append(entry)
        return _Durable(self)

    @property
    def healthy(self) -> bool:
        return not self.down


@dataclass
class Told:
    """What the operator and the metrics hear of."""

    faults: list[BaseException] = field(default_factory=list)
    settled: list[tuple[Record, int]] = field(default_factory=list)
    started: int = 0

    def start(self) -> None:
        self.started += 1


def rendered(refused: Refused, trace_id: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    return 400, {"code": refused.stable_code, "detail": refused.detail, "trace_id": trace_id}, {}


def customs(trail: FakeTrail, told: Told, tokens: FakeTokens | None = None) -> Customs:
    return Customs(
        tokens=tokens or FakeTokens(),
        trail=trail,
        now=lambda: 1_000.0,
        render=rendered,
        report=lambda fault, _trace: told.faults.append(fault),
        started=told.start,
        settled=lambda record, size: told.settled.append((record, size)),
    )


def passage(
    use_case: UseCase,
    *,
    token: str | None = "good",
    parse: Callable[[], Any] = lambda: None,
    scopes: frozenset[str] = frozenset(),
    refused: Refused | None = None,
) -> Passage:
    return Passage(
        operation=Operation(name="query_sql", scopes=scopes, use_case=use_case),
        method="POST",
        path="/v1/connections/shop/query",
        trace_id="0af7651916cd43dd8448eb211c80319c",
        bearer=lambda: token,
        parse=parse,
        refused=refused,
    )


def passage_of(who: str, use_case: UseCase, command: Any, operation: str) -> Passage:
    """A request whose bearer token is the name of its caller."""
    return Passage(
        operation=Operation(name=operation, scopes=frozenset(), use_case=use_case),
        method="POST",
        path="/",
        trace_id="0" * 32,
        bearer=lambda: who,
        parse=lambda: command,
    )
