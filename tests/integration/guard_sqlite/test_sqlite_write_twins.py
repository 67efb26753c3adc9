"""Writes on two databases that differ only in hidden data: same answers, same visible end, nothing hidden touched."""

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from write_shop import Outcome, build, catalog_of, concealed, prepared, views, visible, write

from app.policy.decision import TableView
from app.sql.statement import RewrittenWrite, SqlRefused
from connectors.contract import Catalog, TableKey
from connectors.sqlite.functions import register

CASES = Path(__file__).parents[2] / "cases"
HONEST = yaml.safe_load((CASES / "sql_sqlite_writes_honest.yaml").read_text())
ATTACKS = yaml.safe_load((CASES / "sql_sqlite_writes_attacks.yaml").read_text())


@dataclass(frozen=True, slots=True, kw_only=True)
class Shops:
    folder: Path
    catalog: Catalog
    seen: Mapping[TableKey, TableView]

    def prepared(self, sql: str, params: Mapping[str, Any]) -> RewrittenWrite:
        return prepared(sql, params, self.catalog, self.seen)

    def fresh(self, name: str) -> Path:
        return shutil.copy(self.folder / name, self.folder / f"{name} now")

    def twins(self, sql: str, params: Mapping[str, Any]) -> Outcome:
        """Runs it on both and holds them to be alike; gives the outcome. Leaves the first at `d1 now`."""
        made = self.prepared(sql, params)
        one, two = self.fresh("d1"), self.fresh("d2")
        before = concealed(one)
        rehearsed = write(one, made, params, dry_run=True)
        first, second = write(one, made, params), write(two, made, params)
        assert first == second
        assert rehearsed == first
        seen_one, seen_two = (visible(path, self.catalog, self.seen) for path in (one, two))
        assert seen_one == seen_two
        self._only_visible_rows_went(before, concealed(one))
        return first

    @staticmethod
    def _only_visible_rows_went(before: dict[str, Any], after: dict[str, Any]) -> None:
        for name, rows in before.items():
            left = after[name]
            if name.endswith("of others"):
                assert left == rows, name
            else:
                assert all(left[key] == rows[key] for key in left.keys() & rows.keys()), name


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Shops:
    folder = tmp_path_factory.mktemp("writes")
    build(folder / "d1")
    build(folder / "d2", twin=True)
    build(folder / "image", image=True)
    catalog = catalog_of(folder / "d1")
    return Shops(folder=folder, catalog=catalog, seen=views(catalog))


def test_the_twins_do_differ(shops: Shops) -> None:
    one, two = concealed(shops.folder / "d1"), concealed(shops.folder / "d2")
    assert [name for name in one if one[name] == two[name]] == []
    assert visible(shops.folder / "d1", shops.catalog, shops.seen) == visible(
        shops.folder / "d2", shops.catalog, shops.seen
    )


