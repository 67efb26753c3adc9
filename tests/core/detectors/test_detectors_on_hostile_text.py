"""Texts built to make detectors slow: the work they cause is bounded by their length, counted, not timed."""

import sys
from collections import Counter
from types import FrameType

import pytest

from app.masking.detectors import DEFAULT

SIZE = 4_000
HOSTILE = [
    "1", "1 ", "12 ", "4111 ", "012 345 678 ", "+44 20 7946 0018", "@", "a@a@", "a@a.", "a.b@c.", '"a"@', "a at ",
    "(at)", "-----BEGIN", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\nA-Header: ", "xoxb-",
    "AKIA ", "eyJ", "-eyJ", "eyJ.", "eyJhbGciOiJIUzI1NiJ9.",
    "password=",
    "key: ", "token ", "pass:'", "://a:", "a://a:b", "?sig=", "::", "1:", "1.1.", "DE89 ", "12345678Z ", "\u200b1", "é",
    "пароль", "b3BlbnNzaC1rZXktdjEA", "AccountKey=", "tel ", "2026-11-28 ",
    "\\", "\\n", "\\n1", "\\u0041", "\\ud835\\udfcf", "C:\\", "C:\\n@a.b ", "password=a\\t",
]  # fmt: skip


def calls(text: str) -> int:
    """How many functions of ours, and turns of their generators, a text costs."""
    count: Counter[str] = Counter()

    def watch(frame: FrameType, event: str, _: object) -> None:
        count[event] += event == "call" and "masking" in frame.f_code.co_filename

    sys.setprofile(watch)
    try:
        DEFAULT.find(text)
    finally:
        sys.setprofile(None)
    return count["call"]


@pytest.mark.parametrize("piece", HOSTILE)
def test_twice_the_text_is_at_most_twice_the_work(piece: str) -> None:
    once, twice = calls((piece * SIZE)[:SIZE]), calls((piece * SIZE * 2)[: 2 * SIZE])
    assert twice <= 2.2 * once + 50
    assert once <= 40 * SIZE
