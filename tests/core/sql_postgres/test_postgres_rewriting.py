import pickle
from typing import Any

import pytest

from app.masking.masks import Constant, Generalise, Null, Partial, Pseudonym, Step
from app.policy.decision import (
    Action,
    AnyOf,
    ColumnView,
    Compare,
    Comparison,
    Membership,
    Negation,
    Nothing,
    NullTest,
    TableView,
)
from app.sql.postgres import guard
from app.sql.postgres.bounds import bounded_tokens
from app.sql.postgres.placeholders import number
from app.sql.statement import (
    JsonType,
    KeyBind,
    OutputColumn,
    ParamBind,
    Refusal,
    Rewritten,
    SqlRefused,
    Statement,
    ValueBind,
)
from connectors.contract import TableKey
from tests.core.sql_postgres import world

ORDERS: TableKey = ("public", "orders")
CUSTOMERS: TableKey = ("public", "customers")


def inspected(sql: str, **params: JsonType) -> Statement:
    return guard.inspect(sql, params, world.CATALOG)


def rewritten(sql: str, views: dict[TableKey, TableView] | None = None, **params: JsonType) -> Rewritten:
    return guard.rewrite(inspected(sql, **params), (views or world.VIEWS).get, world.CATALOG)


def refusal(sql: str, views: dict[TableKey, TableView] | None = None, **params: JsonType) -> SqlRefused:
    with pytest.raises(SqlRefused) as refused:
        rewritten(sql, views, **params)
    return refused.value


def view(key: TableKey, **changes: Any) -> dict[TableKey, TableView]:
    base = world.VIEWS[key]
    fields = {name: getattr(base, name) for name in ("schema", "name", "columns", "row_filter", "required")}
    return {**world.VIEWS, key: TableView(**{**fields, **changes})}


def test_a_table_is_replaced_by_its_visible_columns_alone() -> None:
    sql = rewritten("SELECT * FROM orders").sql
    assert sql == "SELECT * FROM (SELECT id, customer_id, total, status, created_at FROM public.orders) orders"


def test_a_hidden_column_is_named_nowhere() -> None:
    assert "secret" not in rewritten("SELECT * FROM customers").sql


def test_a_row_filter_comes_with_a_fence_and_no_filter_with_none() -> None:
    assert "OFFSET 0" in rewritten("SELECT id FROM customers").sql
    assert "OFFSET" not in rewritten("SELECT id FROM orders").sql


@pytest.mark.parametrize(
    ("condition", "pushed"),
    [
        ("id = 5", True),
        ("5 = c.id", True),
        ("id IN (1, 2)", True),
        ("id BETWEEN 1 AND 2", True),
        ("name = 'x' AND id > 3", True),
        ("created_at >= '2024-01-01'", True),
        ("created_at >= timestamptz '2024-01-01'", True),
        ("region IS NOT NULL", True),
        ("id = $1", True),
        ("id = 1.5", False),
        ("created_at >= date '2024-01-01'", False),
        ("name LIKE 'x%'", False),
        ("1 / (id - 3) = 1", False),
        ("email = 'x'", False),
        ("balance = 100", False),
        ("id = 5 OR name = 'x'", False),
        ("NOT id = 5", False),
        ("id = length('x')", False),
        ("id = id", False),
        ("id = (SELECT 1)", False),
    ],
)
def test_only_leakproof_conjuncts_on_raw_columns_go_below_the_fence(condition: str, pushed: bool) -> None:
    params = {"1": JsonType.INT4} if "$1" in condition else {}
    sql = rewritten(f"SELECT id FROM customers c WHERE {condition}", **params).sql
    assert _beyond_filter(sql[: sql.index("OFFSET 0")].split("WHERE ", 1)[1]) == pushed


def _beyond_filter(below_fence: str) -> bool:
    return " AND " in below_fence


@pytest.mark.parametrize(
    ("source", "pushed"),
    [
        ("orders o LEFT JOIN customers c ON c.id = o.customer_id", False),
        ("customers c LEFT JOIN orders o ON c.id = o.customer_id", True),
        ("orders o JOIN customers c ON c.id = o.customer_id", True),
        ("orders o RIGHT JOIN customers c ON c.id = o.customer_id", True),
        ("orders o FULL JOIN customers c ON c.id = o.customer_id", False),
    ],
)
def test_nothing_is_pushed_to_the_side_that_an_outer_join_fills_with_nulls(source: str, pushed: bool) -> None:
    sql = rewritten(f"SELECT c.id FROM {source} WHERE c.id = 5").sql
    assert _beyond_filter(sql[: sql.index("OFFSET 0")].rsplit("WHERE ", 1)[1]) == pushed


