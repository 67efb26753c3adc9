"""What the templates rest on: asked of the engine itself, so that another version of it cannot surprise anybody."""

import sqlite3
from pathlib import Path

import pytest
from sqlite_shop import answer, arguments, build, open_shop, rewritten, views


@pytest.fixture
def raw(tmp_path: Path) -> sqlite3.Connection:
    build(tmp_path / "d1")
    connection, _ = open_shop(tmp_path / "d1")
    return connection


def _plan(connection: sqlite3.Connection, sql: str, args: tuple[object, ...] = ()) -> str:
    return " | ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", args))


def test_without_the_hint_a_scan_follows_a_hidden_column(raw: sqlite3.Connection) -> None:
    plain = raw.execute("SELECT id FROM (SELECT id FROM main.customers)").fetchall()
    hinted = raw.execute("SELECT id FROM (SELECT id FROM main.customers NOT INDEXED)").fetchall()
    assert plain != sorted(plain)
    assert hinted == sorted(hinted)
    raw.close()


def test_without_a_fence_a_predicate_runs_on_filtered_rows(raw: sqlite3.Connection) -> None:
    """Terms that an index can answer are evaluated before the row is fetched, so before the filter."""
    table = "SELECT id, customer_id FROM main.orders INDEXED BY orders_customer WHERE tenant = 't1'"
    error = "abs(CASE WHEN customer_id = 0 THEN -9223372036854775808 ELSE 1 END) = 1"
    with pytest.raises(sqlite3.Error):
        raw.execute(f"SELECT id FROM ({table}) WHERE customer_id < 5 AND {error}").fetchall()
    assert raw.execute(f"SELECT id FROM ({table} LIMIT -1 OFFSET 0) WHERE customer_id < 5 AND {error}").fetchall()
    raw.close()


def test_a_lookup_by_key_uses_the_key(tmp_path: Path) -> None:
    build(tmp_path / "d1")
    connection, catalog = open_shop(tmp_path / "d1")
    seen = views(catalog)
    for table in ("customers", "orders", "events"):
        made = rewritten(f"SELECT * FROM {table} WHERE id = :id", {"id": 5}, catalog, seen)
        plan = _plan(connection, made.sql, arguments(made, {"id": 5}))
        assert f"SEARCH main.{table} USING INTEGER PRIMARY KEY (rowid=?)" in plan
    connection.close()


def test_a_join_on_another_column_is_not_quadratic(tmp_path: Path) -> None:
    build(tmp_path / "d1")
    connection, catalog = open_shop(tmp_path / "d1")
    sql = "SELECT count(*) FROM customers a JOIN customers b ON a.name = b.name"
    made = rewritten(sql, {}, catalog, views(catalog))
    assert "AUTOMATIC" in _plan(connection, made.sql, arguments(made, {}))
    connection.close()


def test_a_join_by_key_looks_up_the_key(tmp_path: Path) -> None:
    build(tmp_path / "d1")
    connection, catalog = open_shop(tmp_path / "d1")
    sql = "SELECT count(*) FROM events e JOIN customers c ON c.id = e.customer_id"
    made = rewritten(sql, {}, catalog, views(catalog))
    assert "USING INTEGER PRIMARY KEY" in _plan(connection, made.sql, arguments(made, {}))
    connection.close()


def test_a_common_table_expression_sees_itself_and_later_ones_without_recursive() -> None:
    connection = sqlite3.connect(":memory:")
    assert connection.execute("WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a").fetchall() == [(1,)]
    connection.execute("CREATE TABLE t (x)")
    with pytest.raises(sqlite3.OperationalError):
        connection.execute("WITH t AS (SELECT * FROM t) SELECT * FROM t")
    connection.close()


def test_backticks_are_never_a_string() -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(sqlite3.OperationalError):
        connection.execute("SELECT `no such column`")
    connection.close()


def test_a_mask_covers_every_storage_class(tmp_path: Path) -> None:
    build(tmp_path / "d1")
    writer = sqlite3.connect(tmp_path / "d1")
    secrets = ["secret@", "a@b@secret.example", "\0secret", "secret", 987654321, 98765.4321, b"secret", 2**62, -(2**63)]
    secrets += [1e300, float("inf"), "", "@", "x" * 5000 + "@y", "9876-54-32", "2024-05-06secret"]
    for i, secret in enumerate(secrets):
        writer.execute(
            "INSERT INTO customers (id, email, phone, birth, salary, score, note, code, flag)"
            " VALUES (?,?,?,?,?,?,?,?,?)",
            (10_000 + i, *[secret] * 8),
        )
    writer.commit()
    writer.close()
    connection, catalog = open_shop(tmp_path / "d1")
    made = rewritten("SELECT * FROM customers WHERE id >= 10000", {}, catalog, views(catalog))
    result = answer(connection, made, {})
    assert not isinstance(result, str)
    shown = [value for row in result[1] for value in row[1:]]
    assert not any("secre" in str(v) and not str(v).startswith("***@secret.example") for v in shown if v != "***cret")
    assert not any(v in (987654321, 98765.4321, 1e300, float("inf"), -(2**63), b"secret") for v in shown)
    connection.close()
