from pathlib import Path
from typing import Any

import pytest
import yaml

from app.sql.postgres import guard
from app.sql.statement import SqlRefused
from tests.core.sql_postgres import world

CASES = Path(__file__).parents[2] / "cases"
ATTACKS: dict[str, list[str]] = yaml.safe_load((CASES / "sql_postgres_attacks.yaml").read_text())
PROBES: list[str] = yaml.safe_load((CASES / "sql_postgres_probes.yaml").read_text())
HONEST: list[Any] = yaml.safe_load((CASES / "sql_postgres_honest.yaml").read_text())


@pytest.mark.parametrize(("code", "sql"), [(code, sql) for code, statements in ATTACKS.items() for sql in statements])
def test_an_attack_is_refused_for_its_own_reason(code: str, sql: str) -> None:
    with pytest.raises(SqlRefused) as refused:
        guard.rewrite(guard.inspect(sql, {}, world.CATALOG), world.VIEWS.get, world.CATALOG)
    assert (refused.value.refusal.value, refused.value.detail) == (code, refused.value.detail)


@pytest.mark.parametrize("case", HONEST, ids=str)
def test_honest_analytics_pass(case: Any) -> None:
    sql, params = (case, {}) if isinstance(case, str) else (case["sql"], case["params"])
    statement = guard.inspect(sql, world.types_of(params), world.CATALOG)
    rewritten = guard.rewrite(statement, world.VIEWS.get, world.CATALOG)
    assert rewritten.sql
