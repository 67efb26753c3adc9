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
    rows: int = 0
    outcome: str = "completed"
    status: int = 0
    code: str | None = None
    reason: str | None = None
    token_id: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def refuse(self, refused: Refused, status: int) -> None:
        self.outcome, self.status = refused.outcome, status
        self.code, self.reason = refused.stable_code, refused.reason
        self.rows = 0
        if refused.outcome == "denied":
            self.effect = "deny"
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
        for name in _OPTIONAL:
            value = getattr(self, name)
            if value is not None and value != ():
                entry[name] = value
        if self.params:
            entry |= _params(self.params)
        if answer_sha256 is not None:
            entry["answer_sha256"] = answer_sha256
        return entry


_OPTIONAL = (
    "connection",
    "action",
    "resources",
    "labels",
    "masks",
    "effect",
    "rules",
    "policy_version",
    "statement",
    "statement_run",
    "unmask",
    "purpose",
    "approval_id",
    "code",
    "reason",
)
