"""approvals.yaml that is wrong anywhere does not activate and says where; one that nobody can answer is warned of."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_samples import CONNECTIONS, UNHURRIED, policy_files

from app.policy.approval_check import MANY_STARS, MAX_EFFORT, MAX_UNANSWERABLE
from app.policy.findings import Finding, Level, PolicyBroken
from app.policy.load import load
from app.policy.loaded import LoadedPolicy
from app.policy.schemas import schemas

MASKS = "masks: {pii.email: null}\n"
KNOWN = """\
p, role:a, shop/public.t, select, allow,
p, role:ops, lake/x, fetch, allow,
g, user:max, role:dba
g, role:dba, role:ops
"""
DECIDES = "p, role:dba, douane/approvals, decide, allow,\n"
DATA = "tables: {public.t: {columns: {x: hr.pay}, rows: {role:filtered: true, '*': true}}}\n"


def loaded(approvals: str, rules: str = KNOWN) -> LoadedPolicy:
    return load(policy_files(rules, MASKS, DATA, **{"approvals.yaml": approvals}), CONNECTIONS)


def faults(approvals: str, rules: str = KNOWN) -> list[Finding]:
    with pytest.raises(PolicyBroken) as refused:
        loaded(approvals, rules)
    return list(refused.value.findings)


def errors(approvals: str) -> tuple[Finding, ...]:
    try:
        loaded(approvals)
    except PolicyBroken as refused:
        return refused.findings
    return ()


def rule(text: str) -> str:
    """The keys of one rule, beginning at line 2, column 5."""
    return "rules:\n  - " + text.replace("\n", "\n    ") + "\n"


@pytest.mark.parametrize(
    ("text", "line", "column", "what", "expected"),
    [
        ("defaults: {}", 1, 1, "unknown key 'defaults'", "default, rules"),
        ("default: []", 1, 1, "", "a mapping"),
        ("default:", 1, 1, "", "a mapping"),
        ("rules: {}", 1, 1, "", "a list"),
        ("default: {quorums: 1}", 1, 11, "unknown key 'quorums'", "approvers, quorum, expires"),
        ("default: {resource: shop/public.t}", 1, 11, "unknown key 'resource'", "approvers"),
        ("default: {quorum: 0}", 1, 11, "", "a larger number"),
        ("default: {quorum: 11}", 1, 11, "", "a smaller number"),
        ("default: {quorum: '2'}", 1, 11, "", "a whole number"),
        ("default: {quorum: true}", 1, 11, "", "a whole number"),
        ("default: {preview: yes}", 1, 11, "", "true or false"),
        ("default: {expires: 59s}", 1, 11, "59s is out of bounds", "from 1m to 30d"),
        ("default: {expires: 31d}", 1, 11, "31d is out of bounds", "from 1m to 30d"),
        ("default: {expires: 720h1m}", 1, 11, "no duration", "30m"),
        ("default: {expires: 3600}", 1, 11, "no duration", "30m"),
        ("default: {expires: 0m}", 1, 11, "no duration", "30m"),
        ("default: {expires: -5m}", 1, 11, "no duration", "30m"),
        ("default: {expires: 1w}", 1, 11, "no duration", "30m"),
        ("default: {expires: 1.5h}", 1, 11, "no duration", "30m"),
        ("default: {expires: \u0661m}", 1, 11, "no duration", "30m"),
        ("default: {grant: twice}", 1, 11, "unknown word", "once"),
        ("default: {grant: 3}", 1, 11, "", "a mapping"),
        ("default: {grant: {uses: 3}}", 1, 11, "", "this key"),
        ("default: {grant: {window: 8d}}", 1, 19, "8d is out of bounds", "at most 7d"),
        ("default: {grant: {window: 169h}}", 1, 19, "out of bounds", "at most 7d"),
        ("default: {grant: {window: 1h, uses: 0}}", 1, 31, "", "a larger number"),
        ("default: {grant: {window: 1h, rows: 0}}", 1, 31, "", "a larger number"),
        ("default: {grant: {window: 1h, rows: 1e3}}", 1, 31, "", "a whole number"),
        ("default: {grant: {window: 1h, row: 5}}", 1, 31, "unknown key 'row'", "window, uses, rows"),
        ("default: {escalate: {after: 5m}}", 1, 11, "", "this key"),
        ("default: {escalate: {after: 5m, to: []}}", 1, 33, "", "at least one"),
        ("default: {escalate: {after: 5m, to: ['*']}}", 1, 38, "'*' is no approver", "user:NAME"),
        ("default: {escalate: sometimes}", 1, 11, "unknown word", "never"),
        ("default: {approvers: []}", 1, 11, "", "at least one"),
        ("default: {approvers: role:dba}", 1, 11, "", "a list"),
        ("default: {approvers: [role:dba, dba]}", 1, 33, "'dba' is no approver", "user:NAME, role:NAME or group:NAME"),
        ("default: {approvers: [client:x]}", 1, 23, "'client:x' is no approver", "user:NAME"),
        ("default: {approvers: ['*', role:dba]}", 1, 11, "meaningless", "'*' alone"),
        ("default: {approvers: [role:dbas]}", 1, 23, "unknown role 'role:dbas'", "a role that"),
        ("default: {escalate: {after: 1m, to: [user:x, role:none]}}", 1, 46, "unknown role 'role:none'", "a role that"),
        ("default: {escalate: {after: 24h, to: [user:x]}}", 1, 22, "no sooner", "shorter than expires"),
        ("default: {expires: 1h, escalate: {after: 60m, to: [user:x]}}", 1, 35, "no sooner", "shorter than expires"),
        (rule("resource: shop/public.t\naction: drop"), 3, 5, "unknown action 'drop'", "select, insert"),
        (rule("resource: shop/public.t\naction: [update, put]"), 3, 22, "put does not apply", "ddl, delete, insert"),
        (rule("resource: shop/public.t\naction: unmask"), 3, 5, "unmask does not apply", "ddl, delete"),
        (rule("resource: '*/x'\naction: unmask"), 3, 5, "unmask does not apply", "ddl, decide"),
        (rule("resource: lake/x\naction: update"), 3, 5, "update does not apply", "delete, fetch, list, put"),
        (rule("resource: events/x\naction: fetch"), 3, 5, "fetch does not apply", "publish, receive"),
        (rule("resource: douane/policies\naction: delete"), 3, 5, "delete does not apply", "decide, read, write"),
        (rule("resource: shop/public.t\naction: []"), 3, 5, "", "at least one"),
        (rule("label: pii.email\naction: select"), 3, 5, "select does not apply", "unmask"),
        (rule("label: pii.shoe_size"), 2, 5, "unknown label 'pii.shoe_size'", "a label of masks.yaml"),
        (rule("label: a b"), 2, 5, "malformed label", "label:pii.email"),
        (rule("resource: label:pii.email"), 2, 5, "a label as resource", "label: pii.email"),
        (rule("resource: nope/public.t"), 2, 5, "unknown connection 'nope'", "one of: events, lake, shop"),
        (rule("resource: shop/t"), 2, 5, "no table", "shop/schema.table"),
        (rule("resource: shop"), 2, 5, "malformed resource", "connection/path"),
        (rule("resource: shop/a*b*c*d*e*f*g*"), 2, 5, "stars", "at most 6"),
        (rule("resource: shop/public.t\nlabel: pii.email"), 3, 5, "a resource and a label", "two rules"),
        (rule("quorum: 2"), 2, 5, "a rule for nothing", "resource, or label"),
        (
            rule("resource: shop/public.t\nexpires: 5m\nescalate: {after: 5m, to: [user:x]}"),
            4,
            16,
            "no sooner",
            "short",
        ),
        ("default: {escalate: {after: 5m, to: [user:x]}}\n" + rule("resource: lake/x\nexpires: 2m"), 4, 5, "", "short"),
        ("default: &x {quorum: 1}", 1, 10, "anchor", "the value itself"),
        ("default: {quorum: 1, quorum: 2}", 1, 22, "twice", "each key once"),
    ],
)
def test_each_fault_is_named_with_its_place_and_what_was_expected(
    text: str, line: int, column: int, what: str, expected: str
) -> None:
    found = faults(text)
    assert [(fault.file, fault.line, fault.column) for fault in found] == [("approvals.yaml", line, column)]
    assert what in found[0].what
    assert expected in found[0].expected
    assert found[0].level is Level.ERROR


def test_all_faults_show_at_once() -> None:
    text = """\