def test_a_pushed_conjunct_follows_column_aliases_to_the_real_column() -> None:
    sql = rewritten("SELECT c.a FROM customers AS c(a, b) WHERE c.a = 5 AND c.b = 'x'").sql
    assert "id = 5 AND name = 'x' OFFSET 0" in sql


def test_a_cte_hides_a_table_only_where_postgresql_says_so() -> None:
    sql = rewritten("WITH a AS (SELECT * FROM orders), orders AS (SELECT 1 AS one) SELECT * FROM a, orders").sql
    assert sql.count("FROM public.orders") == 1
    assert sql.endswith("FROM a, orders")
    recursive = "WITH RECURSIVE a AS (SELECT * FROM orders), orders AS (SELECT 1 AS one) SELECT * FROM a"
    assert "public.orders" not in rewritten(recursive).sql
    inner = "SELECT * FROM orders, (WITH orders AS (SELECT 1 AS one) SELECT * FROM orders) x"
    assert rewritten(inner).sql.count("public.orders") == 1
    assert inspected("WITH orders AS (SELECT 1) SELECT * FROM public.orders").accesses[0].table == ORDERS


def test_every_reference_is_replaced_wherever_it_stands() -> None:
    sql = rewritten(
        "SELECT (SELECT max(total) FROM orders), ARRAY(SELECT id FROM orders) FROM orders o JOIN orders p USING (id) "
        "WHERE o.id IN (SELECT id FROM orders) AND EXISTS (SELECT FROM orders) GROUP BY o.id "
        "HAVING count(*) > (SELECT count(*) FROM orders) ORDER BY (SELECT 1 FROM orders LIMIT 1) "
        "LIMIT (SELECT count(*) FROM orders)"
    ).sql
    assert sql.count("public.orders") == sql.count("(SELECT id, customer_id, total, status, created_at FROM") == 9


def test_an_unqualified_name_prefers_public_and_else_the_only_schema() -> None:
    assert inspected("SELECT * FROM salaries").accesses[0].table == ("hr", "salaries")
    assert inspected("SELECT * FROM orders").accesses[0].table == ORDERS


def test_a_table_the_caller_may_not_know_reads_like_one_that_never_was() -> None:
    hidden = refusal("SELECT * FROM salaries", {ORDERS: world.VIEWS[ORDERS]})
    assert hidden.refusal is Refusal.UNKNOWN_TABLE


def test_parameters_are_typed_like_the_literal_of_the_same_value() -> None:
    sql = "SELECT id FROM orders WHERE id = :a AND total > :b AND status = :c AND (:c IS NULL) = :d AND id = ANY(:e)"
    types = {"a": JsonType.INT4, "b": JsonType.NUMERIC, "c": JsonType.TEXT, "d": JsonType.BOOL, "e": JsonType.INT_ARRAY}
    made = rewritten(sql, **types)
    assert "id = $1::int AND total > $2::numeric AND status = $3 AND ($4::text IS NULL) = $5::boolean" in made.sql
    assert made.sql.endswith("id = ANY($6::bigint[])")
    assert [bind.name for bind in made.binds if isinstance(bind, ParamBind)] == ["a", "b", "c", "c", "d", "e"]


def test_a_cast_of_the_callers_own_is_kept() -> None:
    made = rewritten(
        "SELECT $1::date, $2::int, $3::text", **{"1": JsonType.TEXT, "2": JsonType.TEXT, "3": JsonType.INT4}
    )
    assert made.sql == "SELECT $1::date, $2::text::int, $3::int::text"


def test_a_name_is_a_placeholder_only_where_one_can_be() -> None:
    sql = """SELECT ':x', ":x", $$:x$$, E'\\':x', a::x, t[1:x], t[:x] -- :x
    /* :x /* :x */ */ FROM t WHERE :x = ARRAY[:x]"""
    numbered = number(sql, bounded_tokens(sql), {"x": JsonType.INT4})
    assert numbered.text.count("$1") == 3
    assert "t[1:x], t[$1]" in numbered.text
    assert "WHERE $1 = ARRAY[$1]" in numbered.text


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ("SELECT :x", {}),
        ("SELECT $1", {}),
        ("SELECT 1", {"x": JsonType.INT4}),
        ("SELECT $2", {"1": JsonType.INT4, "2": JsonType.INT4}),
        ("SELECT $1, :x", {"x": JsonType.INT4}),
        ("SELECT $0", {"0": JsonType.INT4}),
    ],
)
def test_missing_unused_and_mixed_parameters_are_refused(sql: str, params: dict[str, JsonType]) -> None:
    assert refusal(sql, **params).refusal is Refusal.PARAMETERS


