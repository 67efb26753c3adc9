"""What policy says: a decision is a value that names every rule it rests on."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.masking.masks import Mask


class Action(StrEnum):
    SELECT = "select"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    DDL = "ddl"
    LIST = "list"
    FETCH = "fetch"
    PUT = "put"
    PUBLISH = "publish"
    RECEIVE = "receive"
    UNMASK = "unmask"
    READ = "read"
    WRITE = "write"
    DECIDE = "decide"


class Effect(StrEnum):
    ALLOW = "allow"
    DENY = "deny"
    APPROVE = "approve"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRef:
    """A matching rule, as the admin wrote it. `side` says whom it matched: principal or actor."""

    file: str
    line: int
    subject: str
    resource: str
    action: str
    effect: Effect
    when: str = ""
    side: str = "principal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    rules: tuple[RuleRef, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskFirst:
    rules: tuple[RuleRef, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """`reason` is a sentence for the caller; it names no rule text and no hidden resource."""

    rules: tuple[RuleRef, ...]
    reason: str


Decision = Allow | AskFirst | Deny

Context = Mapping[str, Any]
"""What conditions may read: `rows`, `bytes`, `tables`, `columns`, `has_where`, `limit`, `statement`, `key`, `topic`,
`content_type`, `labels` (as content.spoken gives them), `hour`, `weekday`, `purpose`, `actor`, `claims`, `session` …
A name that is absent is unknown: the condition fails closed."""


class Compare(StrEnum):
    EQ = "="
    NE = "<>"
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


Value = str | int | float | bool
"""A bound value of a row filter; never spliced into SQL text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    column: str
    op: Compare
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """`column IN (values)`; an empty tuple is false."""

    column: str
    values: tuple[Value, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NullTest:
    column: str
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class All:
    parts: tuple["RowFilter", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    parts: tuple["RowFilter", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Negation:
    part: "RowFilter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """No row passes: a claim that the filter needs is missing."""


RowFilter = Comparison | Membership | NullTest | All | AnyOf | Negation | Nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnView:
    """How one visible column comes. `mask` None: raw. Hidden columns have no ColumnView."""

    name: str
    type: str
    label: str | None = None
    mask: Mask | None = None
    max_length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """The obligations of one caller on one table: what the table *is* for this caller."""

    schema: str
    name: str
    columns: tuple[ColumnView, ...]
    row_filter: RowFilter | None = None
    required: tuple[str, ...] = ()
    """Columns of which at least one must be compared with a constant or parameter in WHERE (required predicates)."""
    max_rows: int | None = None
    max_bytes: int | None = None
    asks: tuple[RuleRef, ...] = ()
    """Rules that make a requested unmask wait for a human."""
    asked_labels: tuple[str, ...] = ()
    """Requested labels that wait for a human. Where the view was made as granted, `columns` shows them raw: nothing
    planned with it may run before that human said yes."""
    refused_labels: tuple[str, ...] = ()
    """Labels the request wants unmasked although no rule allows or asks."""
