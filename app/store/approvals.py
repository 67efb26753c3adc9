"""Approval requests in the store. No driver's error or text leaves this module."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self, TypeVar

import structlog
from sqlalchemy import ColumnElement, Row, Select, and_, func, insert, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.approval.approval import Approval, State, Step
from app.approval.machine import is_over
from app.ports import Change
from app.store.approval_rows import Unreadable, approval_of, document_of, row_of, step_of
from app.store.database import open_engine, translated
from app.store.feed import publish
from app.store.schema import approval_changes, approvals

_MANY_IDS = 10_000
_LASTING = ("approval_id", "created_at", "issuer", "principal", "actor", "connection", "action")

_Item = TypeVar("_Item")


class ApprovalRejected(ValueError):  # noqa: N818 - a refusal of a row
    """The store refuses the approval: its id is taken, it ends before it starts, or it rewrites what is history."""


class ApprovalStore:
    """Implements `ports.Approvals`; `async with ApprovalStore.open(url) as store`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        """For the other parts of the store: they share its connections."""
        self._writes = engine.execution_options(writes=True)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[Self]:
        """Brings the schema up to date first. Raises StoreUnavailable, ValueError for a URL of another kind."""
        async with open_engine(url) as engine:
            yield cls(engine)

    async def create(self, approval: Approval) -> None:
        """Durable when it returns. Raises ApprovalRejected, StoreUnavailable."""
        with _checked(), translated():
            async with self._writes.begin() as connection:
                await connection.execute(insert(approvals).values(row_of(approval)))
                await publish(connection, approval.approval_id, approval.history)

    async def get(self, approval_id: str) -> Approval | None:
        if "\x00" in approval_id:  # PostgreSQL has no such text, hence no such approval
            return None
        with translated():
            async with self.engine.connect() as connection:
                found = await connection.execute(select(approvals).where(approvals.c.approval_id == approval_id))
                row = found.first()
        return None if row is None else _readable(row, approval_of)

    async def page(
        self, *, owner: tuple[str, str] | None, state: str | None, before: tuple[str, str] | None, size: int
    ) -> Sequence[Approval]:
        query = select(approvals).order_by(approvals.c.created_at.desc(), approvals.c.approval_id.desc())
        if owner is not None:
            query = query.where(approvals.c.issuer == owner[0], approvals.c.principal == owner[1])
        if state is not None:
            query = query.where(approvals.c.state == state)
        position = tuple_(approvals.c.created_at, approvals.c.approval_id)
        return await self._all_readable(
            query,
            start=None if before is None else position < tuple_(*before),
            behind=lambda row: position < tuple_(row.created_at, row.approval_id),
            read=approval_of,
            size=size,
        )

    async def replace(self, before: Approval, after: Approval) -> bool:
        """Compare-and-set on `before.version`; the new steps go into the feed with it. Raises ApprovalRejected for an
        `after` that is no next step of what is stored, StoreUnavailable."""
        if any(getattr(before, name) != getattr(after, name) for name in _LASTING):
            raise ApprovalRejected("an approval becomes no other one")
        row = row_of(after) | {"version": before.version + 1}
        same = (approvals.c.approval_id == before.approval_id, approvals.c.version == before.version)
        with _checked(), translated():
            # The losers of a race see it in a read: they need not wait for the turn to write
            async with self.engine.connect() as connection:
                stored = (await connection.execute(select(approvals.c.state, approvals.c.history).where(*same))).first()
            if stored is None:
                return False
            steps = _new_steps(stored.state, stored.history, after)
            async with self._writes.begin() as connection:
                changed = await connection.execute(
                    update(approvals).where(*same, approvals.c.history == stored.history).values(row)
                )
                if changed.rowcount != 1:
                    return False
                await publish(connection, after.approval_id, steps)
        return True

    async def versions(self, approval_ids: Sequence[str]) -> Mapping[str, int]:
        ids = sorted({approval_id for approval_id in approval_ids if "\x00" not in approval_id})
        found: dict[str, int] = {}
        with translated():
            async with self.engine.connect() as connection:
                for start in range(0, len(ids), _MANY_IDS):
                    query = select(approvals.c.approval_id, approvals.c.version).where(
                        approvals.c.approval_id.in_(ids[start : start + _MANY_IDS])
                    )
                    found.update((row.approval_id, row.version) for row in await connection.execute(query))
        return found

    async def overdue(self, now: str, *, started_before: str, size: int) -> Sequence[Approval]:
        position = tuple_(approvals.c.created_at, approvals.c.approval_id)
        query = (
            select(approvals)
            .where(
                or_(
                    and_(approvals.c.state == State.PENDING.value, approvals.c.expires_at <= now),
                    and_(approvals.c.state == State.APPROVED.value, approvals.c.usable_until <= now),
                    and_(approvals.c.state == State.EXECUTING.value, approvals.c.started_at < started_before),
                )
            )
            .order_by(approvals.c.created_at, approvals.c.approval_id)
        )
        return await self._all_readable(
            query,
            start=None,
            behind=lambda row: position > tuple_(row.created_at, row.approval_id),
            read=approval_of,
            size=size,
        )

    async def unescalated(self, size: int) -> Sequence[Approval]:
        """Those first whose escalation is due first: one that waits long for its own holds up no other."""
        position = tuple_(approvals.c.escalates_at, approvals.c.approval_id)
        query = (
            select(approvals)
            .where(approvals.c.escalates_at.is_not(None))
            .order_by(approvals.c.escalates_at, approvals.c.approval_id)
        )
        return await self._all_readable(
            query,
            start=None,
            behind=lambda row: position > tuple_(row.escalates_at, row.approval_id),
            read=approval_of,
            size=size,
        )

    async def changes(self, after: int, size: int) -> Sequence[Change]:
        return await self._all_readable(
            select(approval_changes).order_by(approval_changes.c.seq),
            start=approval_changes.c.seq > after,
            behind=lambda row: approval_changes.c.seq > row.seq,
            read=lambda row: Change(seq=row.seq, approval_id=row.approval_id, step=step_of(row.step)),
            size=size,
        )

    async def last_change(self) -> int:
        with translated():
            async with self.engine.connect() as connection:
                newest = (await connection.execute(select(func.max(approval_changes.c.seq)))).scalar()
        return newest or 0

    async def _all_readable(
        self,
        query: Select[Any],
        *,
        start: ColumnElement[bool] | None,
        behind: Callable[[Row[Any]], ColumnElement[bool]],
        read: Callable[[Row[Any]], _Item],
        size: int,
    ) -> list[_Item]:
        """As many as were asked for, as long as there are any: a row that cannot be read neither fails those around it
        nor makes a page look like the last one."""
        found: list[_Item] = []
        place = start
        while len(found) < size:
            wanted = size - len(found)
            with translated():
                async with self.engine.connect() as connection:
                    more = query.limit(wanted) if place is None else query.where(place).limit(wanted)
                    rows = (await connection.execute(more)).all()
            found.extend(item for row in rows if (item := _readable(row, read)) is not None)
            if len(rows) < wanted:
                break
            place = behind(rows[-1])
        return found


def _new_steps(state: str, history: str, after: Approval) -> Sequence[Step]:
    """Raises ApprovalRejected: what has happened stays, what is over stays over, and nothing changes without a step."""
    known = json.loads(history)
    if is_over(State(state)):
        raise ApprovalRejected("the approval is over: nothing changes it")
    if len(after.history) <= len(known):
        raise ApprovalRejected("an approval changes by a step of its history")
    if json.loads(json.dumps([document_of(step) for step in after.history[: len(known)]])) != known:
        raise ApprovalRejected("the history of an approval only grows")
    return after.history[len(known) :]


def _readable(row: Row[Any], read: Callable[[Row[Any]], _Item]) -> _Item | None:
    try:
        return read(row)
    except Unreadable:
        structlog.get_logger().error("approval_unreadable", approval_id=row.approval_id)
        return None


@contextmanager
def _checked() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise ApprovalRejected("the approval's id is taken, or it contradicts itself") from error
