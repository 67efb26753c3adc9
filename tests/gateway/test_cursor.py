import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gateway.cursor import Cursors, digest_of_request
from app.gateway.errors import InvalidCursor

cursors = Cursors(b"k" * 32)


def test_a_cursor_comes_back_as_it_was_issued() -> None:
    assert cursors.read(("op", "ana"), cursors.issue(("op", "ana"), [3, "x"])) == [3, "x"]


@pytest.mark.parametrize("binding", [("op", "sam"), ("other", "ana"), ("op",), ("op", "ana", "")])
def test_a_cursor_of_somebody_else_or_of_another_request_is_refused(binding: tuple[str, ...]) -> None:
    with pytest.raises(InvalidCursor):
        cursors.read(binding, cursors.issue(("op", "ana"), [1]))


def test_a_cursor_signed_with_another_key_is_refused() -> None:
    with pytest.raises(InvalidCursor):
        cursors.read(("op",), Cursors(b"x" * 32).issue(("op",), [1]))


@given(st.text())
def test_garbage_is_refused_and_never_a_fault(text: str) -> None:
    with pytest.raises(InvalidCursor):
        cursors.read(("op",), text)


@given(st.integers(min_value=0, max_value=2**63), st.integers(min_value=0))
def test_every_changed_character_is_noticed(position: int, at: int) -> None:
    cursor = cursors.issue(("op",), [position])
    at %= len(cursor) - 1
    changed = cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
    with pytest.raises(InvalidCursor):
        cursors.read(("op",), changed)


def test_requests_with_integers_of_any_size_have_a_digest() -> None:
    assert digest_of_request([2**80]) != digest_of_request([2**80 + 1])
