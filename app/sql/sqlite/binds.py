"""The values that a rendered statement binds, each numbered once."""

from app.sql.statement import Bind


class Binds:
    __slots__ = ("_numbers", "_order")

    def __init__(self) -> None:
        self._numbers: dict[tuple[type, Bind, type], int] = {}
        self._order: list[Bind] = []

    def placeholder(self, bind: Bind) -> str:
        """`?N`. 1, 1.0 and True are equal in Python but not to a database, so the value's type counts."""
        key = (type(bind), bind, type(getattr(bind, "value", None)))
        number = self._numbers.get(key)
        if number is None:
            self._order.append(bind)
            number = self._numbers[key] = len(self._order)
        return f"?{number}"

    @property
    def ordered(self) -> tuple[Bind, ...]:
        return tuple(self._order)
