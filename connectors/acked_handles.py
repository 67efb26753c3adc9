"""The last handles that were acked: acking one of them again is DONE."""

from collections import OrderedDict

_KEPT = 10_000


class AckedHandles:
    def __init__(self) -> None:
        self._handles: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, handle: str) -> bool:
        return handle in self._handles

    def add(self, handle: str) -> None:
        self._handles[handle] = None
        if len(self._handles) > _KEPT:
            self._handles.popitem(last=False)
