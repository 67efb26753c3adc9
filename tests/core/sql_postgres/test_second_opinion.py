from collections import Counter
from dataclasses import replace

import pytest

from app.sql.agreement import agrees, relation_names
from app.sql.postgres import guard
from app.sql.postgres.tree import bare_parse, check_rendering
from app.sql.statement import Refusal, SqlRefused
from tests.core.sql_postgres import world


def test_the_second_parser_counts_every_relation_name() -> None:
    text = """WITH a AS (SELECT * FROM s.T) SELECT * FROM a JOIN "T" ON true, (SELECT 1 FROM a) x
        WHERE EXISTS (SELECT FROM b)"""
    assert relation_names(text) == Counter({("", "a"): 2, ("s", "t"): 1, ("", "T"): 1, ("", "b"): 1})


def test_a_positive_disagreement_is_no_agreement() -> None:
    assert agrees("SELECT * FROM a, b", [("", "a"), ("", "b")])
    assert not agrees("SELECT * FROM a, b", [("", "a")])
    assert not agrees("SELECT * FROM a", [("", "a"), ("", "b")])
    assert not agrees("SELECT * FROM a", [("s", "a")])


def test_what_the_second_parser_cannot_read_is_no_disagreement() -> None:
    assert agrees("SELECT @ -5 FROM a JOIN b USING (id) AS u", [("", "anything")])


def test_the_guard_refuses_where_the_two_disagree() -> None:
    # PostgreSQL cuts names to 63 bytes; the second parser does not.
    key = ("public", "t" * 63)
    catalog = replace(world.CATALOG, tables={key: replace(world.TABLES["public", "orders"], name=key[1])})
    assert guard.inspect(f"SELECT 1 FROM {key[1]}", {}, catalog).accesses[0].table == key
    with pytest.raises(SqlRefused) as refused:
        guard.inspect(f"SELECT 1 FROM {key[1]}t", {}, catalog)
    assert refused.value.refusal is Refusal.DISAGREEMENT


def test_a_statement_that_renders_into_another_tree_is_refused() -> None:
    tree = bare_parse("SELECT a - (b - c) FROM t")
    check_rendering("SELECT a - (b - c) FROM t", tree)
    for other in ("SELECT a - b - c FROM t", "SELECT a - (b - c) FROM s.t", "SELECT a - (b - c) AS a FROM t"):
        with pytest.raises(SqlRefused) as refused:
            check_rendering(other, tree)
        assert refused.value.refusal is Refusal.DISAGREEMENT


def test_nodes_newer_than_the_server_are_refused_and_pass_on_a_newer_one() -> None:
    text = "SELECT JSON_OBJECT('a' VALUE id) FROM orders"
    with pytest.raises(SqlRefused):
        guard.inspect(text, {}, world.CATALOG)
    newer = replace(world.CATALOG, server_version=160000)
    statement = guard.inspect(text, {}, newer)
    assert "JSON_OBJECT" in guard.rewrite(statement, world.VIEWS.get, newer).sql


def test_numbers_are_spelt_as_every_server_reads_them() -> None:
    sql = guard.rewrite(
        guard.inspect("SELECT 1_000_000_000_000, 0xFFFFFFFFFFFF, 1_0.5", {}, world.CATALOG),
        world.VIEWS.get,
        world.CATALOG,
    ).sql
    assert sql == "SELECT 1000000000000, 281474976710655, 10.5"
