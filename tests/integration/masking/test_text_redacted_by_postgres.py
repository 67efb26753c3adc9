"""What PostgreSQL shows of a redacted text: whatever the detectors know is gone, and ordinary words stay."""

import re
from collections.abc import Iterator

import phonenumbers
import pytest
from asking_postgres import Asking
from entities_in_texts import TEXTS
from hypothesis import HealthCheck, example, given, settings

from app.masking.detectors import DEFAULT, ENTITIES, Detectors, Entity
from app.masking.masks import Redact
from app.sql.postgres.redaction import LONGEST_BYTES
from tests.servers import PostgresServer

EVEN_UNLIKELY = Detectors(min_score=0.01)
"""A find with any score: the patterns must not rest on what the detectors make of the words around."""
_RANDOM = "Zq8vN2rT5kLm9xYc3WbJ7hQd4sGf6pAe1uRo0iVt"
EXAMPLES = {
    "email": "ada@example.com",
    "phone": "+44 20 7946 0018",
    "card": "4111 1111 1111 1111",
    "iban": "GB33 BUKB 2020 1555 5555 55",
    "national_id": "RSSMRA85T10A562S",
    "ip": "203.0.113.77",
    "aws_key": "AKIA" + "ABCDEFGH234567QR",
    "aws_secret": "aws_secret_access_key = " + _RANDOM,
    "github_token": "ghp_" + _RANDOM[:36],
    "gitlab_token": "glpat-" + _RANDOM[:20],
    "slack_token": "xoxb-" + "1234567890",
    "stripe_key": "sk_live_" + _RANDOM[:24],
    "google_key": "AIza" + _RANDOM[:35],
    "azure_key": "AccountKey=" + (_RANDOM * 3)[:86] + "==",
    "npm_token": "npm_" + _RANDOM[:36],
    "pypi_token": "pypi-AgE" + (_RANDOM * 2)[:60],
    "openai_key": "sk-proj-" + _RANDOM,
    "anthropic_key": "sk-ant-" + _RANDOM,
    "telegram_token": "123456789:AA" + _RANDOM[:33],
    "service_token": "hf_" + "abcdefghij" * 3 + "ABCD",
    "private_key": "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    "url_password": "https://ada:s3cr3t9@example.com/",
    "password": "password: hunter2",
    "high_entropy": "api_key=" + _RANDOM,
}


@pytest.fixture(scope="module")
def postgres(server: PostgresServer) -> Iterator[Asking]:
    asking = Asking(server)
    yield asking
    asking.close()


def shown(postgres: Asking, text: str | None, kind: str = "text") -> str | None:
    (found,) = postgres.masked([Redact()], kind, text)
    return None if found is None else str(found)


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.name)
def test_every_entity_goes_with_all_its_words(postgres: Asking, entity: Entity) -> None:
    text = f"Dear team, {EXAMPLES[entity.name]}\nand thanks"
    written = [text[found.start : found.end] for found in DEFAULT.find(text) if found.entity == entity.name]
    assert len(written) == 1
    left = shown(postgres, text)
    assert left is not None
    assert left.startswith("Dear team, [redacted]")
    assert [part for part in re.findall(r"\w+", written[0]) if part in left] == []


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=TEXTS)
@example(text="пароль  is ٠٠٠٠")
@example(text="QQ 12 34 56 C, 2A 85 05")
@example(text='"john doe"@example.com')
def test_detectors_find_nothing_in_what_is_left(postgres: Asking, text: str) -> None:
    left = shown(postgres, text)
    assert left is not None
    assert EVEN_UNLIKELY.find(left) == []


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_a_telephone_number_of_any_country_goes(postgres: Asking, region: str) -> None:
    number = phonenumbers.example_number(region)
    assert number is not None
    for form in (phonenumbers.PhoneNumberFormat.INTERNATIONAL, phonenumbers.PhoneNumberFormat.NATIONAL):
        text = f"tel: {phonenumbers.format_number(number, form)}"
        left = shown(postgres, text) or ""
        assert sum(c.isdigit() for c in left) < 6, text
        assert EVEN_UNLIKELY.find(left) == []


@pytest.mark.parametrize(
    "text",
    [
        "The parcel arrived on Monday, it was fine. Thanks!",
        "Größe 42 ist zu klein; bitte um Umtausch – danke 😀",
        "Order 1234 of 12 items: 2 are missing.",
        "Клиент просит перезвонить завтра утром",
        "¿Dónde está mi pedido?",
        "",
    ],
)
def test_ordinary_words_stay(postgres: Asking, text: str) -> None:
    assert shown(postgres, text) == text


def test_what_cannot_be_redacted_is_null(postgres: Asking) -> None:
    assert shown(postgres, None) is None
    assert shown(postgres, "x " * (LONGEST_BYTES // 2)) is not None
    assert shown(postgres, "x " * (LONGEST_BYTES // 2) + "x") is None
    assert shown(postgres, "é " * (LONGEST_BYTES // 3 + 1)) is None
    assert postgres.masked([Redact()], "integer", 7) == [None]


def test_a_column_of_another_collation_is_redacted_and_compared_like_any_other(
    postgres: Asking, server: PostgresServer
) -> None:
    server.psql(
        "CREATE COLLATION IF NOT EXISTS loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
        "CREATE TABLE IF NOT EXISTS notes (c text COLLATE loose, other text);"
        "INSERT INTO notes VALUES ('Mail ADA@example.com', 'Mail [redacted]')"
    )
    assert postgres.column(Redact(), "SELECT * FROM notes", "t.c = t.other") == ["Mail [redacted]"]


@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP", "SQL_ASCII"])
def test_a_database_whose_characters_are_not_known_shows_null(server: PostgresServer, encoding: str) -> None:
    name = f"in_{encoding.lower()}"
    server.psql(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    asking = Asking(server, name)
    try:
        assert shown(asking, "hello") is None
    finally:
        asking.close()
