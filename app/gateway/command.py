"""What callers want of statements and approvals, once the door has read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, kw_only=True)
class QueryCommand:
    connection: str
    sql: str
    params: Mapping[str, Any]
    max_rows: int | None = None
    unmask: tuple[str, ...] = ()
    purpose: str | None = None
    cursor: str | None = None
    idempotency_key: str | None = None
    dry_run: bool = False
    """Of a write: tell what it would touch, and roll it back."""
    wait_seconds: int = 0
    """How long the answer may wait for a human."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteApproval:
    """`idempotency_key`: sent again with the same key, a write answers what it answered the first time."""

    approval_id: str
    idempotency_key: str | None = None
