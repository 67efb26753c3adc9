"""Text in pieces gives what the whole text gives, wherever the borders lie."""

import base64
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from app.masking.detectors import DEFAULT
from app.masking.detectors.streaming import LONGEST_ENTITY, pieces
from tests.detector_values import VALUES, private_key

SEEDS = st.integers(0, 2**32)
WORDS = [
    "the",
    "customer",
    "wrote",
    "again",
    "and",
    "asked",
    "whether",
    "anything",
    "had",
    "been",
    "sent",
    "on",
    "that",
    "day",
    "or",
    "not",
]


def long_text(seed: int) -> str:
    draw = Random(seed)
    parts = []
    for _ in range(60):
        parts.append(" ".join(draw.choices(WORDS, k=draw.randrange(1, 12))))
        parts.append(
            VALUES[draw.choice(("email", "card_spaced", "iban_spaced", "phone_plus", "ip", "jwt", "id_us"))][1](draw)
        )
    return "\n".join(parts)


def cut(text: str, seed: int) -> list[str]:
    draw = Random(seed)
    borders = sorted(draw.choices(range(len(text) + 1), k=12))
    return [text[a:b] for a, b in zip([0, *borders], [*borders, len(text)], strict=True)]


@settings(deadline=None)
@given(SEEDS, SEEDS)
def test_borders_hide_nothing(seed: int, borders: int) -> None:
    text = long_text(seed)
    whole = [(one.entity, text[one.start : one.end], one.start) for one in DEFAULT.find(text)]
    assert len(whole) > 40
    seen, at, again = [], 0, ""
    for piece, found in pieces(DEFAULT.find, cut(text, borders), longest=400, piece=300):
        seen += [(one.entity, piece[one.start : one.end], at + one.start) for one in found]
        at += len(piece)
        again += piece
    assert again == text
    assert seen == whole


def test_a_private_key_across_a_border_is_found_whole() -> None:
    key = private_key(Random(3))
    text = "x " * 50_000 + key + " y" * 50_000
    found = [
        piece[one.start : one.end]
        for piece, all_found in pieces(DEFAULT.find, [text[:100_100], text[100_100:]], piece=100_050 - LONGEST_ENTITY)
        for one in all_found
    ]
    assert found == [key]


def test_a_private_key_that_is_longer_than_a_piece_is_found_to_its_end() -> None:
    draw = Random(4)
    lines = [base64.b64encode(draw.randbytes(48)).decode() for _ in range(3_000)]
    text = "\n".join(["x; " * 900 + "-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", "y; " * 9_000])
    uncovered = ""
    for piece, found in pieces(DEFAULT.find, [text], longest=2_000, piece=3_000):
        at = 0
        for one in found:
            uncovered, at = uncovered + piece[at : one.start], one.end
        uncovered += piece[at:]
    assert uncovered == "x; " * 900 + "\n" + "y; " * 9_000


def test_no_more_is_held_than_the_longest_entity_and_a_piece() -> None:
    seen = 0

    def find(text: str) -> list[object]:
        nonlocal seen
        seen = max(seen, len(text))
        return []

    text = "a " * 50_000
    assert "".join(piece for piece, _ in pieces(find, (text for _ in range(20)), piece=10_000)) == text * 20  # type: ignore[arg-type]
    assert seen <= 10_000 + LONGEST_ENTITY + 256
