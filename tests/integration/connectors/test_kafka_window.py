"""What the window on a partition promises, whatever is fetched, acked and forgotten in whatever order."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka.window import HandedOut, Window


def window_of(*offsets: int, size: int = 100, committed: int | None = None) -> Window[str]:
    window: Window[str] = Window(size=size, committed=committed, most_bytes=1_000)
    for offset in offsets:
        window.add(offset, f"m{offset}", 1)
    return window


def handed_out(
    window: Window[str], limit: int = 100, *, now_s: float = 0.0, visibility_s: float = 10.0
) -> list[HandedOut[str]]:
    names = itertools.count(1)
    return window.take(limit, now_s=now_s, visibility_s=visibility_s, name=lambda: f"{now_s}/{next(names)}")


def committed(window: Window[str]) -> int | None:
    """After a commit that succeeds."""
    window.committing = window.to_commit
    window.commit()
    return window.committed


def test_what_was_fetched_is_handed_out_in_order_and_once() -> None:
    window = window_of(3, 4, 7)
    assert [one.record for one in handed_out(window, 2)] == ["m3", "m4"]
    assert [one.record for one in handed_out(window, 2, now_s=1.0)] == ["m7"]
    assert handed_out(window, now_s=2.0) == []


def test_an_ended_lease_comes_before_what_is_new_and_counts() -> None:
    window = window_of(1, 2)
    handed_out(window, 1)
    assert [(one.record, one.deliveries) for one in handed_out(window, now_s=10.0)] == [("m1", 2), ("m2", 1)]


def test_a_commit_goes_no_further_than_the_first_that_is_out() -> None:
    window = window_of(1, 2, 3)
    first, second, third = handed_out(window)
    assert window.ack(second.handle)
    assert window.to_commit is None
    assert window.ack(first.handle)
    assert committed(window) == 3
    assert window.ack(third.handle)
    assert committed(window) == 4
    assert not window.ack(third.handle)


def test_holes_between_offsets_hold_nothing_back() -> None:
    window = window_of(10, 20)
    for one in handed_out(window):
        window.ack(one.handle)
    assert committed(window) == 21


def test_a_handle_is_void_once_its_message_was_handed_out_again() -> None:
    window = window_of(1)
    (old,) = handed_out(window)
    (new,) = handed_out(window, now_s=10.0)
    assert not window.ack(old.handle)
    assert window.ack(new.handle)


def test_a_handle_whose_time_merely_ended_still_acks() -> None:
    window = window_of(1)
    (late,) = handed_out(window)
    assert window.ack(late.handle)
    assert handed_out(window, now_s=100.0) == []


def test_what_is_released_comes_at_once_and_what_is_acked_does_not() -> None:
    window = window_of(1, 2)
    first, second = handed_out(window)
    window.ack(first.handle)
    window.release(first.handle)
    window.release(second.handle)
    window.release("garbage")
    assert [one.record for one in handed_out(window, now_s=1.0)] == ["m2"]


def test_what_is_fetched_twice_is_one_message() -> None:
    window = window_of(1, 2, committed=1)
    for offset in (0, 1, 2):
        window.add(offset, "again", 1)
    assert [one.record for one in handed_out(window)] == ["m1", "m2"]


def test_a_poison_message_fills_the_window_and_no_more() -> None:
    window = window_of(*range(5), size=5)
    for one in handed_out(window)[1:]:
        window.ack(one.handle)
    assert (window.room, window.to_commit) == (0, None)
    assert [one.record for one in handed_out(window, now_s=10.0)] == ["m0"]


Step = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 3)),
    st.tuples(st.just("take"), st.integers(1, 4)),
    st.tuples(st.just("ack"), st.integers(0, 30)),
    st.tuples(st.just("wait"), st.integers(1, 8)),
    st.tuples(st.just("commit"), st.just(0)),
)


@given(st.lists(Step, max_size=60))
def test_no_message_is_committed_unacked_nor_handed_out_after_its_ack(steps: list[tuple[str, int]]) -> None:
    window: Window[str] = Window(size=1_000, committed=None, most_bytes=1_000)
    now, offset, names = 0.0, 0, itertools.count(1)
    out: list[HandedOut[str]] = []
    acked: set[str] = set()
    records: dict[str, int] = {}
    for what, amount in steps:
        if what == "add":
            offset += amount
            records[f"m{offset}"] = offset
            window.add(offset, f"m{offset}", 1)
        elif what == "take":
            came = window.take(amount, now_s=now, visibility_s=5.0, name=lambda: f"h{next(names)}")
            assert not acked & {one.record for one in came}
            out += came
        elif what == "ack" and out:
            one = out[amount % len(out)]
            if window.ack(one.handle):
                acked.add(one.record)
        elif what == "wait":
            now += amount
        else:
            window.committing = window.to_commit
            window.commit()
        if window.committed is not None:
            assert {name for name, at in records.items() if at < window.committed} <= acked


def test_large_records_fill_a_window_until_they_are_acked() -> None:
    window: Window[str] = Window(size=100, committed=None, most_bytes=10)
    window.add(1, "small", 9)
    assert window.room == 99
    window.add(2, "large", 500)
    assert window.room == 0
    small, large = handed_out(window)
    assert window.ack(small.handle)
    assert window.room == 0
    assert window.ack(large.handle)
    assert window.ack(large.handle)
    assert window.room == 98
