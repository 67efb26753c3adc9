from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_samples import UNHURRIED, caller

from app.policy.conditions import UNKNOWN, compile_condition
from app.policy.decision import Effect
from app.policy.expression import ExpressionError

ANA = caller("user:ana", region="EU", level=3, teams=["a", "b"], **{"https://x/y": "z"})


def value(text: str, **context: Any) -> Any:
    return compile_condition(text).evaluate(ANA, context)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rows > 10000", False),
        ("rows <= 10_000 and has_where", True),
        ("rows = 5", True),
        ("rows == 5", True),
        ("rows != 5", False),
        ("rows <> 4", True),
        ("not has_where", False),
        ("statement in ('select', 'values')", True),
        ("statement not in ['select']", False),
        ("'pii.email' in session.labels", True),
        ('purpose = "it\'s"', True),
        ("purpose = 'it''s'", True),
        ("claims.region = 'EU' or rows > 9", True),
        ("claims[\"https://x/y\"] = 'z'", True),
        ("'a' in claims.teams", True),
        ("limit is null", True),
        ("limit is not null", False),
        ("rows is null", False),
        ("principal = 'somebody'", True),
        ("rows > -1 AND NOT false", True),
        ("rows >= 4.5", True),
    ],
)
def test_a_condition_reads_as_it_is_written(text: str, expected: bool) -> None:
    context = {
        "rows": 5,
        "has_where": True,
        "statement": "select",
        "session": {"labels": frozenset({"pii.email"})},
        "purpose": "it's",
        "limit": None,
    }
    assert value(text, **context) is expected


@pytest.mark.parametrize(
    "text",
    [
        "nonsense > 3",
        "rows > 'ten'",
        "rows",
        "bytes > 3",
        "claims.missing = 'x'",
        "claims.region.deeper = 'x'",
        "claims.region < 3",
        "has_where > false",
        "has_where = 1",
        "rows in purpose",
        "'x' in claims.region",
        "session.labels = 'x'",
        "limit > 3",
        "ratio > 1",
        "['a'] = ['a']",
        "rows in ['5']",
        "absent is null",
    ],
)
def test_what_cannot_be_known_lets_a_denial_match_and_a_permission_not(text: str) -> None:
    condition = compile_condition(text)
    context = {
        "rows": 5,
        "has_where": True,
        "purpose": "p",
        "limit": None,
        "bytes": None,
        "session": {"labels": ["x"]},
        "ratio": float("nan"),
    }
    assert condition.evaluate(ANA, context) is UNKNOWN
    assert condition.matches(Effect.DENY, ANA, context)
    assert condition.matches(Effect.APPROVE, ANA, context)
    assert not condition.matches(Effect.ALLOW, ANA, context)
    negated = compile_condition(f"not ({text})")
    assert not negated.matches(Effect.ALLOW, ANA, context)
    assert negated.matches(Effect.DENY, ANA, context)


def test_an_unknown_does_not_hide_what_the_rest_decides() -> None:
    assert value("nonsense > 3 or has_where", has_where=True) is True
    assert value("nonsense > 3 and has_where", has_where=False) is False
    assert value("nonsense > 3 and has_where", has_where=True) is UNKNOWN


def test_no_context_speaks_for_another_caller() -> None:
    forged = {"claims": {"region": "US"}, "principal": "root", "actor": "root", "client": "root"}
    assert value("claims.region = 'EU' and principal = 'somebody' and actor = 'app' and client = 'app'", **forged)


ANY_VALUE = st.one_of(
    st.sampled_from([None, True, False, 0, 1, 10**40, 1.5, float("nan"), float("inf"), "", "x", b"x"]),
    st.sampled_from(
        [[], ["x"], [1, "x"], [None], [["x"]], {}, {"b": "x"}, {"b": {"c": 1}}, {"b": None}, frozenset("x")]
    ),
)


@UNHURRIED
@given(
    st.sampled_from(
        ["a < b", "a in b", "not a", "a and b or not b", "a.b = 'x'", "a is null", "a not in (b, 1)", "a.b.c <= b"]
    ),
    st.dictionaries(st.sampled_from(["a", "b"]), ANY_VALUE),
)
def test_a_condition_is_total(text: str, context: dict[str, Any]) -> None:
    assert value(text, **context) in (True, False, UNKNOWN)


@UNHURRIED
@given(st.text(max_size=60))
def test_any_text_is_a_condition_or_an_expression_error(text: str) -> None:
    try:
        compile_condition(text).evaluate(ANA, {})
    except ExpressionError as wrong:
        refused = wrong
    else:
        return
    assert 0 <= refused.at <= len(text)
    assert refused.what
    assert refused.expected


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 0),
        ("rows >", 6),
        ("rows > > 3", 7),
        ("rows > 3 limit", 9),
        ("rows > 'open", 7),
        ("__import__('os')", 10),
        ("rows > 3; x", 8),
        ("rows not 3", 9),
        ("(" * 30 + "rows" + ")" * 30, 25),
        ("not " * 60 + "rows", 100),
        ("1", 0),
        ("x in 'abc'", 2),
        ("claims[0] = 1", 7),
    ],
)
def test_a_malformed_condition_says_where(text: str, at: int) -> None:
    with pytest.raises(ExpressionError) as wrong:
        compile_condition(text)
    assert wrong.value.at == at


@pytest.mark.parametrize("text", ["a = 1 and " * 300 + "b", "[" * 900, "(" * 1900, "9" * 40 + " = a", "a" * 3000])
def test_an_oversized_condition_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_condition(text)


def test_the_names_a_condition_reads_are_known_beforehand() -> None:
    assert compile_condition("spent.rows_1h > 5 and (hour < 8 or claims.x in [rows])").names == {
        "spent",
        "hour",
        "claims",
        "rows",
    }
