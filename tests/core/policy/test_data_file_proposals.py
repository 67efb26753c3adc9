"""What is proposed for a data file: labels that are there stay, `allow` may become one, and all else is as it was."""

from copy import deepcopy
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.masking.detectors.classifying import Suggestion
from app.policy.connections import ConnectionKind
from app.policy.data_editing import EMPTY, REWRITTEN, changed_lines, edited
from app.policy.data_files import read_data_files
from app.policy.documents import Document, read_document
from app.policy.findings import Finding
from app.policy.proposing import Looked, Proposal, Section, Standing, merged

SURE, UNSURE = 0.9, 0.3
SHOP = """\
# What the shop is.
default: mask
tables:
  main.orders:
    subject: customer_id  # who bought
    columns:
      id: allow
      note: allow
      status: allow   # a word

      # two addresses, both of people
      mail: pii.email
    rows:
      "*": "true"

  main.products:
    columns: {id: allow, sku: "allow"}
"""


def document_of(text: str) -> Document:
    found: list[Finding] = []
    document = read_document("data/shop.yaml", text.encode(), found)
    assert document is not None, found
    return document


def looked(name: str, word: str | None = None, label: str | None = "pii.email", confidence: float = SURE) -> Looked:
    suggestion = None if label is None else Suggestion(label, confidence, f"its name, {name}")
    return Looked(name=name, word=word, suggestion=suggestion, sampled=10)


def proposal(*sections: Section) -> Proposal:
    return Proposal(root="tables", sections=sections)


def orders(*fields: Looked) -> Proposal:
    return proposal(Section(name="main.orders", looked=fields))


def proposed(text: str, wanted: Proposal) -> str:
    return edited(text, document_of(text), wanted)


def added_and_gone(before: str, after: str) -> tuple[list[str], list[str]]:
    lines = [line.rstrip("\n") for line in changed_lines(before, after, "x")][2:]
    return [line[1:] for line in lines if line[0] == "+"], [line[1:] for line in lines if line[0] == "-"]


@pytest.mark.parametrize(
    ("field", "standing"),
    [
        (looked("a"), Standing.PROPOSED),
        (looked("a", "allow"), Standing.PROPOSED),
        (looked("a", confidence=UNSURE), Standing.WEAK),
        (looked("a", label=None), Standing.CLEAR),
        (looked("a", "mask"), Standing.LABELLED),
        (looked("a", "deny"), Standing.LABELLED),
        (looked("a", "business.cost"), Standing.LABELLED),
    ],
)
def test_only_what_comes_raw_or_has_no_label_gets_one(field: Looked, standing: Standing) -> None:
    assert field.standing(0.5) is standing


def test_a_label_that_is_there_stays_whatever_was_found() -> None:
    text = "tables: {main.orders: {columns: {mail: pii.name, phone: mask, card: deny}}}\n"
    wanted = orders(looked("mail", "pii.name"), looked("phone", "mask"), looked("card", "deny", "pci.card_number"))
    assert proposed(text, wanted) == text
    assert list(wanted.exposed()) == []


def test_a_new_column_stands_behind_the_others_and_nothing_else_changes() -> None:
    after = proposed(SHOP, orders(looked("mail", "pii.email"), looked("second_mail")))
    added, gone = added_and_gone(SHOP, after)
    assert (added, gone) == (["      second_mail: pii.email  # 0.90: its name, second_mail"], [])
    assert list(document_of(after).value["tables"]["main.orders"]["columns"])[-1] == "second_mail"


def test_what_came_raw_is_replaced_on_its_line() -> None:
    after = proposed(SHOP, orders(looked("note", "allow"), looked("status", "allow", "pii.phone")))
    added, gone = added_and_gone(SHOP, after)
    assert gone == ["      note: allow", "      status: allow   # a word"]
    assert added == ["      note: pii.email  # 0.90: its name, note", "      status: pii.phone   # a word"]