default: {escalate: {after: 2d, to: [user:x]}}
rules:
  - resource: shop/t
    escalate: {after: 2d, to: [user:x]}
  - {resource: lake/x, action: [insert, update]}
  - {quorum: 1}
"""
    places = [(fault.line, fault.column) for fault in faults(text)]
    assert places == [(1, 22), (3, 5), (4, 16), (5, 33), (5, 41), (6, 5)]


@pytest.mark.parametrize(
    "subject", ["role:a", "role:dba", "role:ops", "role:filtered", "user:anybody", "group:any/one"]
)
def test_roles_count_as_known_from_rules_links_and_row_filters_and_people_always(subject: str) -> None:
    approvals = f"default: {{approvers: ['{subject}'], escalate: {{after: 1m, to: ['{subject}']}}}}"
    assert loaded(approvals).terms([]).requirements[0].approvers == (subject,)


def test_a_link_may_give_a_role_that_only_approvals_name() -> None:
    link = KNOWN + "g, user:eve, role:approver\n"
    assert [fault.what for fault in faults("", link)] == ["unknown role 'role:approver'"]
    assert loaded("default: {approvers: [role:approver]}", link)
    assert loaded("default: {escalate: {after: 1m, to: [role:approver]}}", link)


@pytest.mark.parametrize("label", ["pii.email", "pii.*", "hr.pay", "hr.*", "*"])
def test_labels_of_masks_and_of_data_files_are_known(label: str) -> None:
    assert loaded(f"rules: [{{label: '{label}', quorum: 2}}]").terms([]).requirements[0].quorum == 1


def test_the_bounds_themselves_are_fine() -> None:
    text = """\
