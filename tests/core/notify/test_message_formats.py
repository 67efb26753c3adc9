"""What each kind of receiver is told, and that nobody's words become mentions, links or headers."""

import json
import re
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.notify.formats import slack, teams, webhook
from app.notify.mail import mail
from app.notify.words import inert, plain
from app.ports import Message

HOSTILE = [
    "<!channel> <@U123> <#C1> <https://evil.example|click>",
    "[click](https://evil.example) **bold** <at>Max</at>",
    "@here @channel @everyone mail eve@evil.example www.evil.example",
    "a\r\nBcc: eve@evil.example\r\n\r\n<script>alert(1)</script>",
    "\u202egnp.exe\u2066 \u200b\x00\x1b[31m",
    "&lt;!channel&gt;",
    '"><img src=x onerror=alert(1)>',
]
LINK = "https://douane.example/a/AbC_-9"


def message(purpose: str | None = "Close order 42.", **changed: Any) -> Message:
    data = {
        "approval_id": "apr_1", "at": "2026-11-23T10:00:00.000000Z", "state": "pending", "principal": "user:ana",
        "actor": "client:sales-agent", "connection": "shop", "action": "delete", "resources": ["shop/main.orders"],
        "kind": "write", "rows": 3, "estimated_rows": None, "labels": ["pii.email"], "unmask": [], "purpose": purpose,
        "reasons": ["policy.csv:21"], "by": None, "reason": None, "created_at": "2026-11-23T10:00:00.000000Z",
        "expires_at": "2026-11-24T10:00:00.000000Z", "approval_url": "https://douane.example/v1/approvals/apr_1",
        "link": LINK, **changed,
    }  # fmt: skip
    return Message(message_id="dlv_1", event="requested", at=data["at"], data=data)


def texts(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [t for v in value.values() for t in texts(v)]
        case list():
            return [t for v in value for t in texts(v)]
        case _:
            return []


def test_a_webhook_says_what_who_and_how_much() -> None:
    body = json.loads(webhook(message()))
    assert body["type"] == "approval.requested"
    assert body["timestamp"] == "2026-11-23T10:00:00.000000Z"
    assert body["data"]["rows"] == 3
    assert body["data"]["link"] == LINK
    assert not {"statement", "params", "request", "digest"} & body["data"].keys()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_slack_makes_no_mention_and_no_link_of_what_people_write(hostile: str) -> None:
    body = json.loads(slack(message(hostile, principal=hostile, reason=hostile)))
    marked = [b["text"]["text"] for b in body["blocks"] if b["text"]["type"] == "mrkdwn"]
    assert marked == [f"<{LINK}|Open the request>"]
    others = [t for t in texts(body) if t not in marked]
    assert not any(re.search(r"<|>|://|@\w|www\.\w", t) for t in others)
    assert body["mrkdwn"] is False
    assert body["link_names"] is False
    assert all(len(b["text"]["text"]) <= 3_000 for b in body["blocks"])


@pytest.mark.parametrize("hostile", HOSTILE)
def test_teams_reads_nobodys_words_as_markdown(hostile: str) -> None:
    card = json.loads(teams(message(hostile, principal=hostile, connection=hostile)))["attachments"][0]["content"]
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert {run["type"] for block in card["body"] for run in block["inlines"]} == {"TextRun"}
    assert not any(re.search(r"<\w|\]\(|://|@\w|www\.\w", t) for t in texts(card["body"]))
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Open the request", "url": LINK}]
    assert "msteams" not in card


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_mail_gets_no_header_and_no_element_from_what_people_write(hostile: str) -> None:
    made = mail(message(hostile, principal=hostile, connection=hostile, action=hostile),
                sender="douane@example.org", recipients=["dee@example.org"], now=1_700_000_000)  # fmt: skip
    read = message_from_bytes(made.as_bytes(), policy=default)
    assert set(read.keys()) == {
        "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
    }  # fmt: skip
    assert read["To"] == "dee@example.org"
    assert read["Bcc"] is None
    parts = [part.get_content() for part in read.iter_parts()]
    assert len(parts) == 2
    assert LINK in parts[0]
    assert set(re.findall(r"<([a-z0-9!]+)", parts[1])) <= {
        "!doctype", "html", "body", "h3", "table", "tr", "th", "td", "p", "a"
    }  # fmt: skip


@given(st.text())
def test_plain_words_have_no_line_end_control_or_direction_mark(text: str) -> None:
    assert plain(text).isprintable()
    assert "\n" not in plain(text)


@given(st.text(alphabet="<>@:/w.][()&abc", max_size=40))
def test_inert_words_look_the_same_and_hold_nothing_live(text: str) -> None:
    assert inert(text).replace("\u200b", "") == text
    assert not re.search(r"://|www\.|\]\(|@\w|<[!@\w]", inert(text), re.I)


def test_a_long_list_says_how_many_more() -> None:
    body = json.loads(slack(message(resources=[f"shop/main.t{n}" for n in range(50)])))
    assert any("and 30 more" in t for t in texts(body))
