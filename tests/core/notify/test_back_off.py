"""When a message that failed is tried again."""

from hypothesis import given
from hypothesis import strategies as st

from app.gateway.notifying import BACK_OFF_S, EVENTS, JITTER, back_off_s
from app.settings.notifications import EVERY_EVENT


def test_all_tries_end_within_a_day() -> None:
    assert 20 * 3_600 < sum(BACK_OFF_S) < 24 * 3_600
    assert list(BACK_OFF_S) == sorted(BACK_OFF_S)


@given(st.integers(1, 50), st.floats(0, 1))
def test_a_wait_is_near_its_plan(tries: int, jitter: float) -> None:
    planned = BACK_OFF_S[min(tries, len(BACK_OFF_S)) - 1]
    assert planned * (1 - JITTER) <= back_off_s(tries, jitter, None) <= planned * (1 + JITTER) + 1e-6


def test_a_receiver_may_ask_for_more_time_but_not_for_less() -> None:
    assert back_off_s(1, 0.5, 900) == 900
    assert back_off_s(3, 0.5, 1) == 120


def test_what_can_be_configured_is_what_is_told() -> None:
    assert frozenset(EVERY_EVENT) == EVENTS
