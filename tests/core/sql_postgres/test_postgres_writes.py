"""Each rule of a write on its own, without a server: what is rendered, what is refused, what may be learnt from it."""

import pickle
from typing import Any

import pytest

from app.policy.decision import Action, ColumnView, Compare, Comparison, TableView
from app.sql.postgres import guard
from app.sql.postgres.tree import bare_parse
from app.sql.statement import Access, KeyBind, ParamBind, Refusal, RewrittenWrite, SqlRefused, ValueBind
from connectors.contract import Catalog, Column, Dialect, Index, Table, TableKey, TableKind
from tests.core.sql_postgres import world

ORDERS: TableKey = ("public", "orders")
CUSTOMERS: TableKey = ("public", "customers")


def rewritten(
    sql: str,
    params: dict[str, object] | None = None,
    views: dict[TableKey, TableView] | None = None,
    catalog: Catalog = world.CATALOG,
) -> RewrittenWrite:
    statement = guard.inspect(sql, world.types_of(params or {}), catalog)
    return guard.rewrite_write(statement, (world.VIEWS if views is None else views).get, catalog)


def refusal(sql: str, **more: Any) -> Refusal:
    with pytest.raises(SqlRefused) as refused:
        rewritten(sql, **more)
    return refused.value.refusal


def tables_in(message: Any) -> list[str]:
    found = []
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        for part in value if descriptor.is_repeated else (value,):
            if descriptor.name in ("range_var", "relation"):
                found.append(f"{part.schemaname}.{part.relname}")
            found += tables_in(part)
    return found


def one_table(kind: TableKind = TableKind.TABLE, *indexes: Index, rows: Any = None, generated: bool = False) -> Any:
    columns = (
        Column(name="id", type="integer"),
        Column(name="a", type="integer"),
        Column(name="b", type="integer", generated_from=("a",) if generated else ()),
        Column(name="secret", type="text"),
    )
    table = Table(schema="public", name="one", kind=kind, columns=columns, primary_key=("id",), indexes=indexes)
    catalog = Catalog(dialect=Dialect.POSTGRES, version="1", server_version=150004, tables={table.key: table})
    shown = tuple(ColumnView(name=column.name, type=column.type) for column in columns[:3])
    return {
        "catalog": catalog,
        "views": {table.key: TableView(schema="public", name="one", columns=shown, row_filter=rows)},
    }


def test_the_callers_tables_are_views_and_the_target_is_written_by_address() -> None:
    sql = rewritten("DELETE FROM orders o USING customers c WHERE c.id = o.customer_id").sql
    assert sorted(tables_in(bare_parse(sql))) == [".douane0_w", "public.customers", "public.orders", "public.orders"]
    assert "douane0_x.ctid = douane0_k.douane0_i" in sql
    assert "douane0_x.tableoid = douane0_k.douane0_t" in sql
    assert "region <> $3::text OFFSET 0) c WHERE" in sql


def test_masks_in_returning_are_those_of_reads() -> None:
    read = guard.rewrite(guard.inspect("SELECT * FROM logins", {}, world.CATALOG), world.VIEWS.get, world.CATALOG)
    written = rewritten("DELETE FROM logins RETURNING *")
    masks = [part.split(" AS ")[0] for part in read.sql.split("(SELECT id, ")[1].split(" AS ssn")[:1]]
    assert all(mask in written.sql.split("RETURNING")[1] for mask in masks)
    assert [bind for bind in written.binds if isinstance(bind, KeyBind)] == [
        bind for bind in read.binds if isinstance(bind, KeyBind)
    ]
    assert written.outputs == read.outputs
    assert written.labels == read.labels


def test_the_check_is_the_row_filter_on_the_new_row() -> None:
    for sql in ("UPDATE customers SET name = 'x'", "INSERT INTO customers (name) VALUES ('x')"):
        text = rewritten(sql).sql
        assert "RETURNING region <> $" in text
        assert "IS TRUE AS douane0_ok" in text
    assert "RETURNING true AS douane0_ok" in rewritten("DELETE FROM customers").sql
    assert "RETURNING true AS douane0_ok" in rewritten("UPDATE orders SET status = 'x'").sql


def test_what_is_assigned_is_worked_out_over_the_view() -> None:
    sql = rewritten("UPDATE customers SET name = upper(email), region = :r", {"r": "eu"}).sql
    search = sql.split("FROM (SELECT", 1)[1]
    assert "SET name = douane0_k.douane0_v1, region = $1 FROM" in sql
    assert "CASE WHEN true THEN upper(email) END AS douane0_v1" in search


