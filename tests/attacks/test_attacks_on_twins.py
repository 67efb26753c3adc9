"""Attacks and honest statements through policy, lens, guard and connector, on twins that differ only in hidden data."""

import re
from pathlib import Path
from typing import Any

import postgres_twins
import pytest
import yaml
from attack_site import KEYS, MASTER_KEY, Site, postgres_twin

from app.masking.masks import Generalise, Step
from app.policy.decision import ColumnView
from app.sql.postgres.masking import masked
from connectors.contract import Dialect
from tests.servers import PostgresServer

HERE = Path(__file__).parent


def _cases(name: str) -> list[Any]:
    found: list[Any] = yaml.safe_load((HERE / name).read_text())
    return found


def _split(case: Any) -> tuple[str, dict[str, Any]]:
    return (case, {}) if isinstance(case, str) else (case["sql"], case["params"])


_HIDDEN = re.compile(rb"z\d{3,}|\braw \d|nomail\d|@a@|before \d")
"""What hidden columns and masked values hold, and no mask shows."""


def _held(site: Site, case: Any) -> None:
    sql, params = _split(case)
    one, two = site.twins(sql, params)
    assert one == two
    assert _HIDDEN.search(one[2] if one[0] == "rows" else b"") is None


@pytest.mark.parametrize("case", _cases("postgres.yaml"), ids=lambda case: _split(case)[0][:60])
def test_an_attack_on_postgres_learns_nothing(postgres: Site, case: Any) -> None:
    _held(postgres, case)


@pytest.mark.parametrize("case", _cases("sqlite.yaml"), ids=lambda case: _split(case)[0][:60])
def test_an_attack_on_sqlite_learns_nothing(sqlite: Site, case: Any) -> None:
    _held(sqlite, case)


@pytest.mark.parametrize("case", _cases("honest_postgres.yaml"), ids=lambda case: _split(case)[0][:60])
def test_an_honest_statement_is_answered_on_postgres(postgres: Site, case: Any) -> None:
    one, two = postgres.twins(*_split(case))
    assert one[0] == "rows", one
    assert one == two


@pytest.mark.parametrize("case", _cases("honest_sqlite.yaml"), ids=lambda case: _split(case)[0][:60])
def test_an_honest_statement_is_answered_on_sqlite(sqlite: Site, case: Any) -> None:
    one, two = sqlite.twins(*_split(case))
    assert one[0] == "rows", one
    assert one == two


def test_a_row_filter_on_a_hidden_column_lets_the_callers_own_rows_through(postgres: Site, sqlite: Site) -> None:
    for site, rows in ((postgres, b"[3428]"), (sqlite, b"[2143]")):
        assert site.answer("SELECT count(*) FROM orders")[2] == rows


def test_a_view_is_not_read_in_the_order_of_an_index_of_its_base_table(postgres: Site) -> None:
    assert postgres.planned("SELECT id FROM people_view").keep_scan_order


def test_groups_do_not_come_in_an_order_that_statistics_of_raw_values_decide(postgres: Site) -> None:
    assert postgres.planned("SELECT total, count(*) FROM orders GROUP BY total").keep_scan_order
    assert postgres.planned("SELECT DISTINCT ssn FROM logins").keep_scan_order
    assert not postgres.planned("SELECT id FROM shapes GROUP BY id").keep_scan_order
    one, two = postgres.twins("SELECT pay, born, count(*) FROM people GROUP BY pay, born")
    assert one == two


def test_a_masked_domain_that_refuses_null_is_null(postgres: Site) -> None:
    assert postgres.answer("SELECT mail FROM shapes ORDER BY id LIMIT 1")[2] == b"[null]"


def test_an_enum_seen_for_the_first_time_keeps_integer_arrays_readable(server: PostgresServer) -> None:
    fresh = Site(Dialect.POSTGRES, postgres_twins.DATA, postgres_twin(server, "twin1"), postgres_twin(server, "twin2"))
    try:
        assert fresh.answer("SELECT nums, mood, place, dmail, tags FROM shapes WHERE id = 1")[0] == "rows"
        assert fresh.answer("SELECT nums FROM shapes WHERE id = 1")[2] == b"[[1,1]]"
    finally:
        fresh.close()


def test_the_pseudonym_is_keyed_and_its_key_stands_in_no_text(postgres: Site, sqlite: Site) -> None:
    keys = (MASTER_KEY, KEYS.key("people"))
    for site in (postgres, sqlite):
        made = site.planned("SELECT ssn FROM people")
        for key in keys:
            assert key.hex() not in made.sql
        assert "people" in repr(made.binds)
    failed = postgres.answer("SELECT ssn::int FROM people")
    assert failed[:3] == ("failed", "statement", "invalid_value")


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (2, [2**63 - 2, 2**63 - 2, -(2**63), -(2**63), -2, 0, 0]),
        (10, [2**63 - 8, 2**63 - 8, None, None, -10, 0, 0]),
    ],
)
def test_buckets_of_the_largest_integers_are_no_error(
    server: PostgresServer, size: int, expected: list[int | None]
) -> None:
    """Numeric division rounds: floor(x / size) * size of the largest bigint leaves the type, which tells its value."""
    column = ColumnView(name="x", type="bigint", mask=Generalise(step=Step.BUCKET, size=size))
    edges = ", ".join(f"({x})" for x in (2**63 - 1, 2**63 - 2, -(2**63), 1 - 2**63, -1, 0, 1))
    shown = server.psql(f"SELECT {masked(column, lambda _: 1)} FROM (VALUES {edges}) AS v(x)")
    assert shown.split("\n") == ["" if value is None else str(value) for value in expected]
