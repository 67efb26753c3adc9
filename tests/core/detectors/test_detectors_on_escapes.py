"""Strings within strings, envelopes, lines of logs: what stands behind an escape is found, and covered whole."""

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.masking.detectors import DEFAULT, Detectors
from app.masking.detectors.streaming import pieces
from tests.core.detectors.test_detectors_find import after, before, entities, in_order
from tests.detector_values import VALUES

SEEDS = st.integers(0, 2**32)
AWS = "AKIAQYLPMN5HHHFPZAM2"
GITHUB = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"


def nested(text: str, levels: int) -> str:
    """Between its quotes, `levels` strings deep."""
    for _ in range(levels):
        text = json.dumps(text)[1:-1]
    return text


@settings(deadline=None)
@given(st.sampled_from(sorted(VALUES)), SEEDS, st.integers(1, 3), st.sampled_from('\n\t\r\f\b"\u2028'))
def test_every_value_is_found_behind_an_escape(name: str, seed: int, levels: int, sign: str) -> None:
    entity, make = VALUES[name]
    value = make(Random(seed))
    text = nested(f"see{sign}{before(name)}{value}{after(name)}{sign} end", levels)
    # A password may hold a backslash, so it reaches on.
    found = [(one, written.partition("\\")[0] if one == "password" else written) for one, written in entities(text)]
    assert (entity, nested(value, levels)) in found


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ("\\", "\\n", "\\\\t", "\\u0", "\\u0041", "\\ud83d\\ude00", "\\x4", '\\"', "41", "4111 ", "ada@example.com",
             "é", "\u200b", "C:\\", "%4", "%41", "%C3", "&#", "&#64;", "&amp;", "password=", "AKIA",
             "u002B", " ", "n", "😀"),
        ),
        max_size=40,
    )
)  # fmt: skip
def test_texts_made_of_escapes_have_an_answer_in_order(parts: list[str]) -> None:
    text = "".join(parts)
    in_order(text, DEFAULT.find(text))


def test_an_envelope_hides_nothing() -> None:
    body = f"our keys:\n{AWS}\n{GITHUB}\nDE89370400440532013000\n07911 123456\n203.0.113.7"
    envelope = json.dumps({"Type": "Notification", "Message": json.dumps({"ticket": 7, "body": body})})
    assert [written for _, written in entities(envelope)] == body.split("\n")[1:]


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_names_and_values_of_strings_within_strings_are_read(levels: int) -> None:
    written = json.dumps({"password": "hunter2", "api_key": "b11bf0da150f7d8813a2ff949a88e9d3", "n": 1})
    found = [("password", "hunter2"), ("high_entropy", "b11bf0da150f7d8813a2ff949a88e9d3")]
    assert entities(nested(written, levels)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r'{"phone":"\u002B442079460018"}', ("phone", r"\u002B442079460018")),
        (r'{"phone":"\\u002B442079460018"}', ("phone", r"\\u002B442079460018")),
        (r"4111 1111 1111 111\u0031 end", ("card", r"4111 1111 1111 111\u0031")),
        (r"4111 1111 1111 111\ud835\udfcf end", ("card", r"4111 1111 1111 111\ud835\udfcf")),
        (r"ada\u002Btag@example.com", ("email", r"ada\u002Btag@example.com")),
        (r"ada\x40example.com", ("email", r"ada\x40example.com")),
        (r"m\u00fcller@example.de", ("email", r"m\u00fcller@example.de")),
        (r"see\nada@example.com", ("email", "ada@example.com")),
        (r"\"ada lovelace\"@example.com", ("email", r"\"ada lovelace\"@example.com")),
        (r"api_key=d68cf76643d3207f9a2fbe7aa40ea49d\nHello", ("high_entropy", "d68cf76643d3207f9a2fbe7aa40ea49d")),
    ],
)
def test_a_find_covers_whole_escapes_and_no_other(text: str, found: tuple[str, str]) -> None:
    assert entities(text) == [found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("user=ada%40example.com&x=1", ("email", "ada%40example.com")),
        ("phone=%2B442079460018&x=1", ("phone", "%2B442079460018")),
        ("pan=4111%201111%201111%201111&x=1", ("card", "4111%201111%201111%201111")),
        ("m=m%C3%BCller%40example.de", ("email", "m%C3%BCller%40example.de")),
        ("m=%C3%BC%40example.de%0A", ("email", "%C3%BC%40example.de")),
        ("see ada&#64;example.com", ("email", "ada&#64;example.com")),
        ("see ada&#x40;example&#46;com;", ("email", "ada&#x40;example&#46;com")),
        ("see ada&commat;example.com &amp; &#9999999;", ("email", "ada&commat;example.com")),
        (f"see%20{GITHUB}%20", ("github_token", GITHUB)),
        (f"key%3D{AWS}%26", ("aws_key", AWS)),
        ("https://ada:p%40ss1@example.com/", ("url_password", "p%40ss1")),
        ("password=100%20ab!9", ("password", "100%20ab!9")),
    ],
)
def test_escapes_of_urls_and_html_are_read_too(text: str, found: tuple[str, str]) -> None:
    assert entities(text) == [found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"C:\Users\ada\Outlook\nina@example.com.ost", ("email", r"\nina@example.com.ost")),
        (r"CORP\bob@example.com", ("email", r"\bob@example.com")),
        (rf"C:\new\table\npm_{'a1B2' * 9}", ("npm_token", rf"\npm_{'a1B2' * 9}")),
        (rf"tokens\npm_{'a1B2' * 9}", ("npm_token", rf"\npm_{'a1B2' * 9}")),
        (r"password=ab\tz!9x", ("password", r"ab\tz!9x")),
        (r"password=hunter2\tz!9x more", ("password", r"hunter2\tz!9x")),
    ],
)
def test_a_backslash_that_is_no_escape_hides_nothing(text: str, found: tuple[str, str]) -> None:
    assert entities(text) == [found]


def test_paths_and_expressions_are_left_alone() -> None:
    assert entities(r"C:\new\table\0815\readme.txt, \d+\.\d+, \textbf{new}, \\server\share, \u00e9, 100\%") == []
    assert entities("50%20 off, 100%, 7%, a&b;, &copy; 1999&ndash;2026") == []


def test_a_field_beside_an_escape_counts_as_ever() -> None:
    assert entities(r"078051120\n", field="ssn") == [("national_id", "078051120")]
    assert Detectors(disabled=frozenset({"email"})).find(r"\nada@example.com") == []


@settings(deadline=None)
@given(SEEDS, st.integers(0, 2**32), st.integers(1, 3))
def test_an_escape_across_a_border_is_read_as_one(seed: int, borders: int, levels: int) -> None:
    draw = Random(seed)
    names = ("email", "card_spaced", "iban_spaced", "phone_plus", "ip", "jwt", "id_us")
    lines = ["the customer wrote «" + VALUES[draw.choice(names)][1](draw) for _ in range(60)]
    text = nested("\n".join(f'\t{line}"' for line in lines), levels)
    cuts = sorted(Random(borders).choices(range(len(text) + 1), k=40))
    chunks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    seen, at = [], 0
    for piece, found in pieces(DEFAULT.find, chunks, longest=400, piece=Random(borders).randrange(200, 400)):
        seen += [(one.entity, at + one.start, at + one.end) for one in found]
        at += len(piece)
    assert seen == [(one.entity, one.start, one.end) for one in DEFAULT.find(text)]
    assert len(seen) >= 60
