"""What a message says to people, as plain text: a title, and facts by name. How it looks is the channels' business."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from app.ports import Message

MAX_CHARS = 1_000
MAX_LISTED = 20
_TITLES: Mapping[str, str] = {
    "requested": "Approval requested",
    "approved": "Approved",
    "rejected": "Rejected",
    "cancelled": "Cancelled by its requester",
    "revoked": "Approval revoked",
    "expired": "Expired",
    "escalated": "Approval still waits",
    "executed": "Executed",
    "failed": "Failed",
    "reopened": "To be approved anew",
}
_LIVE = re.compile(r"://|www\.|\]\(|@|<", re.IGNORECASE)
_ZERO_WIDTH_SPACE = "\u200b"


def title(message: Message) -> str:
    what = _TITLES.get(message.event, message.event)
    return f"{what}: {plain(message.data.get('action'))} on {plain(message.data.get('connection'))}"


def facts(message: Message) -> tuple[tuple[str, str], ...]:
    """What is known of these, in the order in which a reader wants it."""
    data = message.data
    found = (
        ("For", plain(data.get("principal"))),
        ("Asked by", plain(data.get("actor"))),
        ("Purpose", plain(data.get("purpose"))),
        (plain(data.get("about") or "tables").capitalize(), listed(data.get("resources"))),
        ("Labels", listed(data.get("labels"))),
        ("Unmasks", listed(data.get("unmask"))),
        ("Rows", rows(data)),
        ("Content", content(data)),
        ("State", plain(data.get("state"))),
        ("By", plain(data.get("by"))),
        ("Reason", plain(data.get("reason"))),
        ("Expires", plain(data.get("expires_at"))),
        ("Approval", plain(data.get("approval_id"))),
    )
    return tuple((name, text) for name, text in found if text)


def rows(data: Mapping[str, Any]) -> str:
    if (counted := data.get("rows")) is not None:
        return f"{counted} {'would be changed' if data.get('kind') == 'write' else 'would be released'}"
    if (estimated := data.get("estimated_rows")) is not None:
        return f"about {estimated}, by the planner's estimate"
    return ""


def content(data: Mapping[str, Any]) -> str:
    if (size := data.get("content_bytes")) is None:
        return ""
    return f"{plain(data.get('content_type')) or 'of no type'}, {size} bytes"


def listed(items: Sequence[str] | None) -> str:
    shown = [plain(item) for item in (items or ())[:MAX_LISTED]]
    left = len(items or ()) - len(shown)
    return ", ".join(shown) + (f" and {left} more" if left > 0 else "")


def plain(value: object) -> str:
    """One line of visible characters, clipped: nothing in it ends a line, a header, or turns the writing direction."""
    if value is None:
        return ""
    text = "".join(" " if unicodedata.category(c) in _INVISIBLE else c for c in str(value)[: MAX_CHARS * 2])
    text = " ".join(text.split())
    return text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 1] + "…"


_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def inert(text: str) -> str:
    """The same to the eye, but no chat makes a mention or a link of it."""
    return _LIVE.sub(lambda found: found[0][0] + _ZERO_WIDTH_SPACE + found[0][1:], text)
