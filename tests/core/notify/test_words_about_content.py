"""What people are told of requests on objects and messages, in notifications and behind their links."""

from typing import Any

import pytest

from app.approval.approval import Approval, Outcome
from app.approval.digest import pending
from app.approval.terms import Grant, Requirement, Terms
from app.console.link_html import request_page
from app.gateway.links import summary
from app.notify.words import facts, title
from app.policy.caller import Caller
from app.ports import Message

AT, LATER = "2026-11-23T10:00:00.000000Z", "2026-11-24T10:00:00.000000Z"
ANA = Caller(
    issuer="https://idp.example/", principal="ana", actor="sales-agent", actor_chain=(), client="sales-agent",
    principal_subjects=frozenset(), actor_subjects=frozenset(), scopes=frozenset(), claims={}, token_id="t",
    expires_at=0, policy_key="",
)  # fmt: skip


def asked(kind: str, resource: str, params: dict[str, Any], statement: str | None = None) -> Approval:
    return pending(
        random=b"0" * 16, created_at=AT, expires_at=LATER, caller=ANA, connection=resource.partition("/")[0],
        action=kind, resources=(resource,), reasons=("policy.csv:7",), statement=statement, params=params, unmask=(),
        purpose="Refill.", policy_version="f" * 64,
        terms=Terms(requirements=(Requirement(approvers=("role:dpo",), source="a:1"),), lifetime_s=9, grant=Grant(),
                    preview=True),
        outcome=Outcome(kind=kind, labels=("pii.email",)),
    )  # fmt: skip


PUT = asked("put", "files/exports/a.csv", {"key": "exports/a.csv", "content_type": "text/csv", "content_bytes": 36})
PUBLISH = asked("publish", "queue/partner.orders", {"topic": "partner.orders", "content_type": None, "bytes": 70})
DELETE = asked("delete", "files/exports/<b>.csv", {"key": "exports/<b>.csv"})
STATEMENT = asked("write", "shop/main.orders", {"content_type": "alice", "bytes": 4111111111111111}, "DELETE FROM t")


@pytest.mark.parametrize(
    ("approval", "told"),
    [
        (PUT, {"Objects": "files/exports/a.csv", "Content": "text/csv, 36 bytes"}),
        (PUBLISH, {"Topics": "queue/partner.orders", "Content": "of no type, 70 bytes"}),
        (DELETE, {"Objects": "files/exports/<b>.csv"}),
        (STATEMENT, {"Tables": "shop/main.orders"}),
    ],
)
def test_a_notification_and_its_page_name_what_it_is_about(approval: Approval, told: dict[str, str]) -> None:
    shown = summary(approval)
    said = dict(facts(Message(message_id="m", event="requested", at=AT, data=shown)))
    names = {"Tables", "Objects", "Topics", "Content", "Rows"}
    assert {name: text for name, text in said.items() if name in names} == told
    page = request_page(shown, public_url="https://douane.example")
    for name in names:
        assert (f"<th>{name}</th>" in page) == (name in told)


def test_values_of_a_statement_never_pass_for_facts_of_content() -> None:
    shown = summary(STATEMENT)
    assert (shown["content_type"], shown["content_bytes"]) == (None, None)
    assert "alice" not in str(shown)


def test_a_page_says_what_only_those_who_sign_in_see() -> None:
    for approval, seen in (
        (PUT, "in the object"),
        (PUBLISH, "The message is"),
        (STATEMENT, "statement and its values"),
    ):
        assert seen in request_page(summary(approval), public_url="https://douane.example")
    page = request_page(summary(DELETE), public_url="https://douane.example")
    assert "exports/&lt;b&gt;.csv" in page
    assert "<b>" not in page


def test_a_notice_that_was_stored_before_there_were_objects_still_reads() -> None:
    old = {name: value for name, value in summary(STATEMENT).items() if name not in ("about", "content_bytes")}
    message = Message(message_id="m", event="requested", at=AT, data=old)
    assert dict(facts(message))["Tables"] == "shop/main.orders"
    assert title(message) == "Approval requested: write on shop"
