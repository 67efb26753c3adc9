"""Deliveries of notifications in the store: queue, log and used links. No driver's error or text leaves this module."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.ports import Attempt, Delivery, DeliveryState, StoreUnavailable
from app.store.delivery_schema import deliveries, delivery_attempts, feed_positions, used_links

READER = "notifications"
INTERRUPTED = "interrupted"
"""In the log of an attempt whose process never said how it went."""


class DeliveryStore:
    """Implements `ports.DeliveryQueue`, `ports.DeliveryLog` and `ports.UsedLinks` on a migrated engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._reads = engine
        self._writes = engine.execution_options(writes=True)
        self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    async def position(self) -> int | None:
        query = select(feed_positions.c.seq).where(feed_positions.c.reader == READER)
        with _translated():
            async with self._reads.connect() as connection:
                found = (await connection.execute(query)).scalar()
        return None if found is None else int(found)

    async def enqueue(self, new: Sequence[Delivery], *, position: int) -> None:
        moved = self._insert(feed_positions).values(reader=READER, seq=position)
        moved = moved.on_conflict_do_update(
            index_elements=["reader"],
            set_={"seq": moved.excluded.seq},
            where=feed_positions.c.seq < moved.excluded.seq,
        )
        with _translated():
            async with self._writes.begin() as connection:
                if new:
                    queued = self._insert(deliveries).on_conflict_do_nothing(index_elements=["target", "seq"])
                    await connection.execute(queued, [_row(each) for each in new])
                await connection.execute(moved)

    async def due(self, now: str) -> frozenset[str]:
        query = select(deliveries.c.target).distinct().where(_pending(), deliveries.c.due_at <= now)
        with _translated():
            async with self._reads.connect() as connection:
                return frozenset((await connection.execute(query)).scalars())

    async def claim(self, target: str, *, now: str, leased_until: str, lease: str, size: int) -> Sequence[Delivery]:
        query = (
            select(deliveries)
            .where(_pending(), deliveries.c.due_at <= now, deliveries.c.target == target)
            .order_by(deliveries.c.due_at, deliveries.c.seq)
            .limit(size)
            .with_for_update(skip_locked=True)  # PostgreSQL; SQLite's writers come one at a time anyway
        )
        with _translated():
            async with self._writes.begin() as connection:
                found = (await connection.execute(query)).all()
                if not found:
                    return ()
                ids = [row.delivery_id for row in found]
                await connection.execute(
                    update(deliveries)
                    .where(deliveries.c.delivery_id.in_(ids))
                    .values(due_at=leased_until, lease=lease, tries=deliveries.c.tries + 1)
                )
                log = await _attempts(connection, ids)
                claimed = [
                    _delivery(row, log[row.delivery_id], tries=row.tries + 1, lease=lease, due_at=leased_until)
                    for row in found
                ]
                begun = [
                    {"delivery_id": each.delivery_id, "number": len(each.attempts) + 1, "at": now, "error": INTERRUPTED}
                    for each in claimed
                ]
                await connection.execute(insert(delivery_attempts), begun)
        return claimed

    async def settle(self, delivery: Delivery, attempt: Attempt, *, state: DeliveryState, due_at: str) -> bool:
        own = delivery_attempts.c.delivery_id == delivery.delivery_id, delivery_attempts.c.number == attempt.number
        with _translated():
            async with self._writes.begin() as connection:
                await connection.execute(
                    update(delivery_attempts)
                    .where(*own)
                    .values(status=attempt.status, error=attempt.error, duration_ms=attempt.duration_ms)
                )
                settled = await connection.execute(
                    update(deliveries)
                    .where(deliveries.c.delivery_id == delivery.delivery_id, deliveries.c.lease == delivery.lease)
                    .values(state=state.value, due_at=due_at, lease=None)
                )
        return settled.rowcount == 1

    async def bury(self, due_before: str) -> int:
        with _translated():
            async with self._writes.begin() as connection:
                buried = await connection.execute(
                    update(deliveries)
                    .where(_pending(), deliveries.c.due_at < due_before)
                    .values(state=DeliveryState.DEAD.value, lease=None)
                )
        return buried.rowcount

    async def page(
        self, *, target: str | None, state: str | None, before: tuple[str, str] | None, size: int
    ) -> Sequence[Delivery]:
        newest_first = (deliveries.c.created_at.desc(), deliveries.c.delivery_id.desc())
        query = select(deliveries).order_by(*newest_first).limit(size)
        if target is not None:
            if "\x00" in target:  # PostgreSQL has no such text, hence no such target
                return ()
            query = query.where(deliveries.c.target == target)
        if state is not None:
            query = query.where(deliveries.c.state == state)
        if before is not None:
            query = query.where(tuple_(deliveries.c.created_at, deliveries.c.delivery_id) < tuple_(*before))
        with _translated():
            async with self._reads.connect() as connection:
                rows = (await connection.execute(query)).all()
                log = await _attempts(connection, [row.delivery_id for row in rows])
        return [_delivery(row, log[row.delivery_id]) for row in rows]

    async def replay(self, delivery_id: str, *, now: str, nonce: str, link_expires_at: str) -> Delivery | None:
        if "\x00" in delivery_id:
            return None
        anew = {
            "state": DeliveryState.PENDING.value,
            "due_at": now,
            "tries": 0,
            "lease": None,
            "nonce": nonce,
            "link_expires_at": link_expires_at,
        }
        mine = deliveries.c.delivery_id == delivery_id
        with _translated():
            async with self._writes.begin() as connection:
                await connection.execute(update(deliveries).where(mine).values(**anew))
                row = (await connection.execute(select(deliveries).where(mine))).first()
                log = await _attempts(connection, [delivery_id])
        return None if row is None else _delivery(row, log[delivery_id])

    async def used(self, nonce: str) -> bool:
        query = select(func.count()).select_from(used_links).where(used_links.c.nonce == nonce)
        with _translated():
            async with self._reads.connect() as connection:
                return bool((await connection.execute(query)).scalar())

    async def use(self, nonce: str, *, approval_id: str, target: str, used_at: str, expires_at: str) -> bool:
        use = {
            "nonce": nonce,
            "approval_id": approval_id,
            "target": target,
            "used_at": used_at,
            "expires_at": expires_at,
        }
        with _translated():
            async with self._writes.begin() as connection:
                # An expired link is refused for its date: nobody needs to know any more that it was used
                await connection.execute(delete(used_links).where(used_links.c.expires_at < used_at))
                first = self._insert(used_links).values(**use).on_conflict_do_nothing(index_elements=["nonce"])
                return (await connection.execute(first)).rowcount == 1


