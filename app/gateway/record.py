"""What one request leaves on the audit trail, filled in on its way through the gateway."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from app.gateway.errors import Refused
from app.policy.caller import Caller
from app.policy.decision import RuleRef


def rfc3339(seconds: float) -> str:
    whole = int(seconds)
    return f"{_second(whole)}.{int((seconds - whole) * 1_000_000):06d}Z"


@lru_cache(maxsize=4)
def _second(whole: int) -> str:
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def rule_ids(rules: Sequence[RuleRef]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{rule.file}:{rule.line}" for rule in rules))


def _causes(error: BaseException) -> tuple[str, ...]:
    """No message of any: those quote what was asked and what is stored."""
    causes: list[str] = []
    while (cause := error.__cause__) is not None and len(causes) < _MOST_CAUSES:
        causes.append(f"{type(cause).__module__}.{type(cause).__qualname__}")
        error = cause
    return tuple(causes)


_MOST_CAUSES = 8
_INLINE_JSON_BYTES = 2_048


def _params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Long parameters are recorded as one JSON text: the canonical form of tens of thousands of values would hold the
    loop for a second."""
    if len(params) > 50 or any(isinstance(value, list | dict) for value in params.values()):
        text = json.dumps(params, separators=(",", ":"))
        if len(text) > _INLINE_JSON_BYTES:
            return {"params_json": text}
    return {"params": params}


@dataclass(slots=True, kw_only=True)
class Record:
    """Literals and parameters are included: this is the record. Rows of the answer are not, only their digest."""

    operation: str
    method: str
    path: str
    trace_id: str
    started: float
    caller: Caller | None = None
    connection: str | None = None
    action: str | None = None
    resources: Sequence[str] = ()
    labels: Sequence[str] = ()
    masks: Sequence[str] = ()
    effect: str | None = None
    rules: Sequence[str] = ()
    policy_version: str | None = None
    statement: str | None = None
    statement_run: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    unmask: Sequence[str] = ()
    purpose: str | None = None
    approval_id: str | None = None
    approval_state: str | None = None
    """After what was recorded."""
    held_sha256: str | None = None
    """Of the result that is held for, or released by, an approval."""
    affected_rows: int | None = None
    """Of a write that ran, or ran dry."""
    dry_run: bool = False
    decision: str | None = None
    """What a person did with an approval: approve, reject, cancel, revoke."""
    decision_reason: str | None = None
    facts: dict[str, str | int | bool | Sequence[str]] = field(default_factory=dict)
    """What only some operations know: content_sha256, content_bytes, content_type, object_version, message_id …"""
    rows: int = 0
    outcome: str = "completed"
    status: int = 0
    code: str | None = None
    reason: str | None = None
    causes: Sequence[str] = ()
    """Classes of the errors behind a failure, the nearest first: for the operator, not for the trail."""

    def refuse(self, refused: Refused, status: int) -> None:
        self.outcome, self.status = refused.outcome, status
        self.code, self.reason = refused.stable_code, refused.reason
        self.rows = 0
        if refused.outcome == "denied":
            self.effect = "deny"
        if refused.outcome == "failed":
            self.causes = _causes(refused)
        if refused.rules:
            self.rules = rule_ids(refused.rules)

    def entry(self, now: float, answer_sha256: str | None, size: int) -> dict[str, Any]:
        """The canonical entry (docs/reference/audit.md names every field); absent facts are left out."""
        entry: dict[str, Any] = {
            "v": 1,
            "time": rfc3339(now),
            "trace_id": self.trace_id,
            "operation": self.operation,
            "method": self.method,
            "path": self.path,
            "outcome": self.outcome,
            "status": self.status,
            "duration_us": int((now - self.started) * 1_000_000),
            "rows": self.rows,
            "bytes": size,
        }
        if (caller := self.caller) is not None:
            entry["issuer"] = caller.issuer
            entry["principal"] = caller.principal
            entry["actor"] = caller.actor
            entry["actor_chain"] = caller.actor_chain
            entry["client"] = caller.client
            entry["token_id"] = caller.token_id
        self._about_statement(entry)
        if self.code is not None:
            entry["code"] = self.code
        if self.reason is not None:
            entry["reason"] = self.reason
        if self.approval_id is not None:
            self._about_approval(entry)
        if self.affected_rows is not None:
            entry["affected_rows"] = self.affected_rows
            entry["dry_run"] = self.dry_run
        if self.policy_version is not None:
            entry["policy_version"] = self.policy_version
        if self.params:
            entry |= _params(self.params)
        if self.facts:
            entry |= self.facts
        if answer_sha256 is not None:
            entry["answer_sha256"] = answer_sha256
        return entry

    def _about_approval(self, entry: dict[str, Any]) -> None:
        entry["approval_id"] = self.approval_id
        if self.approval_state is not None:
            entry["approval_state"] = self.approval_state
        if self.held_sha256 is not None:
            entry["held_sha256"] = self.held_sha256
        if self.decision is not None:
            entry["decision"] = self.decision
        if self.decision_reason is not None:
            entry["decision_reason"] = self.decision_reason

    def _about_statement(self, entry: dict[str, Any]) -> None:
        if self.connection is not None:
            entry["connection"] = self.connection
        if self.action is not None:
            entry["action"] = self.action
        if self.resources:
            entry["resources"] = self.resources
        if self.labels:
            entry["labels"] = self.labels
        if self.masks:
            entry["masks"] = self.masks
        if self.effect is not None:
            entry["effect"] = self.effect
        if self.rules:
            entry["rules"] = self.rules
        if self.statement is not None:
            entry["statement"] = self.statement
        if self.statement_run is not None:
            entry["statement_run"] = self.statement_run
        if self.unmask:
            entry["unmask"] = self.unmask
        if self.purpose is not None:
            entry["purpose"] = self.purpose
