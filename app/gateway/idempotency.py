"""Idempotency keys: the same request twice asks a human once.

Scope: principal, actor, operation and connection. Reads are safe to repeat and run again; what a key prevents is a
second approval for one wish. Kept in this process, the newest `size` keys.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.gateway.cursor import digest_of_request
from app.gateway.errors import IdempotencyInFlight, IdempotencyMismatch
from app.gateway.lru import Lru
from app.policy.caller import Caller


@dataclass(slots=True)
class Remembered:
    digest: str
    running: bool
    approval_id: str | None = None


class IdempotencyKeys:
    def __init__(self, size: int = 10_000) -> None:
        self._seen: Lru[tuple[str, ...], Remembered] = Lru(size)

    @contextmanager
    def use(self, caller: Caller, operation: str, connection: str, key: str, request: object) -> Iterator[Remembered]:
        """`request` is everything that must be the same next time. Raises IdempotencyInFlight, IdempotencyMismatch."""
        digest = digest_of_request(request)
        scope = (caller.issuer, caller.principal, caller.actor, operation, connection, key)
        found = self._seen.get(scope)
        if found is None:
            found = Remembered(digest=digest, running=False)
            self._seen.put(scope, found)
        elif found.digest != digest:
            raise IdempotencyMismatch("This idempotency key belongs to another request of yours: choose a new one.")
        elif found.running:
            raise IdempotencyInFlight(
                "The request with this idempotency key is still running: wait for its answer.", retry_after_s=1
            )
        found.running = True
        try:
            yield found
        finally:
            found.running = False
