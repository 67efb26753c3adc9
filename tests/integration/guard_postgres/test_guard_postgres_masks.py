"""Every mask on every type, over the extreme values of the type: never an error, and the column keeps its type."""

import hashlib
import hmac
from typing import Any

import pytest

from app.masking.masks import Constant, Generalise, Mask, Null, Partial, Pseudonym, Redact, Step
from app.policy.decision import ColumnView, TableView
from app.sql.postgres import guard
from connectors.contract import Catalog, Column, Table, TableKind
from tests.core.sql_postgres import world
from tests.integration.guard_postgres.twin_shops import Shops, _domain_key

EXTREMES = {
    "text": ["", "é", "a@", "@", "a@b@c", "\U0001f600" * 9, "x" * 5000, "12345678"],
    "character varying": ["", "long enough to be cut"],
    "character": ["x"],
    "smallint": ["-32768", "32767", "0"],
    "integer": ["-2147483648", "2147483647", "-1"],
    "bigint": ["-9223372036854775808", "9223372036854775807", "5"],
    "numeric": ["NaN", "Infinity", "-Infinity", "1e5000", "-0.0001"],
    "real": ["NaN", "Infinity", "-Infinity", "3.4e38", "1e-45"],
    "double precision": ["NaN", "Infinity", "-Infinity", "1.7e308", "5e-324"],
    "boolean": ["true", "false"],
    "date": ["infinity", "-infinity", "4713-11-24 BC", "5874897-12-31", "2024-02-29", "0001-01-01"],
    "timestamp without time zone": ["infinity", "-infinity", "4713-11-24 BC", "294276-12-31 23:59:59", "2024-02-29"],
    "timestamp with time zone": ["infinity", "-infinity", "4713-11-25 BC", "294276-12-30 00:00:00+00", "2024-02-29"],
    "time without time zone": ["24:00:00"],
    "interval": ["-178000000 years", "1 day"],
    "uuid": ["00000000-0000-0000-0000-000000000000"],
    "bytea": ["\\x00ff"],
    "jsonb": ["{}", "null"],
    "text[]": ["{}", "{a,NULL}"],
    "inet": ["::1"],
    "tsvector": ["a"],
}
MASKS: list[Mask] = [
    Null(),
    Constant(value="x"),
    Constant(value=7),
    Constant(value=True),
    Constant(value=1.5),
    Constant(value="2024-01-01"),
    Partial(),
    Partial(keep_last=0),
    Partial(email=True),
    *(Generalise(step=step, size=size) for step in Step for size in (0, 1, 7, 100)),
    Pseudonym(domain="d"),
    Redact(),
]


@pytest.mark.parametrize("kind", EXTREMES)
def test_a_mask_never_fails_and_keeps_the_type(shops: Shops, kind: str) -> None:
    name = "extremes"
    values = ", ".join("('" + value.replace("'", "''") + f"'::{'bpchar' if kind == 'character' else kind})"
                       for value in EXTREMES[kind])  # fmt: skip
    shops.execute(
        "d1", f"DROP TABLE IF EXISTS {name}; CREATE TABLE {name} (v {kind}); GRANT SELECT ON {name} TO analyst"
    )
    shops.execute("d1", f"INSERT INTO {name} SELECT * FROM (VALUES {values}, (NULL)) AS x(v)")
    table = Table(schema="public", name=name, kind=TableKind.TABLE, columns=(Column(name="v", type=kind),))
    catalog = Catalog(
        dialect=world.CATALOG.dialect,
        version="2",
        server_version=150000,
        tables={table.key: table},
        safe_functions=world.CATALOG.safe_functions,
        known_functions=world.CATALOG.known_functions,
    )
    for mask in MASKS:
        view = TableView(schema="public", name=name, columns=(ColumnView(name="v", type=kind, mask=mask),))
        rewritten = guard.rewrite(guard.inspect(f"SELECT v FROM {name}", {}, catalog), {table.key: view}.get, catalog)
        answer = shops.run("d1", rewritten, {})
        assert len(answer) == 2, (mask, answer)
        assert len(answer[1]) == len(EXTREMES[kind]) + 1
        assert shops.column_types("d1", rewritten) == [kind], mask


def test_a_pseudonym_of_a_number_is_the_documented_one(shops: Shops) -> None:
    key: tuple[str, str] = ("public", "logins")
    for column, read in (("id", lambda digest: int.from_bytes(digest[:6], "big")),):
        view = TableView(
            schema="public",
            name="logins",
            columns=(ColumnView(name=column, type="bigint", mask=Pseudonym(domain="d")),),
        )
        rewritten = guard.rewrite(
            guard.inspect("SELECT id FROM logins LIMIT 3", {}, world.CATALOG), {key: view}.get, world.CATALOG
        )
        rows: Any = shops.run("d1", rewritten, {})[1]
        assert rows == [(read(hmac.digest(_domain_key("d"), str(n).encode(), hashlib.sha256)),) for n in (1, 2, 3)]


def test_a_table_with_no_visible_column_can_still_be_counted(shops: Shops) -> None:
    key = ("public", "logins")
    view = TableView(schema="public", name="logins", columns=())
    statement = guard.inspect("SELECT count(*) FROM logins", {}, world.CATALOG)
    assert shops.run("d1", guard.rewrite(statement, {key: view}.get, world.CATALOG), {})[1] == [(1000,)]
