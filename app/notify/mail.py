"""The e-mail that a message becomes: plain text, and the same as simple HTML."""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape

from app.notify.words import facts, inert, plain, title
from app.ports import Message

_SUBJECT_CHARS = 150


def mail(message: Message, *, sender: str, recipients: Sequence[str], now: float) -> EmailMessage:
    """The policy refuses line ends in headers, and what people wrote is in none of them: no header can be added."""
    about = title(message)
    found = EmailMessage(policy=SMTP)
    found["Subject"] = f"[douane] {about}"[:_SUBJECT_CHARS]
    found["From"] = sender
    found["To"] = ", ".join(recipients)
    found["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    found["Message-ID"] = f"<{message.message_id}@{sender.rpartition('@')[2].strip('<> ')}>"
    found["Auto-Submitted"] = "auto-generated"
    link = message.data.get("link")
    lines = [about, "", *(f"{name}: {inert(text)}" for name, text in facts(message))]
    ending = ["", "Open the request (once; it decides nothing by itself):", str(link)] if link is not None else []
    found.set_content("\n".join([*lines, *ending]) + "\n")
    found.add_alternative(_html(message, about, link), subtype="html")
    return found


def _html(message: Message, about: str, link: object) -> str:
    rows = "".join(
        f"<tr><th align=left valign=top>{escape(name)}</th><td>{escape(inert(text))}</td></tr>"
        for name, text in facts(message)
    )
    opened = "" if link is None else f'<p><a href="{escape(plain(link))}">Open the request</a></p>'
    return f"<!doctype html><html><body><h3>{escape(about)}</h3><table>{rows}</table>{opened}</body></html>\n"
