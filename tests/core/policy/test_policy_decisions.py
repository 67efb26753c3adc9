import pytest
from policy_samples import ANYTHING_GOES, CONNECTIONS, caller, policy, policy_files

from app.policy.decision import Action, Allow, AskFirst, Decision, Deny, Effect
from app.policy.load import load

ANA = caller("user:ana", "role:analyst")


def asked(
    rules: str, resource: str = "shop/public.orders", action: Action = Action.SELECT, **context: object
) -> Decision:
    return policy(rules).decide(ANA, resource, action, context)


def test_without_a_rule_the_answer_is_no() -> None:
    assert isinstance(asked(""), Deny)


def test_deny_counts_before_approve_before_allow_wherever_they_stand() -> None:
    allow, approve, deny = (f"p, role:analyst, shop/public.*, select, {e},\n" for e in ("allow", "approve", "deny"))
    assert isinstance(asked(allow), Allow)
    assert isinstance(asked(approve + allow), AskFirst)
    assert isinstance(asked(allow + approve), AskFirst)
    assert isinstance(asked(deny + approve + allow), Deny)
    assert isinstance(asked(allow + approve + deny), Deny)


def test_a_decision_names_every_rule_that_matched_on_either_side_with_its_line() -> None:
    decision = asked(
        "p, role:analyst, shop/*, select, allow,\n\n# why\np, *, shop/public.orders, *, approve, limit > 5\n", limit=9
    )
    assert isinstance(decision, AskFirst)
    assert [(r.file, r.line, r.side) for r in decision.rules] == [
        ("policy.csv", 2, "principal"),
        ("policy.csv", 5, "principal"),
        ("policy.csv", 1, "actor"),
        ("policy.csv", 5, "actor"),
    ]
    assert decision.rules[1].when == "limit > 5"
    assert decision.rules[1].effect is Effect.APPROVE


@pytest.mark.parametrize(
    ("principal", "actor", "expected"),
    [
        ("allow", "allow", Allow),
        ("allow", "approve", AskFirst),
        ("approve", "allow", AskFirst),
        ("allow", "deny", Deny),
        ("deny", "allow", Deny),
        ("approve", "deny", Deny),
        ("allow", None, Deny),
        (None, "allow", Deny),
    ],
)
def test_the_stricter_of_principal_and_actor_decides(principal: str | None, actor: str | None, expected: type) -> None:
    rules = "".join(
        f"p, {who}, shop/public.orders, select, {effect},\n"
        for who, effect in (("user:ana", principal), ("client:bot", actor))
        if effect
    )
    loaded = load(policy_files(rules), CONNECTIONS)
    who = caller("user:ana", actors=("client:bot",))
    assert type(loaded.decide(who, "shop/public.orders", Action.SELECT, {})) is expected


def test_a_role_reaches_through_roles_and_groups() -> None:
    rules = "g, group:eng, role:lead\ng, role:lead, role:analyst\np, role:analyst, shop/*, select, allow,\n"
    loaded = policy(rules)
    assert isinstance(loaded.decide(caller("group:eng"), "shop/public.x", Action.SELECT, {}), Allow)
    assert isinstance(loaded.decide(caller("role:lead"), "shop/public.x", Action.SELECT, {}), Allow)
    assert isinstance(loaded.decide(caller("group:other"), "shop/public.x", Action.SELECT, {}), Deny)


def test_names_are_compared_case_and_all() -> None:
    loaded = policy("p, user:ana, shop/public.orders, select, allow,\n")
    assert isinstance(loaded.decide(caller("user:Ana"), "shop/public.orders", Action.SELECT, {}), Deny)
    assert isinstance(loaded.decide(caller("user:ana"), "shop/public.Orders", Action.SELECT, {}), Deny)


def test_a_refusal_says_whose_right_is_missing_and_the_next_step_but_no_rule() -> None:
    decision = asked("p, role:analyst, shop/public.orders, select, deny, limit > 3\n", limit=4)
    assert isinstance(decision, Deny)
    assert "speaks for" in decision.reason
    assert "administrator" in decision.reason
    for secret in ("role:analyst", "orders", "limit", "policy.csv"):
        assert secret not in decision.reason


def test_only_names_of_rules_that_cover_the_question_are_needed() -> None:
    loaded = policy(
        "p, role:analyst, shop/public.orders, select, approve, rows > 5\n"
        "p, role:analyst, shop/public.items, select, approve, purpose = 'x'\n"
        "p, role:other, shop/public.orders, select, approve, hour > 5\n"
    )
    assert loaded.names_needed(ANA, "shop/public.orders", Action.SELECT) == {"rows"}
    assert loaded.volatile_names == {"purpose", "hour"}


