"""Which label a column deserves, by its name, its type and a sample of its values."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.masking.detectors import find
from app.masking.detectors.classifying import Suggestion, classify
from tests.detector_values import VALUES


def suggested(name: str, values: list[object], declared_type: str = "text") -> Suggestion | None:
    return classify(find, name, declared_type, values)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("customerEmail", "pii.email"),
        ("E_MAIL_2", "pii.email"),
        ("billing.contact.courriel", "pii.email"),
        ("Telefonnummer", "pii.phone"),
        ("numéro_de_téléphone", "pii.phone"),
        ("телефон", "pii.phone"),
        ("电话", "pii.phone"),
        ("first_name", "pii.name"),
        ("Nachname", "pii.name"),
        ("apellidos", "pii.name"),
        ("geburtsdatum", "pii.birth_date"),
        ("shippingAddress", "pii.address"),
        ("zip", "pii.address"),
        ("cardNumber", "pci.card_number"),
        ("iban", "pci.iban"),
        ("bsn", "pii.national_id"),
        ("codice_fiscale", "pii.national_id"),
        ("client_ip", "pii.ip"),
        ("Passwort", "secret.password"),
        ("apiKey", "secret.high_entropy"),
    ],
)
def test_a_name_alone_is_a_guess(name: str, label: str) -> None:
    guess = suggested(name, [])
    assert guess is not None
    assert (guess.label, 0.6 < guess.confidence < 0.8) == (label, True)


@pytest.mark.parametrize(
    "name", ["amount", "hotel", "description", "shape", "recipe", "created_by", "panel", "strip", "name"]
)
def test_names_that_merely_contain_such_a_word_say_nothing(name: str) -> None:
    assert suggested(name, []) is None


@pytest.mark.parametrize("declared", ["boolean", "timestamptz", "integer", "numeric(10,2)", "double precision"])
def test_a_type_that_cannot_hold_it_makes_a_name_mean_something_else(declared: str) -> None:
    assert suggested("email_sent", [], declared) is None


def test_a_date_of_birth_may_be_a_date_and_a_phone_a_number() -> None:
    assert suggested("birth_date", [], "date") is not None
    assert suggested("phone", [2079460018], "bigint") is not None


@pytest.mark.parametrize("slot", ["email", "card", "iban", "ip", "phone_plus", "id_us", "github_token"])
def test_values_outweigh_a_name_that_says_something_else(slot: str) -> None:
    draw = Random(5)
    values: list[object] = [VALUES[slot][1](draw) for _ in range(40)]
    found = suggested("first_name", [*values, None, "", "n/a"])
    assert found is not None
    assert found.confidence > 0.9
    assert found.label.endswith({"card": "card_number", "id_us": "national_id", "phone_plus": "phone"}.get(slot, slot))


def test_text_that_holds_some_is_less_sure_than_a_column_of_them() -> None:
    notes = suggested("notes", ["please call +44 20 7946 0018 after five, or never", "nothing", "to do"])
    phones = suggested("notes", ["+44 20 7946 0018", "+44 20 7946 0019", "-"])
    assert notes is not None
    assert phones is not None
    assert notes.label == phones.label == "pii.phone"
    assert notes.confidence < phones.confidence


def test_a_name_that_no_value_bears_out_is_a_weak_guess() -> None:
    guess = suggested("ip", ["n/a", "unknown"])
    assert guess is not None
    assert guess.confidence < 0.5


@settings(deadline=None)
@given(
    st.text(),
    st.text(),
    st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(), max_size=5),
)
def test_any_column_has_an_answer(name: str, declared: str, values: list[object]) -> None:
    found = suggested(name, values, declared)
    assert found is None or 0 < found.confidence <= 1
