"""A value in a file comes as the same value comes from a table: the value functions against SQLite and PostgreSQL."""

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from asking_postgres import Asking
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.masking.masks import Constant, Generalise, Mask, Null, Partial, Pseudonym, Redact, Step
from app.masking.values import Kind, masker
from app.sql.sqlite.binds import Binds
from app.sql.sqlite.masking import masked
from app.sql.statement import KeyBind
from connectors.sqlite.functions import register
from tests.servers import PostgresServer

KEY = b"k" * 32
CONSTANTS: tuple[Mask, ...] = tuple(Constant(value=v) for v in ("c", 7, 2**40, 1.5, True, "2024-05-06"))
NUMBERS: tuple[Mask, ...] = tuple(Generalise(step=Step.BUCKET, size=size) for size in (0, 1, 10, 1000))
DATES: tuple[Mask, ...] = (Generalise(step=Step.YEAR), Generalise(step=Step.MONTH))
TEXTS: tuple[Mask, ...] = (
    Partial(), Partial(keep_last=0), Partial(keep_last=2), Partial(email=True), Generalise(step=Step.PREFIX, size=3)
)  # fmt: skip
MASKS = (Null(), *CONSTANTS, *NUMBERS, *DATES, *TEXTS, Pseudonym(domain="d"))

SHAPED = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=14),
    st.from_regex(r"[a-z@\0]{0,9}@[a-z.]{0,9}", fullmatch=True),
    st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T :0-9x]{0,9}", fullmatch=True),
)
STORED = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.binary(max_size=12),
    SHAPED,
)


@pytest.fixture(scope="module")
def postgres(server: PostgresServer) -> Iterator[Asking]:
    asking = Asking(server)
    yield asking
    asking.close()


def shown(mask: Mask, value: Any, kind: Kind | None = None) -> Any:
    return masker(mask, {"d": KEY}, str.upper, kind)(value)


def same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


@settings(max_examples=200, deadline=None)
@given(value=STORED)
@example(value="a@" + "b" * 999)
@example(value="1234\0secret")
@example(value=-(2**63))
@example(value=-0.5)
@example(value=-5e-324)
@example(value=-0.0)
@example(value=9007199254740991.0)
@example(value="")
def test_a_value_comes_as_sqlite_shows_it(value: Any) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        register(connection, str.upper)
        connection.execute("CREATE TABLE t (c)")
        connection.execute("INSERT INTO t VALUES (?)", (value,))
        for mask in (*MASKS, Redact()):
            binds = Binds()
            sql = f"SELECT {masked(mask, '`c`', binds)} FROM t"
            args = [KEY if isinstance(bind, KeyBind) else getattr(bind, "value", None) for bind in binds.ordered]
            (table,) = connection.execute(sql, args).fetchone()
            file = shown(mask, value)
            if isinstance(mask, Constant) and mask.value is True:
                file = int(file)  # SQLite has no booleans
            assert same(file, table), mask


ZONED = st.datetimes(datetime.fromisoformat("0001-01-03"), datetime.fromisoformat("9999-12-29"), timezones=st.just(UTC))
COLUMNS: dict[str, tuple[Kind, st.SearchStrategy[Any]]] = {
    "text": (Kind.TEXT, SHAPED.filter(lambda text: "\0" not in text)),
    "smallint": (Kind.SMALLINT, st.integers(-(2**15), 2**15 - 1)),
    "integer": (Kind.INTEGER, st.integers(-(2**31), 2**31 - 1)),
    "bigint": (Kind.BIGINT, st.integers(-(2**63), 2**63 - 1)),
    "numeric": (Kind.NUMERIC, st.decimals(-(10**15), 10**15, allow_nan=False, places=3)),
    "double precision": (Kind.FLOAT, st.floats()),
    "boolean": (Kind.BOOLEAN, st.booleans()),
    "bytea": (Kind.BINARY, st.binary(max_size=9)),
    "date": (Kind.DATE, st.dates()),
    "timestamp without time zone": (Kind.TIMESTAMP, st.datetimes()),
    "timestamp with time zone": (Kind.ZONED, ZONED),
}


def stricter(mask: Mask, kind: Kind, value: Any) -> bool:
    """Where a file shows less than PostgreSQL, or as SQLite: see app.masking.values."""
    match mask:
        case Generalise(step=Step.YEAR | Step.MONTH):
            return kind is Kind.TEXT
        case Generalise(step=Step.BUCKET, size=size):
            wide = kind is Kind.FLOAT and not abs(value) < 2**53
            return wide or (kind is Kind.BIGINT and value < size - 2**63)
    return False


@pytest.mark.parametrize("kind", COLUMNS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_value_comes_as_postgres_shows_it(postgres: Asking, kind: str, data: st.DataObject) -> None:
    own, values = COLUMNS[kind]
    value = data.draw(st.none() | values)
    for mask, table in zip(MASKS, postgres.masked(MASKS, kind, value, KEY), strict=True):
        file = shown(mask, value, own)
        if value is not None and stricter(mask, own, value):
            assert file is None or own is Kind.TEXT, mask
        else:
            assert same(file, table), (mask, file, table)


@given(value=st.decimals(-(10**29), 10**29, allow_nan=False, places=3))
def test_a_long_number_is_bucketed_exactly(value: Decimal) -> None:
    found = shown(Generalise(step=Step.BUCKET, size=1000), value)
    assert math.floor(value) // 1000 * 1000 == found
