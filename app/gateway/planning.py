"""From a statement's text to a plan: what it touches, what policy says, and what may run.

Plans are cached by everything they depend on, so that a warm request parses nothing and asks Casbin nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from app.gateway.connections import Catalogs, Connection
from app.gateway.deciding import decide, handing_back, may_count, wanted_of
from app.gateway.lens import Lens, names_hidden
from app.gateway.lenses import Lenses, Look
from app.gateway.lru import Lru
from app.gateway.parameters import param_types
from app.gateway.plan import Plan
from app.gateway.record import rule_ids
from app.gateway.shapes import Family, ShapeCache, remember, rendered
from app.gateway.turns import Turns
from app.policy.caller import Caller
from app.policy.decision import Action, Context, Deny, TableView
from app.policy.snapshot import PolicySnapshot
from app.sql.statement import (
    JsonType,
    ParamTypes,
    Rewritten,
    RewrittenWrite,
    SqlGuard,
    Statement,
)
from connectors.contract import Catalog, TableKey

INLINE_BYTES = 2_000
"""Longer statements are planned in a killable worker: parsing is super-linear and must not hold the loop."""
INLINE_RELATIONS = 12
"""So are statements of more relations: each costs milliseconds, however short its name."""
_RELATION = re.compile(r"\b(?:select|join)\b", re.IGNORECASE)
_FROM_LIST = re.compile(r"\bfrom\b([^()]*?)(?=\b(?:where|group|order|limit|union)\b|[()]|$)", re.IGNORECASE)
MAX_PLAN_CHARS = 32 * 1024 * 1024
"""What the texts in each of the two plan caches may hold together."""


class HeavyPlanning(Protocol):
    """Plans in another process. Raises SqlRefused, also when the worker had to be killed."""

    async def inspect(self, guard: SqlGuard, text: str, params: ParamTypes, catalog: Catalog) -> Statement:
        """The statement without its tree; `tree` is a token that `rewrite` takes."""

    async def rewrite(
        self, guard: SqlGuard, statement: Statement, views: Mapping[TableKey, TableView], catalog: Catalog
    ) -> Rewritten: ...

    async def rewrite_write(
        self, guard: SqlGuard, statement: Statement, views: Mapping[TableKey, TableView], catalog: Catalog
    ) -> RewrittenWrite: ...


@dataclass(slots=True, kw_only=True)
class Question:
    """What a request wants of a connection, as far as planning goes."""

    text: str
    params: Mapping[str, Any]
    unmask: tuple[str, ...]
    purpose: str | None


class LookedUp(Protocol):
    def __call__(self, cache: str, *, hit: bool) -> None: ...


def _uncounted(cache: str, *, hit: bool) -> None:
    """For planners nobody watches."""


class Planner:
    """`looked_up(cache, hit=…)` counts."""

    def __init__(
        self, *, catalogs: Catalogs, heavy: HeavyPlanning, looked_up: LookedUp = _uncounted, cache_size: int = 4096
    ) -> None:
        self._looked_up = looked_up
        self._catalogs = catalogs
        self._heavy = heavy
        self.plans: Lru[tuple[Any, ...], Plan] = Lru(cache_size, MAX_PLAN_CHARS)
        self._shapes = ShapeCache(cache_size, MAX_PLAN_CHARS)
        self._lenses = Lenses()
        self._turns = Turns()

    async def plan(
        self,
        connection: Connection,
        caller: Caller,
        snapshot: PolicySnapshot,
        question: Question,
        now: float,
        *,
        exact: bool = False,
    ) -> Plan:
        """Raises SqlRefused or ConnectionUnavailable. The plan says what was decided; nothing ran yet. `exact`: read
        this very text the long way, so that the same text always gives the same SQL, byte for byte."""
        catalog = connection.connector.catalog() or await self._catalogs.of(connection)
        types = param_types(question.params) if question.params else {}
        volatile = _volatile(snapshot, caller, question, now)
        sight = (
            connection.name, snapshot.version, caller.policy_key, catalog.version, question.unmask,
            tuple(volatile.items()),
        )  # fmt: skip
        key = (question.text, sight, tuple(types.items()))
        plan = self.plans.get(key)
        if plan is not None:
            self._looked_up("plan", hit=True)
            return plan
        self._looked_up("plan", hit=False)
        if _costly(question.text):
            async with self._turns.of((caller.issuer, caller.principal)):
                plan = self.plans.get(key)  # the same text of the same caller may have had the turn before
                if plan is None:
                    plan = await self._make(
                        connection, caller, snapshot, question, types, sight, volatile, catalog, None
                    )
                    self._keep(key, plan)
            return plan
        shape = None if exact or connection.shapes is None else connection.shapes.shape(question.text)
        if shape is None:
            plan = await self._make(connection, caller, snapshot, question, types, sight, volatile, catalog, None)
            self._keep(key, plan)
            return plan
        # Templates are as long as the rewritten text, and there may be a few.
        family, seen_before = self._shapes.family((shape.key, sight, key[2]), _held(key) + 8 * len(shape.key))
        found = rendered(family, shape)
        if found is not None:
            sql, kin = found
            assert isinstance(kin, Plan)
            assert kin.rewritten is not None
            # Not kept by its text: it may never come again, and would push out those that do.
            return replace(kin, rewritten=replace(kin.rewritten, sql=sql, cacheable=False))
        wanted = family if seen_before and not family.hopeless else None
        plan = await self._make(connection, caller, snapshot, question, types, sight, volatile, catalog, wanted)
        self._keep(key, plan)
        return plan

    def _keep(self, key: tuple[Any, ...], plan: Plan) -> None:
        runs = plan.rewritten or plan.write
        self.plans.put(key, plan, _held(key) + (0 if runs is None else len(runs.sql)))

    async def lens(
        self, connection: Connection, caller: Caller, snapshot: PolicySnapshot, unmask: tuple[str, ...], now: float
    ) -> Lens:
        """How the connection looks to the caller right now."""
        catalog = await self._catalogs.of(connection)
        question = Question(text="", params={}, unmask=unmask, purpose=None)
        volatile = _volatile(snapshot, caller, question, now)
        sight = (
            connection.name, snapshot.version, caller.policy_key, catalog.version, unmask, tuple(volatile.items())
        )  # fmt: skip
        return await self._lenses.whole(_look(connection, caller, snapshot, sight, volatile, unmask, catalog))

    async def _make(
        self,
        connection: Connection,
        caller: Caller,
        snapshot: PolicySnapshot,
        question: Question,
        types: dict[str, JsonType],
        sight: tuple[Any, ...],
        volatile: Context,
        catalog: Catalog,
        family: Family | None,
    ) -> Plan:
        """`family` takes the template of the plan's shape, where one can be made."""
        look = _look(connection, caller, snapshot, sight, volatile, question.unmask, catalog)
        seen = await self._lenses.around(look, question.text)
        guard = connection.guard
        large = _costly(question.text)
        if large:
            statement = await self._heavy.inspect(guard, question.text, types, seen.catalog)
        else:
            statement = guard.inspect(question.text, types, seen.catalog)
        context = {**look.context, **_of_statement(statement)}
        wanted = wanted_of(connection.name, statement, seen)
        wants_estimate = any(
            not {"rows", "bytes"}.isdisjoint(snapshot.names_needed(caller, resource, action))
            for resource, action in wanted.accesses
        )
        verdict = decide(snapshot, caller, wanted, context)
        decision = verdict.decision
        rewritten: Rewritten | None = None
        write: RewrittenWrite | None = None
        if not isinstance(decision, Deny) or wants_estimate:
            touched = {a.table: seen.views[a.table] for a in statement.accesses}
            match (statement.action, large):
                case (Action.SELECT, False):
                    rewritten = guard.rewrite(statement, seen.view, seen.catalog)
                case (Action.SELECT, True):
                    rewritten = await self._heavy.rewrite(guard, statement, touched, seen.catalog)
                case (_, False):
                    write = guard.rewrite_write(statement, seen.view, seen.catalog)
                case (_, True):
                    write = await self._heavy.rewrite_write(guard, statement, touched, seen.catalog)
        if write is not None and write.returning:
            wanted = handing_back(wanted)
            verdict = decide(snapshot, caller, wanted, context)
            decision = verdict.decision
        runs = rewritten or write
        views = [seen.views[access.table] for access in statement.accesses]
        outputs = () if runs is None or runs.outputs is None else runs.outputs
        plan = Plan(
            action=statement.action,
            kind=statement.kind,
            wanted=wanted,
            resources=tuple(dict.fromkeys(resource for resource, _ in wanted.accesses)),
            tables=tuple(dict.fromkeys(access.table for access in statement.accesses)),
            decision=decision,
            asked=verdict.asked,
            wants_estimate=wants_estimate,
            context=context,
            rewritten=rewritten,
            write=write,
            labels=() if runs is None else runs.labels,
            masks=tuple(sorted({mask for output in outputs for mask in output.masks})),
            max_rows=_least(view.max_rows for view in views),
            max_bytes=_least(view.max_bytes for view in views),
            tells_counts=write is None or may_count(snapshot, caller, wanted, context),
            row_filtered=any(view.row_filter is not None for view in views),
            names_hidden=any(names_hidden(view) for view in views),
            masked=any(column.mask is not None for view in views for column in view.columns),
            policy_version=snapshot.version,
            rule_names=rule_ids(decision.rules),
        )
        if family is not None and rewritten is not None and not large and connection.shapes is not None:
            template = connection.shapes.template(question.text, types, statement, rewritten, seen.view, seen.catalog)
            remember(family, template, plan)
        return plan


