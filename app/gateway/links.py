"""One-time links to an approval: signed, for one purpose, opened once. No login: a link shows, it never decides."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

import orjson

from app.approval.approval import Approval
from app.gateway.record import Record, rfc3339
from app.ports import Approvals, StoreUnavailable, Trail, TrailUnavailable, UsedLinks

PREFIX = "/a/"
MAX_TICKET_CHARS = 512
_PURPOSE = b"douane/approval-link/1\0"
_TAG_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """`expires_at`: RFC 3339, as all times that are compared as text."""

    nonce: str
    approval_id: str
    target: str
    expires_at: str


class Tickets:
    """HMAC-SHA-256; `key` is 32 bytes that every process has."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, ticket: Ticket) -> str:
        payload = orjson.dumps([ticket.nonce, ticket.approval_id, ticket.target, ticket.expires_at])
        return urlsafe_b64encode(self._tag(payload) + payload).rstrip(b"=").decode("ascii")

    def read(self, text: str) -> Ticket | None:
        """None: nobody here issued it. Whether it expired or was used is for others to ask."""
        if len(text) > MAX_TICKET_CHARS:
            return None
        try:
            raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        except ValueError:
            return None
        tag, payload = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(payload)):
            return None
        nonce, approval_id, target, expires_at = orjson.loads(payload)
        return Ticket(nonce=nonce, approval_id=approval_id, target=target, expires_at=expires_at)

    def _tag(self, payload: bytes) -> bytes:
        return hmac.new(self._key, _PURPOSE + payload, sha256).digest()


class Glance(StrEnum):
    """What a look at a link finds. INVALID: forged, expired or used; which, is nobody's to know."""

    VALID = "valid"
    INVALID = "invalid"
    UNAVAILABLE = "unavailable"


Page = Callable[[Mapping[str, Any] | Glance], tuple[int, bytes]]
"""Status and page: of an approval's summary, or of why there is none to show."""


class Links:
    """`now`: wall-clock seconds. Raises nothing that a page could not say."""

    def __init__(
        self, *, tickets: Tickets, used: UsedLinks, approvals: Approvals, trail: Trail, now: Callable[[], float]
    ) -> None:
        self._tickets = tickets
        self._used = used
        self._approvals = approvals
        self._trail = trail
        self._now = now

    async def look(self, text: str) -> Glance:
        """Uses nothing up: scanners of mail and chat follow every link."""
        ticket = self._valid(text)
        try:
            if ticket is None or await self._used.used(ticket.nonce):
                return Glance.INVALID
        except StoreUnavailable:
            return Glance.UNAVAILABLE
        return Glance.VALID

    async def open(self, text: str, *, trace_id: str, page: Page) -> tuple[int, bytes]:
        """Uses the link up and makes the page, whose digest stands on the audit log before anybody sees it."""
        record = Record(
            operation="open_approval_link", method="POST", path=PREFIX, trace_id=trace_id, started=self._now()
        )
        shown = await self._use(text, record)
        status, body = page(shown)
        record.status = status
        if isinstance(shown, Glance):
            record.outcome, record.code = _WORDS[shown]
        try:
            entry = record.entry(self._now(), sha256(body).hexdigest(), len(body))
            await self._trail.append(entry)
        except TrailUnavailable:
            return page(Glance.UNAVAILABLE)
        return status, body

    async def _use(self, text: str, record: Record) -> Mapping[str, Any] | Glance:
        ticket = self._valid(text)
        if ticket is None:
            return Glance.INVALID
        record.approval_id, record.reason = ticket.approval_id, f"target:{ticket.target}"
        try:
            approval = await self._approvals.get(ticket.approval_id)
            first = approval is not None and await self._used.use(
                ticket.nonce,
                approval_id=ticket.approval_id,
                target=ticket.target,
                used_at=rfc3339(self._now()),
                expires_at=ticket.expires_at,
            )
        except StoreUnavailable:
            return Glance.UNAVAILABLE
        if approval is None or not first:
            return Glance.INVALID
        record.connection, record.action, record.resources = approval.connection, approval.action, approval.resources
        return summary(approval)

    def _valid(self, text: str) -> Ticket | None:
        ticket = self._tickets.read(text)
        return ticket if ticket is not None and rfc3339(self._now()) < ticket.expires_at else None


_WORDS: Mapping[Glance, tuple[str, str]] = {
    Glance.INVALID: ("denied", "link_not_valid"),
    Glance.UNAVAILABLE: ("failed", "store_unavailable"),
}


_ABOUT: Mapping[str, str] = {"fetch": "objects", "put": "objects", "delete": "objects", "publish": "topics"}


def summary(approval: Approval) -> dict[str, Any]:
    """What may be told of an approval to somebody who is not signed in: no statement and none of its values, no row,
    nothing of what is in an object or a message. `about`: what the resources are."""
    request = approval.request
    outcome: Mapping[str, Any] = request.get("outcome") or {}
    about = _ABOUT.get(str(outcome.get("kind")), "tables")
    # Of statements these are values that their asker chose the names of.
    content: Mapping[str, Any] = (request.get("params") or {}) if about != "tables" else {}
    return {
        "approval_id": approval.approval_id,
        "state": approval.state.value,
        "principal": approval.principal,
        "actor": approval.actor,
        "connection": approval.connection,
        "action": approval.action,
        "resources": list(approval.resources),
        "about": about,
        "kind": outcome.get("kind"),
        "rows": outcome.get("rows"),
        "estimated_rows": outcome.get("estimated_rows"),
        "content_type": content.get("content_type"),
        "content_bytes": content.get("content_bytes", content.get("bytes")),
        "labels": list(outcome.get("labels") or ()),
        "unmask": list(request.get("unmask") or ()),
        "purpose": request.get("purpose"),
        "reasons": list(approval.reasons),
        "created_at": approval.created_at,
        "expires_at": approval.expires_at,
    }
