"""Which statements are asked, in which form, and what issue 2 demands of the ratio."""

from dataclasses import dataclass

import postgres_server

WAYS = ("parameterised", "new literals")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`target` is Douane's throughput in units of the bare endpoint's; `strict`: more than it, not as much."""

    name: str
    table: str
    rows: int
    way: str
    target: float | None
    strict: bool = False

    @property
    def slots(self) -> int:
        """How many keys one request carries."""
        return 1 if self.rows == 1 else 2

    def sql(self, low: str, high: str) -> str:
        columns = ", ".join(postgres_server.COLUMNS)
        where = f"id = {low}" if self.rows == 1 else f"id BETWEEN {low} AND {high} ORDER BY id"
        return f"SELECT {columns} FROM {self.table} WHERE {where}"

    def met(self, ratio: float) -> bool | None:
        if self.target is None:
            return None
        return ratio > self.target if self.strict else ratio >= self.target

    @property
    def target_text(self) -> str:
        if self.target is None:
            return "-"
        return f"{'>' if self.strict else '>='} {self.target:.1f}"


def scenario(
    name: str, rows: int, way: str, target: float | None, *, strict: bool = False, masked_key: bool = False
) -> Scenario:
    table = postgres_server.TABLE_WITH_MASKED_KEY if masked_key else postgres_server.TABLE
    return Scenario(name=name, table=table, rows=rows, way=way, target=target, strict=strict)


PARAMETERISED, NEW_LITERALS = WAYS
SCENARIOS = (
    scenario("point", 1, PARAMETERISED, 1.0),
    scenario("point-literals", 1, NEW_LITERALS, 0.6),
    scenario("rows100", 100, PARAMETERISED, 1.0, strict=True),
    scenario("rows100-literals", 100, NEW_LITERALS, 0.6),
    scenario("rows10k", 10_000, PARAMETERISED, 1.0, strict=True),
    scenario("rows10k-literals", 10_000, NEW_LITERALS, 0.6),
    # no target: what the guarded row order costs where a UNIQUE index covers the masked column
    scenario("point-masked-key", 1, PARAMETERISED, None, masked_key=True),
    scenario("rows100-masked-key", 100, PARAMETERISED, None, masked_key=True),
)
