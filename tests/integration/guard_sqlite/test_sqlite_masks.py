"""Every mask against a second opinion in Python, for values of every storage class SQLite has."""

import math
import re
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.masking.masks import Constant, Generalise, Mask, Null, Partial, Pseudonym, Redact, Step
from app.sql.sqlite.binds import Binds
from app.sql.sqlite.masking import masked
from app.sql.statement import KeyBind
from connectors.sqlite.functions import LONGEST_REDACTED_BYTES, pseudonym, register

KEY = b"k" * 32
MASKS: tuple[Mask, ...] = (
    Null(),
    Constant(value="c"),
    Partial(),
    Partial(keep_last=0),
    Partial(keep_last=2),
    Partial(email=True),
    Generalise(step=Step.YEAR),
    Generalise(step=Step.MONTH),
    Generalise(step=Step.PREFIX, size=2),
    Generalise(step=Step.BUCKET, size=10),
    Generalise(step=Step.BUCKET, size=0),
    Pseudonym(domain="d"),
    Redact(),
)
VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.binary(max_size=12),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=14),
    st.from_regex(r"[a-z@\0]{0,9}@[a-z.]{0,9}", fullmatch=True),
    st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T :0-9x]{0,9}", fullmatch=True),
)


def shouted(text: str) -> str:
    return text.upper()


def expected(mask: Mask, value: Any) -> Any:
    text = value if isinstance(value, str) else None
    match mask:
        case Constant(value=constant):
            return constant
        case Pseudonym():
            return None if isinstance(value, bytes) else pseudonym(KEY, value)
        case Generalise(step=Step.BUCKET, size=size) if size and isinstance(value, int | float):
            return _bucket(value, size)
        case _ if text is None:
            return None
        case Redact():
            return shouted(text)
        case Partial() if "\0" in text:
            return "***"
        case Partial(email=True):
            return "***@" + text.rsplit("@", 1)[1] if "@" in text else "***"
        case Partial(keep_last=keep):
            return "***" + text[-keep:] if keep and len(text) >= 2 * keep else "***"
        case Generalise(step=Step.PREFIX, size=size):
            return text.split("\0")[0][:size]
        case Generalise(step=Step.YEAR | Step.MONTH as step) if re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return text[:4] + "-01-01" if step is Step.YEAR else text[:7] + "-01"
    return None


def _bucket(value: float, size: int) -> float | None:
    if isinstance(value, int):
        return value // size * size if value >= size - 2**63 else None
    if -1 < value < 0:
        return -float(size)  # also where the quotient underflows to zero
    return float(math.floor(value / size) * size) if abs(value) < 2**53 else None


@settings(max_examples=200, deadline=None)
@given(value=VALUES)
@example(value="a@b@example.org")
@example(value="1234\0secret")
@example(value=-7)
@example(value=-0.5)
@example(value=20.0)
@example(value=-(2**63))
@example(value=float("inf"))
@example(value=b"2024-01-01")
@example(value="2024-05-06T07:08:09")
def test_a_mask_shows_what_it_should_and_nothing_else(value: Any) -> None:
    connection = sqlite3.connect(":memory:")
    register(connection, shouted)
    connection.execute("CREATE TABLE t (c)")
    connection.execute("INSERT INTO t VALUES (?)", (value,))
    for mask in MASKS:
        shown = of_the_one_row(connection, mask)
        assert (shown, type(shown)) == (expected(mask, value), type(expected(mask, value))), mask
    connection.close()


def of_the_one_row(connection: sqlite3.Connection, mask: Mask) -> Any:
    binds = Binds()
    sql = f"SELECT {masked(mask, '`c`', binds)} FROM t"
    args = [KEY if isinstance(bind, KeyBind) else getattr(bind, "value", None) for bind in binds.ordered]
    (shown,) = connection.execute(sql, args).fetchone()
    return shown


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_a_pseudonym_and_a_redacted_text_are_the_same_in_every_encoding(encoding: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"PRAGMA encoding = '{encoding}'")
        connection.execute("CREATE TABLE t (c)")
        connection.execute("INSERT INTO t VALUES ('aé€\U0001f600')")
        register(connection, shouted)
        assert of_the_one_row(connection, Pseudonym(domain="d")) == pseudonym(KEY, "aé€\U0001f600")
        assert of_the_one_row(connection, Redact()) == "AÉ€\U0001f600"


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
@pytest.mark.parametrize("mask", MASKS, ids=str)
def test_bytes_that_are_no_text_are_no_error_that_tells_of_them(mask: Mask, encoding: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"PRAGMA encoding = '{encoding}'")
        connection.execute("CREATE TABLE t (c)")
        connection.execute("INSERT INTO t VALUES (CAST(x'61ff62c300d861' AS TEXT))")
        register(connection, shouted)
        connection.text_factory = bytes
        assert of_the_one_row(connection, mask) != b"a\xffb\xc3\x00\xd8a"


def test_a_text_that_is_too_long_or_has_nobody_to_redact_it_is_null() -> None:
    for text, redact in (("a" * (LONGEST_REDACTED_BYTES + 1), shouted), ("a", None)):
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("CREATE TABLE t (c)")
            connection.execute("INSERT INTO t VALUES (?)", (text,))
            register(connection, redact)
            assert of_the_one_row(connection, Redact()) is None


def test_a_text_that_a_recogniser_fails_on_is_null() -> None:
    def failing(text: str) -> str:
        raise ValueError(text)

    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (c)")
        connection.execute("INSERT INTO t VALUES ('secret')")
        register(connection, failing)
        assert of_the_one_row(connection, Redact()) is None
