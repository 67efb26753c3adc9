"""Free text through the gateway: without the personal data in it for those who may not read it, in conditions too."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.running import Running, demo

TICKET = 900_001
SUBJECT = "Call +44 20 7946 0018 or write to ada@example.com about 4111 1111 1111 1111"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A demo in which somebody wrote about herself where nobody should."""
    state: Path = tmp_path_factory.mktemp("demo")
    with demo(state) as running:
        with closing(sqlite3.connect(state / "shop.db")) as database, database:
            database.execute(
                "INSERT INTO tickets (id, customer_id, subject, body, priority, status, opened_at) "
                "VALUES (?, 1, ?, ?, 'low', 'open', '2026-01-01 10:00:00')",
                (TICKET, SUBJECT, SUBJECT),
            )
        yield running


def test_a_description_says_that_text_comes_redacted(desk: Running) -> None:
    with desk.client(headers=desk.auth("ana")) as client:
        tables = client.get("/v1/connections/shop").json()["tables"]
    (columns,) = (table["columns"] for table in tables if table["name"] == "tickets")
    shown = {column["name"]: (column["comes"], column["mask"]) for column in columns}
    assert shown["subject"] == ("masked", "redact")
    assert shown["body"] == ("masked", "null")


def test_text_comes_with_labels_where_personal_data_was(desk: Running) -> None:
    answer = desk.query("ana", f"SELECT subject, body FROM tickets WHERE id = {TICKET}")
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert document["rows"] == [["Call [pii.phone] or write to [pii.email] about [pci.card_number]", None]]
    raw = desk.query("sam", f"SELECT subject FROM tickets WHERE id = {TICKET}").json()
    assert raw["rows"] == [[SUBJECT]]


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("subject LIKE '%ada@%'", 0),
        ("instr(subject, '7946') > 0", 0),
        ("subject LIKE '%[pii.email]%'", 1),
        ("subject = (SELECT max(subject) FROM tickets WHERE subject LIKE '%[pci.card_number]')", 1),
    ],
)
def test_conditions_see_what_the_caller_sees(desk: Running, condition: str, rows: int) -> None:
    answer = desk.query("ana", f"SELECT id FROM tickets WHERE id = {TICKET} AND {condition}")
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["rows"]) == rows


def test_nobody_calls_the_function_that_redacts(desk: Running) -> None:
    answer = desk.query("ana", "SELECT douane_redact('ada@example.com')")
    assert answer.json()["code"] == "sql_function_not_allowed"
