"""Keys have one form, and what could be read as another key is refused."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.objects.keys import (
    MAX_KEY_BYTES,
    KeyFault,
    KeyRefused,
    decoded,
    parse_key,
    parse_prefix,
    stored_key,
)
from app.policy.resources import Pattern, covers, key_path, object_resource

ODD = st.text(
    alphabet=st.sampled_from("ab./\\%25eEfFcC01*+ é\u0301\u202e\u200b\x00\x7f\ud800\ufffd\u3000"), max_size=12
)
SEGMENTS = st.text(alphabet=st.sampled_from("abZ.-_%*+ é€😀"), min_size=1, max_size=6)


def fault_of(raw: str) -> KeyFault:
    with pytest.raises(KeyRefused) as refused:
        parse_key(raw)
    assert refused.value.detail.endswith(".")
    return refused.value.code


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        ("", KeyFault.EMPTY),
        ("/a", KeyFault.LEADING_SLASH),
        ("//a", KeyFault.LEADING_SLASH),
        ("a//b", KeyFault.SEGMENT),
        ("a/", KeyFault.SEGMENT),
        (".", KeyFault.SEGMENT),
        ("..", KeyFault.SEGMENT),
        ("a/../b", KeyFault.SEGMENT),
        ("a/./b", KeyFault.SEGMENT),
        ("a /b", KeyFault.SEGMENT),
        ("a/ b", KeyFault.SEGMENT),
        ("a/b\u3000", KeyFault.SEGMENT),
        (" ", KeyFault.SEGMENT),
        ("a\\b", KeyFault.CHARACTER),
        ("a\x00b", KeyFault.CHARACTER),
        ("a\nb", KeyFault.CHARACTER),
        ("a\x7fb", KeyFault.CHARACTER),
        ("a\x85b", KeyFault.CHARACTER),
        ("a\udcffb", KeyFault.CHARACTER),
        ("\ufffd", KeyFault.CHARACTER),
        ("a\u202eb", KeyFault.CHARACTER),
        ("a\u200bb", KeyFault.CHARACTER),
        ("a\ufeffb", KeyFault.CHARACTER),
        ("a\u2028b", KeyFault.CHARACTER),
        ("a\ufe0fb", KeyFault.CHARACTER),
        ("a\u3164b", KeyFault.CHARACTER),
        ("a\uf029", KeyFault.CHARACTER),
        ("a\U000e0041b", KeyFault.CHARACTER),
        ("%2e%2e/a", KeyFault.ENCODED_TWICE),
        ("a%2Fb", KeyFault.ENCODED_TWICE),
        ("a%5cb", KeyFault.ENCODED_TWICE),
        ("a%00", KeyFault.ENCODED_TWICE),
        ("a%0a", KeyFault.ENCODED_TWICE),
        ("a%7F", KeyFault.ENCODED_TWICE),
        ("a%252e", KeyFault.ENCODED_TWICE),
        ("x" * (MAX_KEY_BYTES + 1), KeyFault.TOO_LONG),
        ("é" * (MAX_KEY_BYTES // 2 + 1), KeyFault.TOO_LONG),
    ],
)
def test_a_key_that_could_be_read_as_another_is_refused(raw: str, fault: KeyFault) -> None:
    assert fault_of(raw) is fault
    assert stored_key(raw) is None


@pytest.mark.parametrize(
    "raw",
    [
        "a",
        "a/b.csv",
        "...",
        "a/.hidden",
        "a..b",
        "100%",
        "50%41",
        "a+b",
        "a b/c d",
        "x*y",
        "é/€/😀",
        "x" * MAX_KEY_BYTES,
    ],
)
def test_a_key_without_a_second_reading_is_itself(raw: str) -> None:
    assert parse_key(raw) == raw
    assert stored_key(raw) == raw


def test_two_spellings_of_one_text_are_one_key_and_only_that_spelling_of_a_store_is_shown() -> None:
    composed, apart = "\u00e9t\u00e9.csv", "e\u0301te\u0301.csv"
    assert parse_key(apart) == parse_key(composed) == composed
    assert stored_key(composed) == composed
    assert stored_key(apart) is None


@given(ODD)
@example("a/\u0301")
@example("\u0958" * 341)
def test_any_text_is_refused_or_comes_to_a_key_that_stays_as_it_is(raw: str) -> None:
    try:
        key = parse_key(raw)
    except KeyRefused:
        return
    assert parse_key(key) == key == stored_key(key)
    assert unicodedata.is_normalized("NFC", key)
    assert len(key.encode()) <= MAX_KEY_BYTES
    assert not {"", ".", ".."} & set(key.split("/"))
    assert "\\" not in key
    assert all(character.isprintable() or character in "\u3000" for character in key)


@given(ODD)
def test_every_beginning_of_a_segment_of_a_key_is_a_prefix_or_has_a_blank_or_dots_alone(raw: str) -> None:
    key = stored_key(raw)
    if key is None:
        return
    assert parse_prefix(key) == key
    for at in range(len(key)):
        if key[:at].endswith("/"):
            assert parse_prefix(key[:at]) == key[:at]


def test_a_prefix_may_be_empty_end_in_a_slash_or_within_a_segment() -> None:
    for raw in ("", "a/", "a/b/", "a/re", "annual "):
        assert parse_prefix(raw) == raw


@pytest.mark.parametrize("raw", ["/", "/a", "a//", "../", "a/..", "a/. ", ".", " a", "a /", "a\\", "a\x00", "%2e%2e/"])
def test_a_prefix_that_leads_elsewhere_is_refused(raw: str) -> None:
    with pytest.raises(KeyRefused):
        parse_prefix(raw)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"a%2Fb", "a/b"),
        (b"a%2fb", "a/b"),
        (b"a+b", "a+b"),
        (b"%252e", "%2e"),
        (b"%C3%A9t%C3%A9", "été"),
        ("été".encode(), "été"),
        (b"", ""),
        (b"%00", "\x00"),
    ],
)
def test_a_path_is_decoded_once(raw: bytes, text: str) -> None:
    assert decoded(raw) == text


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b"%", KeyFault.PERCENT),
        (b"a%2", KeyFault.PERCENT),
        (b"%zz", KeyFault.PERCENT),
        (b"%u002e", KeyFault.PERCENT),
        (b"%ff", KeyFault.NOT_UTF8),
        (b"%c0%ae%c0%ae", KeyFault.NOT_UTF8),
        (b"%ed%a0%80", KeyFault.NOT_UTF8),
        (b"\xff", KeyFault.NOT_UTF8),
    ],
)
def test_a_path_that_is_not_percent_encoded_utf8_is_refused(raw: bytes, fault: KeyFault) -> None:
    with pytest.raises(KeyRefused) as refused:
        decoded(raw)
    assert refused.value.code is fault


@given(st.text(max_size=30).filter(lambda text: "%" not in text and text.isprintable()))
def test_what_was_encoded_comes_back(text: str) -> None:
    encoded = "".join(f"%{byte:02x}" for byte in text.encode())
    assert decoded(encoded.encode()) == text


@given(
    st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join), st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)
)
def test_two_keys_have_two_resources_and_neither_is_a_pattern_for_the_other(left: str, right: str) -> None:
    a, b = object_resource("lake", left), object_resource("lake", right)
    assert (a == b) == (left == right)
    assert "*" not in a
    assert covers(a, b) == (left == right)


@given(st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join))
def test_a_star_of_a_pattern_takes_one_segment_of_a_key_whatever_stands_in_it(key: str) -> None:
    stars = "/".join("*" for _ in key.split("/"))
    assert Pattern(f"lake/{stars}").covers(object_resource("lake", key))
    assert covers("lake/*", object_resource("lake", key)) == ("/" not in key)
    assert key_path(key).count("/") == key.count("/")
