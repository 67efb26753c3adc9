"""The rendered text is read again, by this grammar and by sqlglot: both must find the relations that were meant, or
nothing runs. Every base table stands as `main`.name in a template; every other relation is one of our own CTEs."""

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from app.sql.sqlite.functions import ALLOWED, TABLE_FUNCTIONS
from app.sql.sqlite.grammar import Queries
from app.sql.sqlite.lexis import Kind, Token, fold, tokens_of
from app.sql.sqlite.masking import OWN_FUNCTIONS
from app.sql.sqlite.nodes import Call, Query, Relation, Write
from app.sql.sqlite.relations import parts
from app.sql.sqlite.rendering import CTE_PREFIX
from app.sql.sqlite.statements import Statements
from app.sql.statement import JsonType, Refusal, SqlRefused

_MARK = "~"
_STAND_INS = {Kind.STRING: "'x'", Kind.NUMBER: "1", Kind.BLOB: "'x'"}
_CALLABLE = ALLOWED | TABLE_FUNCTIONS.keys() | OWN_FUNCTIONS


def agree(sql: str, tables: Mapping[str, int], bind_count: int) -> None:
    """`tables`: how often each base table was meant. Raises SqlRefused(DISAGREEMENT)."""
    tokens = tokens_of(sql, limited=False)
    if _own(tokens, bind_count) != tables or _sqlglot(sql, tokens) != tables:
        raise _differ()


def agree_on_write(sql: str, tables: Mapping[str, int], bind_count: int, kind: str, target: str) -> None:
    """`tables` counts the target as well, which must be what is written to. Raises SqlRefused(DISAGREEMENT)."""
    tokens = tokens_of(sql, limited=False)
    own = _own(tokens, bind_count, (kind, target))
    if own != tables or _sqlglot(sql, tokens, (kind, target)) != tables:
        raise _differ()


def _differ() -> SqlRefused:
    return SqlRefused(
        Refusal.DISAGREEMENT, "Two readings of this statement differ: put brackets around comparisons, or simplify."
    )


class _Rendered(Queries):
    """The grammar of what we render: the caller's, and the one hint that templates use."""

    __slots__ = ()

    def index_hint(self) -> None:
        self.accept("NOT", "INDEXED")


class _RenderedWrite(Statements):
    """The same for writes, where our own names stand."""

    __slots__ = ()

    def index_hint(self) -> None:
        self.accept("NOT", "INDEXED")

    def no_reserved_names(self) -> None:
        """They are ours here."""


def _own(tokens: list[Token], bind_count: int, write: tuple[str, str] | None = None) -> Mapping[str, int] | None:
    params = {str(i + 1): JsonType.NULL for i in range(bind_count)}
    reader: Queries
    try:
        if write is None:
            reader = _Rendered(tokens, params)
            query: Query | Write = reader.query()
        else:
            reader = writes = _RenderedWrite(tokens, params)
            tree = writes.statement()
            if not isinstance(tree, Write) or (tree.kind, tree.target.name) != write or tree.target.schema != "main":
                return None
            query = tree
    except SqlRefused:
        return None
    if reader.peek().kind is not Kind.END or len(reader.used_params) != bind_count:
        return None
    found: Counter[str] = Counter()
    waiting: list[Any] = [query]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Relation):
            if node.schema is not None:
                found[node.name] += 1
            elif not node.name.startswith(CTE_PREFIX):
                return None
        elif isinstance(node, Call) and fold(node.name) not in _CALLABLE:
            return None
        waiting.extend(parts(node))
    return found


_WRITES: Mapping[str, type[exp.Expression]] = {"insert": exp.Insert, "update": exp.Update, "delete": exp.Delete}


def _sqlglot(sql: str, tokens: list[Token], write: tuple[str, str] | None = None) -> Mapping[str, int] | None:
    try:
        statements = sqlglot.parse(_for_sqlglot(sql, tokens), dialect="sqlite")
    except SqlglotError:
        return None
    if len(statements) != 1 or not _is_meant(statements[0], write):
        return None
    found: Counter[str] = Counter()
    statement = statements[0]
    assert statement is not None
    for table in statement.find_all(exp.Table):
        if table.db == f"{_MARK}main" and not table.catalog:
            found[table.name.removeprefix(_MARK)] += 1
        elif table.db or not (table.name.startswith(_MARK + CTE_PREFIX) or isinstance(table.this, exp.Func)):
            return None
    return found


def _is_meant(statement: object, write: tuple[str, str] | None) -> bool:
    if write is None:
        return isinstance(statement, (exp.Query, exp.Values))
    kind, name = write
    if not isinstance(statement, _WRITES[kind]):
        return False
    target = statement.this.this if isinstance(statement.this, exp.Schema) else statement.this
    return isinstance(target, exp.Table) and (target.db, target.name) == (f"{_MARK}main", f"{_MARK}{name}")


def _for_sqlglot(sql: str, tokens: list[Token]) -> str:
    """sqlglot knows no numbered placeholders, and takes some names for syntax even in quotes (`x IS json(y)`): marked,
    a name is nothing but a name. Values stay here, because it logs the ones it cannot read as JSON paths."""
    pieces = []
    at = 0
    for token, after in pairwise(tokens):
        if token.kind is Kind.PARAM:
            pieces.append(sql[at : token.start + 1])
        elif token.kind in _STAND_INS:
            pieces.append(sql[at : token.start] + _STAND_INS[token.kind])
        elif token.kind is Kind.QUOTED:
            pieces.append(f"{sql[at : token.start + 1]}{_MARK}{sql[token.start + 1 : token.end]}")
        elif token.kind is Kind.WORD and after.word == "(" and token.text in _CALLABLE:
            pieces.append(f"{sql[at : token.start]}`{_MARK}{token.text}`")
        else:
            continue
        at = token.end
    pieces.append(sql[at:])
    return "".join(pieces)