def test_no_work_is_done_for_what_is_not_returned() -> None:
    assert "douane0_c1" not in rewritten("UPDATE orders SET status = 'x'").sql.split("RETURNING")[1]
    assert rewritten("UPDATE orders SET status = 'x'").outputs == ()


def test_a_parameter_takes_the_type_of_the_column_it_is_assigned_to() -> None:
    for sql in (
        "UPDATE orders SET status = :v, total = :v",
        "INSERT INTO orders (status, total) VALUES (:v, :v)",
        "INSERT INTO orders (status, total) SELECT :v, :v",
    ):
        found = rewritten(sql, {"v": "4"})
        assert [bind.name for bind in found.binds if isinstance(bind, ParamBind)] == ["v", "v"]
        assert "$1" in found.sql
        assert "$2" in found.sql
        assert "::text" not in found.sql.split("RETURNING")[0]


def test_names_of_our_own_are_never_the_callers() -> None:
    assert "douane1_w" in rewritten("DELETE FROM orders AS douane0_w").sql
    assert "douane1_w" in rewritten('DELETE FROM orders AS "DOUANE0_W"').sql
    assert "douane0_w" in rewritten("DELETE FROM orders AS douane1_w").sql
    assert "douane1_w" in rewritten('DELETE FROM orders WHERE status = U&"d\\006fuane0_x"').sql


def test_returning_gives_one_row_for_each_row_that_was_written() -> None:
    sql = rewritten("UPDATE orders SET status = 'x' RETURNING id, total * 2 AS twice").sql
    assert "CROSS JOIN LATERAL (VALUES (id, total * 2)) douane0_r(douane0_o1, douane0_o2)" in sql
    assert "douane0_r.douane0_o2 AS twice" in sql


def test_returned_rows_come_in_the_order_they_lay_in() -> None:
    assert rewritten("DELETE FROM orders RETURNING id").sql.endswith(
        "ORDER BY douane0_w.douane0_t, douane0_w.douane0_i"
    )


def test_a_row_that_several_rows_would_change_ends_the_statement() -> None:
    twice = "CASE WHEN douane0_k.douane0_n > 1"
    assert twice in rewritten("UPDATE orders SET status = c.name FROM customers c").sql
    assert twice in rewritten("UPDATE orders SET (status, total) = (SELECT name, 1 FROM customers)").sql
    assert twice in rewritten("DELETE FROM orders o USING customers c RETURNING c.name").sql
    assert twice not in rewritten("UPDATE orders SET status = 'x'").sql
    assert twice not in rewritten("DELETE FROM orders o USING customers c RETURNING o.id").sql


def test_on_conflict_do_update_takes_both_permissions() -> None:
    sql = "INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO {}"
    assert guard.inspect(sql.format("UPDATE SET total = 1"), {}, world.CATALOG).accesses == (
        Access(table=ORDERS, action=Action.INSERT),
        Access(table=ORDERS, action=Action.UPDATE),
    )
    assert len(guard.inspect(sql.format("NOTHING"), {}, world.CATALOG).accesses) == 1


def test_a_key_is_not_written_where_a_collision_would_tell_of_a_hidden_row() -> None:
    key = Index(name="i", columns=("a",), unique=True)
    mixed = Index(name="m", columns=("a", "secret"), unique=True)
    plain = Index(name="p", columns=("a", "secret"))
    rows = Comparison(column="id", op=Compare.GT, value=3)
    for sql in ("UPDATE one SET a = 1", "INSERT INTO one (a) VALUES (1)"):
        assert refusal(sql, **one_table(TableKind.TABLE, key, rows=rows)) is Refusal.NOT_WRITABLE
        assert refusal(sql, **one_table(TableKind.TABLE, mixed)) is Refusal.NOT_WRITABLE
        assert rewritten(sql, **one_table(TableKind.TABLE, key, plain)).sql
        assert rewritten(sql.replace("a", "b", 0), **one_table(TableKind.TABLE, plain, rows=rows)).sql


def test_a_conflict_on_a_key_that_is_not_seen_cannot_be_ignored() -> None:
    mixed = Index(name="m", columns=("id", "secret"), unique=True)
    sql = "INSERT INTO one (a) VALUES (1) ON CONFLICT DO NOTHING"
    assert refusal(sql, **one_table(TableKind.TABLE, mixed)) is Refusal.CONSTRUCT
    assert rewritten(sql, **one_table()).sql


