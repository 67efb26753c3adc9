"""The body that each kind of receiver understands. Words of people stand only where nothing is read as markup."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from app.notify.words import facts, inert, title
from app.ports import Message

Format = Callable[[Message], bytes]

_SLACK_CONTROL = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_OPEN = "Open the request"


def webhook(message: Message) -> bytes:
    """Standard Webhooks: type, timestamp, data."""
    return orjson.dumps({"type": f"approval.{message.event}", "timestamp": message.at, "data": message.data})


def slack(message: Message) -> bytes:
    """An incoming webhook's message: blocks of plain text, and one link that is ours."""
    heading = _slack_text(title(message))
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _slack_plain(heading[:150])}]
    blocks += [
        {"type": "section", "text": _slack_plain(f"{name}: {_slack_text(text)}")} for name, text in facts(message)
    ]
    if (link := message.data.get("link")) is not None:
        open_it = {"type": "mrkdwn", "text": f"<{link}|{_OPEN}>", "verbatim": True}
        blocks.append({"type": "section", "text": open_it})
    return orjson.dumps({
        "text": heading, "mrkdwn": False, "link_names": False, "unfurl_links": False, "unfurl_media": False,
        "blocks": blocks,
    })  # fmt: skip


def teams(message: Message) -> bytes:
    """An Adaptive Card in the envelope of a Workflows webhook. Text runs know no markdown, text blocks would."""
    body: list[dict[str, Any]] = [_teams_line({"text": inert(title(message)), "weight": "Bolder", "size": "Medium"})]
    body += [
        _teams_line({"text": f"{name}: ", "weight": "Bolder"}, {"text": inert(text)}) for name, text in facts(message)
    ]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if (link := message.data.get("link")) is not None:
        card["actions"] = [{"type": "Action.OpenUrl", "title": _OPEN, "url": link}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return orjson.dumps({"type": "message", "attachments": [attachment]})


def _slack_text(text: str) -> str:
    return inert(text).translate(_SLACK_CONTROL)


def _slack_plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _teams_line(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", **run} for run in runs]}


FORMATS: Mapping[str, Format] = {"webhook": webhook, "slack": slack, "teams": teams}
