"""What a SQL connector promises. Rows go through a sink while they are read; limits hold meanwhile."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from connectors.contract.shared import Finding, SecretSource

TableKey = tuple[str, str]
"""(schema, name) exactly as the engine stores them; SQLite's schema is always "main"."""


class Dialect(StrEnum):
    POSTGRES = "postgres"
    SQLITE = "sqlite"


class TableKind(StrEnum):
    TABLE = "table"
    PARTITIONED = "partitioned"
    PARTITION = "partition"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized_view"
    FOREIGN = "foreign"
    VIRTUAL = "virtual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`type` is the dialect's own canonical name ("integer", "character varying", "text[]"), without type modifier.

    `generated_from` names the columns of the same table that a generated column reads (empty: not generated).
    """

    name: str
    type: str
    nullable: bool = True
    generated_from: tuple[str, ...] = ()
    max_length: int | None = None
    """Declared character limit of varchar(n)/char(n), where the engine enforces one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """`columns` holds every column that the index reads: keys, expressions, INCLUDE and the partial predicate."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    primary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    columns: tuple[str, ...]
    table: TableKey
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceColumn:
    """A base-table column that a view reads, found through views of views."""

    table: TableKey
    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    schema: str
    name: str
    kind: TableKind
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    reads: tuple[SourceColumn, ...] = ()
    """Views: every base column the definition reads. An unresolvable definition reads column "*" of its own key."""
    estimated_rows: int | None = None
    without_rowid: bool = False
    """SQLite only: the table has no rowid."""
    concealed: tuple[Column, ...] = ()
    """Columns that no statement may name, but the caller's row filter reads. Connectors leave it empty."""
    couplings: tuple[tuple[str, ...], ...] = ()
    """Columns of one row that the table itself reads together, in a CHECK or a generated column: whether an UPDATE of
    one succeeds may tell of the others. "*" stands for columns that cannot be named."""

    @property
    def key(self) -> TableKey:
        return (self.schema, self.name)

    def column(self, name: str) -> Column | None:
        return next((c for c in self.columns if c.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Everything the guard needs to know of a database. `version` is a digest of all the rest but estimated_rows."""

    dialect: Dialect
    version: str
    server_version: int
    """PostgreSQL: server_version_num (150004). SQLite: 3040001."""
    tables: Mapping[TableKey, Table]
    safe_functions: frozenset[str] = frozenset()
    """PostgreSQL: names in pg_catalog of which every overload is harmless (rule 4 of the SQL guard).
    SQLite: names of the builtin functions that this library has."""
    known_functions: frozenset[str] = frozenset()
    """Every function name that the engine would resolve, safe or not (attribute notation reaches them, rule 2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Enforced by the connector while it reads, not afterwards."""

    max_rows: int
    max_bytes: int
    """Of the encoded rows, as the sink counts them."""
    max_value_bytes: int
    """A single value above this ends the request with VALUE_TOO_LARGE."""
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Runnable:
    """One checked, rendered, read-only statement. The connector never changes its text.

    `keep_scan_order`: the row order must not depend on indexes that mix in hidden columns (sql.md, row order).
    `cacheable`: the same text will come again (parameterised); ever-new literals should not evict others.
    """

    sql: str
    args: tuple[Any, ...] = ()
    keep_scan_order: bool = False
    cacheable: bool = True
    skip_rows: int = 0
    """Rows to read and drop before the first one that counts (continuation by cursor)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultColumn:
    """`type` as in Column.type; SQLite gives the declared type or "" for an expression."""

    name: str
    type: str


RowSink = Callable[[Sequence[Sequence[Any]]], int]
"""Takes a batch of rows, returns how many encoded bytes they made. May raise: the read then ends and the
exception passes through unchanged. Called on the event loop, never concurrently with itself."""


class Stopped(StrEnum):
    """Why reading ended before the statement's own end."""

    ROWS = "rows"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOutcome:
    columns: tuple[ResultColumn, ...]
    row_count: int
    stopped: Stopped | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRunnable:
    """One checked, rendered write, alone in a transaction of its own. The connector never changes its text.

    The statement gives one row for every row it touched. The first column is the check: true, or the whole write is
    rolled back (ROW_FILTER); it is never handed to a sink. `returning`: further columns follow, for the caller.
    `ddl`: the statement gives no rows at all and its number of affected rows is 0.
    """

    sql: str
    args: tuple[Any, ...] = ()
    returning: bool = False
    ddl: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteLimits:
    """`max_affected`: the write is rolled back when it would touch more rows (None: any number). `dry_run`: everything
    runs and is then rolled back. `read` bounds what RETURNING hands out; rows beyond are touched, not delivered."""

    read: Limits
    max_affected: int | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOutcome:
    """`affected` counts every row that was touched, `row_count` those delivered to the sink."""

    affected: int
    columns: tuple[ResultColumn, ...] = ()
    row_count: int = 0
    stopped: Stopped | None = None


@runtime_checkable
class SqlConnector(Protocol):
    """Pooled, read-only execution on one database. Lifetime: `open` once, `close` once; `open` succeeds with the
    server down (it connects lazily), so that one dead database never keeps the gateway from starting."""

    dialect: Dialect

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def catalog(self) -> Catalog | None:
        """The last catalog read, at once and without IO; None before the first successful `refresh`."""

    async def refresh(self) -> Catalog:
        """Read the catalog from the engine. Raises ConnectorError(UNAVAILABLE)."""

    async def read(
        self,
        statement: Runnable,
        limits: Limits,
        sink: RowSink,
        on_columns: Callable[[tuple[ResultColumn, ...]], None] | None = None,
    ) -> ReadOutcome:
        """Run one statement and push its rows into `sink`, at most `limits.max_rows` of them.

        `on_columns` is called once, before the first batch. Rows are sequences of JSON-ready Python values: None,
        bool, int (any size), float (NaN and infinities possible), str, bytes, list/dict (arrays, json), or
        orjson.Fragment for json text that needs no decoding. numeric, timestamps, dates, times, intervals, uuid come
        as str: timestamps in RFC 3339 form. Small results may be buffered, large ones use a cursor (batches <= 200).
        Cancelling the task ends the statement on the server.
        """

    async def estimate(self, statement: Runnable, timeout_s: float) -> int | None:
        """The planner's row estimate, or None where the engine has none. Never runs the statement."""

    async def probe(self) -> tuple[Finding, ...]:
        """Reachability and privileges of the configured role."""


@runtime_checkable
class SqlWriter(Protocol):
    """A connector that also writes. Without it every write is refused.

    `write` returns when the transaction is durably committed (dry_run: rolled back), and raises ConnectorError when
    nothing was changed; Failure.OUTCOME_UNKNOWN alone means that it may have been. Cancelling the task before the
    commit was sent rolls back; from then on the call outlives the cancellation until the outcome is known, and ends in
    CancelledError only if nothing was committed. Rows reach the sink before the commit: the caller releases none of
    them unless `write` returned. The transaction is serialisable enough that the rows counted, checked and returned are
    the rows changed. Integrity violations of every kind raise STATEMENT with Fault.INTEGRITY, without a name or value.
    """

    async def write(
        self,
        statement: WriteRunnable,
        limits: WriteLimits,
        sink: RowSink,
        on_columns: Callable[[tuple[ResultColumn, ...]], None] | None = None,
    ) -> WriteOutcome: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlConnectorConfig:
    """What the composition root hands to a factory; `options` holds the kind's own, already validated keys.

    `redact`: text without the entities in it, for engines that call functions of ours. Total, deterministic, from any
    thread. None: a mask that needs it gives NULL.
    """

    name: str
    secret: SecretSource | None
    options: Mapping[str, Any] = field(default_factory=dict)
    pool_max: int = 10
    statement_timeout_s: float = 30.0
    redact: Callable[[str], str] | None = None


class ConnectorFactory(Protocol):
    """The object that an entry point of group "douane.connectors" names."""

    kind: str

    def __call__(self, config: SqlConnectorConfig) -> SqlConnector: ...
