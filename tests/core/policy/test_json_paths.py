"""Paths of data files mean what they say, and of two that meet the more specific one is known."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from policy_samples import UNHURRIED

from app.policy.json_paths import (
    MAX_PATH_CHARACTERS,
    PathError,
    Step,
    StepKind,
    Steps,
    as_pattern,
    parse_path,
    specificity,
)
from app.policy.resources import Pattern, covers, overlap, surely_inside

NAME, ANY, ITEM = StepKind.NAME, StepKind.ANY, StepKind.ITEM
NAMES = st.sampled_from(["a", "b", "ab", "[]", "a/b", "*", "%", "."])
STEPS = st.lists(
    st.one_of(st.builds(Step, st.just(NAME), NAMES, st.booleans()), st.just(Step(ANY)), st.just(Step(ITEM))),
    min_size=1,
    max_size=4,
).map(tuple)
ITEM_HERE = 0
PLACES = st.lists(st.one_of(NAMES, st.sampled_from(["", ITEM_HERE])), max_size=5)
"""Where a field is: members by name (no path names the empty one), items as ITEM_HERE."""


def names(steps: Steps, place: list[str | int]) -> bool:
    """The definition, step by step."""
    if not steps:
        return not place
    first, rest = steps[0], steps[1:]
    if not place:
        return False
    if first.deep and names(steps, place[1:]):
        return True
    here = place[0]
    fits = first.kind is ANY or (here == ITEM_HERE if first.kind is ITEM else here == first.name)
    return fits and names(rest, place[1:])


def spelled(place: list[str | int]) -> str:
    return as_pattern(tuple(Step(ITEM) if part == ITEM_HERE else Step(NAME, str(part)) for part in place))


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("$.a", (Step(NAME, "a"),)),
        ("$.a.b-c.d_e", (Step(NAME, "a"), Step(NAME, "b-c"), Step(NAME, "d_e"))),
        ("$.a[*].b", (Step(NAME, "a"), Step(ITEM), Step(NAME, "b"))),
        ("$[*]", (Step(ITEM),)),
        ("$.a.*", (Step(NAME, "a"), Step(ANY))),
        ("$..email", (Step(NAME, "email", True),)),
        ("$..a.b", (Step(NAME, "a", True), Step(NAME, "b"))),
        ("$..['e-mail address']", (Step(NAME, "e-mail address", True),)),
        ("$['odd name'].x", (Step(NAME, "odd name"), Step(NAME, "x"))),
        ('$["it\'s"]', (Step(NAME, "it's"),)),
        (r"$['it\'s \\']", (Step(NAME, "it's \\"),)),
        ("$.größe", (Step(NAME, "größe"),)),
    ],
)
def test_a_path_is_read_step_by_step(text: str, steps: Steps) -> None:
    assert parse_path(text) == steps


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 0),
        ("a", 0),
        ("$", 1),
        ("$a", 1),
        ("$.", 1),
        ("$.1", 1),
        ("$.a.", 3),
        ("$.a[0]", 3),
        ("$.a[?(@.b)]", 3),
        ("$.a[]", 3),
        ("$...a", 1),
        ("$..*", 1),
        ("$..[*]", 1),
        ("$['']", 1),
        ("$['a", 1),
        (r"$['\n']", 1),
        ("$.a b", 3),
        ("$" + ".*" * 7, 0),
        ("$." + "a" * MAX_PATH_CHARACTERS, MAX_PATH_CHARACTERS),
    ],
)
def test_what_is_no_path_is_refused_at_its_place(text: str, at: int) -> None:
    with pytest.raises(PathError) as refused:
        parse_path(text)
    assert refused.value.at == at


@given(st.text(alphabet="$.[]*'\"\\ab 0", max_size=12))
def test_any_text_is_a_path_or_is_refused(text: str) -> None:
    try:
        steps = parse_path(text)
    except PathError:
        return
    assert steps
    assert Pattern(as_pattern(steps)).text


@UNHURRIED
@given(STEPS, PLACES)
@example((Step(NAME, "[]"),), [ITEM_HERE])
@example((Step(ANY),), [""])
@example((Step(NAME, "a/b"),), ["a", "b"])
@example((Step(NAME, "a"), Step(NAME, "b", True)), ["ab", "b"])
def test_the_pattern_of_a_path_covers_exactly_the_places_that_the_path_names(
    steps: Steps, place: list[str | int]
) -> None:
    assert covers(as_pattern(steps), spelled(place)) == names(steps, place)


@UNHURRIED
@given(STEPS, STEPS)
def test_a_path_that_lies_within_another_is_the_more_specific(narrow: Steps, wide: Steps) -> None:
    inner, outer = as_pattern(narrow), as_pattern(wide)
    if surely_inside(inner, Pattern(outer)) and not surely_inside(outer, Pattern(inner)):
        assert specificity(narrow) > specificity(wide)


@UNHURRIED
@given(STEPS, STEPS, PLACES)
def test_two_paths_that_name_one_place_overlap(left: Steps, right: Steps, place: list[str | int]) -> None:
    if names(left, place) and names(right, place):
        assert overlap(as_pattern(left), as_pattern(right))
