"""The tree that is checked and rendered.

An expression is the flat run of its tokens and structured parts: precedence is left to the engine, which reads exactly
the same run again. Whatever names a relation, a column, a function or opens a scope is a node of its own.
"""

from dataclasses import dataclass
from typing import Union

from app.sql.sqlite.lexis import Token


@dataclass(eq=False, frozen=True, slots=True)
class Column:
    """A reference to a column: `name` alone, or below `table`. `bare`: written without quotes (TRUE, FALSE)."""

    table: str | None
    name: str
    bare: bool
    position: int


@dataclass(eq=False, frozen=True, slots=True)
class Parenthesis:
    """`( … , … )`: a group, a row value or a list."""

    parts: tuple["Expr", ...]


@dataclass(eq=False, frozen=True, slots=True)
class Window:
    base: str | None
    partition: tuple["Expr", ...]
    order: tuple["Expr", ...]
    frame: tuple["Item", ...]


@dataclass(eq=False, frozen=True, slots=True)
class Call:
    """A function call. `star`: count(*). `over` is a window's name or definition."""

    name: str
    args: tuple["Expr", ...]
    position: int
    distinct: bool = False
    star: bool = False
    filter: Union["Expr", None] = None
    over: str | Window | None = None


@dataclass(eq=False, frozen=True, slots=True)
class Nested:
    """A query in parentheses inside an expression."""

    query: "Query"


@dataclass(eq=False, frozen=True, slots=True)
class Members:
    """`IN relation`: the members are the rows of a one-column relation."""

    relation: "Relation"


Item = Union[Token, Column, Parenthesis, Call, Nested, Members, "Expr"]


@dataclass(eq=False, frozen=True, slots=True)
class Expr:
    """`text_end` is where the next token starts: SQLite names an unaliased column by the text up to there."""

    items: tuple[Item, ...]
    start: int = 0
    text_end: int = 0


@dataclass(eq=False, frozen=True, slots=True)
class Star:
    table: str | None
    position: int


@dataclass(eq=False, frozen=True, slots=True)
class Output:
    value: Expr | Star
    alias: str | None


@dataclass(eq=False, frozen=True, slots=True)
class Relation:
    """A name in FROM. `schema` is None or "main"."""

    schema: str | None
    name: str
    alias: str | None
    position: int


@dataclass(eq=False, frozen=True, slots=True)
class TableCall:
    """A table-valued function in FROM."""

    call: Call
    alias: str | None


@dataclass(eq=False, frozen=True, slots=True)
class Derived:
    query: "Query"
    alias: str | None


@dataclass(eq=False, frozen=True, slots=True)
class Group:
    """A join in parentheses."""

    source: "From"
    alias: str | None


Source = Relation | TableCall | Derived | Group


@dataclass(eq=False, frozen=True, slots=True)
class Join:
    """`how` is "," or the join words; empty for the first source."""

    how: str
    source: Source
    on: Expr | None = None
    using: tuple[str, ...] = ()


@dataclass(eq=False, frozen=True, slots=True)
class From:
    joins: tuple[Join, ...]


@dataclass(eq=False, frozen=True, slots=True)
class Select:
    quantifier: str
    outputs: tuple[Output, ...]
    source: From | None
    where: Expr | None
    group: tuple[Expr, ...]
    having: Expr | None
    windows: tuple[tuple[str, Window], ...]


@dataclass(eq=False, frozen=True, slots=True)
class Values:
    rows: tuple[Parenthesis, ...]


@dataclass(eq=False, frozen=True, slots=True)
class Cte:
    name: str
    columns: tuple[str, ...]
    hint: str
    query: "Query"


@dataclass(eq=False, frozen=True, slots=True)
class Query:
    """`operators[i]` stands between `arms[i]` and `arms[i + 1]`. `limit_sign` is "", "," or "OFFSET"."""

    ctes: tuple[Cte, ...]
    recursive: bool
    arms: tuple[Select | Values, ...]
    operators: tuple[str, ...]
    order: tuple[Expr, ...]
    limit: Expr | None
    limit_sign: str
    offset: Expr | None


@dataclass(eq=False, frozen=True, slots=True)
class Assignment:
    """`column = value`, or `(columns) = (values or one query)`."""

    columns: tuple[str, ...]
    value: Expr


@dataclass(eq=False, frozen=True, slots=True)
class Write:
    """INSERT, UPDATE, DELETE. `columns`: those an INSERT names. `query`: the rows of an INSERT, None for DEFAULT
    VALUES. `source`: the FROM of an UPDATE."""

    kind: str
    target: Relation
    ctes: tuple[Cte, ...]
    recursive: bool
    columns: tuple[str, ...]
    query: Query | None
    assignments: tuple[Assignment, ...]
    source: From | None
    where: Expr | None
    returning: tuple[Output, ...]

    @property
    def written(self) -> tuple[str, ...]:
        """Every column that the statement names to write to."""
        return (*self.columns, *(name for assignment in self.assignments for name in assignment.columns))


@dataclass(eq=False, frozen=True, slots=True)
class Definition:
    """DDL. `target`: the table, view or index that the verb acts on; `owner`: the table of a new index.

    `body`: what follows the name, as the tokens that were read: a table's columns, or what ALTER TABLE does.
    """

    verb: str
    kind: str
    target: Relation
    owner: Relation | None = None
    guarded: bool = False
    """IF EXISTS or IF NOT EXISTS was written."""
    unique: bool = False
    columns: tuple[str, ...] = ()
    """Names of a view's columns."""
    terms: tuple[Expr, ...] = ()
    where: Expr | None = None
    query: Query | None = None
    body: tuple[Token, ...] = ()
    altered: str | None = None
    """The existing column that ALTER TABLE drops."""

    @property
    def creates(self) -> bool:
        return self.verb == "CREATE" and self.owner is None


Tree = Query | Write | Definition
