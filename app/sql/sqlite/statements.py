"""One statement of a known class, or a refusal."""

from app.sql.sqlite.definitions import Definitions
from app.sql.sqlite.lexis import Kind, Token, fold, tokens_of
from app.sql.sqlite.nodes import Assignment, Cte, Expr, From, Output, Query, Relation, Tree, Write
from app.sql.statement import ParamTypes, Refusal, SqlRefused

_OTHER_CLASSES = frozenset(
    """
    PRAGMA ATTACH DETACH VACUUM REINDEX ANALYZE EXPLAIN BEGIN COMMIT END ROLLBACK SAVEPOINT RELEASE REPLACE
    """.split()  # noqa: SIM905
)
_ALLOWED = "Send one SELECT, VALUES or WITH statement; INSERT, UPDATE, DELETE and table DDL need an approval."
RESERVED_PREFIX = "douane "
"""Names that only the rendered statement has: keys, checks, tables of its own."""


def read(text: str, params: ParamTypes) -> Tree:
    """The tree of the only statement in `text`. Raises SqlRefused."""
    tokens = tokens_of(text)
    _one_statement(tokens)
    reader = Statements(tokens, params)
    tree = reader.statement()
    while reader.accept(";"):
        pass
    if reader.peek().kind is not Kind.END:
        raise reader.unexpected()
    if unused := sorted(params.keys() - reader.used_params):
        raise SqlRefused(Refusal.PARAMETERS, f"Parameter {unused[0]} is not used: remove it from params.")
    return tree


def _one_statement(tokens: list[Token]) -> None:
    ended = False
    for token in tokens:
        if token.word == ";":
            ended = True
        elif ended and token.kind is not Kind.END:
            raise SqlRefused(Refusal.SEVERAL_STATEMENTS, "Send one statement per request.", position=token.start)


class Statements(Definitions):
    __slots__ = ()

    def statement(self) -> Tree:
        word = self.word()
        if word in ("SELECT", "VALUES"):
            return self.query()
        if word == "WITH":
            recursive, ctes = self.with_clause()
            if self.word() in ("SELECT", "VALUES"):
                return self.body(recursive, ctes)
            return self._write(recursive, ctes)
        if word in ("CREATE", "DROP", "ALTER"):
            return self.definition(_ALLOWED)
        if word in ("INSERT", "UPDATE", "DELETE"):
            return self._write(False, ())
        if word in _OTHER_CLASSES:
            raise self.refused(Refusal.STATEMENT_CLASS, f"{word} is not allowed. {_ALLOWED}")
        raise self.unexpected("SELECT expected")

    def _write(self, recursive: bool, ctes: tuple[Cte, ...]) -> Write:
        self.no_reserved_names()
        if self.accept("INSERT"):
            return self._insert(recursive, ctes)
        if self.accept("UPDATE"):
            return self._update(recursive, ctes)
        if self.accept("DELETE", "FROM"):
            return self._delete(recursive, ctes)
        if self.word() == "REPLACE":
            raise self.refused(Refusal.STATEMENT_CLASS, f"REPLACE is not allowed. {_ALLOWED}")
        raise self.unexpected("SELECT, INSERT, UPDATE or DELETE expected")

    def no_reserved_names(self) -> None:
        for token in self.tokens:
            if token.kind in (Kind.QUOTED, Kind.STRING) and fold(token.text).startswith(RESERVED_PREFIX):
                raise SqlRefused(
                    Refusal.CONSTRUCT,
                    f'Names that start with "{RESERVED_PREFIX}" are taken: bind such a text as a parameter.',
                    position=token.start,
                )

    def _target(self) -> Relation:
        relation = self.relation()
        self.index_hint()
        alias = self.name() if self.accept("AS") else None
        self.index_hint()
        return Relation(relation.schema, relation.name, alias, relation.position)

    def _no_conflict_clause(self) -> None:
        if self.word() == "OR":
            raise self.refused(Refusal.CONSTRUCT, "Conflict clauses (OR …) are not allowed: write the plain statement.")

    def _insert(self, recursive: bool, ctes: tuple[Cte, ...]) -> Write:
        self._no_conflict_clause()
        self.expect("INTO")
        target = self._target()
        columns = self.names_in_parentheses() if self.word() == "(" and not self.opens_query(1) else ()
        query: Query | None = None
        if not self.accept("DEFAULT", "VALUES"):
            query = self.query()
        if self.word() == "ON" and self.word(1) == "CONFLICT":
            raise self.refused(Refusal.CONSTRUCT, "ON CONFLICT is not allowed: insert or update, one at a time.")
        return Write("insert", target, ctes, recursive, columns, query, (), None, None, self._returning())

    def _update(self, recursive: bool, ctes: tuple[Cte, ...]) -> Write:
        self._no_conflict_clause()
        target = self._target()
        self.expect("SET")
        assignments = [self._assignment()]
        while self.accept(","):
            assignments.append(self._assignment())
        source: From | None = self.sources() if self.accept("FROM") else None
        where, returning = self._where_and_after()
        return Write("update", target, ctes, recursive, (), None, tuple(assignments), source, where, returning)

    def _assignment(self) -> Assignment:
        columns = self.names_in_parentheses() if self.word() == "(" else (self.name(),)
        self.expect("=")
        return Assignment(columns, self.expression())

    def _delete(self, recursive: bool, ctes: tuple[Cte, ...]) -> Write:
        target = self._target()
        where, returning = self._where_and_after()
        return Write("delete", target, ctes, recursive, (), None, (), None, where, returning)

    def _where_and_after(self) -> tuple[Expr | None, tuple[Output, ...]]:
        where = self.expression() if self.accept("WHERE") else None
        returning = self._returning()
        if self.word() in ("ORDER", "LIMIT"):
            raise self.refused(Refusal.CONSTRUCT, "A write takes no ORDER BY or LIMIT: name the rows in WHERE.")
        return where, returning

    def _returning(self) -> tuple[Output, ...]:
        if not self.accept("RETURNING"):
            return ()
        outputs = [self.output()]
        while self.accept(","):
            outputs.append(self.output())
        return tuple(outputs)
