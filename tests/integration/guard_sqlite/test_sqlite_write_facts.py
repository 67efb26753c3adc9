"""What writes rest on, asked of the engine itself."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from write_shop import build, catalog_of, prepared, views

from connectors.contract import Catalog


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[sqlite3.Connection, Catalog]]:
    path: Path = tmp_path_factory.mktemp("facts") / "d1"
    build(path)
    with closing(sqlite3.connect(path)) as connection:
        yield connection, catalog_of(path)


def plan(shop: tuple[sqlite3.Connection, Catalog], sql: str) -> str:
    connection, catalog = shop
    made = prepared(sql, {}, catalog, views(catalog))
    args = ("t1",) * len(made.binds)
    return " | ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {made.sql}", args))


def test_returning_compares_without_the_collation_of_its_columns() -> None:
    """Why the check finds the new row in the table again."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE)")
        told = database.execute("INSERT INTO t (a) VALUES ('BOSS') RETURNING a <> 'boss'").fetchall()
        assert told == [(1,)]
        assert database.execute("SELECT a <> 'boss' FROM t").fetchall() == [(0,)]


def test_returning_hands_back_reals_as_they_are_stored() -> None:
    """Why a plain REAL column is returned with an expression around it."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a REAL)")
        ((raw, made),) = database.execute(
            "INSERT INTO t (a) VALUES (5) RETURNING a, CASE WHEN typeof(a) = 'real' THEN a + 0.0 ELSE a END"
        ).fetchall()
        assert (repr(raw), repr(made)) == ("5", "5.0")


def test_a_constraint_that_replaces_deletes_rows_that_nobody_counts() -> None:
    """Why tables with such a constraint are not written."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE t (a UNIQUE ON CONFLICT REPLACE, b)")
        database.execute("INSERT INTO t VALUES (1, 'theirs')")
        assert database.execute("INSERT INTO t VALUES (1, 'mine') RETURNING 1").fetchall() == [(1,)]
        assert database.execute("SELECT * FROM t").fetchall() == [(1, "mine")]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM customers WHERE id = 5",
        "UPDATE customers SET name = 'x' WHERE id = 5",
        "UPDATE orders SET total = 1 WHERE id = 5",
        "DELETE FROM orders WHERE id = 5",
    ],
)
def test_a_write_by_key_touches_the_table_by_key(shop: tuple[sqlite3.Connection, Catalog], sql: str) -> None:
    found = plan(shop, sql)
    assert "SCAN main." not in found
    assert "SCAN douane target" not in found


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM customers WHERE region = 'EU' RETURNING id",
        "UPDATE customers SET name = upper(name) RETURNING id",
        "DELETE FROM customers RETURNING id",
        "UPDATE customers SET name = o.region FROM orders o WHERE o.customer_id = customers.id RETURNING id",
    ],
)
def test_rows_are_touched_in_the_order_of_their_number(shop: tuple[sqlite3.Connection, Catalog], sql: str) -> None:
    connection, catalog = shop
    made = prepared(sql, {}, catalog, views(catalog))
    assert "INDEX customers" not in plan(shop, sql)
    try:
        keys = [row[1] for row in connection.execute(made.sql, ("t1",) * len(made.binds))]
    finally:
        connection.rollback()
    assert keys == sorted(keys)
    assert keys
