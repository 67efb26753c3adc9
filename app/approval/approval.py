"""An approval request as it is stored: what was asked, by whom, and the digest that binds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Times are UTC in RFC 3339. `request` is the bound document: issuer, principal, actor chain, client, connection,
    action, resources, statement, params, unmask, purpose, policy_version; `digest` is its SHA-256 over RFC 8785."""

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
