"""The catalog tells everything a masked column may be reached through."""

import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from connectors.contract import Catalog, Column, SourceColumn, SqlConnectorConfig, Table, TableKind
from connectors.postgres import PostgresConnector, connector
from tests.servers import PostgresServer, postgres_server

SETUP = """
CREATE TYPE mood AS ENUM ('ok', 'bad');
CREATE TABLE person (
  id int PRIMARY KEY, email varchar(40) UNIQUE, name text NOT NULL, salary numeric(10, 2), feeling mood, tags text[],
  shout text GENERATED ALWAYS AS (upper(name)) STORED);
CREATE INDEX person_mixed ON person (lower(email)) INCLUDE (salary) WHERE name IS NOT NULL;
CREATE INDEX person_whole ON person ((person IS NOT NULL), id);
CREATE TABLE purchase (id int PRIMARY KEY, person_id int REFERENCES person (id));
CREATE VIEW reach AS SELECT person.id, email FROM person JOIN purchase ON purchase.person_id = person.id;
CREATE VIEW far AS SELECT r.email FROM reach AS r WHERE r.id > 0;
CREATE VIEW whole AS SELECT p.id, row_to_json(p) AS j FROM person AS p;
CREATE VIEW counted AS SELECT count(*) AS n FROM person;
CREATE FUNCTION opaque(int) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT name FROM person WHERE id = $1';
CREATE VIEW called AS SELECT opaque(id) AS x FROM purchase;
CREATE VIEW over_called AS SELECT x FROM called;
CREATE MATERIALIZED VIEW kept AS SELECT email FROM person;
CREATE TABLE log (at int, who text, secret text) PARTITION BY RANGE (at);
CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (0) TO (10);
CREATE INDEX log_1_secret ON log_1 (secret);
CREATE TABLE partly (a int, b int);
CREATE INDEX partly_b ON partly (b);
CREATE TABLE unseen (a int);
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
REVOKE SELECT ON partly, unseen FROM reader;
GRANT SELECT (a) ON partly TO reader;
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        running.create_database("shop")
        running.create_role("reader")
        running.psql(SETUP, "shop")
        yield running


@contextlib.asynccontextmanager
async def opened(server: PostgresServer) -> AsyncIterator[PostgresConnector]:
    dsn = server.dsn("reader", "reader", "shop")
    made = connector(SqlConnectorConfig(name="shop", secret=lambda: dsn, pool_max=1))
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def catalog_of(server: PostgresServer) -> Catalog:
    async with opened(server) as made:
        return await made.refresh()


def named(catalog: Catalog, name: str) -> Table:
    return catalog.tables["public", name]


def reads(catalog: Catalog, view: str) -> set[tuple[str, str]]:
    return {(s.table[1], s.column) for s in named(catalog, view).reads}


async def test_columns_have_names_without_modifiers_and_generated_ones_their_sources(server: PostgresServer) -> None:
    person = named(await catalog_of(server), "person")
    assert person.columns[:6] == (
        Column(name="id", type="integer", nullable=False),
        Column(name="email", type="character varying", max_length=40),
        Column(name="name", type="text", nullable=False),
        Column(name="salary", type="numeric"),
        Column(name="feeling", type="public.mood"),
        Column(name="tags", type="text[]"),
    )
    assert person.columns[6].generated_from == ("name",)
    assert person.primary_key == ("id",)


async def test_an_index_names_all_that_it_reads(server: PostgresServer) -> None:
    indexes = {i.name: i for i in named(await catalog_of(server), "person").indexes}
    assert indexes["person_mixed"].columns == ("email", "name", "salary")
    assert set(indexes["person_whole"].columns) == {"id", "email", "name", "salary", "feeling", "tags", "shout"}
    assert indexes["person_pkey"].primary
    assert indexes["person_email_key"].unique


async def test_an_index_over_a_column_the_role_cannot_see_reads_everything(server: PostgresServer) -> None:
    partly = named(await catalog_of(server), "partly")
    assert [c.name for c in partly.columns] == ["a"]
    assert [i.columns for i in partly.indexes] == [("*",)]


async def test_indexes_of_partitions_count_for_the_parent(server: PostgresServer) -> None:
    catalog = await catalog_of(server)
    assert named(catalog, "log").kind is TableKind.PARTITIONED
    assert named(catalog, "log_1").kind is TableKind.PARTITION
    assert ("secret",) in {i.columns for i in named(catalog, "log").indexes}


async def test_views_name_the_base_columns_through_other_views(server: PostgresServer) -> None:
    catalog = await catalog_of(server)
    below = {("person", "id"), ("person", "email"), ("purchase", "person_id")}
    assert reads(catalog, "reach") == below
    assert reads(catalog, "far") == below
    assert reads(catalog, "kept") == {("person", "email")}
    assert named(catalog, "kept").kind is TableKind.MATERIALIZED_VIEW


async def test_a_whole_row_is_every_column_even_beside_a_named_one(server: PostgresServer) -> None:
    catalog = await catalog_of(server)
    assert reads(catalog, "whole") == {("person", "*")}
    assert reads(catalog, "counted") == set()


async def test_a_view_that_calls_a_function_of_the_database_may_read_anything(server: PostgresServer) -> None:
    catalog = await catalog_of(server)
    assert named(catalog, "called").reads == (SourceColumn(table=("public", "called"), column="*"),)
    assert named(catalog, "over_called").reads == (SourceColumn(table=("public", "over_called"), column="*"),)


async def test_what_the_role_cannot_read_is_not_there(server: PostgresServer) -> None:
    catalog = await catalog_of(server)
    assert ("public", "unseen") not in catalog.tables
    assert all(not schema.startswith("pg_") and schema != "information_schema" for schema, _ in catalog.tables)


async def test_the_version_changes_with_the_schema_and_not_with_the_data(server: PostgresServer) -> None:
    async with opened(server) as made:
        first = await made.refresh()
        assert await made.refresh() is first
        server.psql("INSERT INTO purchase (id) VALUES (1), (2); ANALYZE purchase", "shop")
        second = await made.refresh()
        assert second.version == first.version
        assert named(second, "purchase").estimated_rows == 2
        server.psql("ALTER TABLE purchase ADD note text", "shop")
        assert (await made.refresh()).version != first.version
        server.psql("ALTER TABLE purchase DROP note", "shop")


HARMFUL = """
set_config current_setting pg_advisory_lock pg_advisory_xact_lock pg_try_advisory_lock pg_advisory_unlock_all nextval
setval currval lastval pg_notify pg_listening_channels lo_create lo_import lo_export lo_get lo_put lo_unlink lo_open
pg_read_file pg_read_binary_file pg_ls_dir pg_stat_file pg_sleep pg_sleep_for pg_terminate_backend pg_cancel_backend
pg_reload_conf pg_export_snapshot pg_logical_emit_message txid_current pg_current_xact_id setseed query_to_xml
table_to_xml database_to_xml cursor_to_xml schema_to_xml pg_get_viewdef pg_relation_size ts_rewrite ts_stat
dblink_connect pg_create_restore_point pg_backup_start pg_switch_wal inet_server_addr version current_query to_regclass
has_table_privilege pg_my_temp_schema pg_stat_reset pg_rotate_logfile pg_promote pg_drop_replication_slot
"""


async def test_no_function_that_leaves_or_reads_state_counts_as_safe(server: PostgresServer) -> None:
    """This is what makes going without RESET possible: nothing safe can change the session."""
    catalog = await catalog_of(server)
    assert not catalog.safe_functions & set(HARMFUL.split())
    assert {"abs", "sqrt", "avg", "md5", "substr", "replace", "round", "jsonb_typeof"} <= catalog.safe_functions
    assert catalog.safe_functions <= catalog.known_functions
    assert "opaque" in catalog.known_functions
    assert 250 <= len(catalog.safe_functions) <= 400


async def test_an_overload_that_somebody_added_makes_a_name_unsafe(server: PostgresServer) -> None:
    server.psql(
        "SET allow_system_table_mods = on;"
        "CREATE FUNCTION pg_catalog.md5(point) RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
        "shop",
    )
    try:
        assert "md5" not in (await catalog_of(server)).safe_functions
    finally:
        server.psql("DROP FUNCTION pg_catalog.md5(point)", "shop")