def test_a_position_points_into_the_callers_own_text() -> None:
    sql = "SELECT :long_name, é, pg_sleep(1)"
    assert refusal(sql, long_name=JsonType.INT4).position == sql.index("pg_sleep")
    assert refusal("SELECT 1 FRM x").position == 13


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "(" * 61 + "1" + ")" * 61,
        "SELECT " + "(" * 17 + "1" + ")" * 17,
        "SELECT " + "- " * 17 + "1",
        "SELECT " + "NOT " * 17 + "true",
        "SELECT 1" + " UNION SELECT 1" * 101,
        "SELECT " + "+".join("1" * 90),
        "SELECT " + "(SELECT " * 30 + "1" + ")" * 30,
        "SELECT " + "CASE WHEN true THEN " * 61 + "1" + " END" * 61,
        "SELECT " + "ARRAY[" * 61 + "1" + "]" * 61,
    ],
)
def test_a_parser_bomb_is_refused_with_the_limit_it_breaks(sql: str) -> None:
    refused = refusal(sql)
    assert refused.refusal is Refusal.TOO_COMPLEX
    assert any(character.isdigit() for character in refused.detail)


def test_text_and_tokens_are_bounded() -> None:
    assert refusal("SELECT '" + "é" * 32_768 + "'").refusal is Refusal.TOO_LARGE
    assert refusal("SELECT 1" + ",1" * 4_000).refusal is Refusal.TOO_LARGE
    assert refusal("SELECT '\ud800'").refusal is Refusal.SYNTAX


def test_long_honest_chains_pass() -> None:
    assert rewritten("SELECT id FROM orders WHERE " + " AND ".join(f"id <> {n}" for n in range(300))).sql
    assert rewritten(f"SELECT id FROM orders WHERE id IN ({', '.join(map(str, range(3000)))})").sql
    assert rewritten("SELECT 1" + " UNION ALL SELECT 1" * 40).sql
    assert rewritten("SELECT " + " || ".join(["status"] * 40) + " FROM orders").sql
    assert rewritten("SELECT * FROM " + "(SELECT * FROM " * 12 + "orders" + " a)" * 12).sql


def test_lineage_names_labels_and_masks_of_every_output() -> None:
    made = rewritten("SELECT id, upper(email), ssn || email AS both, (SELECT max(birth) FROM customers) FROM customers")
    email, ssn = "pii.email", "pii.ssn"
    assert made.outputs == (
        OutputColumn(),
        OutputColumn(labels=(email,), masks=("partial",)),
        OutputColumn(labels=(email, ssn), masks=("partial", "pseudonym")),
        OutputColumn(labels=("pii.birth",), masks=("generalise",)),
    )


@pytest.mark.parametrize(
    "sql",
    [
        "WITH q AS (SELECT ssn AS x FROM customers) SELECT x FROM q",
        "SELECT x FROM (SELECT ssn FROM customers) AS s(x)",
        "SELECT max(s.x) FROM (SELECT ssn AS x FROM customers UNION SELECT 'a') s",
        "WITH RECURSIVE r(a, b) AS (SELECT ssn, 'x' FROM customers UNION ALL SELECT b, a FROM r) SELECT b FROM r",
        "SELECT l.x FROM customers c, LATERAL (SELECT c.ssn AS x) l",
        "SELECT c FROM (SELECT ssn FROM customers) c",
        "SELECT (c).ssn FROM customers c",
        "SELECT u FROM customers, unnest(ARRAY[ssn]) AS u",
        "SELECT ssn FROM customers NATURAL JOIN logins",
        "SELECT j.ssn FROM (customers JOIN logins USING (ssn)) AS j",
        "SELECT CASE WHEN true THEN c.ssn END FROM public.customers c",
        "SELECT first_value(ssn) OVER () FROM customers",
        "SELECT (SELECT o.ssn) FROM customers o",
        "VALUES ((SELECT max(ssn) FROM customers))",
    ],
)
def test_a_mask_follows_its_value(sql: str) -> None:
    outputs = rewritten(sql).outputs
    assert outputs is None or "pseudonym" in outputs[0].masks


