"""One partition, as this process holds it: what was fetched and is not committed yet, who has it, and how far a commit
may go. Time is an argument.

Kafka commits positions, not messages: an ack behind a message that is still out waits here until that one is acked too.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

R = TypeVar("R")


@dataclass(slots=True)
class _Entry(Generic[R]):
    record: R | None
    """None once it is acked: nobody needs it any more."""
    bytes: int
    lease_ends_s: float = 0.0
    handles: list[str] = field(default_factory=list)
    deliveries: int = 0
    acked: bool = False


@dataclass(frozen=True, slots=True)
class HandedOut(Generic[R]):
    handle: str
    record: R
    deliveries: int


class Window(Generic[R]):
    """At most `size` entries, acked ones behind a gap among them, and `most_bytes` of records, give or take one.
    `committed` is the position that the group has."""

    def __init__(self, *, size: int, committed: int | None, most_bytes: int) -> None:
        self._size = size
        self._most_bytes = most_bytes
        self._bytes = 0
        self._entries: OrderedDict[int, _Entry[R]] = OrderedDict()
        self._offsets: dict[str, int] = {}
        self.committed = committed
        self.committing: int | None = None
        """What a commit on its way would make of it."""
        self.next_offset: int | None = committed

    @property
    def room(self) -> int:
        return self._size - len(self._entries) if self._bytes < self._most_bytes else 0

    def add(self, offset: int, record: R, size: int) -> None:
        """Records come in the order of their offsets, which may have holes. One that is known already is no news."""
        if self.next_offset is None or offset >= self.next_offset:
            self._entries[offset] = _Entry(record, size)
            self._bytes += size
            self.next_offset = offset + 1

    def has_out(self, now_s: float) -> bool:
        return any(not e.acked and e.lease_ends_s > now_s for e in self._entries.values())

    def take(self, limit: int, *, now_s: float, visibility_s: float, name: Callable[[], str]) -> list[HandedOut[R]]:
        """The oldest that nobody has: those whose lease ended come before what was never handed out."""
        out: list[HandedOut[R]] = []
        for offset, entry in self._entries.items():
            if len(out) >= limit:
                break
            if entry.record is None or entry.lease_ends_s > now_s:
                continue
            for old in entry.handles:
                del self._offsets[old]
            handle = name()
            entry.handles = [handle]
            entry.lease_ends_s = now_s + visibility_s
            entry.deliveries += 1
            self._offsets[handle] = offset
            out.append(HandedOut(handle, entry.record, entry.deliveries))
        return out

    def ack(self, handle: str) -> bool:
        """Whether that message will not be handed out again by this window. A handle of which the message was handed
        out to somebody else since is void; one whose time merely ended is not."""
        offset = self._offsets.get(handle)
        if offset is None:
            return False
        entry = self._entries[offset]
        self._bytes -= entry.bytes
        entry.acked, entry.record, entry.bytes = True, None, 0
        return True

    def release(self, handle: str) -> None:
        offset = self._offsets.get(handle)
        if offset is not None:
            self._entries[offset].lease_ends_s = 0.0

    @property
    def to_commit(self) -> int | None:
        """The position behind the last message of the acked beginning; None: there is nothing new to commit."""
        position = None
        for offset, entry in self._entries.items():
            if not entry.acked:
                break
            position = offset + 1
        return position

    def commit(self) -> list[str]:
        """The group has the position that was `committing`. Returns the handles that are thereby settled for good."""
        settled: list[str] = []
        position, self.committing = self.committing, None
        while position is not None and self._entries and next(iter(self._entries)) < position:
            _, entry = self._entries.popitem(last=False)
            for handle in entry.handles:
                del self._offsets[handle]
                settled.append(handle)
        self.committed = self.committed if position is None else position
        return settled
