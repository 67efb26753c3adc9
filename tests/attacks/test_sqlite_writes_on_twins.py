"""Writes through policy, lens, guard and connector on twins that differ only in hidden data. Each is a dry run."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from attack_site import ANALYST, KEYS, LIMITS, Answer, Site

from app.gateway.lens import lens
from app.gateway.parameters import Binder, param_types
from app.gateway.rows import RowEncoder
from app.sql.statement import SqlRefused
from connectors.contract import ConnectorError, ResultColumn, SqlConnector, SqlWriter, WriteLimits, WriteRunnable

CASES: list[Any] = yaml.safe_load((Path(__file__).parent / "sqlite_writes.yaml").read_text())


async def _written(site: Site, where: SqlConnector, sql: str) -> Answer:
    seen = lens(site.policy, ANALYST, "db", site.catalogs[id(where)], {}, (), "k")
    try:
        statement = site.guard.inspect(sql, param_types({}), seen.catalog)
        made = site.guard.rewrite_write(statement, seen.view, seen.catalog)
    except SqlRefused as refused:
        return ("refused", refused.refusal.value, refused.detail)
    columns: tuple[ResultColumn, ...] = ()
    encoded: list[bytes] = []

    def announce(found: tuple[ResultColumn, ...]) -> None:
        nonlocal columns
        columns = found

    def sink(rows: Any) -> int:
        encoded.append(RowEncoder(columns, dynamic=True).encode(rows))
        return len(encoded[-1])

    assert isinstance(where, SqlWriter)
    runnable = WriteRunnable(
        sql=made.sql, args=Binder(KEYS).args(made.binds, {}), returning=made.returning, ddl=made.ddl
    )
    try:
        outcome = await where.write(runnable, WriteLimits(read=LIMITS, dry_run=True), sink, announce)
    except ConnectorError as failed:
        return ("failed", failed.failure.value, failed.fault and failed.fault.value)
    return ("written", outcome.affected, tuple(c.name for c in columns), b",".join(encoded))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["sql"][:60])
def test_a_write_on_sqlite_learns_nothing(sqlite: Site, case: dict[str, str]) -> None:
    one, two = (sqlite.wait(_written(sqlite, where, case["sql"])) for where in (sqlite.one, sqlite.two))
    assert one == two
    assert case["is"] in (one[0], one[1]), one
