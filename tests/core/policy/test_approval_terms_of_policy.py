"""Which terms an access gets from approvals.yaml, and what becomes of the terms of several."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_samples import CONNECTIONS, UNHURRIED, caller, catalog, policy_files, table

from app.approval.terms import Grant, GrantKind, Requirement, Terms
from app.policy.approval_rules import strictest
from app.policy.decision import Action, Allow, AskFirst, Deny
from app.policy.load import load
from app.policy.loaded import LoadedPolicy
from connectors.contract import Column, TableKind

RULES = """\
p, client:app, **, *, allow,
p, role:dba, douane/approvals, decide, allow,
p, role:dpo, douane/approvals, decide, allow,
p, role:admin, douane/approvals, decide, allow,
"""
MASKS = "masks: {pii.email: null, pii.phone: null, hr.pay: null}\n"
ORDERS = "shop/public.orders"


def with_approvals(text: str, rules: str = RULES, data: str = "") -> LoadedPolicy:
    return load(policy_files(rules, MASKS, data, **{"approvals.yaml": text}), CONNECTIONS)


def terms(text: str, *asked: tuple[str, Action]) -> Terms:
    return with_approvals(text).terms(asked or [(ORDERS, Action.DELETE)])


def approvers(found: Terms) -> list[tuple[str, ...]]:
    return [each.approvers for each in found.requirements]


def without_sources(found: Terms) -> Terms:
    document = found.document()
    for each in document["requirements"]:
        each["source"] = ""
    return Terms.of(document)


def test_without_the_file_the_built_in_terms_count() -> None:
    loaded = load(policy_files(RULES), CONNECTIONS)
    assert loaded.terms([(ORDERS, Action.DELETE)]) == loaded.terms([]) == Terms()


@pytest.mark.parametrize("text", ["", "default: {}\n", "rules: []\n"])
def test_an_empty_file_says_the_same_as_no_file(text: str) -> None:
    assert without_sources(terms(text)) == Terms()


def test_every_key_of_default_counts_where_no_rule_covers() -> None:
    text = """\
# the house
default:
  approvers: [role:dpo, user:dee, role:dpo]
  quorum: 2
  expires: 90m
  grant: {window: 2d, uses: 3, rows: 40}
  preview: false
  escalate: {after: 90s, to: [role:admin, group:x]}
rules:
  - {resource: shop/public.other, approvers: [role:dba]}
"""
    assert terms(text) == Terms(
        requirements=(
            Requirement(
                approvers=("role:dpo", "user:dee"),
                quorum=2,
                escalate_after_s=90,
                escalate_to=("group:x", "role:admin"),
                source="approvals.yaml:2",
            ),
        ),
        lifetime_s=5_400,
        grant=Grant(kind=GrantKind.WINDOW, duration_s=172_800, max_uses=3, max_rows=40),
        preview=False,
    )


FULL = "{approvers: [role:dpo], quorum: 2, expires: 2h, grant: {window: 1h}, preview: false, escalate: {after: 1m, to: [role:admin]}}"  # noqa: E501 - one line of YAML


@pytest.mark.parametrize(
    ("written", "changed"),
    [
        ("approvers: [role:dba]", {"approvers": ["role:dba"]}),
        ('approvers: ["*"]', {"approvers": []}),
        ("quorum: 1", {"quorum": 1}),
        ("expires: 1d", {"lifetime_s": 86_400}),
        ("grant: once", {"grant": {"kind": "once", "duration_s": None, "max_uses": None, "max_rows": None}}),
        (
            "grant: {window: 5m, rows: 9}",
            {"grant": {"kind": "window", "duration_s": 300, "max_uses": None, "max_rows": 9}},
        ),
        ("preview: true", {"preview": True}),
        ("escalate: {after: 5m, to: [role:dba]}", {"escalate_after_s": 300, "escalate_to": ["role:dba"]}),
        ("escalate: never", {"escalate_after_s": None, "escalate_to": []}),
        ("description: as ever", {}),
    ],
)
def test_a_rule_changes_the_key_that_it_has_and_no_other(written: str, changed: dict[str, object]) -> None:
    expected = without_sources(terms(f"default: {FULL}\n")).document()
    for key, value in changed.items():
        (expected if key in expected else expected["requirements"][0])[key] = value
    found = terms(f"default: {FULL}\nrules:\n  - resource: {ORDERS}\n    {written}\n")
    assert found.requirements[0].source == "approvals.yaml:3"
    assert without_sources(found).document() == expected


def ladder(*patterns: str) -> str:
    return "rules:\n" + "".join(
        f"  - {{resource: '{pattern}', approvers: [user:n{at}]}}\n" for at, pattern in enumerate(patterns)
    )


@pytest.mark.parametrize("first", range(5))
def test_the_most_specific_pattern_wins_wherever_it_stands(first: int) -> None:
    patterns = [ORDERS, "shop/public.*", "shop/*", "shop/**", "**"][first:]
    for order in itertools.permutations(patterns):
        assert approvers(terms(ladder(*order))) == [(f"user:n{order.index(patterns[0])}",)]


@pytest.mark.parametrize(
    ("one", "other"), [("shop/**", "*/public.orders"), ("shop/public.o*", "shop/*.orders"), (ORDERS, ORDERS)]
)
def test_patterns_of_which_neither_lies_within_the_other_all_count(one: str, other: str) -> None:
    assert approvers(terms(ladder(one, other, "**"))) == [("user:n0",), ("user:n1",)]


def test_two_spellings_of_one_pattern_count_both() -> None:
    loaded = with_approvals(ladder("lake/**/**", "lake/*/**", "lake/**"))
    assert approvers(loaded.terms([("lake/a/b", Action.PUT)])) == [("user:n0",), ("user:n1",)]


def test_a_more_specific_rule_for_another_action_does_not_count() -> None:
    text = f"""\
