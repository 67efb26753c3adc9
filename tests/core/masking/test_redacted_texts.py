"""Running text: what is found is replaced as the caller may see it, and nothing else changes."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.masking.detectors import DEFAULT, ENTITIES, Entity, Found
from app.masking.masks import Constant, Generalise, Hide, Mask, Null, Partial, Pseudonym, Redact, Step
from app.masking.redaction import labels_only, redactor
from app.masking.values import pseudonym_text, text_masker

KEY = b"k" * 32
NUMBERED = re.compile(r"#[0-9]+|@[a-z]+")


def numbered(text: str) -> Sequence[Found]:
    """`#12` is an order, `@ada` a person."""
    return [
        Found("order", "shop.order", m.start(), m.end(), 1.0)
        if m[0][0] == "#"
        else Found("person", "pii.name", m.start(), m.end(), 1.0)
        for m in NUMBERED.finditer(text)
    ]


def shown(text: str, mask: Mask | None, default: Mask | None = Null()) -> str:  # noqa: B008 - frozen
    of = {m: None if m is None else text_masker(m, {"d": KEY}, str) for m in (mask, default)}
    return redactor(numbered, {"pii.name": of[mask]}, of[default])(text)


@pytest.mark.parametrize(
    ("mask", "written"),
    [
        (None, "@ada"),
        (Null(), "[pii.name]"),
        (Hide(), "[pii.name]"),
        (Generalise(step=Step.YEAR), "[pii.name]"),
        (Generalise(step=Step.PREFIX, size=2), "@a"),
        (Constant(value="somebody"), "somebody"),
        (Partial(keep_last=2), "***da"),
        (Pseudonym(domain="d"), pseudonym_text(KEY, "@ada")),
    ],
)
def test_what_is_found_comes_as_its_mask_says(mask: Mask | None, written: str) -> None:
    assert shown("ask @ada.", mask) == f"ask {written}."


def test_a_label_that_is_not_named_comes_as_the_default() -> None:
    assert shown("#1 of @ada", None) == "[shop.order] of @ada"
    assert shown("#1 of @ada", Null(), None) == "#1 of [pii.name]"
    assert shown("#1#2@a@b", Partial(keep_last=0), Redact()) == "#1#2******"


@given(text=st.text(st.sampled_from("#1@a .[]"), max_size=30))
def test_everything_else_stays_where_it_is(text: str) -> None:
    assert shown(text, None, None) == text
    assert shown(text, Constant(value="!"), Constant(value="!")) == NUMBERED.sub("!", text)
    assert labels_only(numbered)(text) == NUMBERED.sub(
        lambda m: "[shop.order]" if m[0][0] == "#" else "[pii.name]", text
    )


REDACT = labels_only(DEFAULT.find)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("write to ada@example.com, please", "write to [pii.email], please"),
        ("card 4111 1111 1111 1111 of ada@example.com", "card [pci.card_number] of [pii.email]"),
        ("password: hunter2, he said", "password: [secret.password], he said"),
        ("nothing here", "nothing here"),
        ("", ""),
    ],
)
def test_a_text_for_everybody_has_labels_where_entities_were(text: str, redacted: str) -> None:
    assert REDACT(text) == redacted


@pytest.mark.parametrize(
    "before", ["", "password: ", "api_key=", "my token is ", "tel ", "Authorization: Bearer ", '"key": "']
)
@pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.name)
def test_a_label_is_not_redacted_again(before: str, entity: Entity) -> None:
    text = f"{before}[{entity.label}] and ada@example.com"
    assert REDACT(text) == text.replace("ada@example.com", "[pii.email]")
