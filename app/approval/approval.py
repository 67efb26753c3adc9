"""An approval as it is stored: what was asked, by whom, the digest that binds it, and all that happened to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from app.approval.terms import Terms


class State(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    EXECUTING = "executing"
    EXECUTED = "executed"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REVOKED = "revoked"


class Happening(StrEnum):
    """What a step of an approval's history was. Stable words: notifications and the audit log use them."""

    REQUESTED = "requested"
    VOTED = "voted"
    """One yes that did not complete the quorum."""
    APPROVED = "approved"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    REVOKED = "revoked"
    EXPIRED = "expired"
    ESCALATED = "escalated"
    STARTED = "started"
    EXECUTED = "executed"
    """The last use is over."""
    USED = "used"
    """A use of a window is over, and others are left."""
    FAILED = "failed"
    REOPENED = "reopened"
    """Policy or catalog changed what was approved: people decide anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`at`: RFC 3339. `by`: the principal, "" for the gateway itself. `state`: the state after it. `detail` is
    JSON-ready and holds no value of the data."""

    happening: Happening
    at: str
    state: State
    by: str = ""
    client: str = ""
    reason: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the request would do, worked out before anybody was asked: part of the bound document.

    `effect` … `rewritten_sql`, `masks`, `labels` are compared when the policy changed. `rows`: rows that the held
    result has, or that the write would touch (None: not previewed). `estimated_rows`: the planner's guess.
    `held_sha256`: digest of the held result's bytes; it is released exactly, or not at all.
    """

    kind: str
    """"read" or "write" or "ddl"; objects and messages add theirs."""
    rewritten_sql: str | None = None
    labels: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    row_filtered: bool = False
    policy_values: tuple[str | int | float | bool, ...] = ()
    """What policy binds into the statement (row filters, constants of masks), in order: the text alone does not say
    which rows of it the caller gets."""
    estimated_rows: int | None = None
    rows: int | None = None
    held_sha256: str | None = None
    held_bytes: int | None = None
    content_sha256: str | None = None
    """For publish, put and delete: of the payload or object."""
    content_bytes: int | None = None
    preview_failed: str | None = None
    """Code of why there is no preview although the terms want one. It may tell of rows: never for the requester."""
    salt: str | None = None
    """Random: the requester may know the digest of the whole, and must not find `rows` or the held bytes by trying."""

    def document(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "rewritten_sql": self.rewritten_sql,
            "labels": list(self.labels),
            "masks": list(self.masks),
            "row_filtered": self.row_filtered,
            "policy_values": list(self.policy_values),
            "estimated_rows": self.estimated_rows,
            "rows": self.rows,
            "held_sha256": self.held_sha256,
            "held_bytes": self.held_bytes,
            "content_sha256": self.content_sha256,
            "content_bytes": self.content_bytes,
            "preview_failed": self.preview_failed,
            "salt": self.salt,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Times are UTC in RFC 3339 with microseconds and `Z` (they compare as text). `request` is the bound document:
    issuer, principal, actor, actor_chain, client, connection, action, resources, statement, params, unmask, purpose,
    max_rows, policy_version, terms, outcome; `digest` is its SHA-256 over RFC 8785.

    Everything from `version` on changes over its life, only through app.approval.machine, and is stored by
    compare-and-set on `version`.
    """

    approval_id: str
    state: State
    created_at: str
    expires_at: str
    issuer: str
    principal: str
    actor: str
    connection: str
    action: str
    resources: tuple[str, ...]
    reasons: tuple[str, ...]
    """The rules that ask, as `file:line`."""
    request: Mapping[str, Any]
    digest: str
    version: int = 0
    history: tuple[Step, ...] = ()
    """Append-only. Votes count from the last REQUESTED or REOPENED step on."""
    usable_until: str | None = None
    """Of an approved one: no use begins at or after it, and none runs past it."""
    uses: int = 0
    rows_used: int = 0
    started_at: str | None = None
    """Of an executing one."""

    @property
    def terms(self) -> Terms:
        """One that was requested before terms were bound is over, and has those of then."""
        return Terms.of(self.request["terms"]) if "terms" in self.request else Terms()
