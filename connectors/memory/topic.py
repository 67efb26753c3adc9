"""One topic in memory: who may have which message when. Time is an argument; nothing runs between the calls."""

import heapq
from collections import deque
from dataclasses import dataclass

from connectors.contract import Acked, Outgoing


@dataclass(slots=True, eq=False)
class Held:
    """A message that is not acked. `hidden_until_s` is None while anybody may have it."""

    number: int
    message: Outgoing
    published_at: str
    deliveries: int = 0
    hidden_until_s: float | None = None


class Full(Exception):  # noqa: N818 - says what is so
    """`max_messages` are held already: none is dropped to make room."""


class Topic:
    """Messages come in the order of their publishing, those that come again before newer ones.

    A handle is the number of a message and of its delivery: only the last delivery may ack, and only in its time, so
    that GONE always means that somebody else has it or will.
    """

    def __init__(self, *, max_messages: int, dedup_window_s: float) -> None:
        self._max_messages = max_messages
        self._dedup_window_s = dedup_window_s
        self._held: dict[int, Held] = {}
        self._ready: list[int] = []
        self._hidden: list[tuple[float, int]] = []
        self._seen: dict[str, int] = {}
        self._seen_since: deque[tuple[float, str]] = deque()
        self._last = 0

    def put(self, message: Outgoing, now_s: float, published_at: str) -> tuple[int, bool]:
        """The message's number, and whether it was there before. Raises Full."""
        self._forget(now_s)
        if message.dedup_id is not None and (known := self._seen.get(message.dedup_id)) is not None:
            return known, True
        if len(self._held) >= self._max_messages:
            raise Full
        self._last += 1
        self._held[self._last] = Held(self._last, message, published_at)
        heapq.heappush(self._ready, self._last)
        if message.dedup_id is not None:
            self._seen[message.dedup_id] = self._last
            self._seen_since.append((now_s, message.dedup_id))
        return self._last, False

    def take(self, limit: int, visibility_s: float, now_s: float) -> tuple[Held, ...]:
        self._reveal(now_s)
        taken: list[Held] = []
        while self._ready and len(taken) < limit:
            held = self._held.get(heapq.heappop(self._ready))
            if held is None or held.hidden_until_s is not None:
                continue
            held.deliveries += 1
            held.hidden_until_s = now_s + visibility_s
            heapq.heappush(self._hidden, (held.hidden_until_s, held.number))
            taken.append(held)
        return tuple(taken)

    def ack(self, number: int, delivery: int, now_s: float) -> Acked:
        held = self._held.get(number)
        if held is None:
            # Messages leave by an ack alone: what was given out and is not here was acked.
            return Acked.DONE if 0 < number <= self._last and delivery > 0 else Acked.GONE
        if not _has(held, delivery, now_s):
            return Acked.GONE
        del self._held[number]
        return Acked.DONE

    def release(self, number: int, delivery: int, now_s: float) -> bool:
        """Whether there is one more to be had."""
        held = self._held.get(number)
        if held is None or not _has(held, delivery, now_s):
            return False
        held.hidden_until_s = None
        heapq.heappush(self._ready, number)
        return True

    def next_change_s(self) -> float | None:
        """When the first hidden message may come again; None: none is hidden."""
        while self._hidden:
            due_s, number = self._hidden[0]
            held = self._held.get(number)
            if held is not None and held.hidden_until_s == due_s:
                return due_s
            # Acked, released or received anew since.
            heapq.heappop(self._hidden)
        return None

    def _reveal(self, now_s: float) -> None:
        while (due_s := self.next_change_s()) is not None and due_s <= now_s:
            _, number = heapq.heappop(self._hidden)
            self._held[number].hidden_until_s = None
            heapq.heappush(self._ready, number)

    def _forget(self, now_s: float) -> None:
        while self._seen_since and self._seen_since[0][0] + self._dedup_window_s <= now_s:
            _, dedup_id = self._seen_since.popleft()
            del self._seen[dedup_id]


def _has(held: Held, delivery: int, now_s: float) -> bool:
    return held.deliveries == delivery and held.hidden_until_s is not None and now_s < held.hidden_until_s
