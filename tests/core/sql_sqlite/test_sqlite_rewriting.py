"""What stands in the rendered statement, and why."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_catalog import CATALOG, CUSTOMERS, ORDERS, catalog_of, inspected, rewritten, table, view_of

from app.masking.masks import Constant, Generalise, Hide, Mask, Null, Partial, Pseudonym, Step
from app.policy.decision import (
    All,
    AnyOf,
    Compare,
    Comparison,
    Membership,
    Negation,
    Nothing,
    NullTest,
)
from app.sql.sqlite import guard
from app.sql.statement import JsonType, KeyBind, OutputColumn, ParamBind, Refusal, SqlRefused, ValueBind
from connectors.contract import TableKind

MASKED = view_of(CUSTOMERS, masks={"email": Partial(email=True)}, hidden=("ssn",))
FILTERED = view_of(ORDERS, row_filter=Comparison(column="customer_id", op=Compare.EQ, value=7))
EVERY_MASK: tuple[Mask, ...] = (
    Null(),
    Hide(),
    Constant(value="x"),
    Partial(),
    Partial(email=True),
    Partial(keep_last=0),
    Generalise(step=Step.YEAR),
    Generalise(step=Step.MONTH),
    Generalise(step=Step.BUCKET, size=10),
    Generalise(step=Step.BUCKET, size=0),
    Generalise(step=Step.PREFIX, size=3),
    Pseudonym(domain="d"),
)


def test_a_table_becomes_what_the_caller_may_see_of_it() -> None:
    made = rewritten("SELECT Id FROM CUSTOMERS c WHERE c.ID = 3", MASKED)
    assert made.sql == ("SELECT `Id` FROM (SELECT `id` FROM `main`.`Customers` NOT INDEXED) AS `c` WHERE `c`.`ID` = 3")


def test_an_index_on_raw_columns_stays_in_use() -> None:
    view = view_of(ORDERS, masks={"total": Null()})
    assert "NOT INDEXED" not in rewritten("SELECT id FROM orders", view).sql
    assert "NOT INDEXED" in rewritten("SELECT id FROM orders", view_of(ORDERS, hidden=("customer_id",))).sql
    assert "NOT INDEXED" in rewritten("SELECT id FROM orders", view_of(ORDERS, masks={"customer_id": Null()})).sql


def test_an_index_of_which_nothing_is_known_is_not_used() -> None:
    strange = table("t", "id:INTEGER a:TEXT", indexes=((),))
    assert "NOT INDEXED" in rewritten("SELECT a FROM t", catalog=catalog_of(strange)).sql


@pytest.mark.parametrize("hidden", [{"masks": {"id": Null()}}, {"hidden": ("id",)}])
def test_a_table_stored_in_a_hidden_order_is_sorted_by_what_is_visible(hidden: dict[str, object]) -> None:
    made = rewritten("SELECT name, region FROM customers", view_of(CUSTOMERS, **hidden))  # type: ignore[arg-type]
    assert "ORDER BY 1, 2 LIMIT -1 OFFSET 0)" in made.sql


def test_a_hidden_key_that_the_catalog_leaves_out_still_counts_as_the_order_of_rows() -> None:
    pruned = table("Customers", "name:TEXT region:TEXT")
    made = rewritten("SELECT name, region FROM customers", catalog=catalog_of(pruned))
    assert "ORDER BY 1, 2 LIMIT -1 OFFSET 0)" in made.sql


def test_a_table_without_rowid_is_sorted_for_any_hidden_index() -> None:
    desks = table("desks", "id:TEXT floor:INTEGER holder:TEXT", indexes=(("holder",),), without_rowid=True)
    catalog = catalog_of(desks)
    sorted_ = rewritten("SELECT id FROM desks", view_of(desks, hidden=("holder",)), catalog=catalog)
    plain = rewritten("SELECT id FROM desks", view_of(desks), catalog=catalog)
    assert "ORDER BY 1 LIMIT -1" in sorted_.sql
    assert "ORDER BY" not in plain.sql


def test_a_view_is_sorted_because_its_plan_is_out_of_reach() -> None:
    view = table("v", "id:INTEGER name:TEXT", key=(), kind=TableKind.VIEW)
    assert "ORDER BY 1 LIMIT -1" in rewritten("SELECT name FROM v", catalog=catalog_of(view)).sql


def test_a_row_filter_is_fenced_and_bound() -> None:
    made = rewritten("SELECT id FROM orders", FILTERED)
    assert "WHERE (`customer_id` = ?1) LIMIT -1 OFFSET 0)" in made.sql
    assert made.binds == (ValueBind(value=7),)


def test_a_filter_may_use_a_column_that_the_catalog_hides() -> None:
    view = view_of(CUSTOMERS, row_filter=Comparison(column="tenant", op=Compare.EQ, value="t1"))
    assert "WHERE (`tenant` = ?1)" in rewritten("SELECT id FROM customers", view).sql


@pytest.mark.parametrize(
    ("row_filter", "sql"),
    [
        (Nothing(), "0"),
        (Membership(column="region", values=()), "`region` IN ()"),
        (Membership(column="region", values=("a", "b"), negated=True), "`region` NOT IN (?1, ?2)"),
        (NullTest(column="region"), "`region` IS NULL"),
        (NullTest(column="region", negated=True), "`region` IS NOT NULL"),
        (All(parts=()), "1"),
        (AnyOf(parts=()), "0"),
        (
            AnyOf(parts=(Nothing(), Negation(part=Comparison(column="id", op=Compare.LT, value=1)))),
            "(0) OR (NOT (`id` < ?1))",
        ),
    ],
)
def test_every_row_filter_has_its_condition(row_filter: object, sql: str) -> None:
    made = rewritten("SELECT id FROM customers", view_of(CUSTOMERS, row_filter=row_filter))  # type: ignore[arg-type]
    assert f"WHERE ({sql}) LIMIT" in made.sql


@pytest.mark.parametrize(
    ("where", "copied"),
    [
        ("id = 3", "`id` = 3"),
        ("orders.id = :p", "`id` = ?2"),
        ("3 < id", "3 < `id`"),
        ("id IN (1, 2) AND total > 0", "`id` IN (1, 2) AND `total` > 0"),
        ("id BETWEEN 1 AND 5", "`id` BETWEEN 1 AND 5"),
        ("(id = 3 AND total = -1)", "`id` = 3 AND `total` = - 1"),
        ("id = 3 AND abs(total) = 1", "`id` = 3"),
    ],
)
def test_harmless_conditions_are_copied_inside_the_fence(where: str, copied: str) -> None:
    params = {"p": JsonType.INT8} if ":p" in where else {}
    made = rewritten(f"SELECT id FROM orders WHERE {where}", FILTERED, params=params)
    assert f"WHERE (`customer_id` = ?1) AND {copied} LIMIT" in made.sql


@pytest.mark.parametrize(
    "where",
    [
        "id = 3 OR 1",
        "abs(id) = 3",
        "id = total",
        "id LIKE '3'",
        "NOT id = 3",
        "id = 3 = 1",
        "id = 1 IS NULL",
        "id = (SELECT 3)",
        "id = 1 + 2",
        "id IN (SELECT 3)",
        "CASE WHEN id = 3 THEN 1 END",
    ],
)
def test_other_conditions_stay_outside_the_fence(where: str) -> None:
    made = rewritten(f"SELECT id FROM orders WHERE {where}", FILTERED)
    assert "WHERE (`customer_id` = ?1) LIMIT" in made.sql


def test_a_condition_on_a_masked_column_is_not_copied() -> None:
    view = view_of(ORDERS, masks={"total": Null()}, row_filter=Comparison(column="customer_id", op=Compare.EQ, value=7))
    assert "WHERE (`customer_id` = ?1) LIMIT" in rewritten("SELECT id FROM orders WHERE total = 3", view).sql


def test_a_condition_of_an_inner_query_on_an_outer_column_is_not_copied() -> None:
    made = rewritten("SELECT (SELECT 1 FROM customers c WHERE orders.id = 3) FROM orders", FILTERED)
    assert "WHERE (`customer_id` = ?1) LIMIT" in made.sql


def test_a_common_table_expression_gets_a_name_that_no_table_has() -> None:
    made = rewritten("WITH orders AS (SELECT 1 AS id) SELECT id FROM orders")
    assert made.sql == "WITH `douane cte 0` AS (SELECT 1 AS `id`) SELECT `id` FROM `douane cte 0` AS `orders`"


def test_a_qualified_name_is_the_table_even_below_a_common_table_expression() -> None:
    made = rewritten("WITH orders AS (SELECT 1 AS id) SELECT id FROM main.orders")
    assert "FROM (SELECT `id` FROM `main`.`orders`) AS `orders`" in made.sql


def test_mask_keys_and_constants_are_bound() -> None:
    view = view_of(CUSTOMERS, masks={"email": Pseudonym(domain="mail"), "name": Constant(value="'; DROP")})
    made = rewritten("SELECT email, name FROM customers WHERE id = :id", view, params={"id": JsonType.INT8})
    assert made.binds == (
        KeyBind(domain="mail", part="key"),
        ValueBind(value="'; DROP"),
        ParamBind(name="id", type=JsonType.INT8),
    )
    assert "DROP" not in made.sql


def test_equal_values_of_different_types_are_bound_apart() -> None:
    parts = tuple(Comparison(column="id", op=Compare.EQ, value=value) for value in (1, 1.0, True, 1))
    made = rewritten("SELECT id FROM customers", view_of(CUSTOMERS, row_filter=AnyOf(parts=parts)))
    assert [type(bind.value) for bind in made.binds if isinstance(bind, ValueBind)] == [int, float, bool]


@pytest.mark.parametrize("mask", EVERY_MASK)
def test_every_mask_renders_and_hides_the_bare_column(mask: Mask) -> None:
    view = view_of(CUSTOMERS, masks={"email": mask})
    if isinstance(mask, Hide):
        with pytest.raises(SqlRefused) as refused:
            rewritten("SELECT email FROM customers", view)
        assert refused.value.refusal is Refusal.UNKNOWN_COLUMN
    else:
        made = rewritten("SELECT email FROM customers", view)
        assert made.sql.startswith("SELECT `email` FROM (SELECT ")
        assert "(SELECT `email`" not in made.sql


def test_column_names_are_the_callers_own_text() -> None:
    made = rewritten("SELECT count(*),  id + 1 /* x */ , (id), 'a`b' FROM orders")
    assert made.sql.startswith(
        "SELECT count(*) AS `count(*)`, `id` + 1 AS `id + 1 /* x */`, (`id`), 'a`b' AS `'a``b'` FROM"
    )


def test_lineage_follows_a_value_through_everything() -> None:
    made = rewritten(
        "WITH a AS (SELECT upper(email) AS e, id FROM customers) SELECT e, id, (SELECT max(e) FROM a), e || id FROM a",
        MASKED,
    )
    masked = OutputColumn(labels=("pii.email",), masks=("partial",))
    assert made.outputs == (masked, OutputColumn(), masked, masked)
    assert made.labels == ("pii.email",)


def test_lineage_counts_the_columns_of_a_star() -> None:
    made = rewritten("SELECT *, 1 FROM customers JOIN orders USING (id)", MASKED)
    assert made.outputs is not None
    assert [bool(output.masks) for output in made.outputs] == [False, False, True, False, False, False, False, False]


def test_lineage_of_a_recursive_expression_is_everything_it_may_be() -> None:
    made = rewritten(
        "WITH RECURSIVE r(a) AS (SELECT id FROM customers UNION SELECT email FROM r, customers) SELECT a FROM r", MASKED
    )
    assert made.outputs == (OutputColumn(labels=("pii.email",), masks=("partial",)),)


def test_a_required_predicate_must_compare_with_a_constant() -> None:
    view = view_of(ORDERS, required=("customer_id", "id"))
    rewritten("SELECT total FROM orders WHERE customer_id = 3 AND total > 1", view)
    rewritten("SELECT total FROM orders o WHERE o.id IN (1, 2)", view)
    for where in ("", "WHERE total = 1", "WHERE id = id", "WHERE id = 1 OR 1", "WHERE id > abs(1)"):
        with pytest.raises(SqlRefused) as refused:
            rewritten(f"SELECT total FROM orders {where}", view)
        assert refused.value.refusal is Refusal.REQUIRED_PREDICATE
        assert refused.value.suggestion


def test_a_required_predicate_holds_for_every_reference() -> None:
    with pytest.raises(SqlRefused):
        rewritten("SELECT 1 FROM orders a, orders b WHERE a.id = 1", view_of(ORDERS, required=("id",)))


def test_a_table_without_a_view_does_not_exist() -> None:
    statement = inspected("SELECT * FROM orders")
    with pytest.raises(SqlRefused) as denied:
        guard.rewrite(statement, lambda _: None, CATALOG)
    with pytest.raises(SqlRefused) as absent:
        inspected("SELECT * FROM orders", catalog_of(CUSTOMERS))
    assert (denied.value.refusal, denied.value.detail) == (absent.value.refusal, absent.value.detail)


def test_a_hidden_column_and_one_that_never_was_answer_alike() -> None:
    def detail(name: str) -> str:
        with pytest.raises(SqlRefused) as refused:
            rewritten(f"SELECT {name} FROM customers", MASKED)
        return refused.value.detail.replace(name, "")

    assert detail("ssn") == detail("zzz")


_NAMES = st.text(st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"]), min_size=1, max_size=12)


@settings(deadline=None)
@given(alias=_NAMES)
def test_no_alias_leaves_its_quotes(alias: str) -> None:
    written = '"' + alias.replace('"', '""') + '"'
    made = rewritten(f"SELECT id AS {written} FROM orders AS {written}")
    quoted = "`" + alias.replace("`", "``") + "`"
    assert made.sql == f"SELECT `id` AS {quoted} FROM (SELECT `id` FROM `main`.`orders`) AS {quoted}"


@given(value=_NAMES)
def test_no_string_leaves_its_quotes(value: str) -> None:
    literal = "'" + value.replace("'", "''") + "'"
    made = rewritten(f"SELECT id FROM orders WHERE placed_at = {literal}")
    assert made.sql.endswith(f" WHERE `placed_at` = {literal}")