def _costly(text: str) -> bool:
    if len(text) > INLINE_BYTES:
        return True
    relations: int = len(_RELATION.findall(text)) + sum(part.count(",") for part in _FROM_LIST.findall(text))
    return relations > INLINE_RELATIONS


def _held(key: tuple[Any, ...]) -> int:
    """About how many characters a key keeps in memory: text, labels, purpose and parameter names are the caller's."""
    text, (*_, unmask, volatile), types = key
    return (
        len(text) + sum(map(len, unmask)) + sum(len(str(v)) for _, v in volatile) + sum(len(n) + 80 for n, _ in types)
    )


def _look(
    connection: Connection,
    caller: Caller,
    snapshot: PolicySnapshot,
    sight: tuple[Any, ...],
    volatile: Context,
    unmask: tuple[str, ...],
    catalog: Catalog,
) -> Look:
    return Look(
        key=sight,
        connection=connection.name,
        caller=caller,
        snapshot=snapshot,
        catalog=catalog,
        context={**volatile, **_of_caller(caller)},
        unmask=unmask,
    )


def _least(bounds: Any) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)


def _of_caller(caller: Caller) -> dict[str, Any]:
    return {"actor": caller.actor, "claims": caller.claims}


def _of_statement(statement: Statement) -> dict[str, Any]:
    return {
        "statement": statement.kind,
        "has_where": statement.has_where,
        "limit": statement.limit,
        "tables": tuple(f"{schema}.{name}" for schema, name in (access.table for access in statement.accesses)),
        "columns": statement.columns,
    }


def _volatile(snapshot: PolicySnapshot, caller: Caller, question: Question, now: float) -> dict[str, Any]:
    """Values of the volatile names that this policy reads at all; most policies read none."""
    names = snapshot.volatile_names
    if not names:
        return {}
    at = datetime.fromtimestamp(now, UTC)
    known = {"hour": at.hour, "weekday": at.isoweekday(), "purpose": question.purpose}
    return {name: known[name] for name in sorted(names) if known.get(name) is not None}
