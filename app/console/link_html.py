"""The pages behind a one-time link, as text. Everything that somebody else wrote is escaped here and nowhere else."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from app.gateway.links import Glance

CSS_PATH = "/a/link.css"
INTERSTITIAL_TITLE = "An approval request"
_SEEN = {
    "tables": "The statement and its values are",
    "objects": "What is in the object is",
    "topics": "The message is",
}


def interstitial() -> str:
    """One button; the form goes to the page's own address."""
    return _page(
        INTERSTITIAL_TITLE,
        "<p>This link shows one approval request, once. It decides nothing.</p>"
        '<form method="post"><button type="submit">Show the request</button></form>',
    )


def refused() -> str:
    """The same for forged, expired and used links."""
    return _page(
        "This link shows nothing",
        "<p>It is not valid, or not any more: links open once, and for a limited time. "
        "<code>douane approvals list</code> shows what waits for you.</p>",
    )


def unavailable() -> str:
    return _page(
        "Not right now",
        "<p>The gateway cannot read, or cannot record, this request at the moment: open the link again later.</p>",
    )


def request_page(shown: Mapping[str, Any], *, public_url: str) -> str:
    approval_id = str(shown["approval_id"])
    facts = (
        ("For", _text(shown["principal"])),
        ("Asked by", _text(shown["actor"])),
        ("Purpose", _text(shown["purpose"])),
        ("Connection", _text(shown["connection"])),
        ("Action", _text(shown["action"])),
        (str(shown["about"]).capitalize(), _list(shown["resources"])),
        ("Rows", escape(_rows(shown))),
        ("Content", escape(_content(shown))),
        ("Labels", _list(shown["labels"])),
        ("Unmasks", _list(shown["unmask"])),
        ("Rules that ask", _list(shown["reasons"])),
        ("Asked at", _text(shown["created_at"])),
        ("Expires", _text(shown["expires_at"])),
        ("State", f'<span class="state">{_text(shown["state"])}</span>'),
        ("Approval", _code(approval_id)),
    )
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{value}</td></tr>" for name, value in facts if value)
    return _page(
        f"{shown['action']} on {shown['connection']}",
        f"<table>{rows}</table>"
        f"<p>{_SEEN.get(str(shown['about']), _SEEN['tables'])} shown to those who are signed in. To see that and to "
        "decide:</p>"
        f"<p>{_code(f'douane approvals show {approval_id}')}<br>"
        f"{_code(f'douane approvals approve {approval_id}')}<br>"
        f"{_code(f'douane approvals reject {approval_id}')}</p>"
        f"<p>or, with a token of your own, {_code(f'POST {public_url}/v1/approvals/{approval_id}/decision')} "
        "(operation <code>decide_approval</code>).</p>"
        "<p>This page is shown once; the link is used up.</p>",
    )


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="robots" content="noindex">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)} - douane</title><link rel="stylesheet" href="{CSS_PATH}"></head>'
        f"<body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )


def _text(value: object) -> str:
    return "" if value is None else escape(str(value))


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _list(items: Sequence[str]) -> str:
    return "<br>".join(_code(item) for item in items)


def _content(shown: Mapping[str, Any]) -> str:
    if shown["content_bytes"] is None:
        return ""
    return f"{shown['content_type'] or 'of no type'}, {shown['content_bytes']} bytes"


def _rows(shown: Mapping[str, Any]) -> str:
    if (counted := shown["rows"]) is not None:
        return f"{counted} {'would be changed' if shown['kind'] == 'write' else 'would be released'}"
    if (estimated := shown["estimated_rows"]) is not None:
        return f"about {estimated}, by the planner's estimate"
    return ""


def page_of(shown: Mapping[str, Any] | Glance, *, public_url: str) -> tuple[int, bytes]:
    """Status and page of what a link leads to."""
    match shown:
        case Glance.VALID:
            return 200, interstitial().encode()
        case Glance.INVALID:
            return 404, refused().encode()
        case Glance.UNAVAILABLE:
            return 503, unavailable().encode()
        case _:
            return 200, request_page(shown, public_url=public_url).encode("utf-8", "replace")
