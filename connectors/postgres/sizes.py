"""How large answers of a statement were, to choose how to read the next one. Only speed rests on it, never meaning."""

import re
from collections import OrderedDict
from dataclasses import dataclass

_REMEMBERED = 2_048
_FEW_ROWS = 100
_LEAST_BUDGET = 256 * 1024
_FIRST_BUDGET = 4 * 1024 * 1024
FIRST_ROWS = 1_000
_RUNS_UNTIL_TRUST = 64
_LITERAL = re.compile(r"'(?:[^']|'')*'|\b\d[\w.]*")


def shape(sql: str) -> str:
    """The text without its literals: statements that differ in them mostly have answers alike."""
    return _LITERAL.sub("?", sql)


@dataclass(slots=True, eq=False)
class History:
    """`distrust` counts down from the last answer that was large."""

    few: bool = False
    distrust: int = 0
    most_bytes: int = 0
    row_bytes: int = 0

    @property
    def large(self) -> bool:
        return self.distrust > 0

    @property
    def row_cap(self) -> int:
        """0: no cap, which lets the server use parallel workers; otherwise read that many rows and see."""
        return 0 if self.few else FIRST_ROWS + 1

    @property
    def byte_budget(self) -> int:
        if not self.few:
            return _FIRST_BUDGET
        return min(max(_LEAST_BUDGET, 4 * self.most_bytes), _FIRST_BUDGET)

    def was(self, rows: int, received_bytes: int) -> None:
        """An answer that ended on its own, within the budget of a single round trip."""
        self.few = rows <= _FEW_ROWS
        self.most_bytes = max(self.most_bytes, received_bytes)
        if self.distrust:
            self.distrust -= 1

    def was_large(self, row_bytes: int) -> None:
        self.few = False
        self.distrust = _RUNS_UNTIL_TRUST
        self.row_bytes = max(self.row_bytes, row_bytes)


class Sizes:
    def __init__(self) -> None:
        self._histories: OrderedDict[str, History] = OrderedDict()

    def of(self, key: str) -> History:
        history = self._histories.get(key)
        if history is None:
            history = self._histories[key] = History()
            if len(self._histories) > _REMEMBERED:
                self._histories.popitem(last=False)
        else:
            self._histories.move_to_end(key)
        return history
