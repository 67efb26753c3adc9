"""Approval requests in the store. No driver's error or text leaves this module."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self

from sqlalchemy import Row, insert, select, tuple_
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.approval.approval import Approval, State
from app.ports import StoreUnavailable
from app.store.database import open_engine
from app.store.schema import approvals


class ApprovalRejected(ValueError):  # noqa: N818 - a refusal of a row
    """The store's constraints refuse the approval: its id is taken, or it ends before it starts."""


class ApprovalStore:
    """Implements `ports.Approvals`; `async with ApprovalStore.open(url) as store`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._reads = engine
        self._writes = engine.execution_options(writes=True)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[Self]:
        """Brings the schema up to date first. Raises StoreUnavailable, ValueError for a URL of another kind."""
        async with open_engine(url) as engine:
            yield cls(engine)

    async def create(self, approval: Approval) -> None:
        """Durable when it returns. Raises ApprovalRejected, StoreUnavailable."""
        with _translated():
            async with self._writes.begin() as connection:
                await connection.execute(insert(approvals).values(_row(approval)))

    async def get(self, approval_id: str) -> Approval | None:
        if "\x00" in approval_id:  # PostgreSQL has no such text, hence no such approval
            return None
        with _translated():
            async with self._reads.connect() as connection:
                found = await connection.execute(select(approvals).where(approvals.c.approval_id == approval_id))
                row = found.first()
        return None if row is None else _approval(row)

    async def page(
        self, *, owner: tuple[str, str] | None, state: str | None, before: tuple[str, str] | None, size: int
    ) -> Sequence[Approval]:
        newest_first = (approvals.c.created_at.desc(), approvals.c.approval_id.desc())
        query = select(approvals).order_by(*newest_first).limit(size)
        if owner is not None:
            query = query.where(approvals.c.issuer == owner[0], approvals.c.principal == owner[1])
        if state is not None:
            query = query.where(approvals.c.state == state)
        if before is not None:
            query = query.where(tuple_(approvals.c.created_at, approvals.c.approval_id) < tuple_(*before))
        with _translated():
            async with self._reads.connect() as connection:
                rows = (await connection.execute(query)).all()
        return [_approval(row) for row in rows]


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise ApprovalRejected("the approval's id is taken, or it ends before it starts") from error
    except (SQLAlchemyError, OSError) as error:  # TimeoutError is an OSError
        raise StoreUnavailable("the store of approvals cannot be reached") from error


def _row(approval: Approval) -> dict[str, Any]:
    return {
        "approval_id": approval.approval_id,
        "state": approval.state.value,
        "created_at": approval.created_at,
        "expires_at": approval.expires_at,
        "issuer": approval.issuer,
        "principal": approval.principal,
        "actor": approval.actor,
        "connection": approval.connection,
        "action": approval.action,
        "resources": json.dumps(approval.resources),
        "reasons": json.dumps(approval.reasons),
        "request": json.dumps(dict(approval.request), sort_keys=True),
        "digest": approval.digest,
    }


def _approval(row: Row[Any]) -> Approval:
    return Approval(
        approval_id=row.approval_id,
        state=State(row.state),
        created_at=row.created_at,
        expires_at=row.expires_at,
        issuer=row.issuer,
        principal=row.principal,
        actor=row.actor,
        connection=row.connection,
        action=row.action,
        resources=tuple(json.loads(row.resources)),
        reasons=tuple(json.loads(row.reasons)),
        request=json.loads(row.request),
        digest=row.digest,
    )
