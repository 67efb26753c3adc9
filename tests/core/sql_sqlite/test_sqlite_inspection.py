"""What a statement touches, and what is refused before anybody decides."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_catalog import CATALOG, CUSTOMERS, catalog_of, inspected, rewritten, table

from app.policy.decision import Action
from app.sql.sqlite import guard
from app.sql.statement import Access, JsonType, Refusal, SqlRefused

HONEST = yaml.safe_load((Path(__file__).parents[2] / "cases" / "sql_sqlite_honest.yaml").read_text())
CUSTOMERS_KEY, ORDERS_KEY = ("main", "Customers"), ("main", "orders")


def _refusal(sql: str, **params: JsonType) -> Refusal:
    with pytest.raises(SqlRefused) as refused:
        inspected(sql, **params)
    assert refused.value.detail.endswith((".", "read."))
    return refused.value.refusal


def test_a_query_names_every_table_once_and_what_it_uses() -> None:
    statement = inspected(
        "SELECT c.Name, count(*) FROM CUSTOMERS c JOIN orders o ON o.customer_id = c.id, orders p "
        "WHERE c.id IN (SELECT id FROM customers) LIMIT 5"
    )
    assert statement.accesses == (
        Access(table=CUSTOMERS_KEY, action=Action.SELECT),
        Access(table=ORDERS_KEY, action=Action.SELECT),
    )
    assert (statement.action, statement.kind, statement.limit, statement.has_where) == (
        Action.SELECT,
        "select",
        5,
        True,
    )
    assert statement.functions == ("count",)
    assert statement.columns == ("name", "customer_id", "id")


@pytest.mark.parametrize(
    ("sql", "limit"),
    [
        ("SELECT 1 LIMIT 3, 7", 7),
        ("SELECT 1 LIMIT 7 OFFSET 3", 7),
        ("SELECT 1 LIMIT 3 + 4", None),
        ("SELECT 1 LIMIT -1", None),
        ("SELECT 1", None),
        ("SELECT * FROM (SELECT 1 LIMIT 2)", None),
    ],
)
def test_only_a_constant_outermost_limit_counts(sql: str, limit: int | None) -> None:
    assert inspected(sql).limit == limit


@pytest.mark.parametrize(
    ("sql", "kind", "has_where", "reads"),
    [
        ("DELETE FROM orders", "delete", False, False),
        ("DELETE FROM orders WHERE id = 1;", "delete", True, False),
        ("DELETE FROM main.orders AS o WHERE o.id IN (SELECT id FROM customers)", "delete", True, True),
        ("UPDATE orders SET total = 1, (id, placed_at) = (1, 2) WHERE id = 1", "update", True, False),
        ("UPDATE orders SET total = x.n FROM (SELECT count(*) AS n FROM customers) x", "update", False, True),
        ("INSERT INTO orders (id) VALUES (1), (2)", "insert", False, False),
        ("INSERT INTO orders SELECT * FROM customers", "insert", False, True),
        ("INSERT INTO orders DEFAULT VALUES", "insert", False, False),
        ("WITH a AS (SELECT id FROM customers) DELETE FROM orders WHERE id IN a", "delete", True, True),
    ],
)
def test_a_write_names_its_target_and_its_sources(sql: str, kind: str, has_where: bool, reads: bool) -> None:
    statement = inspected(sql)
    sources = (Access(table=CUSTOMERS_KEY, action=Action.SELECT),) if reads else ()
    assert statement.accesses == (Access(table=ORDERS_KEY, action=Action(kind)), *sources)
    assert (statement.kind, statement.has_where) == (kind, has_where)
    with pytest.raises(SqlRefused) as refused:
        guard.rewrite(statement, lambda _: None, CATALOG)
    assert refused.value.refusal is Refusal.STATEMENT_CLASS


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE orders",
        "DROP TABLE IF EXISTS Orders",
        "ALTER TABLE orders ADD COLUMN x TEXT DEFAULT (1)",
        "CREATE INDEX i ON orders (total, id)",
        "CREATE UNIQUE INDEX IF NOT EXISTS i ON orders (id)",
        "DROP INDEX orders_0",
        "CREATE TABLE orders (id INTEGER)",
        "CREATE VIEW orders AS SELECT 1",
    ],
)
def test_a_definition_is_decided_on_its_table(sql: str) -> None:
    statement = inspected(sql)
    assert statement.kind == "ddl"
    assert statement.action is Action.DDL
    assert statement.accesses == (Access(table=ORDERS_KEY, action=Action.DDL),)


def test_a_new_table_is_decided_on_what_it_reads() -> None:
    assert inspected("CREATE TABLE x (a INTEGER)").accesses == ()
    assert inspected("CREATE TABLE x AS SELECT * FROM orders").accesses == (
        Access(table=ORDERS_KEY, action=Action.DDL),
        Access(table=ORDERS_KEY, action=Action.SELECT),
    )


def test_a_definition_of_an_unknown_table_is_not_found() -> None:
    for sql in ("DROP TABLE absent", "DROP INDEX absent", "ALTER TABLE absent ADD x", "CREATE INDEX i ON absent (x)"):
        assert _refusal(sql) is Refusal.UNKNOWN_TABLE


def test_names_differ_by_more_than_ascii_case() -> None:
    assert inspected("SELECT * FROM CUSTOMERS").accesses[0].table == CUSTOMERS_KEY
    kelvin = catalog_of(table("\u212aeys", "id:INTEGER"))
    with pytest.raises(SqlRefused):
        inspected("SELECT * FROM keys", kelvin)


def test_parameters_are_numbered_as_the_engine_does() -> None:
    made = rewritten("SELECT :b, ?, ?, ?1, :a", params=dict.fromkeys(("a", "b", "1", "2"), JsonType.INT4))
    assert [getattr(bind, "name", "") for bind in made.binds] == ["b", "1", "2", "a"]
    assert made.sql.startswith("SELECT ?1 AS `:b`, ?2 AS `?`, ?3 AS `?`, ?2 AS `?1`, ?4 AS `:a`")


def test_functions_that_this_library_lacks_are_refused() -> None:
    with pytest.raises(SqlRefused) as refused:
        inspected("SELECT sqrt(2)", catalog_of(CUSTOMERS, functions=frozenset({"abs"})))
    assert refused.value.refusal is Refusal.FUNCTION


@pytest.mark.parametrize(
    ("sql", "refusal"),
    [
        ("SELECT " + "1," * 4_000 + "1", Refusal.TOO_LARGE),
        ("SELECT '" + "x" * 70_000 + "'", Refusal.TOO_LARGE),
        ("SELECT '" + "é" * 33_000 + "'", Refusal.TOO_LARGE),
        ("SELECT " + "(" * 17 + "1" + ")" * 17, Refusal.TOO_COMPLEX),
        ("SELECT " + "- " * 17 + "1", Refusal.TOO_COMPLEX),
        ("SELECT " + "NOT " * 17 + "1", Refusal.TOO_COMPLEX),
        ("SELECT " + "abs(" * 61 + "1" + ")" * 61, Refusal.TOO_COMPLEX),
        ("SELECT " + "CASE WHEN 1 THEN " * 61 + "1" + " END" * 61, Refusal.TOO_COMPLEX),
        ("SELECT * FROM " + "(SELECT * FROM " * 61 + "orders" + ")" * 61, Refusal.TOO_COMPLEX),
        ("SELECT 1" + " UNION SELECT 1" * 101, Refusal.TOO_COMPLEX),
        ("SELECT 1" + " OR 1" * 501, Refusal.TOO_COMPLEX),
        ("SELECT 1 FROM " + ", ".join(f"orders o{i}" for i in range(101)), Refusal.TOO_COMPLEX),
        ("SELECT '\ud800'", Refusal.SYNTAX),
    ],
)
def test_what_is_too_large_is_refused_before_it_is_parsed(sql: str, refusal: Refusal) -> None:
    assert _refusal(sql) is refusal


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "abs(" * 58 + "1" + ")" * 58,
        "SELECT " + "CASE WHEN 1 THEN " * 59 + "1" + " END" * 59,
        "SELECT * FROM " + "(SELECT * FROM " * 59 + "orders" + ")" * 59,
        "SELECT " + "EXISTS (SELECT " * 59 + "1" + ")" * 59,
        "SELECT 1" + " UNION SELECT 1" * 99,
        "SELECT 1 WHERE " + " OR ".join("1 = 2" for _ in range(400)),
        "SELECT 1 IN (" + ", ".join(map(str, range(3_900))) + ")",
        "SELECT 1 FROM " + ", ".join(f"orders o{i}" for i in range(60)),
    ],
)
def test_what_is_large_but_within_the_limits_passes(sql: str) -> None:
    assert rewritten(sql).sql


_WORDS = st.sampled_from(
    """
    SELECT FROM WHERE orders customers id name ( ) , . * = 'x' "id" [id] `id` 1 ? :a AS JOIN ON USING WITH a AS ( UNION
    ORDER BY LIMIT CASE WHEN THEN END IN BETWEEN AND OR NOT NULL count( abs( OVER FILTER main. -- /* */ ; ' " ` [ VALUES
    CAST( EXISTS GROUP HAVING WINDOW IS LIKE ESCAPE COLLATE NOCASE -> ->> || x'00' 0x1 RECURSIVE sqlite_master INSERT
    INTO UPDATE SET DELETE CREATE TABLE DROP
    """.split()  # noqa: SIM905
)


@settings(max_examples=400, deadline=None)
@given(words=st.lists(_WORDS, max_size=14))
def test_nonsense_is_refused_or_read_never_an_accident(words: list[str]) -> None:
    try:
        statement = inspected(" ".join(words), a=JsonType.INT4)
    except SqlRefused:
        return
    if statement.action is Action.SELECT:
        try:
            rewritten(" ".join(words), params={"a": JsonType.INT4})
        except SqlRefused as refused:
            assert refused.refusal is not Refusal.DISAGREEMENT  # noqa: PT017


@given(text=st.text(max_size=60))
def test_any_text_gets_an_answer(text: str) -> None:
    try:
        inspected(text)
    except SqlRefused as refused:
        assert refused.detail  # noqa: PT017


@pytest.mark.parametrize("case", HONEST[:20], ids=lambda case: case["sql"][:40])
def test_every_refusal_of_a_broken_statement_says_where(case: dict[str, Any]) -> None:
    with pytest.raises(SqlRefused):
        inspected(case["sql"] + " )")
