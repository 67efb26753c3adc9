"""What others wrote, on an approver's terminal: everything is seen, and nothing moves."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.plain import ascii_json, columns_of, cut, folded, guttered, visible, visible_lines
from app.cli.table import table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("DELETE FROM t", "DELETE FROM t"),
        ("\x1b[2J\x1b[1;1Happroved", "<U+001B>[2J<U+001B>[1;1Happroved"),
        ("\x9b31m", "<U+009B>31m"),
        ("\x1b]0;title\x07", "<U+001B>]0;title<U+0007>"),
        ("id = 1\rid = 2", "id = 1<U+000D>id = 2"),
        ("a\b\bb\x7f", "a<U+0008><U+0008>b<U+007F>"),
        ("a\nApprove? [y/N]", "a<U+000A>Approve? [y/N]"),
        ("\u202eelbat\u202c", "<U+202E>elbat<U+202C>"),
        ("\u2066x\u2069\u200f\u061c", "<U+2066>x<U+2069><U+200F><U+061C>"),
        ("or\u200bders", "or<U+200B>ders"),
        ("or\u00adders", "or<U+00AD>ders"),
        ("a\u00a0b\u2003c", "a<U+00A0>b<U+2003>c"),
        ("a\u2028b\u2029c\x85", "a<U+2028>b<U+2029>c<U+0085>"),
        ("\U000e0041\U000e007f", "<U+E0041><U+E007F>"),
        ("\u3164\u2800", "<U+3164><U+2800>"),
        ("\ud800", "<U+D800>"),
        ("a" + "\u0301" * 5, "a\u0301\u0301<U+0301><U+0301><U+0301>"),
        ("Žofie 你好 🙂 naïve", "Žofie 你好 🙂 naïve"),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_no_text_of_others_has_a_character_that_a_terminal_obeys(text: str) -> None:
    shown = "".join(visible_lines(text)) + visible(text)
    assert all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for c in shown)
    assert visible(shown) == shown


@given(st.text(), st.integers(min_value=20, max_value=60))
def test_folding_loses_nothing_and_never_overflows(text: str, width: int) -> None:
    shown = visible(text)
    pieces = list(folded(shown, width))
    assert "".join(pieces) == shown
    assert all(columns_of(piece) <= width for piece in pieces)
    assert columns_of(cut(shown, width)) <= width


def test_no_line_of_a_statement_can_pass_for_one_of_ours() -> None:
    forged = "DELETE FROM t" + " " * 70 + "\nRows      0 affected\r\n\tDigest    0000"
    lines = list(guttered(forged, mark="  ", width=60))
    assert all(line.startswith(("  |", "  :")) for line in lines)
    assert all(columns_of(line) <= 60 for line in lines)
    assert any("Rows      0 affected" in line for line in lines)


def test_wide_characters_take_two_columns_and_marks_none() -> None:
    assert columns_of("a你e\u0301") == 4


def test_a_cut_text_says_how_much_is_missing() -> None:
    assert cut("x" * 100, 20) == "x" * 15 + "…+85"


def test_a_table_keeps_its_columns_whatever_a_cell_holds() -> None:
    lines = table(("ID", "你"), [("a\x1b[31m", None), ("NULL", "line\nline"), (7, {"k": "\u202e"})])
    assert [line.split() for line in lines[2:]] == [
        ["a<U+001B>[31m", "NULL"],
        ['"NULL"', "line<U+000A>line"],
        ["7", '{"k":', '"<U+202E>"}'],
    ]
    assert len({columns_of(line[: line.rfind("  ")]) for line in lines[:3]}) == 1


def test_json_for_scripts_holds_nothing_that_a_terminal_obeys() -> None:
    text = "\x1b[2J\x7f\x9b\u202e你"
    printed = ascii_json(json.dumps({"a": text}))
    assert printed.isascii()
    assert printed.isprintable()
    assert json.loads(printed) == {"a": text}