def _pending() -> Any:
    return deliveries.c.state == DeliveryState.PENDING.value


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except (SQLAlchemyError, OSError) as error:  # TimeoutError is an OSError
        raise StoreUnavailable("the store of deliveries cannot be reached") from error


async def _attempts(connection: AsyncConnection, ids: Sequence[str]) -> Mapping[str, tuple[Attempt, ...]]:
    found: dict[str, tuple[Attempt, ...]] = defaultdict(tuple)
    if not ids:
        return found
    query = (
        select(delivery_attempts)
        .where(delivery_attempts.c.delivery_id.in_(bindparam("ids", expanding=True)))
        .order_by(delivery_attempts.c.delivery_id, delivery_attempts.c.number)
    )
    for row in await connection.execute(query, {"ids": list(ids)}):
        attempt = Attempt(number=row.number, at=row.at, status=row.status, error=row.error, duration_ms=row.duration_ms)
        found[row.delivery_id] += (attempt,)
    return found


def _row(delivery: Delivery) -> dict[str, Any]:
    return {
        "delivery_id": delivery.delivery_id,
        "target": delivery.target,
        "seq": delivery.seq,
        "approval_id": delivery.approval_id,
        "event": delivery.event,
        "created_at": delivery.created_at,
        "notice": json.dumps(dict(delivery.notice), sort_keys=True),
        "nonce": delivery.nonce,
        "link_expires_at": delivery.link_expires_at,
        "due_at": delivery.due_at,
        "state": delivery.state.value,
        "tries": delivery.tries,
        "lease": delivery.lease,
    }


def _delivery(row: Row[Any], attempts: tuple[Attempt, ...], **newer: Any) -> Delivery:
    stored: dict[str, Any] = {
        "delivery_id": row.delivery_id,
        "target": row.target,
        "seq": row.seq,
        "approval_id": row.approval_id,
        "event": row.event,
        "created_at": row.created_at,
        "notice": json.loads(row.notice),
        "nonce": row.nonce,
        "link_expires_at": row.link_expires_at,
        "due_at": row.due_at,
        "state": DeliveryState(row.state),
        "tries": row.tries,
        "lease": row.lease,
        "attempts": attempts,
    }
    return Delivery(**(stored | newer))
