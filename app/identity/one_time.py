"""Values handed out under an unguessable name, to be taken back once and soon."""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


def unguessable() -> str:
    """43 characters of base64url: 256 bits."""
    return secrets.token_urlsafe(32)


class OneTime(Generic[T]):
    """Bounded: when too many are waiting, the oldest go."""

    def __init__(self, *, now: Callable[[], float], ttl_s: float, max_waiting: int = 1_000) -> None:
        self._now = now
        self._ttl_s = ttl_s
        self._max_waiting = max_waiting
        self._waiting: OrderedDict[str, tuple[T, float]] = OrderedDict()

    def put(self, value: T) -> str:
        name = unguessable()
        self._waiting[name] = (value, self._now() + self._ttl_s)
        while len(self._waiting) > self._max_waiting:
            self._waiting.popitem(last=False)
        return name

    def take(self, name: str) -> T | None:
        value, until = self._waiting.pop(name, (None, 0.0))
        return value if self._now() < until else None
