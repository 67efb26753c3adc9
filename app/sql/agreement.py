"""A second opinion on which tables a PostgreSQL statement names, from a parser that shares no code with the first.

It can only take away: a table that sqlglot sees and PostgreSQL's own grammar does not, or the other way round,
refuses the statement. Where sqlglot cannot read what PostgreSQL's grammar accepts, it has no opinion
(docs/adr/0002-second-opinion.md). It never changes what runs.
"""

from collections import Counter
from collections.abc import Iterable

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

MAX_TOKENS_FOR_OPINION = 800
"""sqlglot's time grows faster than the text: beyond this the opinion would cost more than everything else."""

Names = Iterable[tuple[str, str]]
"""(schema as written or "", name) of every relation that a statement names, CTE references included."""


def agrees(text: str, names: Names) -> bool:
    """Whether sqlglot, if it can read the text at all, sees exactly these relation names."""
    seen = relation_names(text)
    return seen is None or seen == Counter(names)


def relation_names(text: str) -> Counter[tuple[str, str]] | None:
    """Every relation name sqlglot sees, with how often; None where it cannot read the text as one query or write."""
    try:
        trees = sqlglot.parse(text, read="postgres")
    except (SqlglotError, RecursionError):
        return None
    if len(trees) != 1 or not isinstance(trees[0], exp.Query | exp.Insert | exp.Update | exp.Delete):
        return None
    names: Counter[tuple[str, str]] = Counter()
    for table in trees[0].find_all(exp.Table):
        if isinstance(table.this, exp.Identifier):
            schema = table.args.get("db")
            names[_folded(schema) if isinstance(schema, exp.Identifier) else "", _folded(table.this)] += 1
    return names


def _folded(identifier: exp.Identifier) -> str:
    name = str(identifier.this)
    return name if identifier.args.get("quoted") else _lower_ascii(name)


def _lower_ascii(name: str) -> str:
    # PostgreSQL folds ASCII letters alone in a UTF-8 database.
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in name)
