"""What a mask makes of a value that stands in a file or a message: never an error, never the value itself."""

import hashlib
import hmac
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.masking.masks import Constant, Generalise, Hide, Mask, Null, Partial, Pseudonym, Redact, Step, kind_of
from app.masking.values import (
    Kind,
    masker,
    pseudonym_integer,
    pseudonym_text,
    text_masker,
    text_pseudonyms,
)

KEY = b"k" * 32
NAIVE = datetime.fromisoformat("2024-05-06")
FIRST, LAST = datetime.fromisoformat("0001-01-01"), datetime.fromisoformat("9999-12-31")
MASKS: tuple[Mask, ...] = (
    Null(),
    Hide(),
    Constant(value="c"),
    Constant(value=7),
    Constant(value=True),
    Constant(value=1.5),
    Constant(value="2024-05-06"),
    Partial(),
    Partial(keep_last=0),
    Partial(email=True),
    *(Generalise(step=step, size=size) for step in Step for size in (0, 1, 7, 2**62, 2**80)),
    Pseudonym(domain="d"),
    Redact(),
)
_ZONES = st.sampled_from([None, UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=23, minutes=59))])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.sampled_from([Decimal("1E+9999999"), Decimal("-1E-9999999"), Decimal("sNaN"), 2**63, -(2**63)]),
    st.text(st.characters()),
    st.binary(),
    st.dates(),
    st.datetimes(timezones=_ZONES),
)


def redacted(text: str) -> str:
    return f"[{len(text)}]"


def masked(mask: Mask, value: Any, kind: Kind | None = None) -> Any:
    return masker(mask, {"d": KEY}, redacted, kind)(value)


def cell(mask: Mask, text: str) -> str | None:
    return text_masker(mask, {"d": KEY}, redacted)(text)


@given(value=SCALARS, kind=st.sampled_from([None, *Kind]))
def test_no_value_is_an_error(value: Any, kind: Kind | None) -> None:
    for mask in MASKS:
        shown = masked(mask, value, kind)
        assert shown is None or isinstance(shown, bool | int | float | Decimal | str | date), mask


@given(text=st.text(st.characters(), max_size=40))
def test_no_cell_is_an_error_and_a_text_is_masked_like_the_cell(text: str) -> None:
    for mask in MASKS:
        shown = cell(mask, text)
        assert shown is None or isinstance(shown, str), mask
        if mask != Generalise(step=Step.BUCKET, size=7) and not isinstance(mask, Constant | Generalise):
            assert masked(mask, text) == shown, mask


@given(value=st.one_of(st.integers(10**6, 10**12), st.floats(1e6, 1e12), st.decimals(10**6, 10**12, places=2)))
def test_a_number_is_only_ever_shown_as_its_bucket_or_its_pseudonym(value: Any) -> None:
    for mask in (Partial(), Partial(email=True), Redact(), Null(), Hide(), Generalise(step=Step.PREFIX, size=3)):
        assert masked(mask, value) is None, mask
    bucket = masked(Generalise(step=Step.BUCKET, size=1000), value)
    assert bucket <= value < bucket + 1000
    assert bucket % 1000 == 0
    assert type(bucket) is type(value)


@pytest.mark.parametrize(
    ("mask", "text", "shown"),
    [
        (Partial(), "4111111111111111", "***1111"),
        (Partial(), "1234567", "***"),
        (Partial(keep_last=2), "äöüß", "***üß"),
        (Partial(keep_last=2), "ab\0cd", "***"),
        (Partial(email=True), "a@b@example.org", "***@example.org"),
        (Partial(email=True), "nobody", "***"),
        (Partial(email=True), "a@" + "b" * 999, "***"),
        (Generalise(step=Step.YEAR), "1980-05-17", "1980-01-01"),
        (Generalise(step=Step.MONTH), "1980-05-17T10:00:00Z", "1980-05-01"),
        (Generalise(step=Step.MONTH), "17.05.1980", None),
        (Generalise(step=Step.YEAR), "١٩٨٠-05-17", None),
        (Generalise(step=Step.PREFIX, size=2), "10115", "10"),
        (Generalise(step=Step.PREFIX, size=2), "", ""),
        (Constant(value=True), "x", "true"),
        (Constant(value=1.5), "", "1.5"),
        (Redact(), "call me", "[7]"),
        (Hide(), "x", None),
    ],
)
def test_a_cell_shows(mask: Mask, text: str, shown: str | None) -> None:
    assert cell(mask, text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("-12", "-20"), ("12.99", "10"), ("-0.5", "-10"), ("0", "0"), ("1e5", None), (" 12", None), ("", None),
     ("٣", None), ("9" * 40, None), ("9" * 30, None), ("0x10", None), ("12.", None), ("1_000", None)],
)  # fmt: skip
def test_a_cell_is_bucketed_when_it_is_a_plain_number(text: str, shown: str | None) -> None:
    assert cell(Generalise(step=Step.BUCKET, size=10), text) == shown


