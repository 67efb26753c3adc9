"""What must hold for every write that the guard lets through: answers, numbers and images alike on twins that differ
only in what is hidden, and nothing hidden changed."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.sql.statement import SqlRefused
from tests.integration.guard_postgres.write_shops import Answer, WriteShops

CASES = Path(__file__).parents[2] / "cases"
HONEST: list[Any] = yaml.safe_load((CASES / "sql_postgres_writes.yaml").read_text())
ATTACKS: dict[str, list[str]] = yaml.safe_load((CASES / "sql_postgres_writes_attacks.yaml").read_text())
REFUSED = [(code, sql) for code, statements in ATTACKS.items() if code != "harmless" for sql in statements]
_MOMENT = ("now()",)


def _split(case: Any) -> tuple[str, dict[str, Any]]:
    return (case, {}) if isinstance(case, str) else (case["sql"], case["params"])


def _twins(shops: WriteShops, sql: str, params: dict[str, Any]) -> tuple[Answer, Answer]:
    rewritten = shops.rewritten(sql, params)
    buried = [shops.buried(name) for name in ("w1", "w2")]
    one, two = (shops.write(name, rewritten, params) for name in ("w1", "w2"))
    assert [one.buried, two.buried] == buried, "a hidden row was touched or made"
    if not any(word in sql for word in _MOMENT):
        assert one.image == two.image
        assert one.rows == two.rows
    assert one.error == two.error
    assert not any("z1" in row or "z2" in row or "zz" in row for row in one.rows)
    return one, two


@pytest.mark.parametrize("case", HONEST, ids=lambda case: _split(case)[0][:70])
def test_an_honest_write_works_and_twins_cannot_be_told_apart(write_shops: WriteShops, case: Any) -> None:
    sql, params = _split(case)
    one, _ = _twins(write_shops, sql, params)
    assert one.error is None
    rewritten = write_shops.rewritten(sql, params)
    assert rewritten.returning == ("RETURNING" in sql)
    untouched = ("WHERE false", "DO NOTHING", "iban = '0'", "'***'")
    assert one.rows or any(word in sql for word in untouched), "it changed nothing"


@pytest.mark.parametrize("sql", ATTACKS["harmless"], ids=lambda sql: sql[:70])
def test_a_write_that_probes_learns_nothing(write_shops: WriteShops, sql: str) -> None:
    with contextlib.suppress(SqlRefused):
        _twins(write_shops, sql, {})


@pytest.mark.parametrize(("code", "sql"), REFUSED, ids=lambda part: part[:70])
def test_an_attack_is_refused_for_its_own_reason(write_shops: WriteShops, code: str, sql: str) -> None:
    with pytest.raises(SqlRefused) as refused:
        write_shops.rewritten(sql, {})
    assert refused.value.refusal.value == code, refused.value.detail