default: {quorum: 10, expires: 30d, grant: {window: 7d, uses: 1, rows: 1}, escalate: {after: 29d, to: [user:x]}}
rules:
  - {resource: lake/x, expires: 1m, quorum: 1, escalate: {after: 59s, to: [user:x]}}
"""
    assert loaded(text).terms([]).lifetime_s == 30 * 86_400


def warned(approvals: str, rules: str) -> list[tuple[str, int, int, str]]:
    found = loaded(approvals, KNOWN + rules).warnings
    assert all(each.level is Level.WARNING and each.expected for each in found)
    return [(each.file, each.line, each.column, each.what) for each in found]


@pytest.mark.parametrize(
    ("subject", "rules", "fine"),
    [
        ("role:dba", DECIDES, True),
        ("role:dba", "", False),
        ("role:dba", "p, user:max, douane/*, *, allow,\n", True),
        ("role:dba", "p, role:ops, **, decide, allow,\n", True),
        ("role:dba", DECIDES + "p, user:max, douane/approvals, decide, deny,\n", False),
        ("role:dba", DECIDES + "p, user:max, douane/approvals, decide, deny, hour > 17\n", True),
        ("role:dba", DECIDES + "p, *, douane/**, *, approve,\n", False),
        ("role:dba", "p, role:dba, douane/approvals, read, allow,\n", False),
        ("role:a", DECIDES, False),
        ("role:a", "p, role:a, douane/approvals, decide, allow,\n", True),
        ("role:a", "p, *, douane/approvals, decide, allow,\n", True),
        ("user:max", DECIDES, True),
        ("user:moe", DECIDES, False),
        ("group:x", DECIDES, False),
        ("group:x", DECIDES + "g, group:x, role:dba\n", True),
        ("role:bots", "g, client:bot, role:bots\np, role:bots, douane/approvals, decide, allow,\n", False),
    ],
)
def test_an_approver_who_may_not_decide_is_warned_of(subject: str, rules: str, fine: bool) -> None:
    for text, column in [
        (f"default: {{approvers: ['{subject}']}}", 23),
        (f"default: {{escalate: {{after: 1m, to: ['{subject}']}}}}", 38),
    ]:
        found = [each for each in warned(text, rules) if each[0] == "approvals.yaml"]
        assert [each[:3] for each in found] == ([] if fine else [("approvals.yaml", 1, column)])
        assert fine or subject in found[0][3]


MANY = DECIDES + "g, user:moe, role:dba\np, group:g, douane/approvals, decide, allow,\n"
ESCALATES = "escalate: {after: 1m, to: ['user:eve']}"


@pytest.mark.parametrize(
    ("terms", "column", "count"),
    [
        ("approvers: [role:dba], quorum: 2", 0, 2),
        ("approvers: [role:dba], quorum: 3", 34, 2),
        ("quorum: 3, approvers: [role:dba, user:max]", 11, 2),
        ("approvers: [role:ops], quorum: 3", 34, 2),
        (f"approvers: [role:dba], quorum: 3, {ESCALATES}", 0, 3),
        ("approvers: [role:dba, group:g], quorum: 3", 0, 0),
        ("quorum: 9", 0, 0),
        ("approvers: ['*'], quorum: 9", 0, 0),
    ],
)
def test_a_quorum_that_the_known_people_cannot_make_is_warned_of(terms: str, column: int, count: int) -> None:
    found = warned(f"default: {{{terms}}}", MANY + "p, user:eve, douane/approvals, decide, allow,\n")
    assert [each[1:3] for each in found] == ([(1, column)] if column else [])
    assert not column or f"knows {count} who" in found[0][3]


def test_a_quorum_is_counted_among_everybody_where_nobody_is_named() -> None:
    assert [each[1:3] for each in warned("default: {quorum: 2}", DECIDES)] == [(1, 11)]
    assert warned("default: {quorum: 2}", DECIDES + "p, user:eve, **, *, allow,\n") == []
    assert warned("default: {quorum: 2}", DECIDES + "p, client:app, **, *, allow,\n") != []


def test_a_rule_that_takes_everything_from_default_is_not_warned_of_again() -> None:
    text = "default: {approvers: [role:dba], quorum: 2}\nrules:\n  - {resource: lake/x, expires: 1h}\n"
    assert [each[1] for each in warned(text, DECIDES)] == [1]


ASKS = "p, role:a, shop/public.t, delete, approve,\n"
BY_MAX = "p, user:max, shop/public.t, delete, approve,\n"
BY_DBA = "p, role:dba, shop/public.t, delete, approve,\n"


@pytest.mark.parametrize(
    ("approvals", "rules", "lines"),
    [
        ("", ASKS, [5]),
        ("", ASKS + DECIDES, []),
        ("", BY_MAX + DECIDES, [5]),
        ("", BY_DBA + DECIDES, [5]),
        ("", BY_DBA + DECIDES + "g, user:moe, role:dba\n", []),
        ("", BY_DBA + DECIDES + "g, group:x, role:dba\n", []),
        ("default: {quorum: 2}", BY_DBA + DECIDES + "g, user:moe, role:dba\n", [5]),
        ("", "p, *, shop/public.t, delete, approve,\n" + DECIDES, []),
        ("", BY_MAX + "p, *, douane/approvals, decide, allow,\n", []),
        ("", "p, client:app, **, *, approve,\n" + DECIDES, []),
        ("default: {approvers: [user:max]}", BY_DBA + MANY, [5]),
        (
            "default: {approvers: [user:max]}\n" + rule("resource: lake/**\naction: put\napprovers: [user:moe]"),
            "p, user:max, lake/x, *, approve,\n" + MANY,
            [5],
        ),
        (
            "default: {approvers: [user:max]}\n" + rule("label: pii.*\naction: unmask\napprovers: [user:moe]"),
            "p, user:max, label:pii.email, *, approve,\n" + MANY,
            [],
        ),
        ("default: {approvers: [role:dba]}", BY_DBA + MANY, []),
        ("default: {approvers: ['*']}\n" + rule("resource: shop/public.*\napprovers: [user:max]"), BY_MAX + MANY, [5]),
        (rule("resource: shop/public.*\naction: update\napprovers: [user:max]"), BY_MAX + MANY, []),
        (rule("resource: shop/public.u\napprovers: [user:max]"), BY_MAX + MANY, []),
        (
            rule("resource: shop/**\napprovers: [user:max]") + "  - {resource: shop/public.t, approvers: [user:moe]}\n",
            BY_MAX + MANY,
            [],
        ),
        (
            rule("resource: shop/public.t\napprovers: [user:max]"),
            "p, user:max, shop/**, delete, approve,\n" + MANY,
            [5],
        ),
        (rule("resource: lake/**\napprovers: [user:max]"), "p, user:max, **, *, approve,\n" + MANY, [5]),
        (rule("resource: '**'\naction: put\napprovers: [user:max]"), "p, user:max, lake/x, *, approve,\n" + MANY, [5]),
        (rule("label: pii.*\napprovers: [user:max]"), "p, user:max, label:pii.email, unmask, approve,\n" + MANY, [5]),
        (rule("label: pii.*\napprovers: [user:max]"), "p, user:max, label:pii.email, *, approve,\n" + MANY, [5]),
        (rule("label: pii.*\napprovers: [user:max]"), "p, user:max, shop/**, *, approve,\n" + MANY, []),
    ],
)
def test_a_rule_that_asks_where_nobody_can_answer_is_warned_of(approvals: str, rules: str, lines: list[int]) -> None:
    found = [each for each in warned(approvals, rules) if each[0] == "policy.csv"]
    assert [each[1:3] for each in found] == [(line, 1) for line in lines]


def test_only_those_are_named_whose_requests_nobody_can_answer() -> None:
    rules = BY_DBA + DECIDES + "g, user:moe, role:dba\np, user:moe, douane/approvals, decide, deny,\n"
    (found,) = warned("", rules)
    assert found[3].startswith("what user:max asks can be approved by too few people")
    (found,) = warned("default: {approvers: [user:max]}", BY_DBA + DECIDES)
    assert "(terms of approvals.yaml:1)" in found[3]


def test_a_large_policy_is_looked_at_up_to_a_bound() -> None:
    def asking(count: int) -> str:
        return "".join(f"p, role:a, shop/public.t{n}*, delete, approve,\n" for n in range(count))

    assert len(warned("", asking(MAX_UNANSWERABLE + 10))) == MAX_UNANSWERABLE
    most = MAX_EFFORT // MANY_STARS
    assert len(warned("", asking(most - 1) + BY_MAX + DECIDES)) == 1
    assert warned("", asking(most) + BY_MAX + DECIDES) == []


@UNHURRIED
@given(st.text(max_size=60) | st.text(alphabet="{}[]:, \n-*role:dba1mh'\"", max_size=80))
def test_any_text_is_a_policy_or_findings_with_places(text: str) -> None:
    for approvals in (text, "default: {approvers: " + text, "rules:\n  - resource: " + text):
        assert all(each.file == "approvals.yaml" and each.line > 0 for each in errors(approvals))


def test_the_schema_knows_every_key_that_the_file_may_have() -> None:
    schema = json.loads(schemas()["approvals.schema.json"])
    assert set(schema["properties"]) == {"default", "rules"}
    terms = {"approvers", "quorum", "expires", "grant", "preview", "escalate", "description"}
    assert set(schema["$defs"]["TermsDocument"]["properties"]) == terms
    assert set(schema["$defs"]["RuleDocument"]["properties"]) == terms | {"resource", "label", "action"}
    assert schema["$defs"]["WindowDocument"]["required"] == ["window"]


def test_the_reference_page_shows_a_file_that_loads_without_a_warning() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "approvals.md").read_text(encoding="utf-8")
    shown = page.split("```yaml\n")[1].split("```")[0]
    purposes = page.split("```\np, role:support")[1].split("```")[0]
    everybody = "".join(
        f"p, {who}, douane/approvals, decide, allow,\n"
        for who in ("role:dba", "role:dpo", "role:admin", "group:data-eng")
    )
    rules = everybody + "p, user:dee, douane/approvals, decide, allow,\np, role:support" + purposes
    files = policy_files(rules, MASKS, **{"approvals.yaml": shown.replace("main.", "public.")})
    found = load(files, CONNECTIONS)
    assert found.warnings == ()
    assert found.volatile_names == {"purpose"}
