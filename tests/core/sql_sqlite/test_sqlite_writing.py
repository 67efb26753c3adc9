"""What runs of a write, and which writes never run."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_catalog import CATALOG, CUSTOMERS, ORDERS, catalog_of, inspected, table, view_of

from app.masking.masks import Null, Partial, Pseudonym
from app.policy.decision import Action, Compare, Comparison, TableView
from app.sql.sqlite import guard
from app.sql.sqlite.second_reading import agree_on_write
from app.sql.statement import JsonType, KeyBind, OutputColumn, ParamBind, Refusal, RewrittenWrite, SqlRefused, ValueBind
from connectors.contract import Catalog, Column, Index, TableKey, TableKind

MASKED = view_of(CUSTOMERS, masks={"email": Partial(email=True)}, hidden=("ssn",))
FILTERED = view_of(ORDERS, row_filter=Comparison(column="customer_id", op=Compare.EQ, value=7))
ROOMS = table("rooms", "building:TEXT number:INTEGER seats:INTEGER", key=("building", "number"), without_rowid=True)


def written(
    sql: str, *views: TableView, catalog: Catalog = CATALOG, params: dict[str, JsonType] | None = None
) -> RewrittenWrite:
    seen: dict[TableKey, TableView] = {(v.schema, v.name): v for v in views}
    for key, known in catalog.tables.items():
        seen.setdefault(key, view_of(known))
    return guard.rewrite_write(guard.inspect(sql, params or {}, catalog), seen.get, catalog)


def refused(sql: str, *views: TableView, catalog: Catalog = CATALOG) -> SqlRefused:
    with pytest.raises(SqlRefused) as error:
        written(sql, *views, catalog=catalog)
    return error.value


def test_a_delete_names_the_raw_table_once_and_finds_its_rows_in_the_template() -> None:
    assert written(
        "DELETE FROM customers AS c WHERE c.email = 'x'", view_of(CUSTOMERS, masks={"email": Null()})
    ).sql == (
        "DELETE FROM `main`.`Customers` AS `douane target` NOT INDEXED WHERE `douane target`.`_rowid_` IN "
        "(SELECT `c`.`douane key 0` AS `douane key 0` FROM "
        "(SELECT NULL AS `email`, `_rowid_` AS `douane key 0` FROM `main`.`Customers`) AS `c` "
        "WHERE `c`.`email` = 'x') RETURNING 1 AS `douane check`"
    )


def test_an_update_computes_its_values_over_the_template() -> None:
    assert written("UPDATE orders SET total = total + 1 WHERE id = 3", FILTERED).sql == (
        "UPDATE `main`.`orders` AS `douane target` NOT INDEXED SET `total` = `douane rows`.`douane value 0` FROM "
        "(SELECT `orders`.`douane key 0` AS `douane key 0`, `total` + 1 AS `douane value 0` FROM "
        "(SELECT `total`, `id`, `_rowid_` AS `douane key 0` FROM `main`.`orders` "
        "WHERE (`customer_id` = ?1) AND `id` = 3 LIMIT -1 OFFSET 0) AS `orders` WHERE `id` = 3) AS `douane rows` "
        "WHERE `douane target`.`_rowid_` = `douane rows`.`douane key 0` RETURNING "
        "EXISTS (SELECT 1 FROM `main`.`orders` AS `douane check` "
        "WHERE `douane check`.`_rowid_` = `orders`.`_rowid_` AND (`customer_id` = ?1)) AS `douane check`"
    )


def test_an_insert_writes_the_columns_that_its_caller_sees() -> None:
    made = written("INSERT INTO customers VALUES (1, 'a', 'b')", view_of(CUSTOMERS, hidden=("email", "ssn")))
    assert made.sql.startswith(
        "INSERT INTO `main`.`Customers` (`id`, `name`, `region`) VALUES (1, 'a', 'b') RETURNING 1"
    )


def test_returning_is_masked_and_told_as_such() -> None:
    made = written("DELETE FROM customers RETURNING *, upper(email) AS e, TRUE", MASKED)
    assert made.returning
    assert [o.masks for o in made.outputs] == [(), (), ("partial",), (), ("partial",), ()]
    assert made.outputs[2] == OutputColumn(labels=("pii.email",), masks=("partial",))
    assert made.labels == ("pii.email",)
    assert "ssn" not in made.sql
    for part in made.sql.split("RETURNING")[1].split("`email`")[1:]:
        assert not part.startswith(" AS `e`")


def test_values_are_bound_and_keys_stand_in_no_text() -> None:
    view = view_of(ORDERS, masks={"placed_at": Pseudonym(domain="d")}, row_filter=FILTERED.row_filter)
    made = written("UPDATE orders SET total = :n RETURNING placed_at", view, params={"n": JsonType.INT4})
    assert set(made.binds) == {
        ParamBind(name="n", type=JsonType.INT4),
        ValueBind(value=7),
        KeyBind(domain="d", part="key"),
    }


def test_a_key_of_several_columns_tells_the_rows_apart() -> None:
    catalog = catalog_of(ROOMS)
    deleted = written("DELETE FROM rooms WHERE seats = 1", catalog=catalog).sql
    assert "(`douane target`.`building`, `douane target`.`number`) IN (SELECT" in deleted
    updated = written("UPDATE rooms SET seats = 1", catalog=catalog).sql
    assert "`douane target`.`number` = `douane rows`.`douane key 1`" in updated


def test_a_masked_key_still_tells_the_rows_apart() -> None:
    masked = view_of(CUSTOMERS, masks={"id": Null()})
    assert "`_rowid_` AS `douane key 0`" in written("DELETE FROM customers WHERE name = 'x'", masked).sql
    assert refused("DELETE FROM customers RETURNING name", masked).refusal is Refusal.CONSTRUCT
    catalog = catalog_of(ROOMS)
    hidden = view_of(ROOMS, hidden=("building",))
    assert "`building` AS `douane key 0`" in written("DELETE FROM rooms WHERE seats = 1", hidden, catalog=catalog).sql


def test_a_join_takes_one_match_for_each_row() -> None:
    made = written("UPDATE orders SET total = c.id FROM customers c WHERE c.name = 'x'")
    assert "row_number() OVER (PARTITION BY `douane key 0` ORDER BY `douane value 0` COLLATE BINARY" in made.sql


@pytest.mark.parametrize(
    ("sql", "refusal"),
    [
        ("UPDATE customers SET email = 'x'", Refusal.NOT_WRITABLE),
        ("INSERT INTO customers (EMAIL) VALUES ('x')", Refusal.NOT_WRITABLE),
        ("INSERT INTO customers VALUES (1, 'a', 'b', 'c')", Refusal.NOT_WRITABLE),
        ("UPDATE customers SET ssn = 'x'", Refusal.UNKNOWN_COLUMN),
        ("UPDATE customers SET absent = 'x'", Refusal.UNKNOWN_COLUMN),
        ("UPDATE customers SET rowid = 1", Refusal.UNKNOWN_COLUMN),
        ("INSERT INTO customers (oid) VALUES (1)", Refusal.UNKNOWN_COLUMN),
        ("DELETE FROM customers WHERE _rowid_ = 1", Refusal.UNKNOWN_COLUMN),
        ("DELETE FROM customers RETURNING ssn", Refusal.UNKNOWN_COLUMN),
        ("INSERT INTO orders (id) VALUES (1)", Refusal.CONSTRUCT),
        ("UPDATE orders SET id = 2", Refusal.CONSTRUCT),
        ("DELETE FROM orders RETURNING (SELECT 1)", Refusal.CONSTRUCT),
        ("DELETE FROM orders RETURNING id IN customers", Refusal.CONSTRUCT),
        ("DELETE FROM orders RETURNING sum(id)", Refusal.CONSTRUCT),
        ("UPDATE orders SET total = sum(total)", Refusal.CONSTRUCT),
        ("UPDATE orders SET total = (SELECT sum(orders.total) FROM customers)", Refusal.CONSTRUCT),
        ("DELETE FROM orders WHERE rank() OVER () = 1", Refusal.CONSTRUCT),
        ("UPDATE orders SET (total, placed_at) = (1, 2, 3)", Refusal.SYNTAX),
        ("UPDATE orders SET total = 1, TOTAL = 2", Refusal.SYNTAX),
        ("INSERT INTO orders (total) VALUES (1, 2)", Refusal.SYNTAX),
        ("INSERT INTO orders (total) SELECT * FROM customers", Refusal.SYNTAX),
        ("INSERT INTO orders (total, placed_at) VALUES (1, 2), (3)", Refusal.SYNTAX),
        ("SELECT 1", Refusal.STATEMENT_CLASS),
    ],
)
def test_what_may_not_be_written_is_refused(sql: str, refusal: Refusal) -> None:
    assert refused(sql, MASKED, FILTERED).refusal is refusal


def test_an_unfiltered_table_takes_keys() -> None:
    assert written("INSERT INTO orders (id, total) VALUES (1, 2)").sql.startswith("INSERT INTO `main`.`orders` (`id`")
    assert "SET `id` = " in written("UPDATE orders SET id = 2 WHERE id = 1").sql


def test_a_key_with_a_part_that_is_hidden_is_not_written() -> None:
    booking = replace(
        table("booking", "id:INTEGER room:TEXT guest:TEXT note:TEXT"),
        indexes=(Index(name="i", columns=("room", "guest"), unique=True),),
    )
    catalog = catalog_of(booking)
    for view in (view_of(booking, hidden=("guest",)), view_of(booking, masks={"guest": Null()})):
        for sql in ("UPDATE booking SET room = 'x'", "INSERT INTO booking (room) VALUES ('x')"):
            assert refused(sql, view, catalog=catalog).refusal is Refusal.NOT_WRITABLE
        assert "`note`" in written("UPDATE booking SET note = 'x'", view, catalog=catalog).sql
    assert "`room`" in written("UPDATE booking SET room = 'x'", catalog=catalog).sql


def test_a_unique_index_of_which_nothing_is_known_closes_every_column() -> None:
    strange = replace(table("t", "id:INTEGER a:TEXT"), indexes=(Index(name="i", columns=(), unique=True),))
    assert refused("UPDATE t SET a = 1", catalog=catalog_of(strange)).refusal is Refusal.NOT_WRITABLE


def test_a_computed_column_is_not_written_and_not_counted() -> None:
    made = table("t", "id:INTEGER a:TEXT b:TEXT")
    made = replace(made, columns=(*made.columns[:2], Column(name="b", type="TEXT", generated_from=("a",))))
    catalog = catalog_of(made)
    assert refused("UPDATE t SET b = 1", catalog=catalog).refusal is Refusal.CONSTRUCT
    assert "(`id`, `a`) VALUES (1, 2)" in written("INSERT INTO t VALUES (1, 2)", catalog=catalog).sql


@pytest.mark.parametrize("kind", [TableKind.VIEW, TableKind.VIRTUAL])
def test_views_and_virtual_tables_are_not_written(kind: TableKind) -> None:
    catalog = catalog_of(table("v", "id:INTEGER", kind=kind))
    for sql in ("DELETE FROM v", "INSERT INTO v VALUES (1)", "UPDATE v SET id = 1"):
        assert refused(sql, catalog=catalog).refusal is Refusal.CONSTRUCT


def test_a_column_that_takes_the_row_numbers_name_closes_the_table() -> None:
    catalog = catalog_of(table("t", "a:TEXT _ROWID_:TEXT", key=()))
    assert refused("DELETE FROM t", catalog=catalog).refusal is Refusal.CONSTRUCT


def test_a_required_predicate_holds_for_writes() -> None:
    view = view_of(ORDERS, required=("customer_id",))
    for sql in ("DELETE FROM orders", "UPDATE orders SET total = 1 WHERE id = 1", "DELETE FROM orders WHERE id = 1"):
        assert refused(sql, view).refusal is Refusal.REQUIRED_PREDICATE
    assert written("DELETE FROM orders WHERE customer_id = 1", view).sql
    assert written("INSERT INTO orders (total) VALUES (1)", view).sql


def test_a_table_that_the_caller_may_not_know_of_is_not_there() -> None:
    for sql in ("DELETE FROM orders", "INSERT INTO orders (id) VALUES (1)", "UPDATE orders SET id = 1"):
        statement = inspected(sql)
        with pytest.raises(SqlRefused) as error:
            guard.rewrite_write(statement, {}.get, CATALOG)
        assert error.value.refusal is Refusal.UNKNOWN_TABLE


def test_a_common_table_expression_of_the_targets_name_is_not_the_target() -> None:
    made = written("WITH orders AS (SELECT id FROM customers) DELETE FROM orders WHERE id IN (SELECT id FROM orders)")
    assert made.sql.startswith("DELETE FROM `main`.`orders` AS")
    assert made.sql.count("`main`.`Customers`") == 1
    assert made.sql.count("`main`.`orders`") == 2


def test_natural_joins_among_sources_do_not_see_the_target() -> None:
    made = written("UPDATE orders SET total = c.id FROM customers c NATURAL JOIN customers d WHERE c.id = orders.id")
    assert made.sql.index("NATURAL JOIN") < made.sql.index("AS `orders`")


def test_handing_back_rows_takes_the_right_to_read_them() -> None:
    actions = {
        sql: [access.action for access in inspected(sql).accesses]
        for sql in (
            "DELETE FROM orders WHERE id = 1",
            "DELETE FROM orders RETURNING id",
            "INSERT INTO orders (id) VALUES (1) RETURNING *",
            "DELETE FROM orders RETURNING 1",
        )
    }
    assert list(actions.values()) == [
        [Action.DELETE],
        [Action.DELETE, Action.SELECT],
        [Action.INSERT, Action.SELECT],
        [Action.DELETE],
    ]


def test_written_columns_are_mentioned() -> None:
    assert "total" in inspected("UPDATE orders SET Total = 1").columns
    assert inspected("INSERT INTO orders (id, total) VALUES (1, 2)").columns == ("id", "total")


def test_an_old_library_is_only_read() -> None:
    old = replace(CATALOG, server_version=3034001)
    assert refused("DELETE FROM orders", catalog=old).refusal is Refusal.STATEMENT_CLASS


@pytest.mark.parametrize("sql", ["UPDATE t SET a = '", "DELETE FROM t WHERE a = "])
def test_names_of_ours_are_not_the_callers(sql: str) -> None:
    for name in ("douane key 0", "Douane target", "douane cte 0"):
        text = sql.replace("t ", f'"{name}" ', 1) + ("x'" if sql.endswith("'") else "1")
        with pytest.raises(SqlRefused) as error:
            inspected(text)
        assert error.value.refusal is Refusal.CONSTRUCT


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "CREATE TABLE x (a TEXT DEFAULT 'it''s', \"b c\" INT)",
            "CREATE TABLE `main`.`x` ( a TEXT DEFAULT 'it''s' , `b c` INT )",
        ),
        ("create view v(a) as select 1", "CREATE VIEW `main`.`v` (`a`) AS SELECT 1 AS `1`"),
        ("DROP TABLE IF EXISTS customers", "DROP TABLE IF EXISTS `main`.`customers`"),
        ("CREATE TABLE x (a REFERENCES customers)", "CREATE TABLE `main`.`x` ( a REFERENCES customers )"),
        (
            "CREATE TABLE x (id PRIMARY KEY, a REFERENCES x(id))",
            "CREATE TABLE `main`.`x` ( id PRIMARY KEY , a REFERENCES x ( id ) )",
        ),
        (
            "CREATE INDEX i ON customers (strftime('%Y', name))",
            "CREATE INDEX `main`.`i` ON `customers` (strftime('%Y', `name`))",
        ),
        ("DROP INDEX orders_0", "DROP INDEX `main`.`orders_0`"),
        (
            "ALTER TABLE customers ADD x TEXT NOT NULL DEFAULT 1",
            "ALTER TABLE `main`.`customers` ADD COLUMN x TEXT NOT NULL DEFAULT 1",
        ),
        ("ALTER TABLE customers DROP name", "ALTER TABLE `main`.`customers` DROP COLUMN `name`"),
        (
            "CREATE UNIQUE INDEX IF NOT EXISTS i ON customers (lower(name) COLLATE nocase DESC, id) WHERE region > 'a'",
            "CREATE UNIQUE INDEX IF NOT EXISTS `main`.`i` ON `customers` "
            "(lower(`name`) COLLATE NOCASE DESC, `id`) WHERE `region` > 'a'",
        ),
    ],
)  # fmt: skip
def test_a_definition_runs_as_it_was_written(sql: str, expected: str) -> None:
    made = written(sql, MASKED)
    assert (made.sql, made.ddl, made.returning, made.outputs, made.binds) == (expected, True, False, (), ())


@pytest.mark.parametrize(
    ("sql", "refusal"),
    [
        ("CREATE TABLE x AS SELECT name FROM customers", Refusal.CONSTRUCT),
        ("CREATE VIEW x AS SELECT name FROM customers", Refusal.CONSTRUCT),
        ("CREATE VIEW x AS WITH c AS (SELECT * FROM customers) SELECT 1", Refusal.CONSTRUCT),
        ("ALTER TABLE customers RENAME TO x", Refusal.CONSTRUCT),
        ("ALTER TABLE customers RENAME name TO x", Refusal.CONSTRUCT),
        ("ALTER TABLE customers ADD x TEXT CHECK (ssn > 1)", Refusal.CONSTRUCT),
        ("ALTER TABLE customers ADD x AS (ssn)", Refusal.CONSTRUCT),
        ("ALTER TABLE customers ADD x TEXT GENERATED ALWAYS AS (ssn)", Refusal.CONSTRUCT),
        ("ALTER TABLE customers DROP ssn", Refusal.UNKNOWN_COLUMN),
        ("ALTER TABLE customers DROP email", Refusal.NOT_WRITABLE),
        ("CREATE INDEX i ON customers (ssn)", Refusal.UNKNOWN_COLUMN),
        ("CREATE INDEX i ON customers (id) WHERE ssn > 1", Refusal.UNKNOWN_COLUMN),
        ("CREATE INDEX i ON customers (lower(email))", Refusal.NOT_WRITABLE),
        ("CREATE INDEX i ON customers ((SELECT 1))", Refusal.CONSTRUCT),
        ("CREATE UNIQUE INDEX i ON orders (total)", Refusal.CONSTRUCT),
        ("CREATE INDEX i ON orders (abs(total))", Refusal.CONSTRUCT),
        ("CREATE INDEX i ON orders (total) WHERE total > 1", Refusal.CONSTRUCT),
        ("CREATE UNIQUE INDEX i ON customers ('ssn')", Refusal.CONSTRUCT),
        ("CREATE UNIQUE INDEX i ON customers (id, (('ssn')) COLLATE binary DESC)", Refusal.CONSTRUCT),
        ("CREATE TABLE x (a REFERENCES customers(ssn))", Refusal.UNKNOWN_COLUMN),
        ("CREATE TABLE x (a REFERENCES customers(email))", Refusal.NOT_WRITABLE),
        ("CREATE TABLE x (a, FOREIGN KEY (a) REFERENCES 'customers' (\"ssn\"))", Refusal.UNKNOWN_COLUMN),
        ("CREATE TABLE x (a REFERENCES orders)", Refusal.CONSTRUCT),
        ("CREATE TABLE x (a REFERENCES absent)", Refusal.UNKNOWN_TABLE),
        ("ALTER TABLE customers ADD x REFERENCES orders(id)", Refusal.CONSTRUCT),
        ("DROP TABLE orders", Refusal.CONSTRUCT),
        ("ALTER TABLE orders DROP total", Refusal.CONSTRUCT),
        ("CREATE TABLE x (a DEFAULT ?)", Refusal.PARAMETERS),
        ("CREATE TABLE x (a) ) ", Refusal.SYNTAX),
    ],
)
def test_a_definition_that_copies_or_tests_what_is_hidden_is_refused(sql: str, refusal: Refusal) -> None:
    assert refused(sql, MASKED, FILTERED).refusal is refusal


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("DELETE FROM `main`.`u` AS `x` RETURNING 1", {"t": 1}),
        ("DELETE FROM `t` RETURNING 1", {"t": 1}),
        ("DELETE FROM `main`.`t` WHERE 1 IN (SELECT 1 FROM `main`.`u`) RETURNING 1", {"t": 1}),
        ("DELETE FROM `main`.`t` WHERE 1 IN (SELECT 1 FROM `u`) RETURNING 1", {"t": 1}),
        ("UPDATE `main`.`t` SET `a` = 1 RETURNING 1", {"t": 1}),
        ("DELETE FROM `main`.`t` WHERE readfile(1) RETURNING 1", {"t": 1}),
        ("DELETE FROM `main`.`t` RETURNING ?1", {"t": 1}),
        ("DELETE FROM `main`.`t` RETURNING 1; SELECT 1", {"t": 1}),
        ("SELECT 1 FROM `main`.`t`", {"t": 1}),
        ("DELETE FROM `main`.`t` RETURNING 1", {"t": 2}),
    ],
)
def test_two_readings_that_differ_stop_a_write(sql: str, tables: dict[str, int]) -> None:
    with pytest.raises(SqlRefused) as error:
        agree_on_write(sql, tables, 0, "delete", "t")
    assert error.value.refusal is Refusal.DISAGREEMENT


def test_two_readings_that_agree_let_a_write_through() -> None:
    agree_on_write("DELETE FROM `main`.`t` AS `x` RETURNING 1", {"t": 1}, 0, "delete", "t")


_WORDS = st.sampled_from(
    """
    DELETE FROM UPDATE SET INSERT INTO VALUES RETURNING WHERE SELECT AS orders customers main . id name total email *
    ( ) , = + 'x' 1 ? WITH NATURAL JOIN ON IN EXISTS DEFAULT CREATE TABLE INDEX VIEW ALTER ADD DROP COLUMN c
    """.split()  # noqa: SIM905
)


@settings(max_examples=300, deadline=None)
@given(
    start=st.sampled_from(["DELETE FROM orders", "UPDATE orders SET", "INSERT INTO orders", "CREATE", "ALTER TABLE"]),
    words=st.lists(_WORDS, max_size=14),
)
def test_any_text_is_written_or_refused_and_nothing_else(start: str, words: list[str]) -> None:
    try:
        made = written(" ".join([start, *words]), MASKED, FILTERED, params={"1": JsonType.INT4} if "?" in words else {})
    except SqlRefused:
        return
    assert "ssn" not in made.sql


def test_a_write_that_only_one_reader_understands_does_not_run() -> None:
    assert refused("DELETE FROM orders WHERE NOT id IN (1) IN (2) LIKE 3 ESCAPE 4").refusal is Refusal.DISAGREEMENT