def test_possible_actions_leave_out_what_is_always_denied() -> None:
    loaded = policy(
        "p, role:analyst, shop/public.*, *, allow,\n"
        "p, *, shop/public.orders, delete, deny,\n"
        "p, *, shop/public.orders, update, deny, not has_where\n"
    )
    assert loaded.actions(ANA, "shop/public.orders") == {Action.SELECT, Action.INSERT, Action.UPDATE, Action.DDL}
    assert loaded.actions(ANA, "shop/secret.orders") == frozenset()
    assert loaded.actions(ANA, "label:pii.email") == frozenset()


def test_a_connection_is_reachable_only_where_both_sides_meet() -> None:
    rules = (
        "p, user:ana, shop/public.*, select, allow,\n"
        "p, client:near, shop/*.orders, select, allow,\n"
        "p, client:far, shop/sales.*, select, allow,\n"
        "p, client:exact, shop/public.orders, select, approve, rows > 5\n"
    )
    loaded = load(policy_files(rules), CONNECTIONS)

    def reach(client: str) -> frozenset[Action]:
        return loaded.reachable(caller("user:ana", actors=(f"client:{client}",)), "shop")

    assert reach("near") == {Action.SELECT}
    assert reach("exact") == {Action.SELECT}
    assert reach("far") == frozenset()
    assert reach("unknown") == frozenset()
    assert loaded.reachable(caller("user:ana", actors=("client:near",)), "lake") == frozenset()
    assert loaded.reachable(caller("user:ana", actors=("client:near",)), "nowhere") == frozenset()


def test_a_connection_that_is_denied_as_a_whole_does_not_exist() -> None:
    rules = "p, user:ana, shop/*, select, allow,\np, user:ana, shop/public.orders, select, allow,\n"
    assert policy(rules).reachable(caller("user:ana"), "shop") == {Action.SELECT}
    assert policy(rules + "p, *, shop/**, *, deny,\n").reachable(caller("user:ana"), "shop") == frozenset()


def test_everything_is_reachable_by_the_all_covering_pattern() -> None:
    loaded = policy("p, user:root, **, *, allow,\n")
    assert loaded.reachable(caller("user:root"), "events") == {Action.PUBLISH, Action.RECEIVE}
    assert loaded.reachable(caller("user:root"), "douane") == {Action.READ, Action.WRITE, Action.DECIDE}


def test_the_version_changes_with_any_byte_and_any_name() -> None:
    base = policy_files(ANYTHING_GOES)
    versions = [
        load(files, CONNECTIONS).version
        for files in (
            base,
            {**base, "policy.csv": base["policy.csv"] + b"\n"},
            {**base, "approvals.yaml": b"# x"},
            {**base, "approvals.yaml": b"", "tests/x.yaml": b"x"},
            {**base, "budgets.yaml": b"x"},
        )
    ]
    assert len(set(versions)) == len(versions)
    assert load(dict(reversed(base.items())), CONNECTIONS).version == versions[0]


def test_who_is_denied_everything_by_many_rules_still_does_not_know_the_connection() -> None:
    denials = "".join(f"p, user:ana, shop/public.t{n}, select, deny,\n" for n in range(700))
    assert policy(denials).reachable(caller("user:ana"), "shop") == frozenset()
    assert (
        policy(denials + "p, *, label:*, *, allow,\n", "masks: {a.b: null}").reachable(caller("user:ana"), "shop")
        == frozenset()
    )


def test_names_with_blanks_and_commas_are_subjects_as_tokens_have_them() -> None:
    loaded = policy(
        'p, "user:CN=Ana Bell, OU=X", shop/*, select, allow,\np, user:partner/ana, shop/*, delete, allow,\n'
    )
    assert isinstance(loaded.decide(caller("user:CN=Ana Bell, OU=X"), "shop/a.b", Action.SELECT, {}), Allow)
    assert isinstance(loaded.decide(caller("user:partner/ana"), "shop/a.b", Action.DELETE, {}), Allow)


def test_a_star_does_not_reach_over_a_segment_in_a_decision() -> None:
    loaded = policy("p, user:ana, lake/reports/*, fetch, allow,\np, user:ana, lake/*/open/*.csv, fetch, allow,\n")
    who = caller("user:ana")
    assert isinstance(loaded.decide(who, "lake/reports/may.csv", Action.FETCH, {}), Allow)
    assert isinstance(loaded.decide(who, "lake/reports/2024/may.csv", Action.FETCH, {}), Deny)
    assert isinstance(loaded.decide(who, "lake/a/open/may.csv", Action.FETCH, {}), Allow)
    assert isinstance(loaded.decide(who, "lake/a/b/open/may.csv", Action.FETCH, {}), Deny)


def test_head_and_tail_of_a_pattern_may_not_share_characters() -> None:
    loaded = policy("p, user:ana, lake/ab*ab, fetch, allow,\n")
    assert isinstance(loaded.decide(caller("user:ana"), "lake/abab", Action.FETCH, {}), Allow)
    assert isinstance(loaded.decide(caller("user:ana"), "lake/ab", Action.FETCH, {}), Deny)
