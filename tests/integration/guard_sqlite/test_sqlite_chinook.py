"""Honest analytics on a database that nobody made for this guard."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from sqlite_shop import answer, open_shop, rewritten, run, views

from connectors.contract import Catalog

ROOT = Path(__file__).parents[3]
CHINOOK = ROOT.parent / "shared" / "data" / "chinook" / "Chinook_Sqlite.sqlite"
STATEMENTS = yaml.safe_load((ROOT / "tests" / "cases" / "sql_sqlite_chinook.yaml").read_text())


@pytest.fixture(scope="module")
def chinook() -> Iterator[tuple[sqlite3.Connection, Catalog]]:
    if not CHINOOK.exists():
        pytest.skip("Chinook is not at ../shared/data")
    connection, catalog = open_shop(CHINOOK)
    yield connection, catalog
    connection.close()


@pytest.mark.parametrize("sql", STATEMENTS, ids=lambda sql: sql[:60])
def test_an_analysis_of_chinook_answers_as_sqlite_does(chinook: tuple[sqlite3.Connection, Catalog], sql: str) -> None:
    connection, catalog = chinook
    made = rewritten(sql, {}, catalog, views(catalog, raw=True))
    expected = run(connection, sql, ())
    assert not isinstance(expected, str)
    assert answer(connection, made, {}) == expected