rules:
  - {{resource: {ORDERS}, action: update, approvers: [user:literal]}}
  - {{resource: shop/public.o*, action: [insert, update], approvers: [user:narrow]}}
  - {{resource: shop/public.*, approvers: [user:any]}}
  - {{resource: shop/**, action: [select, "*"], approvers: [user:wide]}}
"""
    loaded = with_approvals(text)
    for action, who in [(Action.UPDATE, "literal"), (Action.INSERT, "narrow"), (Action.DELETE, "any")]:
        assert approvers(loaded.terms([(ORDERS, action)])) == [(f"user:{who}",)]
    assert approvers(loaded.terms([("shop/other.t", Action.DDL)])) == [("user:wide",)]
    assert approvers(loaded.terms([("lake/x", Action.PUT)])) == [()]


def test_labels_have_rules_of_their_own_and_share_none_with_resources() -> None:
    text = """\
rules:
  - {label: pii.email, approvers: [user:email]}
  - {label: pii.*, action: unmask, approvers: [user:pii]}
  - {label: "*", approvers: [user:label]}
  - {resource: "*/**", approvers: [user:resource]}
"""
    loaded = with_approvals(text)
    for name, who in [("pii.email", "email"), ("pii.phone", "pii"), ("hr.pay", "label")]:
        assert approvers(loaded.terms([(f"label:{name}", Action.UNMASK)])) == [(f"user:{who}",)]
    assert approvers(loaded.terms([(ORDERS, Action.SELECT)])) == [("user:resource",)]
    assert approvers(terms('rules: [{resource: "**", approvers: [user:all]}]', ("label:hr.pay", Action.UNMASK))) == [
        ("user:all",)
    ]


def test_several_accesses_need_everything_that_each_of_them_needs() -> None:
    text = f"""\
default: {{approvers: [role:admin], expires: 3h, grant: {{window: 1h, uses: 9, rows: 50}}, preview: false}}
rules:
  - {{resource: {ORDERS}, approvers: [role:dba], expires: 1h, grant: {{window: 2h, uses: 3}}}}
  - {{label: pii.email, approvers: [role:dpo], quorum: 2, grant: once, preview: true}}
"""
    loaded = with_approvals(text)
    orders, other, email = (ORDERS, Action.DELETE), ("shop/public.t", Action.DELETE), ("label:pii.email", Action.UNMASK)
    both = loaded.terms([orders, other])
    assert approvers(both) == [("role:admin",), ("role:dba",)]
    assert (both.lifetime_s, both.preview) == (3_600, False)
    assert both.grant == Grant(kind=GrantKind.WINDOW, duration_s=3_600, max_uses=3, max_rows=50)
    every = loaded.terms([email, orders, other, other])
    assert [(each.approvers, each.quorum) for each in every.requirements] == [
        (("role:admin",), 1),
        (("role:dba",), 1),
        (("role:dpo",), 2),
    ]
    assert (every.lifetime_s, every.preview, every.grant) == (3_600, True, Grant())


def test_one_requirement_that_several_rules_make_is_made_once() -> None:
    text = f"rules:\n  - {{resource: {ORDERS}, approvers: [role:dba]}}\n  - {{label: pii.*, approvers: [role:dba]}}\n"
    found = terms(text, ("label:pii.email", Action.UNMASK), (ORDERS, Action.DELETE))
    assert [(each.approvers, each.source) for each in found.requirements] == [(("role:dba",), "approvals.yaml:2")]


def test_a_purpose_can_decide_whether_a_human_is_asked_at_all() -> None:
    rules = (
        RULES
        + "p, role:s, label:pii.email, unmask, approve, purpose == 'fraud case'\n"
        + "p, role:s, label:pii.email, unmask, deny, purpose is null\n"
        + "p, role:s, label:pii.phone, unmask, allow, purpose == 'fraud case'\n"
    )
    data = "tables: {public.people: {columns: {email: pii.email, phone: pii.phone}}}\n"
    loaded = with_approvals("", rules, data)
    people = table("people", "email", "phone")
    assert loaded.volatile_names == {"purpose"}
    for context, effect, raw in [
        ({"purpose": "fraud case"}, AskFirst, {"phone"}),
        ({"purpose": "curiosity"}, Deny, set()),
        ({}, Deny, set()),
    ]:
        who = caller("role:s")
        assert isinstance(loaded.decide(who, "label:pii.email", Action.UNMASK, context), effect)
        seen = loaded.view(who, "shop", people, catalog(people), context, ("pii.email",))
        assert {column.name for column in seen.columns if column.mask is None and column.label} == raw
        assert seen.asked_labels == (("pii.email",) if effect is AskFirst else ())
        assert seen.refused_labels == (("pii.email",) if effect is Deny else ())
        assert bool(seen.asks) == (effect is AskFirst)


def test_a_view_names_the_labels_that_wait_whatever_their_columns_are_called() -> None:
    rules = RULES + "p, role:s, label:pii.*, unmask, approve,\np, role:s, label:hr.*, unmask, allow,\n"
    data = "tables: {public.people: {columns: {a: pii.phone, b: pii.email, c: hr.pay, d: allow}}}\n"
    people = table("people", "a", "b", "c", "d")
    loaded = with_approvals("", rules, data)

    def asked(*unmask: str) -> tuple[str, ...]:
        return loaded.view(caller("role:s"), "shop", people, catalog(people), {}, unmask).asked_labels

    assert asked("pii.phone", "hr.pay", "pii.email") == ("pii.email", "pii.phone")
    assert asked("pii.phone") == ("pii.phone",)
    assert asked("hr.pay") == asked() == ()
    assert isinstance(loaded.decide(caller("role:s"), "label:hr.pay", Action.UNMASK, {}), Allow)


SUBJECTS = st.lists(st.sampled_from(["role:a", "role:b", "user:c"]), unique=True).map(
    lambda found: tuple(sorted(found))
)
BOUND = st.none() | st.integers(1, 9)
GRANTS = st.just(Grant()) | st.builds(
    Grant, kind=st.just(GrantKind.WINDOW), duration_s=st.integers(1, 9), max_uses=BOUND, max_rows=BOUND
)
REQUIREMENTS = st.builds(
    Requirement,
    approvers=SUBJECTS,
    quorum=st.integers(1, 3),
    escalate_after_s=st.none() | st.integers(1, 3),
    escalate_to=SUBJECTS,
    source=st.sampled_from(["approvals.yaml:2", "approvals.yaml:10"]),
)
TERMS = st.builds(
    Terms,
    requirements=st.lists(REQUIREMENTS, min_size=1, max_size=3).map(tuple),
    lifetime_s=st.integers(1, 9),
    grant=GRANTS,
    preview=st.booleans(),
)
MANY_TERMS = st.lists(TERMS, min_size=1, max_size=4)


def demands(found: Terms) -> list[tuple[object, ...]]:
    return [(e.approvers, e.quorum, e.escalate_after_s, e.escalate_to) for e in found.requirements]


def no_wider(one: Grant, other: Grant) -> bool:
    if one.kind is GrantKind.ONCE:
        return one == Grant()
    pairs = [(one.duration_s, other.duration_s), (one.max_uses, other.max_uses), (one.max_rows, other.max_rows)]
    return other.kind is GrantKind.WINDOW and all(b is None or (a is not None and a <= b) for a, b in pairs)


@UNHURRIED
@given(MANY_TERMS)
def test_the_strictest_terms_are_as_strict_as_each(several: list[Terms]) -> None:
    found = strictest(several)
    assert set(demands(found)) == {demand for one in several for demand in demands(one)}
    assert len(set(demands(found))) == len(found.requirements)
    for one in several:
        assert found.lifetime_s <= one.lifetime_s
        assert found.preview >= one.preview
        assert no_wider(found.grant, one.grant)


@UNHURRIED
@given(MANY_TERMS)
def test_the_strictest_terms_are_no_stricter_than_needed(several: list[Terms]) -> None:
    found = strictest(several)
    assert found.lifetime_s in [one.lifetime_s for one in several]
    assert found.preview in [one.preview for one in several]
    assert found.grant.kind in [one.grant.kind for one in several]
    if found.grant.kind is GrantKind.WINDOW:
        for bound in ("duration_s", "max_uses", "max_rows"):
            assert getattr(found.grant, bound) in [getattr(one.grant, bound) for one in several]


@UNHURRIED
@given(MANY_TERMS.flatmap(lambda several: st.tuples(st.just(several), st.permutations([*several, *several]))))
def test_neither_order_nor_repetition_changes_the_terms(found: tuple[list[Terms], list[Terms]]) -> None:
    several, shuffled = found
    assert strictest(shuffled) == strictest(several) == strictest([strictest(several), several[0]])


PATTERNS = st.sampled_from(
    ["**", "shop/**", "shop/*", "shop/public.*", "shop/*.orders", "*/public.orders", ORDERS, "shop/public.o*", "*/**"]
)


NAMED = st.lists(PATTERNS, min_size=1, max_size=5).map(lambda found: [(p, f"user:n{n}") for n, p in enumerate(found)])


@UNHURRIED
@given(NAMED.flatmap(lambda named: st.tuples(st.just(named), st.permutations(named))))
def test_the_place_of_a_rule_in_the_file_never_matters(
    rules: tuple[list[tuple[str, str]], list[tuple[str, str]]],
) -> None:
    def found(named: list[tuple[str, str]]) -> Terms:
        lines = "".join(f"  - {{resource: '{pattern}', approvers: ['{who}']}}\n" for pattern, who in named)
        return without_sources(terms("rules:\n" + lines))

    assert found(rules[1]) == found(rules[0])
    literal = [(who,) for pattern, who in rules[0] if pattern == ORDERS]
    assert not literal or approvers(found(rules[0])) == sorted(literal)


LABELS = ["pii.email", "pii.phone", "hr.pay"]
WORD = st.sampled_from([*LABELS, "allow", "mask", "deny"])
EFFECT = st.sampled_from(["allow", "approve", "deny"])


@UNHURRIED
@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(("a", "b", "c", "made"), WORD)),
    st.fixed_dictionaries({}, optional=dict.fromkeys(("a", "b", "sum"), WORD)),
    st.sampled_from(["allow", "mask", "deny"]),
    st.fixed_dictionaries(dict.fromkeys(LABELS, EFFECT)),
    st.sets(st.sampled_from(LABELS)),
)
def test_what_a_grant_shows_is_what_the_labels_that_wait_would_show_if_they_were_allowed(
    base: dict[str, str], seen: dict[str, str], default: str, effects: dict[str, str], unmask: set[str]
) -> None:
    people = table("people", "a", "b", "c", Column(name="made", type="text", generated_from=("a", "c")))
    view = table("v", "a", "b", "sum", kind=TableKind.VIEW, reads=("people.a", "people.b", "people.made"))
    known = catalog(people, view)
    data = json.dumps(
        {"default": default, "tables": {"public.people": {"columns": base}, "public.v": {"columns": seen}}}
    )

    def loaded(found: dict[str, str]) -> LoadedPolicy:
        lines = "".join(f"p, role:s, label:{label}, unmask, {effect},\n" for label, effect in found.items())
        return with_approvals("", RULES + lines, data)

    who = caller("role:s")
    for each in (people, view):
        asking = loaded(effects)
        masked = asking.view(who, "shop", each, known, {}, unmask)
        granted = asking.view(who, "shop", each, known, {}, unmask, granted=True)
        waiting = masked.asked_labels
        assert waiting == granted.asked_labels
        assert set(waiting) <= {label for label in unmask if effects[label] == "approve"}
        assert len(granted.asks) == len(waiting)
        allowed = loaded({**effects, **dict.fromkeys(waiting, "allow")})
        assert granted.columns == allowed.view(who, "shop", each, known, {}, ()).columns
        refusing = loaded({label: "deny" if effect == "approve" else effect for label, effect in effects.items()})
        assert masked.columns == refusing.view(who, "shop", each, known, {}, ()).columns
