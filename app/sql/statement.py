"""The guard's vocabulary, shared by every dialect.

    inspect(text, params, catalog) -> Statement          what it touches, before anybody decides
    rewrite(statement, views)      -> Rewritten          what may run, and what to bind

Both are pure. `SqlRefused` is the only exception either raises for a caller's text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from app.policy.decision import Action, TableView
from connectors.contract import Catalog, Dialect, TableKey

MAX_TEXT_BYTES = 65_536
MAX_TOKENS = 8_000
MAX_NESTING = 60
MAX_PREFIX_CHAIN = 16
MAX_SET_OPERATIONS = 100


class Refusal(StrEnum):
    """Stable codes; docs/ explains each. The HTTP status of each is decided in app.api.problems."""

    SYNTAX = "sql_syntax"
    TOO_LARGE = "sql_too_large"
    TOO_COMPLEX = "sql_too_complex"
    STATEMENT_CLASS = "sql_statement_not_allowed"
    SEVERAL_STATEMENTS = "sql_several_statements"
    CONSTRUCT = "sql_construct_not_allowed"
    FUNCTION = "sql_function_not_allowed"
    TYPE = "sql_type_not_allowed"
    OPERATOR = "sql_operator_not_allowed"
    CATALOG = "sql_catalog_not_allowed"
    UNKNOWN_TABLE = "sql_table_not_found"
    """Denied tables answer exactly the same: nobody learns that one exists."""
    UNKNOWN_COLUMN = "sql_column_not_found"
    NOT_WRITABLE = "sql_column_not_writable"
    """A write names a column that comes masked: what one may not read one may not overwrite."""
    PARAMETERS = "sql_parameters"
    REQUIRED_PREDICATE = "sql_predicate_required"
    DISAGREEMENT = "sql_not_understood"
    """The two parsers, or the two readings before and after rendering, do not agree."""


class SqlRefused(Exception):  # noqa: N818 - a refusal is an answer, not a fault
    """`detail` says what and the next step; `suggestion` is a compliant rewrite where one exists."""

    def __init__(
        self, refusal: Refusal, detail: str, *, suggestion: str | None = None, position: int | None = None
    ) -> None:
        super().__init__(detail)
        self.refusal = refusal
        self.detail = detail
        self.suggestion = suggestion
        self.position = position
        """0-based character offset in the caller's text, where known."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (_refused, (self.refusal, self.detail, self.suggestion, self.position))


def _refused(refusal: Refusal, detail: str, suggestion: str | None, position: int | None) -> SqlRefused:
    return SqlRefused(refusal, detail, suggestion=suggestion, position=position)


class JsonType(StrEnum):
    """How a parameter is typed: as the SQL literal of the same JSON value would be.

    INT4/INT8: integers by size; NUMERIC: larger integers and fractions; TEXT: left to the engine's inference.
    """

    NULL = "null"
    BOOL = "bool"
    INT4 = "int4"
    INT8 = "int8"
    NUMERIC = "numeric"
    TEXT = "text"
    INT_ARRAY = "int_array"
    NUMERIC_ARRAY = "numeric_array"
    BOOL_ARRAY = "bool_array"
    TEXT_ARRAY = "text_array"
    JSON = "json"


ParamTypes = Mapping[str, JsonType]
"""Declared parameters of a request: name (or "1", "2" … for positional) to JSON type. Part of every cache key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    table: TableKey
    action: Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement that passed every rule that needs no policy. `tree` belongs to the dialect alone."""

    dialect: Dialect
    action: Action
    accesses: tuple[Access, ...]
    """Every governed table, deduplicated; the target of a write carries the write's action, sources SELECT."""
    has_where: bool
    limit: int | None
    """Constant top-level LIMIT, where there is one."""
    columns: tuple[str, ...]
    """Column names the statement mentions, for conditions and the audit entry (no resolution implied)."""
    functions: tuple[str, ...]
    kind: str
    """"select", "values", "insert", "update", "delete", "ddl": for `statement` in conditions."""
    tree: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamBind:
    """The request's parameter of that name, converted for `type`."""

    name: str
    type: JsonType


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyBind:
    """Key material of a pseudonym domain. PostgreSQL binds the padded key twice ("inner": K xor ipad, "outer":
    K xor opad, 64 bytes each); SQLite binds the 32-byte key once ("key")."""

    domain: str
    part: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueBind:
    """A value that policy supplies (row filters, mask constants)."""

    value: str | int | float | bool


Bind = ParamBind | KeyBind | ValueBind


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputColumn:
    """Lineage of one output column: every (label, mask kind) of masked columns, and labels of raw ones, it may be
    made of. `mask` None: nothing masked went in. A conservative over-approximation."""

    labels: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """What runs. `outputs` is one per output column in order, or None where the guard cannot count them (then every
    label touched counts for every column)."""

    sql: str
    binds: tuple[Bind, ...]
    outputs: tuple[OutputColumn, ...] | None
    keep_scan_order: bool
    cacheable: bool = True
    labels: tuple[str, ...] = ()
    """Every label that any visible column of any touched table carries and the statement may reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewrittenWrite:
    """What runs of a write (connectors.contract.WriteRunnable says what its rows must look like: a check column first,
    then RETURNING). `outputs`: one per RETURNING column in order, without the check column. `ddl`: exactly the caller's
    statement, rendered from the tree."""

    sql: str
    binds: tuple[Bind, ...]
    outputs: tuple[OutputColumn, ...] = ()
    returning: bool = False
    ddl: bool = False
    labels: tuple[str, ...] = ()


class Views(Protocol):
    def __call__(self, table: TableKey) -> TableView | None:
        """None: the caller may not know of it."""


class SqlGuard(Protocol):
    """One per dialect: `app.sql.postgres.guard`, `app.sql.sqlite.guard`."""

    dialect: Dialect

    def inspect(self, text: str, params: ParamTypes, catalog: Catalog) -> Statement: ...

    def rewrite(self, statement: Statement, views: Views, catalog: Catalog) -> Rewritten:
        """Only for Action.SELECT."""

    def rewrite_write(self, statement: Statement, views: Views, catalog: Catalog) -> RewrittenWrite:
        """For every other action. WHERE, SET, VALUES and RETURNING see the caller's views alone (masked, filtered);
        rows outside of the row filter are neither touched nor left behind."""


class Shape(Protocol):
    """A text without its literal values: texts with equal `key` have equal trees up to those values."""

    @property
    def key(self) -> str: ...

    @property
    def literals(self) -> tuple[str, ...]:
        """The literal tokens as written, in order."""


class Template(Protocol):
    """The rewritten SQL of a shape, with holes for its literals."""

    def render(self, literals: Sequence[str]) -> str | None:
        """None: a literal that some rule looked at differs; read the text the long way."""


class Shapes(Protocol):
    """How a dialect lets one rewriting serve every text of the same shape (performance.md)."""

    def shape(self, text: str) -> Shape | None: ...

    def template(
        self, text: str, params: ParamTypes, statement: Statement, rewritten: Rewritten, views: Views, catalog: Catalog
    ) -> Template | None: ...
