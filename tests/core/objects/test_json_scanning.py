import io
import time

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.objects.json_scanning import MOST_DIGITS, Scanned
from app.objects.refusal import ContentFault, ContentRefused
from app.policy.content import ContentView
from tests.core.objects.renderings import NOTE, RAW, UNHURRIED, refusal, shown

VIEW = ContentView(default=RAW, paths={"$.zz": NOTE})
LARGE = b'{"x":"' + b"y" * (9 << 20) + b'",'
PARTS = st.lists(
    st.sampled_from(
        ["\\ud83d", "\\uDE00", "\\ud800", "\\udbff", "\\\\", "\\n", '\\"', "ud800", "\\u00e9", "\\uD7ff", "é"]
    )
)


class Slow(io.BytesIO):
    """Gives few bytes at a time."""

    def __init__(self, content: bytes, step: int) -> None:
        super().__init__(content)
        self._step = step

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, self._step))


def scanned(content: bytes, step: int = 1 << 16) -> bytes:
    source = Scanned(Slow(content, step))
    return b"".join(iter(lambda: source.read(1 << 16), b""))


@UNHURRIED
@given(PARTS, st.integers(min_value=1, max_value=40))
@example(["\\ud83d", "\\uDE00"], 1)
def test_escapes_are_refused_where_the_parser_of_small_documents_refuses_them(parts: list[str], step: int) -> None:
    content = ('["' + "".join(parts) + '"]').encode()
    try:
        orjson.loads(content)
    except ValueError:
        with pytest.raises(ContentRefused):
            scanned(content, step)
    else:
        assert scanned(content, step) == content


@pytest.mark.parametrize(
    "member", [b'"a":"\\ud800"', b'"\\ud800":1', b'"a":"\\ud800\\u0041"', b'"a":"\\udc00"', b'"a":"\\\\\\ud800"']
)
def test_half_a_character_in_a_large_document_is_refused(member: bytes) -> None:
    assert refusal("json", LARGE + member + b"}", VIEW).code is ContentFault.UNDECODABLE


def test_whole_characters_and_escaped_backslashes_in_a_large_document_come() -> None:
    assert shown("json", LARGE + b'"a":"\\ud83d\\ude00 \\\\ud800"}', VIEW).endswith('"a":"😀 \\\\ud800"}\n'.encode())


def test_a_large_document_that_is_cut_in_an_escape_is_refused_by_the_parser() -> None:
    assert refusal("json", LARGE + b'"a":"\\ud83d', VIEW).code is ContentFault.TRUNCATED
    for end in (b'"a":"\\', b'"a":"\\ud8', b'"a":"\\ud83d\\u', b'"a":1}\\'):
        assert refusal("json", LARGE + end, VIEW).code is ContentFault.UNDECODABLE


@pytest.mark.parametrize("digits", [MOST_DIGITS + 1, 5_000, 70_000])
@pytest.mark.parametrize("sign", [b"", b"-"])
def test_an_integer_that_the_parser_cannot_hold_is_refused(digits: int, sign: bytes) -> None:
    content = LARGE + b'"n":[' + sign + b"9" * digits + b",1]}"
    assert refusal("json", content, VIEW).code is ContentFault.TOO_LARGE


def test_the_longest_integer_comes_as_it_is() -> None:
    number = b"9" * MOST_DIGITS
    assert shown("json", LARGE + b'"n":' + number + b"}", VIEW).endswith(b'"n":' + number + b"}\n")


def test_digits_in_strings_may_be_as_many_as_they_are() -> None:
    member = b'"' + b"1" * 5_000 + b'":"\\"\\\\' + b"2" * 200_000 + b'"}'
    assert shown("json", LARGE + member, VIEW).endswith(member + b"\n")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"1" * MOST_DIGITS, b"1" * 5_000, b"7" * 900, b'"', b'\\"', b"\\\\", b",", b" "]), max_size=12
    ),
    st.sampled_from([7, 900, 4_300, 4_301, 1 << 16]),
)
def test_runs_of_digits_are_told_wherever_the_borders_lie(parts: list[bytes], step: int) -> None:
    content = b"".join(parts)
    in_string = escaped = refused = False
    run = 0
    for byte in content:
        run = run + 1 if 48 <= byte <= 57 and not in_string else 0
        refused = refused or run > MOST_DIGITS
        if not escaped and byte == 34:
            in_string = not in_string
        escaped = byte == 92 and not escaped
    if refused:
        with pytest.raises(ContentRefused):
            scanned(content, step)
    elif content.count(b"\\") == 0 or not escaped:
        assert scanned(content, step) == content


def test_looking_takes_a_small_part_of_the_time_of_reading() -> None:
    content = (b'{"a":"\\\\\\"' + b"5" * 4_000 + b'\\u00e9","b":123456.5}') * 5_000
    start = time.process_time()
    scanned(content)
    assert time.process_time() - start < 2
