"""Of several globs the narrowest one speaks; two that could both are told."""

from hypothesis import given
from hypothesis import strategies as st
from policy_samples import UNHURRIED

from app.policy.globs import Globs, narrowest, ties
from app.policy.resources import Pattern, covers

PATTERNS = (
    st.lists(st.sampled_from(["*", "**", "/", "a", "b", "."]), min_size=1, max_size=5)
    .map("".join)
    .filter(lambda text: "***" not in text)
)
NAMES = st.text(alphabet="ab./", max_size=6)


@UNHURRIED
@given(st.sets(PATTERNS, max_size=5), NAMES)
def test_where_no_two_are_tied_one_entry_speaks_for_a_name_and_no_narrower_one_is_passed_over(
    texts: set[str], name: str
) -> None:
    if list(ties(texts)):
        return
    covering = {text for text in texts if covers(text, name)}
    found = Globs({text: text for text in texts}).of(name)
    assert (found is None) == (not covering)
    if found is not None and name not in texts:
        assert {found} == narrowest(map(Pattern, covering))


@UNHURRIED
@given(st.sets(PATTERNS, min_size=2, max_size=2), NAMES)
def test_two_that_cover_one_name_and_are_not_nested_are_a_tie(texts: set[str], name: str) -> None:
    covering = [text for text in texts if "*" in text and covers(text, name)]
    if len(covering) == 2 and len(narrowest(map(Pattern, covering))) == 2:
        assert [set(pair) for pair in ties(texts)] == [texts]


def test_the_name_itself_is_narrower_than_any_pattern() -> None:
    globs = Globs({"a/*": 1, "a/b": 2, "**": 3})
    assert [globs.of(name) for name in ("a/b", "a/c", "x")] == [2, 1, 3]


def test_nested_and_separate_globs_are_no_tie() -> None:
    assert not list(ties(["customers/*.csv", "customers/**", "exports/**", "exports/*/x.json", "*.csv", "**"]))
    assert list(ties(["customers/*", "**.csv"])) == [("customers/*", "**.csv")]
