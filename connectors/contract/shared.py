"""What connectors of every family share: how they fail, what a probe finds, and what a factory is handed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Family(StrEnum):
    """What kind of thing a connector reaches."""

    SQL = "sql"
    OBJECTS = "objects"
    MESSAGES = "messages"


class Failure(StrEnum):
    UNAVAILABLE = "unavailable"
    """No connection to the engine, connection lost while running, credentials refused, pool exhausted."""
    TIMEOUT = "timeout"
    VALUE_TOO_LARGE = "value_too_large"
    OUT_OF_RESOURCES = "out_of_resources"
    STATEMENT = "statement"
    """The engine refused or aborted the statement; `fault` says which class."""
    OUTCOME_UNKNOWN = "outcome_unknown"
    """The connection was lost while a write was being committed: it may have happened."""
    NOT_FOUND = "not_found"
    """There is no such object, topic or message."""
    CHANGED = "changed"
    """The object is not (any more) the one that was meant: its ETag differs, it is there although it must not be, or it
    changed while it was read."""
    REFUSED_BY_WALL = "refused_by_wall"
    """The engine-side second wall (authorizer, read-only transaction, missing privilege) said no."""


class Fault(StrEnum):
    """Classes of statement errors: one answer per class, never the engine's text."""

    SYNTAX = "syntax"
    UNDEFINED_TABLE = "undefined_table"
    UNDEFINED_COLUMN = "undefined_column"
    UNDEFINED_FUNCTION = "undefined_function"
    AMBIGUOUS = "ambiguous"
    GROUPING = "grouping"
    TYPE_MISMATCH = "type_mismatch"
    PARAMETER_TYPE = "parameter_type"
    INVALID_VALUE = "invalid_value"
    OUT_OF_RANGE = "out_of_range"
    DIVISION_BY_ZERO = "division_by_zero"
    CARDINALITY = "cardinality"
    INTEGRITY = "integrity"
    UNSUPPORTED = "unsupported"
    ROW_FILTER = "row_filter"
    """A write would leave a row that its caller may not see (the write's check column was not true); rolled back."""
    TOO_MANY_AFFECTED = "too_many_affected"
    """A write would touch more rows than `WriteLimits.max_affected`; rolled back."""
    OTHER = "other"


class ConnectorError(Exception):
    """The only exception that leaves a connector (besides CancelledError and what a sink raises).

    `__cause__` carries the driver's error for a debugger; nobody prints it. `column` is set for VALUE_TOO_LARGE
    (0-based result column), `parameter` for PARAMETER_TYPE (0-based index into Runnable.args).
    """

    def __init__(
        self,
        failure: Failure,
        *,
        fault: Fault | None = None,
        retryable: bool = False,
        retry_after_s: int | None = None,
        column: int | None = None,
        parameter: int | None = None,
    ) -> None:
        super().__init__(failure.value if fault is None else f"{failure.value}: {fault.value}")
        self.failure = failure
        self.fault = fault
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.column = column
        self.parameter = parameter


class Severity(StrEnum):
    UNSAFE = "unsafe"
    """`serve` refuses to start unless the finding's code is acknowledged by name in the configuration."""
    WARNING = "warning"
    OK = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What `probe` saw. `code` is stable ("superuser_role", "bypassrls_role", "table_owner_role", "temp_role",
    "reachable", …); `text` has no secret and no driver text."""

    code: str
    severity: Severity
    text: str


SecretSource = Callable[[], str]
"""Reads a secret now. Connectors call it for every new physical connection, so rotation needs no restart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorConfig:
    """What the composition root hands to a factory of objects or messages. `options` holds the kind's own, already
    validated keys; `secrets` its secrets by the name of their key in the configuration, read anew whenever a client is
    (re)built, so that rotation needs no restart. `timeout_s` bounds one call, not a whole stream."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, SecretSource] = field(default_factory=dict)
    pool_max: int = 10
    timeout_s: float = 30.0