def test_a_generated_column_is_left_to_the_table() -> None:
    more = one_table(generated=True)
    assert refusal("UPDATE one SET b = 1", **more) is Refusal.NOT_WRITABLE
    assert refusal("INSERT INTO one (b) VALUES (1)", **more) is Refusal.NOT_WRITABLE
    assert rewritten("UPDATE one SET b = DEFAULT, a = 2", **more).sql


@pytest.mark.parametrize("kind", [TableKind.VIEW, TableKind.MATERIALIZED_VIEW, TableKind.FOREIGN])
def test_only_tables_are_written(kind: TableKind) -> None:
    assert refusal("DELETE FROM one", **one_table(kind)) is Refusal.CONSTRUCT
    assert refusal("INSERT INTO one (a) VALUES (1)", **one_table(kind)) is Refusal.CONSTRUCT
    assert rewritten("DELETE FROM one", **one_table(TableKind.PARTITIONED)).sql


def test_a_write_in_a_with_query_is_no_read() -> None:
    assert refusal("WITH d AS (DELETE FROM orders RETURNING *) DELETE FROM products") is Refusal.CONSTRUCT
    assert refusal("DELETE FROM orders WHERE CURRENT OF c") is Refusal.CONSTRUCT


def test_the_second_parser_reads_writes_too() -> None:
    statement = "DELETE FROM orders WHERE status = U&'!0041' UESCAPE '!'"
    assert guard.inspect(statement, {}, world.CATALOG).kind == "delete"


def test_conjuncts_on_raw_columns_run_below_the_fence_of_the_target() -> None:
    sql = rewritten("UPDATE customers SET name = 'x' WHERE id = 4 AND ssn = 'y'").sql
    assert "region <> $3::text AND id = 4 OFFSET 0" in sql
    assert "AND ssn = 'y' OFFSET 0" not in sql


def test_a_write_may_be_read_in_another_process() -> None:
    statement = guard.inspect(
        "UPDATE orders o SET status = c.name FROM customers c WHERE c.id = o.id "
        "RETURNING (SELECT max(id) FROM logins), c.*",
        {},
        world.CATALOG,
    )
    copy = pickle.loads(pickle.dumps(statement))
    assert guard.rewrite_write(copy, world.VIEWS.get, world.CATALOG) == guard.rewrite_write(
        statement, world.VIEWS.get, world.CATALOG
    )


def test_values_of_the_row_filter_are_bound_in_every_place() -> None:
    found = rewritten("UPDATE customers SET name = 'x'")
    assert [bind for bind in found.binds if isinstance(bind, ValueBind)] == [ValueBind(value="hidden")] * 2
    assert "'hidden'" not in found.sql


def test_values_that_could_grow_without_bound_are_measured_before_they_leave() -> None:
    assert "pg_column_size" in rewritten("DELETE FROM orders RETURNING repeat(status, 1000)").sql
    assert "pg_column_size" not in rewritten("DELETE FROM orders RETURNING status").sql


