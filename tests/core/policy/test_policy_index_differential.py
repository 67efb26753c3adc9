"""The compiled index must answer exactly as plain pycasbin does over the same files."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from policy_samples import CONNECTIONS, UNHURRIED, caller, policy_files

from app.policy.decision import Action, Allow, AskFirst, Deny
from app.policy.load import load

ROLES = ["role:a", "role:b", "role:c", "role:d"]
MEMBERS = ["user:u", "user:v", "group:g", "client:k"]
SUBJECTS = [*ROLES, *MEMBERS, "*"]
RESOURCES = [
    "**",
    "shop/*",
    "shop/**",
    "shop/public.*",
    "shop/public.orders",
    "shop/*.orders",
    "shop/p*.o*s",
    "*/public.orders",
    "lake/reports/*",
    "lake/reports/**",
    "lake/**/may.csv",
    "lake/reports/2024/may.csv",
]
QUESTIONS = [
    "shop/public.orders",
    "shop/public.items",
    "shop/sales.orders",
    "shop/public.a%2Fb",
    "lake/reports/may.csv",
    "lake/reports/2024/may.csv",
    "lake/other",
    "label:pii.email",
    "douane/audit",
]
ACTIONS = ["select", "select", "delete", "*"]
CONDITIONS = ["", "", "rows > 10", "has_where", "not has_where", "nonsense", "\"statement in ('a', 'b')\""]

RULES = st.lists(
    st.tuples(
        st.sampled_from(SUBJECTS),
        st.sampled_from(RESOURCES),
        st.sampled_from(ACTIONS),
        st.sampled_from(["allow", "deny", "approve"]),
        st.sampled_from(CONDITIONS),
    ),
    max_size=14,
)
# Roles only ever point further down the alphabet: circles do not load.
LINKS = st.lists(
    st.tuples(st.sampled_from(MEMBERS), st.sampled_from(ROLES))
    | st.tuples(st.sampled_from(ROLES), st.sampled_from(ROLES)).filter(lambda pair: pair[0] < pair[1]),
    max_size=6,
)
CONTEXTS = st.fixed_dictionaries(
    {},
    optional={"rows": st.sampled_from([5, 50, None, "many"]), "has_where": st.booleans(), "statement": st.just("a")},
)
PEOPLE = st.frozensets(st.sampled_from([*MEMBERS, *ROLES]), max_size=3)

STRICTNESS = {"deny": 2, "approve": 1, "allow": 0}


def effect_of(matched: frozenset[tuple[str, ...]]) -> int:
    return max((STRICTNESS[fields[3]] for fields in matched), default=2)


@settings(UNHURRIED, max_examples=250)
@given(RULES, LINKS, PEOPLE, PEOPLE, st.sampled_from(QUESTIONS), st.sampled_from(["select", "delete"]), CONTEXTS)
def test_the_index_and_pycasbin_agree_on_every_rule_that_matches(
    rules: list[tuple[str, ...]],
    links: list[tuple[str, str]],
    principal: frozenset[str],
    actor: frozenset[str],
    resource: str,
    action: str,
    context: dict[str, Any],
) -> None:
    lines = ["p, " + ", ".join(rule) for rule in rules]
    lines += [f"p, {role}, shop/never.matched, ddl, allow," for role in ROLES]
    lines += [f"g, {member}, {role}" for member, role in links]
    loaded = load(policy_files("\n".join(lines)), CONNECTIONS)
    who = caller(*principal, actors=tuple(actor))
    plain = loaded.reference()
    expected = {
        "principal": plain.matching(who, principal or {"nobody"}, resource, action, context),
        "actor": plain.matching(who, actor or {"nobody"}, resource, action, context),
    }

    decision = loaded.decide(who, resource, Action(action), context)

    for side, matched in expected.items():
        found = {
            (rule.subject, rule.resource, rule.action, rule.effect.value, rule.when)
            for rule in decision.rules
            if rule.side == side
        }
        assert found == matched
    assert {Allow: 0, AskFirst: 1, Deny: 2}[type(decision)] == max(map(effect_of, expected.values()))
    for rule in decision.rules:
        assert lines[rule.line - 1].startswith(f"p, {rule.subject}, {rule.resource},")
