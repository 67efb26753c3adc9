"""Rules and terms for keys and topics are decided like those for tables."""

import pytest
from policy_samples import ANYTHING_GOES, CONNECTIONS, caller, policy, policy_files

from app.approval.terms import Grant, GrantKind
from app.policy.content import spoken
from app.policy.decision import Action, Allow, AskFirst, Deny
from app.policy.findings import PolicyBroken
from app.policy.load import load
from app.policy.loaded import LoadedPolicy
from app.policy.resources import object_resource, topic_resource

RULES = """
p, role:agent, lake/reports/**, list, allow,
p, role:agent, lake/reports/**, fetch, allow,
p, role:agent, lake/reports/secret/*, *, deny,
p, role:agent, lake/exports/*.csv, put, approve, "'pii' in labels or bytes > 1000"
p, role:agent, lake/exports/*.csv, put, allow, "'pii' not in labels and bytes <= 1000"
p, role:agent, events/orders.*, publish, allow, content_type = 'application/json'
p, role:agent, events/partner.*, publish, approve,
p, role:agent, events/*, publish, deny, "'secret' in labels"
p, role:clerk, events/inbox, receive, allow, topic = 'inbox'
p, role:clerk, lake/a, fetch, allow, key = 'a'
"""
AGENT, CLERK = caller("role:agent"), caller("role:clerk")
LOADED = policy(RULES)


def lake(key: str, action: Action, **context: object) -> type:
    return type(LOADED.decide(AGENT, object_resource("lake", key), action, context))


def events(topic: str, **context: object) -> type:
    return type(LOADED.decide(AGENT, topic_resource("events", topic), Action.PUBLISH, context))


def test_a_folder_and_all_below_it_may_be_read_but_for_what_is_denied() -> None:
    assert lake("reports/2026/may.csv", Action.FETCH) is Allow
    assert lake("reports/secret/may.csv", Action.FETCH) is Deny
    assert lake("reports", Action.FETCH) is Deny
    assert lake("reports/a", Action.DELETE) is Deny


def test_what_is_in_it_decides_whether_a_human_is_asked() -> None:
    assert lake("exports/a.csv", Action.PUT, labels=spoken(()), bytes=10) is Allow
    assert lake("exports/a.csv", Action.PUT, labels=spoken(["pii.email"]), bytes=10) is AskFirst
    assert lake("exports/a.csv", Action.PUT, labels=spoken(["pci.iban"]), bytes=10_000) is AskFirst


def test_what_is_not_known_of_a_put_asks() -> None:
    assert lake("exports/a.csv", Action.PUT) is AskFirst
    assert lake("exports/deep/a.csv", Action.PUT) is Deny


def test_a_star_in_a_key_does_not_take_the_place_of_another() -> None:
    assert lake("reports/*", Action.FETCH) is Allow
    assert lake("exports/*.csv", Action.PUT, labels=(), bytes=1) is Allow
    assert lake("*", Action.FETCH) is Deny


def test_topics_are_decided_by_name_type_and_what_is_found() -> None:
    known = {"labels": (), "content_type": "application/json"}
    assert events("orders.eu.created", **known) is Allow
    assert events("orders.created", labels=()) is Deny
    assert events("partner.orders", **known) is AskFirst
    assert events("partner.orders", labels=spoken(["secret.jwt"]), content_type="application/json") is Deny
    assert events("orders.created", content_type="application/json") is Deny


def test_key_and_topic_are_known_by_name() -> None:
    assert isinstance(LOADED.decide(CLERK, "events/inbox", Action.RECEIVE, {"topic": "inbox"}), Allow)
    assert isinstance(LOADED.decide(CLERK, "events/inbox", Action.RECEIVE, {}), Deny)
    assert isinstance(LOADED.decide(CLERK, "lake/a", Action.FETCH, {"key": "a"}), Allow)


def test_what_a_caller_may_possibly_do_is_told_by_connection_and_by_name() -> None:
    assert LOADED.reachable(AGENT, "lake") == {Action.LIST, Action.FETCH, Action.PUT}
    assert LOADED.reachable(AGENT, "events") == {Action.PUBLISH}
    assert LOADED.reachable(CLERK, "events") == {Action.RECEIVE}
    assert LOADED.reachable(caller("role:nobody"), "lake") == frozenset()
    assert LOADED.actions(AGENT, object_resource("lake", "reports/a")) == {Action.LIST, Action.FETCH}
    assert LOADED.actions(AGENT, object_resource("lake", "reports/secret/a")) == frozenset()
    assert LOADED.actions(AGENT, topic_resource("events", "partner.orders")) == {Action.PUBLISH}