def _plainly(path: Path, sql: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """The caller's own text on the database that holds only what may be seen."""
    with closing(sqlite3.connect(path)) as connection:
        register(connection)
        connection.execute("PRAGMA foreign_keys = ON")
        numbered = all(name.isdigit() for name in params)
        args: Any = tuple(params[name] for name in sorted(params, key=int)) if numbered else dict(params)
        rows = connection.execute(sql, args).fetchall()
        connection.commit()
        return rows


@pytest.mark.parametrize("case", HONEST, ids=lambda case: case["sql"][:70])
def test_an_honest_write_does_what_it_would_do_on_a_database_of_what_may_be_seen(
    shops: Shops, case: dict[str, Any]
) -> None:
    params = case.get("params", {})
    outcome = shops.twins(case["sql"], params)
    assert outcome.error == case.get("error", "")
    if "error" in case:
        return
    assert outcome.affected == case["affected"]
    image = shops.fresh("image")
    rows = _plainly(image, case.get("plain", case["sql"]), params)
    assert sorted(map(repr, map(_floats, outcome.rows))) == sorted(map(repr, map(_floats, rows)))
    now = visible(shops.folder / "d1 now", shops.catalog, shops.seen)
    with closing(sqlite3.connect(image)) as connection:
        for name, found in now.items():
            view = shops.seen["main", name]
            columns = ", ".join(f'"{column.name}"' for column in view.columns)
            expected = connection.execute(f'SELECT {columns} FROM "{name}"').fetchall()
            assert sorted(map(repr, found)) == sorted(map(repr, expected)), name


def _floats(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """RETURNING of SQLite itself gives 5 for a stored 5.0."""
    return tuple(float(value) if isinstance(value, int) else value for value in row)


@pytest.mark.parametrize("case", ATTACKS, ids=lambda case: case["sql"][:70])
def test_an_attack_by_writing_is_refused_or_learns_nothing(shops: Shops, case: dict[str, Any]) -> None:
    params = case.get("params", {})
    if "refused" in case:
        with pytest.raises(SqlRefused) as refused:
            shops.prepared(case["sql"], params)
        assert refused.value.refusal.value == case["refused"], refused.value.detail
        return
    outcome = shops.twins(case["sql"], params)
    assert outcome.error == case.get("error", "")
    if "affected" in case:
        assert outcome.affected == case["affected"]


_COLUMNS = {
    "customers": ["id", "name", "email", "phone", "birth", "salary", "score", "region", "note", "token", "flag"],
    "orders": ["id", "customer_id", "region", "total", "placed_at"],
    "tickets": ["id", "tenant", "title", "state", "points", "owner", "contact", "size"],
    "papers": ["id", "owner", "body", "slug"],
    "rooms": ["building", "number", "seats"],
    "tags": ["tag", "uses"],
    "accounts": ["iban", "owner", "balance"],
    "bookings": ["id", "room", "note"],
    "places": ["code", "spot", "name"],
}
_CONSTANTS = ["1", "7", "300", "'t1'", "'T1'", "'t2'", "'boss'", "'x'", "NULL", "2.5", "'open'"]


def _value(table: str) -> st.SearchStrategy[str]:
    leaf = st.sampled_from(_COLUMNS[table] + _CONSTANTS)
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["||", "+", "-", "="]), inner).map(" ".join),
            inner.map(lambda x: f"upper({x})"),
            inner.map(lambda x: f"coalesce({x}, 'none')"),
            st.tuples(inner, inner).map(lambda p: f"CASE WHEN {p[0]} > {p[1]} THEN {p[0]} ELSE {p[1]} END"),
            st.sampled_from(list(_COLUMNS)).flatmap(
                lambda other: st.sampled_from(_COLUMNS[other]).map(lambda c: f"(SELECT max({c}) FROM {other})")
            ),
        ),
        max_leaves=4,
    )


def _condition(table: str) -> st.SearchStrategy[str]:
    test = st.tuples(_value(table), st.sampled_from(["=", "<", ">", "<>", "IS", "LIKE"]), _value(table)).map(" ".join)
    return st.lists(test, min_size=1, max_size=3).flatmap(
        lambda tests: st.sampled_from([" AND ", " OR "]).map(lambda word: word.join(f"({t})" for t in tests))
    )


@st.composite
def _writes(draw: st.DrawFn) -> str:
    table = draw(st.sampled_from(list(_COLUMNS)))
    returning = draw(st.sampled_from(["", " RETURNING *", f" RETURNING {draw(_value(table))}"]))
    where = f" WHERE {draw(_condition(table))}" if draw(st.integers(0, 4)) else ""
    match draw(st.sampled_from(["insert", "select", "update", "from", "delete"])):
        case "insert":
            columns = draw(st.lists(st.sampled_from(_COLUMNS[table]), min_size=1, max_size=4, unique=True))
            values = ", ".join(draw(st.sampled_from(_CONSTANTS)) for _ in columns)
            return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values}){returning}"
        case "select":
            column = draw(st.sampled_from(_COLUMNS[table]))
            return f"INSERT INTO {table} ({column}) SELECT {draw(_value(table))} FROM {table}{where}{returning}"
        case "update":
            column = draw(st.sampled_from(_COLUMNS[table]))
            return f"UPDATE {table} SET {column} = {draw(_value(table))}{where}{returning}"
        case "from":
            column = draw(st.sampled_from(_COLUMNS[table]))
            other = draw(st.sampled_from(list(_COLUMNS)))
            value = draw(st.sampled_from(_COLUMNS[other]))
            key = draw(st.sampled_from(_COLUMNS[other]))
            own = draw(st.sampled_from(_COLUMNS[table]))
            return f"UPDATE {table} SET {column} = o.{value} FROM {other} AS o WHERE o.{key} = {table}.{own}{returning}"
        case _:
            return f"DELETE FROM {table}{where}{returning}"


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(sql=_writes())
def test_any_write_that_is_let_through_is_alike_on_twins(shops: Shops, sql: str) -> None:
    try:
        shops.prepared(sql, {})
    except SqlRefused:
        return
    shops.twins(sql, {})
