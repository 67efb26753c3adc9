"""How many requests wait for something to happen: they cost memory, nothing else, and have a bound of their own."""

from collections.abc import Iterator
from contextlib import contextmanager

MAX_WAITING = 5_000


class WaitingRoom:
    """Of one process. A request that waits is in none of the door's other counts."""

    def __init__(self, size: int = MAX_WAITING) -> None:
        self._size = size
        self.waiting = 0

    @property
    def full(self) -> bool:
        return self.waiting >= self._size

    @contextmanager
    def seat(self) -> Iterator[bool]:
        """False: every seat is taken, and whoever asks has to go on without waiting."""
        if self.full:
            yield False
            return
        self.waiting += 1
        try:
            yield True
        finally:
            self.waiting -= 1
