"""Honest writes on a database that nobody made for this guard: they leave what SQLite itself would leave."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from sqlite_shop import views
from write_shop import catalog_of, prepared, write

ROOT = Path(__file__).parents[3]
CHINOOK = ROOT.parent / "shared" / "data" / "chinook" / "Chinook_Sqlite.sqlite"
STATEMENTS = yaml.safe_load((ROOT / "tests" / "cases" / "sql_sqlite_writes_chinook.yaml").read_text())


@pytest.mark.parametrize("sql", STATEMENTS, ids=lambda sql: sql[:60])
def test_a_write_to_chinook_leaves_what_sqlite_leaves(sql: str, tmp_path: Path) -> None:
    if not CHINOOK.exists():
        pytest.skip("Chinook is not at ../shared/data")
    plain, guarded = (Path(shutil.copy(CHINOOK, tmp_path / name)) for name in ("plain.db", "guarded.db"))
    for path in (plain, guarded):
        path.chmod(0o600)
    with closing(sqlite3.connect(plain)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        rows = connection.execute(sql).fetchall()
        connection.commit()
    catalog = catalog_of(guarded)
    outcome = write(guarded, prepared(sql, {}, catalog, views(catalog, raw=True)), {})
    assert outcome.error == ""
    assert sorted(map(repr, outcome.rows)) == sorted(map(repr, rows))
    with closing(sqlite3.connect(plain)) as one, closing(sqlite3.connect(guarded)) as two:
        assert list(one.iterdump()) == list(two.iterdump())