def test_mask_keys_are_bound_and_shared_within_a_domain() -> None:
    made = rewritten("SELECT c.ssn FROM customers c JOIN logins l ON l.ssn = c.ssn")
    keys = [bind for bind in made.binds if isinstance(bind, KeyBind)]
    assert sorted((key.domain, key.part) for key in keys) == sorted({(key.domain, key.part) for key in keys})


def test_scan_order_is_kept_where_an_index_reads_what_is_not_raw() -> None:
    assert rewritten("SELECT id FROM customers").keep_scan_order
    assert rewritten("SELECT id FROM customers WHERE id > 5").keep_scan_order
    assert rewritten("SELECT id FROM customers WHERE id IN (1, 2)").keep_scan_order
    assert rewritten("SELECT id FROM customers WHERE id = 1 OR id = 2").keep_scan_order
    assert rewritten("SELECT a.id FROM customers a, customers b WHERE a.id = 1").keep_scan_order
    assert not rewritten("SELECT id FROM customers WHERE id = 5").keep_scan_order
    assert not rewritten("SELECT id FROM orders").keep_scan_order


def test_a_required_predicate_is_required_of_every_reference() -> None:
    views = view(ORDERS, required=("customer_id",))
    assert refusal("SELECT * FROM orders", views).refusal is Refusal.REQUIRED_PREDICATE
    for bad in (
        "customer_id = id",
        "customer_id = 1 OR true",
        "customer_id IS NOT NULL",
        "id = 1",
        "NOT customer_id = 1",
    ):
        assert refusal(f"SELECT * FROM orders WHERE {bad}", views).refusal is Refusal.REQUIRED_PREDICATE
    assert (
        refusal("SELECT * FROM orders a, orders b WHERE a.customer_id = 1", views).refusal is Refusal.REQUIRED_PREDICATE
    )
    assert (
        refusal("SELECT * FROM employees e LEFT JOIN orders o ON true WHERE o.customer_id = 1", views).refusal
        is Refusal.REQUIRED_PREDICATE
    )
    for good in ("customer_id = 1", "customer_id IN (1, 2) AND total > 1", "orders.customer_id = ANY ('{1}'::int[])"):
        assert rewritten(f"SELECT * FROM orders WHERE {good}", views).sql


def test_row_filters_bind_their_values() -> None:
    rows = AnyOf(
        parts=(
            Comparison(column="customer_id", op=Compare.GE, value="7"),
            Membership(column="status", values=("paid", "o'pen"), negated=True),
            Negation(part=NullTest(column="total")),
            Comparison(column="id", op=Compare.EQ, value="not a number"),
            Nothing(),
        )
    )
    made = rewritten("SELECT id FROM orders", view(ORDERS, row_filter=rows))
    assert "customer_id >= $1::bigint OR NOT status IN ($2::text, $3::text)" in made.sql.replace(
        "status NOT IN", "NOT status IN"
    )
    assert "NOT total IS NULL OR NULL::boolean OR false" in made.sql
    assert made.binds == (ValueBind(value=7), ValueBind(value="paid"), ValueBind(value="o'pen"))


def test_a_mask_that_cannot_keep_the_type_is_null_of_the_type() -> None:
    columns = tuple(
        ColumnView(name=name, type=kind, mask=mask)
        for name, kind, mask in (
            ("id", "integer", Constant(value="x")),
            ("customer_id", "integer", Partial()),
            ("total", "numeric", Pseudonym(domain="d")),
            ("status", "text", Generalise(step=Step.YEAR)),
            ("created_at", "timestamp with time zone", Null()),
        )
    )
    sql = rewritten("SELECT * FROM orders", view(ORDERS, columns=columns)).sql
    assert (
        "NULL::int AS id, NULL::int AS customer_id, NULL::numeric AS total, NULL::text AS status, "
        "NULL::timestamp with time zone AS created_at" in sql
    )


def test_a_constant_cannot_leave_its_quotes() -> None:
    evil = "'; DROP TABLE x; --\\"
    columns = (ColumnView(name="status", type="text", mask=Constant(value=evil)),)
    sql = rewritten("SELECT status FROM orders", view(ORDERS, columns=columns)).sql
    assert "''; DROP TABLE x; --" in sql


def test_names_are_quoted_wherever_they_come_from() -> None:
    key = ("hr", "salaries")
    columns = (ColumnView(name="id", type="integer"), ColumnView(name='a"b', type="integer"))
    assert '"a""b"' in rewritten("SELECT 1 FROM salaries", view(key, columns=columns)).sql


