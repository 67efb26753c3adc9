"""The feed of all steps: numbers in the order in which they can be read, so that a reader misses none."""

import json
from collections.abc import Sequence

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.approval.approval import Step
from app.store.approval_rows import document_of
from app.store.schema import approval_changes

_FEED_LOCK = 0x446F75616E66  # any constant of ours, other than that of the migrations
_STUCK_MS = 15_000
# A process that vanished from the network with the lock in its hand must not keep all others waiting
_TURN = select(
    func.set_config("idle_in_transaction_session_timeout", str(_STUCK_MS), True),
    func.pg_advisory_xact_lock(_FEED_LOCK),
)


async def publish(connection: AsyncConnection, approval_id: str, steps: Sequence[Step]) -> None:
    """Puts the steps into the feed, as the last thing that the transaction does.

    A reader that saw number 7 never looks for 6 again, so 6 must be visible first. SQLite has one writer at a time;
    PostgreSQL gives numbers out before the commit, and two transactions could become visible the other way round. The
    lock is let go when the commit is visible, which makes the order of numbers that of commits. Whoever holds it waits
    for no other lock.
    """
    if not steps:
        return
    if connection.dialect.name == "postgresql":
        await connection.execute(_TURN)
    for step in steps:
        await connection.execute(
            insert(approval_changes).values(approval_id=approval_id, step=json.dumps(document_of(step)))
        )
