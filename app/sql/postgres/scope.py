"""What a statement's names stand for, as far as it can be known without a policy: scopes, relations, outputs.

The engine binds names; this reading serves lineage, required predicates, push-down and the attribute-notation rule.
All of them treat what is not known here as the worst case.
"""

from dataclasses import dataclass, field

from connectors.contract import TableKey

STAR = "*"


@dataclass(slots=True, kw_only=True, eq=False)
class Use:
    """A column reference as written, in the scope it was written in. `position` is the offset in the numbered text."""

    scope: "Scope"
    parts: tuple[str, ...]
    position: int = 0
    parenthesised: bool = False
    """`(x).f`: PostgreSQL takes `x` for a column before it takes it for a relation."""


@dataclass(slots=True, kw_only=True, eq=False)
class Output:
    """One item of a target list. `name` None: PostgreSQL calls it something this reading does not know."""

    name: str | None
    uses: tuple[Use, ...]
    star: tuple[str, ...] | None = None
    """For `*` and `r.*`: the qualifier's parts."""


@dataclass(slots=True, kw_only=True, eq=False)
class Query:
    """A SELECT, VALUES or set operation; `arms` of a set operation have the columns, left names win."""

    scope: "Scope | None" = None
    outputs: list[Output] = field(default_factory=list)
    arms: "tuple[Query, Query] | None" = None
    everything: list[Use] = field(default_factory=list)
    """All uses of columns anywhere inside, sub-queries of expressions included."""


@dataclass(slots=True, kw_only=True, eq=False)
class Written:
    """An INSERT, UPDATE or DELETE: its target, what RETURNING gives, and what INSERT takes its rows from."""

    target: "Relation"
    returning: Query
    inserted: Query | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Cte:
    name: str
    query: Query | None = None
    columns: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    """Columns that SEARCH and CYCLE add."""
    recursive: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class Relation:
    """One entry of a FROM clause. Exactly one of `table`, `query`, `cte` is set, or none: a function."""

    alias: str
    columns: tuple[str, ...] = ()
    """Column aliases, for the first so many columns."""
    table: TableKey | None = None
    aliased: bool = False
    reference: int = -1
    """Which governed reference of the statement (tables only)."""
    query: Query | None = None
    cte: Cte | None = None
    names: tuple[str, ...] | None = None
    """Functions: column names, or None where they are not known."""
    preserved: bool = True
    """No outer join can make its columns NULL after its own rows were read."""
    uses: tuple[Use, ...] = ()
    """Functions: what the arguments read."""


@dataclass(slots=True, kw_only=True, eq=False)
class Joined:
    """The shape of a FROM clause, for `*`. `using` None with `natural`: common columns."""

    left: "Item"
    right: "Item"
    using: tuple[str, ...] = ()
    natural: bool = False
    alias: str = ""
    columns: tuple[str, ...] = ()


Item = Relation | Joined


@dataclass(slots=True, kw_only=True, eq=False)
class Scope:
    parent: "Scope | None" = None
    items: list[Item] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    """Every leaf, whether or not a join alias hides it."""
    joins: list[Joined] = field(default_factory=list)
    """Joins with an alias of their own."""
