"""A bounded map that forgets what was used longest ago: bounded by count, and by what its entries weigh together."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Lru(Generic[K, V]):
    """`max_weight` is in whatever unit `put` is told; an entry heavier than all of it is not kept."""

    __slots__ = ("_items", "_max_weight", "_size", "weight")

    def __init__(self, size: int, max_weight: int | None = None) -> None:
        self._items: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._size = size
        self._max_weight = max_weight
        self.weight = 0

    def get(self, key: K) -> V | None:
        found = self._items.get(key)
        if found is None:
            return None
        self._items.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V, weight: int = 0) -> None:
        known = self._items.pop(key, None)
        if known is not None:
            self.weight -= known[1]
        self._items[key] = (value, weight)
        self.weight += weight
        while len(self._items) > self._size or (self._max_weight is not None and self.weight > self._max_weight):
            _, (_, freed) = self._items.popitem(last=False)
            self.weight -= freed

    def __len__(self) -> int:
        return len(self._items)