def test_names_that_rules_read_are_told_beforehand() -> None:
    assert LOADED.names_needed(AGENT, "lake/exports/a.csv", Action.PUT) == {"labels", "bytes"}
    assert LOADED.volatile_names == frozenset()


@pytest.mark.parametrize(
    ("resource", "name", "warned"),
    [
        ("lake/a", "topic = 'a'", True),
        ("lake/a", "has_where", True),
        ("lake/a", "'pii' in labels", False),
        ("events/a", "key = 'a'", True),
        ("events/a", "bytes > 5", False),
        ("shop/public.a", "'pii' in labels", True),
        ("shop/public.a", "has_where", False),
        ("*/a", "topic = 'a'", False),
        ("**", "key = 'a'", False),
    ],
)
def test_a_condition_on_what_requests_of_this_family_never_say_loads_with_a_warning(
    resource: str, name: str, warned: bool
) -> None:
    loaded = load(policy_files(f'p, *, {resource}, *, deny, "{name}"\n'), CONNECTIONS)
    assert bool(loaded.warnings) is warned


APPROVALS = """
default: {approvers: [role:dpo]}
rules:
  - resource: lake/exports/**
    action: [put, delete]
    approvers: [role:data]
  - resource: lake/exports/partner/*
    action: put
    approvers: [role:partner]
    quorum: 2
  - resource: events/partner.*
    action: publish
    approvers: [role:partner]
    grant: {window: 30m, uses: 10}
  - label: secret.*
    quorum: 3
"""
DECIDERS = "".join(f"p, role:{role}, douane/approvals, decide, allow,\n" for role in ("dpo", "data", "partner"))


def with_approvals(approvals: str) -> LoadedPolicy:
    files = policy_files(ANYTHING_GOES + RULES + DECIDERS)
    return load(files | {"approvals.yaml": approvals.encode()}, CONNECTIONS)


def test_the_narrowest_terms_of_a_key_or_topic_count() -> None:
    loaded = with_approvals(APPROVALS)

    def who(resource: str, action: Action) -> tuple[tuple[str, ...], int]:
        (asked,) = loaded.terms([(resource, action)]).requirements
        return asked.approvers, asked.quorum

    assert who(object_resource("lake", "exports/a.csv"), Action.PUT) == (("role:data",), 1)
    assert who(object_resource("lake", "exports/a.csv"), Action.FETCH) == (("role:dpo",), 1)
    assert who(object_resource("lake", "exports/partner/a.csv"), Action.PUT) == (("role:partner",), 2)
    assert who(object_resource("lake", "exports/partner/a.csv"), Action.DELETE) == (("role:data",), 1)
    assert who(topic_resource("events", "partner.orders"), Action.PUBLISH) == (("role:partner",), 1)
    assert who("label:secret.jwt", Action.UNMASK) == (("role:dpo",), 3)
    window = loaded.terms([("events/partner.orders", Action.PUBLISH)]).grant
    assert window == Grant(kind=GrantKind.WINDOW, duration_s=1_800, max_uses=10)


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ("{resource: lake/**, action: select}", "select does not apply to lake/**"),
        ("{resource: lake/**, action: publish}", "publish does not apply"),
        ("{resource: events/*, action: put}", "put does not apply"),
        ("{resource: events/a/b}", "is no topic"),
        ("{resource: lake/a//b}", "is no object"),
    ],
)
def test_terms_for_what_cannot_be_done_there_are_refused(rule: str, what: str) -> None:
    with pytest.raises(PolicyBroken) as refused:
        with_approvals(f"rules: [{rule}]")
    assert what in refused.value.findings[0].what


def test_a_partner_topic_that_nobody_can_approve_is_warned_about() -> None:
    rules = (
        "p, role:agent, events/partner.*, publish, approve,\np, role:dpo, douane/approvals, decide, allow,\n"
        "g, user:dee, role:dpo\n"
    )
    approvals = "default: {approvers: [role:dpo], quorum: 2}"
    loaded = load(policy_files(rules, **{"approvals.yaml": approvals}), CONNECTIONS)
    assert [(warning.file, warning.line) for warning in loaded.warnings] == [("approvals.yaml", 1), ("policy.csv", 1)]
