import base64
import io
import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.masking.detectors import DEFAULT
from app.masking.masks import Constant, Hide, Mask, Null, Redact
from app.objects.formats import Wrapping
from app.objects.redacting import covering
from app.objects.refusal import ContentFault
from app.objects.sink import Sink
from app.objects.text import AHEAD_CHARACTERS, WINDOW_CHARACTERS, render_text
from app.policy.content import ContentView, FieldView
from tests.core.objects.renderings import EMAIL, RAW, refusal, rendered, shown

REDACTED = FieldView(mask=Redact())
VIEW = ContentView(text=REDACTED, default_found=FieldView(mask=Null()))


def in_windows(text: str, view: ContentView, window: int, ahead: int) -> str:
    out = io.BytesIO()
    render_text(
        io.BytesIO(text.encode()), Sink(out, Wrapping.NONE, 1 << 30), covering(view, {}), DEFAULT.find, window, ahead
    )
    return out.getvalue().decode()


WORDS = st.sampled_from(
    [
        "ada@example.org",
        "4111 1111 1111 1111",
        "GB33BUKB20201555555555",
        "hello",
        "the card:",
        "é",
        "\n",
        "1.2.3",
        "mail",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS, max_size=40), st.integers(min_value=1, max_value=60))
def test_what_lies_across_a_border_is_covered(words: list[str], window: int) -> None:
    text = " ".join(words)
    content = in_windows(text, VIEW, window, 64)
    for hidden in ("ada@", "4111", "GB33"):
        assert hidden not in content


@pytest.mark.parametrize("before", range(WINDOW_CHARACTERS - 82, WINDOW_CHARACTERS + 8, 7))
def test_an_address_at_the_end_of_a_window_is_covered(before: int) -> None:
    text = "a b " * (before // 4) + "write to ada@example.org " + "c " * AHEAD_CHARACTERS
    content = shown("text", text.encode(), VIEW).decode()
    assert content == text.replace("ada@example.org", "[pii.email]")


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("lines", [3, 625, 30_000])
@pytest.mark.parametrize("before", [0, WINDOW_CHARACTERS - 500, WINDOW_CHARACTERS + AHEAD_CHARACTERS - 300])
def test_a_private_key_is_covered_however_long_it_is(before: int, lines: int, ended: bool) -> None:
    draw = Random(lines)
    body = [base64.b64encode(draw.randbytes(48)).decode() for _ in range(lines)]
    key = "\n".join(
        ["-----BEGIN OPENSSH PRIVATE KEY-----", *body, "-----END OPENSSH PRIVATE KEY-----"][: lines + 1 + ended]
    )
    words = "\n; these are plain, and come; one - and - more" * 2_000
    content = shown("text", ("a b " * (before // 4) + key + words).encode(), VIEW).decode()
    assert not re.search(r"[A-Za-z0-9+/]{20}", content)
    assert content.endswith(words.lstrip())


@pytest.mark.parametrize("before", [0, WINDOW_CHARACTERS - 100, WINDOW_CHARACTERS + 1_000])
def test_a_token_of_many_claims_is_covered_across_a_border(before: int) -> None:
    token = f"eyJhbGciOiJIUzI1NiJ9.{'eyJncm91cHMi' * 5_000}.c2ln"
    content = shown("text", ("a b " * (before // 4) + token + " c d" * 100_000).encode(), VIEW).decode()
    assert content == "a b " * (before // 4) + "[secret.jwt]" + " c d" * 100_000


def test_text_without_anything_to_cover_stays_as_it_is() -> None:
    text = "Zwölf Boxkämpfer jagen Viktor\r\n\tquer über den großen Sylter Deich 😀\n" * 5_000
    result, content = rendered("text", text.encode(), VIEW)
    assert content.decode() == text
    assert result.labels_masked == ()


def test_what_was_found_comes_under_the_mask_of_its_label() -> None:
    view = ContentView(text=REDACTED, found={"pii.email": EMAIL, "pii.ip": RAW})
    result, content = rendered("text", b"ada@example.org from 203.0.113.7, card 4111 1111 1111 1111", view)
    assert content == b"***@example.org from 203.0.113.7, card [pci.card_number]"
    assert result.labels_masked == ("pci.card_number", "pii.email")


def test_twins_that_differ_in_what_is_found_render_to_the_same_bytes() -> None:
    one, other = (f"write to {who}@example.org\n" * 20_000 for who in ("ada", "charles.babbage"))
    assert rendered("text", one.encode(), VIEW) == rendered("text", other.encode(), VIEW)


def test_a_mark_is_taken_away() -> None:
    assert shown("text", b"\xef\xbb\xbfhello", VIEW) == b"hello"


@pytest.mark.parametrize("content", [b"ab\xff", b"ab\0c", "text".encode("utf-16"), b"x" * 300_000 + b"\xc3"])
def test_what_is_no_text_in_utf_8_is_refused(content: bytes) -> None:
    assert refusal("text", content, VIEW).code is ContentFault.UNDECODABLE


@pytest.mark.parametrize("mask", [Null(), Hide(), Constant(value="x")])
def test_text_that_may_not_come_is_refused(mask: Mask) -> None:
    view = ContentView(text=FieldView(mask=mask), default=RAW)
    assert refusal("text", b"anything", view).code is ContentFault.UNKNOWN_TYPE


def test_fields_that_come_raw_by_default_alone_are_searched_where_the_view_says_so() -> None:
    view = ContentView(columns={"id": RAW}, paths={"$.id": RAW}, default=RAW, scanned=True)
    assert shown("csv", b"id,text\na@example.org,b@example.org\n", view) == b"id,text\na@example.org,[pii.email]\n"
    assert shown("ndjson", b'{"id":"a@example.org","text":"b@example.org","n":1}', view) == (
        b'{"id":"a@example.org","text":"[pii.email]","n":null}\n'
    )
