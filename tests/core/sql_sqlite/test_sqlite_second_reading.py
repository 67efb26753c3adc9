"""The rendered text is believed only when two more readings find exactly the relations that were meant."""

import logging

import pytest
from sqlite_catalog import catalog_of, rewritten, table, view_of

from app.masking.masks import Null
from app.sql.sqlite.second_reading import agree
from app.sql.statement import Refusal, SqlRefused
from connectors.contract import TableKind


@pytest.mark.parametrize(
    ("sql", "tables", "binds"),
    [
        ("SELECT 1 FROM `main`.`t`", {}, 0),
        ("SELECT 1 FROM `main`.`t`", {"u": 1}, 0),
        ("SELECT 1 FROM `main`.`t`", {"t": 2}, 0),
        ("SELECT 1 FROM `main`.`t`, `u`", {"t": 1}, 0),
        ("SELECT 1 FROM `temp`.`t`", {"t": 1}, 0),
        ("SELECT 1; SELECT 2", {}, 0),
        ("SELECT load_extension('x')", {}, 0),
        ("SELECT ?1", {}, 0),
        ("SELECT 1", {}, 1),
        ("DELETE FROM `main`.`t`", {"t": 1}, 0),
        ("SELECT 1 IN `u`", {}, 0),
        ("SELECT (", {}, 0),
    ],
)
def test_text_with_other_relations_than_meant_is_refused(sql: str, tables: dict[str, int], binds: int) -> None:
    with pytest.raises(SqlRefused) as refused:
        agree(sql, tables, binds)
    assert refused.value.refusal is Refusal.DISAGREEMENT


def test_text_with_the_relations_that_were_meant_passes() -> None:
    agree(
        "WITH `douane cte 0` AS (SELECT json(?1) IS json('x') AS `json` FROM (SELECT `a` FROM `main`.`t` NOT INDEXED "
        "ORDER BY 1 LIMIT -1 OFFSET 0) AS `t`, json_each('[]')) SELECT * FROM `douane cte 0` AS `FROM`, `main`.`u`",
        {"t": 1, "u": 1},
        1,
    )


def test_no_value_of_a_statement_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        rewritten("SELECT name -> '$.secret[x', name ->> 1.5, name IS json('secret') FROM customers")
    assert not caplog.records


def test_a_virtual_table_is_sorted_because_its_module_decides_the_order() -> None:
    box = table("box", "id:INTEGER low:REAL", kind=TableKind.VIRTUAL)
    made = rewritten("SELECT id FROM box", view_of(box, masks={"low": Null()}), catalog=catalog_of(box))
    assert "ORDER BY 1 LIMIT -1" in made.sql