def test_output_names_survive_the_value_cap() -> None:
    sql = rewritten("SELECT id, string_agg(status, ',') AS \"A b\", count(*), count(*) FROM orders GROUP BY id").sql
    assert [part in sql for part in ('AS "A b"', "AS count", "pg_column_size")] == [True] * 3
    assert "pg_column_size" not in rewritten("SELECT id, upper(status) FROM orders").sql


@pytest.mark.parametrize(
    ("sql", "action", "tables", "has_where"),
    [
        ("INSERT INTO orders (id) VALUES (1)", Action.INSERT, [ORDERS], False),
        ("INSERT INTO orders (id) SELECT id FROM customers", Action.INSERT, [ORDERS, CUSTOMERS], False),
        ("INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET total = 1", Action.INSERT, [ORDERS] * 2,
         False),
        ("UPDATE orders SET total = 1 WHERE id = 1", Action.UPDATE, [ORDERS], True),
        ("UPDATE orders SET (total, status) = (1, DEFAULT)", Action.UPDATE, [ORDERS], False),
        ("UPDATE orders o SET total = 1 FROM customers c WHERE c.id = o.id", Action.UPDATE, [ORDERS, CUSTOMERS], True),
        ("DELETE FROM orders", Action.DELETE, [ORDERS], False),
        ("DELETE FROM orders USING customers WHERE true RETURNING *", Action.DELETE, [ORDERS, CUSTOMERS], True),
        ("WITH x AS (SELECT id FROM customers) DELETE FROM orders WHERE id IN (SELECT id FROM x)", Action.DELETE,
         [CUSTOMERS, ORDERS], True),
        ("DROP TABLE orders", Action.DDL, [ORDERS], False),
        ("DROP INDEX customers_email", Action.DDL, [CUSTOMERS], False),
        ("ALTER TABLE orders ADD COLUMN x int", Action.DDL, [ORDERS], False),
        ("TRUNCATE orders, customers", Action.DDL, [ORDERS, CUSTOMERS], False),
        ("CREATE INDEX i ON orders (id)", Action.DDL, [ORDERS], False),
        ("CREATE TABLE hr.fresh (id int)", Action.DDL, [("hr", "fresh")], False),
        ("CREATE TABLE copy AS SELECT * FROM customers", Action.DDL, [("public", "copy"), CUSTOMERS], False),
        ("CREATE VIEW v AS SELECT * FROM customers", Action.DDL, [("public", "v"), CUSTOMERS], False),
        ("ALTER TABLE orders RENAME TO o", Action.DDL, [ORDERS, ("public", "o")], False),
    ],
)  # fmt: skip
def test_a_write_is_inspected_with_its_target_and_sources(
    sql: str, action: Action, tables: list[TableKey], has_where: bool
) -> None:
    statement = inspected(sql)
    assert (statement.action, statement.has_where) == (action, has_where)
    assert [access.table for access in statement.accesses] == tables
    with pytest.raises(SqlRefused):
        guard.rewrite(statement, world.VIEWS.get, world.CATALOG)


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("INSERT INTO orders (id) SELECT pg_sleep(1)", Refusal.FUNCTION),
        ("UPDATE orders SET total = (SELECT count(*) FROM pg_class)", Refusal.CATALOG),
        ("DELETE FROM nowhere", Refusal.UNKNOWN_TABLE),
        ("DROP TABLE nowhere", Refusal.UNKNOWN_TABLE),
        ("DELETE FROM pg_authid", Refusal.CATALOG),
        ("CREATE VIEW v AS SELECT pg_read_file('/x')", Refusal.FUNCTION),
        ("CREATE TEMP TABLE x (id int)", Refusal.CONSTRUCT),
    ],
)
def test_a_write_goes_through_the_same_gates(sql: str, code: Refusal) -> None:
    with pytest.raises(SqlRefused) as refused:
        inspected(sql)
    assert refused.value.refusal is code


def test_a_statement_may_be_read_in_another_process() -> None:
    statement = inspected(
        "WITH RECURSIVE r AS (SELECT id, ssn FROM customers UNION ALL SELECT c.id, r.ssn FROM customers c JOIN r "
        "USING (id)) SELECT r.*, email FROM r NATURAL JOIN customers WHERE id = 4"
    )
    copy = pickle.loads(pickle.dumps(statement))
    assert guard.rewrite(copy, world.VIEWS.get, world.CATALOG) == guard.rewrite(
        statement, world.VIEWS.get, world.CATALOG
    )
