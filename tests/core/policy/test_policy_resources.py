from hypothesis import example, given
from hypothesis import strategies as st
from policy_samples import UNHURRIED

from app.policy.resources import Pattern, covers, key_path, meet, overlap, path_key, sql_resource, surely_inside

PATTERNS = (
    st.lists(st.sampled_from(["*", "**", "/", "a", "b", "."]), max_size=7)
    .map("".join)
    .filter(lambda text: "***" not in text)
)
NAMES = st.text(alphabet="ab./", max_size=7)


@UNHURRIED
@given(PATTERNS, NAMES)
@example("a*a", "a")
@example("**", "a/b")
def test_the_split_pattern_covers_what_its_translation_covers(pattern: str, name: str) -> None:
    assert Pattern(pattern).covers(name) == covers(pattern, name)


@UNHURRIED
@given(PATTERNS, PATTERNS, NAMES)
def test_two_patterns_that_cover_one_name_overlap(left: str, right: str, name: str) -> None:
    if covers(left, name) and covers(right, name):
        assert overlap(left, right)


@UNHURRIED
@given(NAMES, PATTERNS)
def test_a_literal_overlaps_exactly_the_patterns_that_cover_it(name: str, pattern: str) -> None:
    assert overlap(name, pattern) == covers(pattern, name) == overlap(pattern, name)


@UNHURRIED
@given(PATTERNS, PATTERNS, NAMES)
def test_a_pattern_that_is_surely_inside_covers_nothing_outside(inner: str, outer: str, name: str) -> None:
    if surely_inside(inner, Pattern(outer)) and covers(inner, name):
        assert covers(outer, name)


@UNHURRIED
@given(PATTERNS, PATTERNS)
@example("a/**", "**/a")
def test_two_patterns_meet_where_they_overlap(left: str, right: str) -> None:
    assert meet((left, right)) == overlap(left, right)


@UNHURRIED
@given(PATTERNS, PATTERNS, PATTERNS, NAMES)
def test_three_patterns_that_cover_one_name_meet(one: str, two: str, three: str, name: str) -> None:
    if all(covers(pattern, name) for pattern in (one, two, three)):
        assert meet((one, two, three))


def test_three_patterns_of_which_each_two_meet_need_not_meet() -> None:
    one_slash, between_x, between_y = "*/*", "**x/x**", "**y/y**"
    assert meet((one_slash, between_x))
    assert meet((one_slash, between_y))
    assert meet((between_x, between_y))
    assert not meet((one_slash, between_x, between_y))


def test_what_would_take_long_does_not_meet() -> None:
    assert meet(("*a*a*a", "a*a*a*", "**"))
    assert not meet(("*a*a*a", "a*a*a*", "**"), most_states=3)


@given(st.text(max_size=20))
def test_the_key_of_a_path_is_the_one_that_made_it(key: str) -> None:
    assert path_key(key_path(key)) == key


def test_one_star_stays_within_a_segment_and_two_do_not() -> None:
    assert covers("shop/public.*", "shop/public.orders")
    assert covers("shop/*", "shop/public.orders")
    assert not covers("lake/reports/*", "lake/reports/2024/may.csv")
    assert covers("lake/reports/**", "lake/reports/2024/may.csv")
    assert not covers("shop/public.*", "shop/Public.orders")
    assert covers("**", "label:pii.email")


def test_a_table_with_a_strange_name_cannot_pass_for_another_or_slip_from_under_a_pattern() -> None:
    assert sql_resource("shop", ("a.b", "c")) != sql_resource("shop", ("a", "b.c"))
    assert covers("shop/public.*", sql_resource("shop", ("public", "x/y")))
    assert sql_resource("shop", ("public", "a%2Fb")) != sql_resource("shop", ("public", "a/b"))
    assert "*" not in sql_resource("shop", ("public", "*"))
    assert covers("shop/*", sql_resource("shop", ("public", "two\nlines")))