@pytest.mark.parametrize(
    ("sql", "rendered"),
    [
        ("DROP TABLE orders", "DROP TABLE public.orders"),
        ("DROP INDEX customers_email", "DROP INDEX public.customers_email"),
        ("TRUNCATE orders, products", "TRUNCATE public.orders, public.products"),
        ("CREATE TABLE t (id serial PRIMARY KEY)", "CREATE TABLE public.t (id serial PRIMARY KEY)"),
        ("CREATE TABLE hr.t (o int REFERENCES orders)", "CREATE TABLE hr.t (o int REFERENCES public.orders)"),
        ("ALTER TABLE orders ADD x int DEFAULT 3", "ALTER TABLE public.orders ADD COLUMN x int DEFAULT 3"),
        ("CREATE INDEX ON salaries (id)", "CREATE INDEX ON hr.salaries USING btree (id)"),
        ("ALTER TABLE orders RENAME total TO sum", "ALTER TABLE public.orders RENAME COLUMN total TO sum"),
    ],
)
def test_ddl_runs_as_it_was_approved_with_schemas(sql: str, rendered: str) -> None:
    assert rewritten(sql) == RewrittenWrite(sql=rendered, binds=(), ddl=True)


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("CREATE TABLE t AS SELECT * FROM orders", Refusal.CONSTRUCT),
        ("CREATE VIEW v AS SELECT * FROM orders", Refusal.CONSTRUCT),
        ("CREATE MATERIALIZED VIEW v AS SELECT * FROM orders", Refusal.CONSTRUCT),
        ("CREATE TABLE t (LIKE orders)", Refusal.CONSTRUCT),
        ("CREATE TABLE t () INHERITS (orders)", Refusal.CONSTRUCT),
        ("CREATE TABLE t PARTITION OF orders DEFAULT", Refusal.CONSTRUCT),
        ("CREATE TABLE t (x text REFERENCES customers (id))", Refusal.CONSTRUCT),
        ("CREATE TABLE t (x text REFERENCES logins (ssn))", Refusal.NOT_WRITABLE),
        ("CREATE TABLE t (x text DEFAULT pg_read_file('/etc/passwd'))", Refusal.FUNCTION),
        ("CREATE TABLE t (x int CHECK (x > (SELECT max(x) FROM customers)))", Refusal.CONSTRUCT),
        ("CREATE TABLE t (x int CHECK (y > 0))", Refusal.UNKNOWN_COLUMN),
        ("CREATE TABLE t (x regclass)", Refusal.TYPE),
        ("CREATE TABLE pg_catalog.t (x int)", Refusal.CATALOG),
        ("CREATE UNLOGGED TABLE t (x int)", Refusal.CONSTRUCT),
        ("CREATE TABLE t (x int) TABLESPACE x", Refusal.CONSTRUCT),
        ("DROP TABLE customers", Refusal.CONSTRUCT),
        ("TRUNCATE customers", Refusal.CONSTRUCT),
        ("TRUNCATE orders CASCADE", Refusal.CONSTRUCT),
        ("DROP TABLE orders CASCADE", Refusal.CONSTRUCT),
        ("ALTER TABLE customers ADD CHECK (id > 3)", Refusal.CONSTRUCT),
        ("ALTER TABLE logins ADD CHECK (ssn > 'x')", Refusal.NOT_WRITABLE),
        ("ALTER TABLE logins ADD UNIQUE (ssn)", Refusal.NOT_WRITABLE),
        ("ALTER TABLE logins ADD CHECK (other > 'x')", Refusal.UNKNOWN_COLUMN),
        ("ALTER TABLE logins ADD CHECK (logins IS NOT NULL)", Refusal.UNKNOWN_COLUMN),
        ("ALTER TABLE logins ADD CHECK (logins.ssn > 'x')", Refusal.CONSTRUCT),
        ("ALTER TABLE logins ADD leak text GENERATED ALWAYS AS (ssn) STORED", Refusal.NOT_WRITABLE),
        ("ALTER TABLE logins ALTER ssn TYPE int", Refusal.NOT_WRITABLE),
        ("ALTER TABLE logins ALTER id TYPE text USING ssn", Refusal.CONSTRUCT),
        ("ALTER TABLE logins DROP ssn", Refusal.NOT_WRITABLE),
        ("ALTER TABLE logins RENAME ssn TO open", Refusal.CONSTRUCT),
        ("ALTER TABLE logins RENAME TO open", Refusal.CONSTRUCT),
        ("CREATE INDEX ON logins (ssn)", Refusal.NOT_WRITABLE),
        ("CREATE INDEX ON logins (id) WHERE ssn > 'x'", Refusal.NOT_WRITABLE),
        ("CREATE UNIQUE INDEX ON customers (name)", Refusal.CONSTRUCT),
        ("CREATE INDEX CONCURRENTLY ON orders (id)", Refusal.CONSTRUCT),
        ("ALTER TABLE orders OWNER TO x", Refusal.CONSTRUCT),
        ("ALTER TABLE orders DISABLE TRIGGER ALL", Refusal.CONSTRUCT),
        ("ALTER TABLE orders SET SCHEMA hr", Refusal.STATEMENT_CLASS),
    ],
)
def test_ddl_reads_no_row_and_tells_of_none(sql: str, code: Refusal) -> None:
    assert refusal(sql) is code


def test_ddl_takes_no_parameters() -> None:
    assert refusal("CREATE TABLE t (x int DEFAULT :x)", params={"x": 1}) is Refusal.PARAMETERS


def test_the_callers_row_holds_visible_columns_alone() -> None:
    sql = rewritten("UPDATE orders o SET status = row_to_json(o)::text RETURNING to_jsonb(o)").sql
    for source in ("douane0_b", "douane0_w"):
        row = sql.split(f"CROSS JOIN LATERAL (SELECT {source}.", 1)[1].split(") o", 1)[0]
        assert [part.split(" AS ")[1] for part in row.split(", ")] == list(world._COLUMNS[ORDERS])
