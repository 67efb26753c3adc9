"""Idempotency keys of requests that change something: kept where every process sees them, across restarts."""

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.ports import Claim, ClaimState, StoreUnavailable
from app.store.database import translated
from app.store.schema import write_keys
from app.store.sealed import Seal

_TRIES = 5


class WriteKeyStore:
    """Implements `ports.WriteKeys`. `key`: 32 bytes, the same for all that share the store."""

    def __init__(self, engine: AsyncEngine, key: bytes) -> None:
        self._reads = engine
        self._writes = engine.execution_options(writes=True)
        self._seal = Seal(key, "douane write answer v1")

    async def claim(self, scope: str, request_sha256: str, *, now: str, expires_at: str) -> Claim:
        own = write_keys.c.scope == scope
        with translated():
            for _ in range(_TRIES):
                async with self._writes.begin() as connection:
                    await connection.execute(delete(write_keys).where(own, write_keys.c.expires_at <= now))
                    if await _inserted(connection, scope, request_sha256, expires_at):
                        return Claim(state=ClaimState.NEW)
                    row = (await connection.execute(select(write_keys).where(own))).first()
                if row is not None:
                    return self._known(scope, row.request_sha256, request_sha256, row.nonce, row.answer)
                # Released between the two statements (PostgreSQL): it is free again
        raise StoreUnavailable("the key is claimed and released faster than it can be read")

    def _known(self, scope: str, of: str, request_sha256: str, nonce: bytes | None, answer: bytes | None) -> Claim:
        if of != request_sha256:
            return Claim(state=ClaimState.MISMATCH)
        if nonce is None or answer is None:
            return Claim(state=ClaimState.IN_FLIGHT)
        # An answer that does not open is one nobody knows: as if it had ended without a word
        opened = self._seal.open(nonce, answer, (scope.encode(),))
        return Claim(state=ClaimState.IN_FLIGHT) if opened is None else Claim(state=ClaimState.DONE, answer=opened)

    async def settle(self, scope: str, answer: bytes) -> None:
        nonce, body = self._seal.close(answer, (scope.encode(),))
        unsettled = (write_keys.c.scope == scope, write_keys.c.answer.is_(None))
        with translated():
            async with self._writes.begin() as connection:
                await connection.execute(update(write_keys).where(*unsettled).values(nonce=nonce, answer=body))

    async def release(self, scope: str) -> None:
        """One that was settled stays: it ran."""
        unsettled = (write_keys.c.scope == scope, write_keys.c.answer.is_(None))
        with translated():
            async with self._writes.begin() as connection:
                await connection.execute(delete(write_keys).where(*unsettled))

    async def retract(self, scope: str, answer: bytes) -> None:
        with translated():
            async with self._writes.begin() as connection:
                row = (await connection.execute(select(write_keys).where(write_keys.c.scope == scope))).first()
                if row is None or row.nonce is None or row.answer is None:
                    return
                if self._seal.open(row.nonce, row.answer, (scope.encode(),)) == answer:
                    same = (write_keys.c.scope == scope, write_keys.c.nonce == row.nonce)
                    await connection.execute(delete(write_keys).where(*same))

    async def forget_expired(self, now: str) -> int:
        """How many there were. Claims see to their own key; this keeps the table small."""
        expired = write_keys.c.expires_at <= now
        with translated():
            async with self._reads.connect() as connection:
                if (await connection.execute(select(write_keys.c.scope).where(expired).limit(1))).first() is None:
                    return 0
            async with self._writes.begin() as connection:
                return (await connection.execute(delete(write_keys).where(expired))).rowcount


async def _inserted(connection: AsyncConnection, scope: str, request_sha256: str, expires_at: str) -> bool:
    values = {"scope": scope, "request_sha256": request_sha256, "expires_at": expires_at}
    match connection.dialect.name:
        case "postgresql":
            statement = postgresql.insert(write_keys).values(values).on_conflict_do_nothing()
            return (await connection.execute(statement.returning(write_keys.c.scope))).first() is not None
        case _:
            lite = sqlite.insert(write_keys).values(values).on_conflict_do_nothing()
            return (await connection.execute(lite.returning(write_keys.c.scope))).first() is not None
