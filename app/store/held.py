"""Previewed answers, encrypted, until they are released or destroyed."""

import asyncio
import os
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import Row, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.database import translated
from app.store.schema import held_results
from app.store.sealed import Seal

CHUNK_BYTES = 256 * 1024
_ID_BYTES = 16


class HeldStore:
    """Implements `ports.HeldResults`. `key`: 32 bytes, the same for all that share the store."""

    def __init__(self, engine: AsyncEngine, key: bytes) -> None:
        self._reads = engine
        self._writes = engine.execution_options(writes=True)
        self._seal = Seal(key, "douane held result v1")

    async def hold(self, approval_id: str, pieces: Iterable[bytes], *, expires_at: str) -> None:
        chunks = await asyncio.to_thread(self._sealed, approval_id, pieces, expires_at)
        with translated():
            async with self._writes.begin() as connection:
                if connection.dialect.name == "postgresql":
                    # Two that replace each other do it in turn; SQLite has one writer at a time anyway
                    await connection.execute(select(func.pg_advisory_xact_lock(_lock_of(approval_id))))
                await connection.execute(delete(held_results).where(held_results.c.approval_id == approval_id))
                for chunk in chunks:
                    await connection.execute(insert(held_results).values(chunk))

    async def take(self, approval_id: str) -> bytes | None:
        if "\x00" in approval_id:  # PostgreSQL has no such text, hence nothing under it
            return None
        query = select(held_results).where(held_results.c.approval_id == approval_id).order_by(held_results.c.number)
        with translated():
            async with self._reads.connect() as connection:
                chunks = (await connection.execute(query)).all()
        return await asyncio.to_thread(self._opened, approval_id, chunks)

    async def destroy(self, approval_id: str) -> None:
        if "\x00" in approval_id:
            return
        with translated():
            async with self._writes.begin() as connection:
                await connection.execute(delete(held_results).where(held_results.c.approval_id == approval_id))

    async def destroy_expired(self, now: str) -> int:
        """How many results there were."""
        expired = held_results.c.expires_at <= now
        query = select(func.count(held_results.c.approval_id.distinct())).where(expired)
        with translated():
            async with self._reads.connect() as connection:
                if not (await connection.execute(query)).scalar_one():  # Most often: no turn to write is needed
                    return 0
            async with self._writes.begin() as connection:
                found = await connection.execute(delete(held_results).where(expired).returning(held_results.c.number))
                return sum(number == 0 for number in found.scalars())

    def _sealed(self, approval_id: str, pieces: Iterable[bytes], expires_at: str) -> Sequence[dict[str, Any]]:
        whole = b"".join(pieces)
        held_id = os.urandom(_ID_BYTES)
        parts = [whole[start : start + CHUNK_BYTES] for start in range(0, len(whole), CHUNK_BYTES)] or [b""]
        chunks = []
        for number, part in enumerate(parts):
            nonce, body = self._seal.close(part, _place(approval_id, number, len(parts), held_id))
            chunks.append(
                {
                    "approval_id": approval_id,
                    "number": number,
                    "chunks": len(parts),
                    "held_id": held_id,
                    "nonce": nonce,
                    "body": body,
                    "expires_at": expires_at,
                }
            )
        return chunks

    def _opened(self, approval_id: str, chunks: Sequence[Row[Any]]) -> bytes | None:
        if not chunks:
            return None
        held_id, parts = chunks[0].held_id, []
        for number, chunk in enumerate(chunks):
            if chunk.chunks != len(chunks):
                return None
            # The place says how many there are and which this one is: a chunk that is missing, moved, or of another
            # result under the same id opens nowhere
            part = self._seal.open(chunk.nonce, chunk.body, _place(approval_id, number, len(chunks), held_id))
            if part is None:
                return None
            parts.append(part)
        return b"".join(parts)


def _lock_of(approval_id: str) -> int:
    return int.from_bytes(sha256(b"held" + approval_id.encode()).digest()[:8], "big", signed=True)


def _place(approval_id: str, number: int, count: int, held_id: bytes) -> Sequence[bytes]:
    return approval_id.encode(), number.to_bytes(8, "big"), count.to_bytes(8, "big"), bytes(held_id)