def test_a_moment_is_cut_in_utc_and_keeps_its_type() -> None:
    late = datetime(2024, 12, 31, 23, 30, 1, 5, tzinfo=timezone(-timedelta(hours=2)))
    assert masked(Generalise(step=Step.YEAR), late) == datetime(2025, 1, 1, tzinfo=UTC)
    assert masked(Generalise(step=Step.MONTH), NAIVE.replace(hour=7, minute=8)) == NAIVE.replace(day=1)
    shown = masked(Generalise(step=Step.MONTH), date(2024, 5, 6))
    assert (shown, type(shown)) == (date(2024, 5, 1), date)
    for beyond in (FIRST, LAST, date.min, date.max, FIRST.replace(tzinfo=UTC), LAST.replace(tzinfo=timezone.min)):
        assert masked(Generalise(step=Step.YEAR), beyond) is None


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ("x", {Kind.TEXT: "x"}),
        (True, {Kind.TEXT: "true", Kind.BOOLEAN: True}),
        (7, {Kind.TEXT: "7", Kind.SMALLINT: 7, Kind.INTEGER: 7, Kind.BIGINT: 7, Kind.NUMERIC: Decimal(7),
             Kind.FLOAT: 7.0}),
        (2**40, {Kind.TEXT: str(2**40), Kind.BIGINT: 2**40, Kind.NUMERIC: Decimal(2**40), Kind.FLOAT: 2.0**40}),
        (1.5, {Kind.TEXT: "1.5", Kind.NUMERIC: Decimal("1.5"), Kind.FLOAT: 1.5}),
        (float("inf"), {Kind.TEXT: "inf"}),
        ("2024-05-06", {Kind.TEXT: "2024-05-06", Kind.DATE: date(2024, 5, 6), Kind.TIMESTAMP: NAIVE,
                        Kind.ZONED: datetime(2024, 5, 6, tzinfo=UTC)}),
    ],
)  # fmt: skip
def test_a_constant_stands_for_every_value_of_a_column_that_it_fits(value: Any, fits: dict[Kind, Any]) -> None:
    for kind in Kind:
        for raw in (None, "x", 5, b"y"):
            shown = masked(Constant(value=value), raw, kind)
            assert (shown, type(shown)) == (fits.get(kind), type(fits.get(kind))), kind


@given(value=SCALARS)
def test_a_constant_says_nothing_about_a_value_of_any_type(value: Any) -> None:
    assert masked(Constant(value="redacted"), value) == "redacted"


@given(text=st.text(st.characters()), key=st.binary(max_size=200))
def test_a_pseudonym_is_the_keyed_hash_of_rfc_2104(text: str, key: bytes) -> None:
    known = hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]
    assert pseudonym_text(key, text) == text_pseudonyms(key)(text) == known


@given(value=st.integers())
def test_the_pseudonym_of_an_integer_fits_its_column(value: int) -> None:
    digest = hmac.digest(KEY, str(value).encode(), "sha256")
    known = int.from_bytes(digest[:6], "big") if -(2**63) <= value < 2**63 else None
    assert pseudonym_integer(KEY, value) == pseudonym_integer(KEY, value, Kind.BIGINT) == known
    narrow = pseudonym_integer(KEY, value, Kind.INTEGER)
    assert narrow == (int.from_bytes(digest[:4], "big") % 2**31 if -(2**31) <= value < 2**31 else None)
    assert pseudonym_integer(KEY, value, Kind.SMALLINT) is None


def test_a_pseudonym_without_a_key_is_refused_before_any_value_is_seen() -> None:
    for build in (masker, text_masker):
        with pytest.raises(KeyError):
            build(Pseudonym(domain="other"), {"d": KEY}, redacted)


def test_every_mask_has_a_name() -> None:
    assert {kind_of(mask) for mask in MASKS} == {
        "null", "deny", "constant", "partial", "generalise", "pseudonym", "redact"
    }  # fmt: skip