def test_a_mapping_in_braces_takes_a_column_too() -> None:
    section = Section(name="main.products", looked=(looked("sku", "allow"), looked("made by", None, "pii.name")))
    added, _ = added_and_gone(SHOP, proposed(SHOP, proposal(section)))
    assert added == ['    columns: {id: allow, sku: pii.email, "made by": pii.name}']


def test_what_is_doubtful_or_clear_is_a_comment() -> None:
    after = proposed(SHOP, orders(looked("tel", None, "pii.phone", UNSURE), looked("total", label=None)))
    assert document_of(after).value == document_of(SHOP).value
    added, _ = added_and_gone(SHOP, after)
    assert added == ["      # tel: pii.phone  # only 0.30: its name, tel", "      # total: allow"]


def test_a_table_in_which_nothing_was_found_is_a_comment_as_a_whole() -> None:
    after = proposed(SHOP, proposal(Section(name="main.colours", looked=(looked("name", label=None),))))
    added, _ = added_and_gone(SHOP, after)
    assert added == ["  # main.colours:", "  #   columns:", "  #     name: allow"]


def test_a_file_that_is_not_there_yet_is_proposed_as_a_whole() -> None:
    after = proposed(EMPTY, orders(looked("mail"), looked("id", label=None)))
    expected = {"default": "mask", "tables": {"main.orders": {"columns": {"mail": "pii.email"}}}}
    assert document_of(after).value == expected
    assert "# id: allow" in after


def test_an_entry_without_columns_gets_them() -> None:
    text = "tables:\n  main.orders:\n    max_rows: 5\n"
    after = proposed(text, orders(looked("mail")))
    assert document_of(after).value == {"tables": {"main.orders": {"columns": {"mail": "pii.email"}, "max_rows": 5}}}
    assert not after.startswith(REWRITTEN)


def test_a_layout_that_takes_no_line_is_written_anew_and_says_so() -> None:
    text = "tables: {main.orders: {max_rows: 5}}  # short\n"
    after = proposed(text, orders(looked("mail")))
    assert after.startswith(REWRITTEN)
    assert document_of(after).value == {"tables": {"main.orders": {"max_rows": 5, "columns": {"mail": "pii.email"}}}}


def test_globs_and_paths_are_written_so_that_they_load() -> None:
    text = "default: mask\nobjects:\n  notes/*.txt: {format: text}\n"
    wanted = Proposal(
        root="objects",
        sections=(
            Section(name="*.csv", looked=(looked("E-Mail: privat"),), format="csv"),
            Section(name="orders/*.json", looked=(looked("$.orders[*]['e mail']"),), key="paths", format="json"),
            Section(name="raw/**", looked=(looked("mail", "allow"),), fixed="its content comes raw"),
        ),
    )
    findings: list[Finding] = []
    after = proposed(text, wanted)
    data = read_data_files({"data/lake.yaml": after.encode()}, {"lake": ConnectionKind.OBJECTS}, findings)
    assert findings == []
    assert data.labels == {"pii.email"}
    assert document_of(after).value["objects"].keys() == {"notes/*.txt", "*.csv", "orders/*.json"}
    assert [(section.name, one.name) for section, one in wanted.exposed()][-1] == ("raw/**", "mail")


def test_a_name_that_looks_like_policy_stays_a_name() -> None:
    name = "x\n      id: allow\r\u2028 # \x1b[2J"
    after = proposed(SHOP, orders(looked(name), looked("y\nz: deny", confidence=UNSURE)))
    columns = document_of(after).value["tables"]["main.orders"]["columns"]
    assert columns == {**document_of(SHOP).value["tables"]["main.orders"]["columns"], name: "pii.email"}
    assert "\x1b" not in after


def test_a_place_that_people_reviewed_counts_no_more() -> None:
    wanted = orders(looked("note", "allow"), looked("mail", "pii.email"), looked("tel"))
    assert [one.name for _, one in wanted.exposed()] == ["note", "tel"]
    assert [one.name for _, one in wanted.exposed(["main.orders note"])] == ["tel"]


NAMES = st.one_of(
    st.sampled_from(["id", "mail", "note", "*", "a b", "yes", "#", "- x", "true", "1"]), st.text(min_size=1)
)
WORDS = st.sampled_from(["allow", "mask", "deny", "pii.name"])
TABLES = st.dictionaries(
    st.sampled_from(["main.a", "main.b", "main.c", "main.%2E"]),
    st.fixed_dictionaries(
        {}, optional={"columns": st.dictionaries(NAMES, WORDS), "max_rows": st.integers(1, 9), "description": st.text()}
    ),
)
FOUND = st.builds(
    Suggestion, st.sampled_from(["pii.email", "secret.jwt"]), st.sampled_from([UNSURE, SURE]), st.just("because")
)


@st.composite
def written_and_found(draw: st.DrawFn) -> tuple[dict[str, Any], Proposal]:
    written = {"default": "mask", "tables": draw(TABLES)}
    sections = []
    for name in draw(st.lists(st.sampled_from(["main.a", "main.b", "main.c", "main.d"]), unique=True)):
        columns = written["tables"].get(name, {}).get("columns", {})
        names = draw(st.lists(NAMES, unique=True, max_size=4)) + list(columns)
        fields = [
            Looked(name=each, word=columns.get(each), suggestion=draw(st.none() | FOUND), sampled=1)
            for each in dict.fromkeys(names)
        ]
        sections.append(Section(name=name, looked=tuple(fields)))
    return written, proposal(*sections)


@settings(deadline=None)
@given(written_and_found(), st.sampled_from([True, False, None]), st.integers(2, 5))
def test_the_text_holds_exactly_what_was_there_and_what_is_proposed(
    case: tuple[dict[str, Any], Proposal], flow: bool | None, indent: int
) -> None:
    written, wanted = case
    text = yaml.safe_dump(written, default_flow_style=flow, sort_keys=False, allow_unicode=True, indent=indent)
    document = document_of(text)
    before = deepcopy(document.value)
    after = document_of(edited(text, document, wanted)).value
    assert document.value == before
    assert after == merged(before, wanted)
    for table, entry in before["tables"].items():
        for column, word in (entry.get("columns") or {}).items():
            kept = after["tables"][table]["columns"][column]
            assert kept == word or (word == "allow" and kept in ("pii.email", "secret.jwt"))
    for section in wanted.sections:
        for name, label in wanted.proposed(section).items():
            assert after["tables"][section.name]["columns"][name] == label


NEXT_LINE = {"tables": {"main.a": {"columns": {"\x85": "allow", "id": "allow"}}}}
FOUND_THERE = proposal(
    Section(
        name="main.a",
        looked=tuple(Looked(name=each, word="allow", suggestion=None, sampled=1) for each in ("\x85", "id", "new")),
    )
)


@settings(deadline=None)
@given(written_and_found())
@example((NEXT_LINE, FOUND_THERE))
def test_what_was_proposed_and_taken_is_not_proposed_again(case: tuple[dict[str, Any], Proposal]) -> None:
    written, wanted = case
    text = yaml.safe_dump(written, sort_keys=False, allow_unicode=True)
    once = edited(text, document_of(text), wanted)
    columns = {name: entry.get("columns") or {} for name, entry in document_of(once).value["tables"].items()}
    again = proposal(
        *(
            Section(
                name=section.name,
                looked=tuple(
                    Looked(
                        name=each.name,
                        word=columns.get(section.name, {}).get(each.name),
                        suggestion=each.suggestion,
                        sampled=1,
                    )
                    for each in section.looked
                ),
            )
            for section in wanted.sections
        )
    )
    assert list(again.exposed()) == []
    assert document_of(edited(once, document_of(once), again)).value == document_of(once).value
