"""One statement of a known class, or a refusal. Writes and DDL are read far enough to decide and approve them."""

from app.sql.sqlite.grammar import Queries
from app.sql.sqlite.lexis import Kind, Token, tokens_of
from app.sql.sqlite.nodes import Cte, Definition, Expr, From, Query, Relation, Tree, Write
from app.sql.statement import ParamTypes, Refusal, SqlRefused

_OTHER_CLASSES = frozenset(
    """
    PRAGMA ATTACH DETACH VACUUM REINDEX ANALYZE EXPLAIN BEGIN COMMIT END ROLLBACK SAVEPOINT RELEASE REPLACE
    """.split()  # noqa: SIM905
)
_ALLOWED = "Send one SELECT, VALUES or WITH statement; INSERT, UPDATE, DELETE and table DDL need an approval."


def read(text: str, params: ParamTypes) -> Tree:
    """The tree of the only statement in `text`. Raises SqlRefused."""
    tokens = tokens_of(text)
    _one_statement(tokens)
    reader = _Statements(tokens, params)
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


class _Statements(Queries):
    __slots__ = ()

    def statement(self) -> Tree:
        word = self.word()
        if word in ("SELECT", "VALUES"):
            return self.query()
        if word == "WITH":
            recursive, ctes = self.with_clause()
            if self.word() in ("SELECT", "VALUES"):
                return self.body(recursive, ctes)
            return self._write(ctes)
        if word in ("CREATE", "DROP", "ALTER"):
            return self._definition()
        if word in ("INSERT", "UPDATE", "DELETE"):
            return self._write(())
        if word in _OTHER_CLASSES:
            raise self.refused(Refusal.STATEMENT_CLASS, f"{word} is not allowed. {_ALLOWED}")
        raise self.unexpected("SELECT expected")

    def _write(self, ctes: tuple[Cte, ...]) -> Write:
        if self.accept("INSERT"):
            return self._insert(ctes)
        if self.accept("UPDATE"):
            return self._update(ctes)
        if self.accept("DELETE", "FROM"):
            return self._delete(ctes)
        if self.word() == "REPLACE":
            raise self.refused(Refusal.STATEMENT_CLASS, f"REPLACE is not allowed. {_ALLOWED}")
        raise self.unexpected("SELECT, INSERT, UPDATE or DELETE expected")

    def _target(self) -> Relation:
        relation = self.relation()
        alias = self.name() if self.accept("AS") else None
        self.index_hint()
        return Relation(relation.schema, relation.name, alias, relation.position)

    def _no_conflict_clause(self) -> None:
        if self.word() == "OR":
            raise self.refused(Refusal.CONSTRUCT, "Conflict clauses (OR …) are not allowed: write the plain statement.")

    def _insert(self, ctes: tuple[Cte, ...]) -> Write:
        self._no_conflict_clause()
        self.expect("INTO")
        target = self._target()
        columns = self.names_in_parentheses() if self.word() == "(" and not self.opens_query(1) else ()
        query: Query | None = None
        if not self.accept("DEFAULT", "VALUES"):
            query = self.query()
        if self.word() == "ON" and self.word(1) == "CONFLICT":
            raise self.refused(Refusal.CONSTRUCT, "ON CONFLICT is not allowed: insert or update, one at a time.")
        return Write("insert", target, ctes, query, None, self._returning(), False, columns)

    def _update(self, ctes: tuple[Cte, ...]) -> Write:
        self._no_conflict_clause()
        target = self._target()
        self.expect("SET")
        columns: list[str] = []
        exprs: list[Expr] = []
        while True:
            columns += self.names_in_parentheses() if self.word() == "(" else (self.name(),)
            self.expect("=")
            exprs.append(self.expression())
            if not self.accept(","):
                break
        source: From | None = self.sources() if self.accept("FROM") else None
        tail, has_where = self._where_and_after()
        return Write("update", target, ctes, None, source, (*exprs, *tail), has_where, tuple(columns))

    def _delete(self, ctes: tuple[Cte, ...]) -> Write:
        target = self._target()
        tail, has_where = self._where_and_after()
        return Write("delete", target, ctes, None, None, tail, has_where, ())

    def _where_and_after(self) -> tuple[tuple[Expr, ...], bool]:
        has_where = self.accept("WHERE")
        found = [self.expression()] if has_where else []
        found += self._returning()
        if self.word() in ("ORDER", "LIMIT"):
            raise self.refused(Refusal.CONSTRUCT, "A write takes no ORDER BY or LIMIT: name the rows in WHERE.")
        return tuple(found), has_where

    def _returning(self) -> tuple[Expr, ...]:
        if self.word() == "RETURNING":
            raise self.refused(Refusal.CONSTRUCT, "RETURNING is not allowed yet: read the rows with a SELECT.")
        return ()

    def _definition(self) -> Definition:
        verb = self.advance().word
        if verb == "ALTER":
            self.expect("TABLE")
            target = self.relation()
            self._balanced_rest()
            return Definition(target, False, False, None)
        self.accept("UNIQUE")
        kind = self.advance().word
        if kind not in ("TABLE", "VIEW", "INDEX"):
            self.at -= 1
            raise self.refused(Refusal.STATEMENT_CLASS, f"This DDL is not allowed. {_ALLOWED}")
        if verb == "DROP":
            self.accept("IF", "EXISTS")
            return Definition(self.relation(), False, kind == "INDEX", None)
        self.accept("IF", "NOT", "EXISTS")
        target = self.relation()
        if kind == "INDEX":
            self.expect("ON")
            target = self.relation()
            self._balanced_rest()
            return Definition(target, False, False, None)
        if kind == "VIEW" and self.word() == "(":
            self.names_in_parentheses()
        query = None
        if self.accept("AS"):
            query = self.query()
        elif kind == "VIEW":
            raise self.unexpected("AS expected")
        else:
            self._balanced_rest()
        return Definition(target, True, False, query)

    def _balanced_rest(self) -> None:
        depth = 0
        while self.peek().kind is not Kind.END and self.word() != ";":
            word = self.advance().word
            depth += (word == "(") - (word == ")")
            if depth < 0:
                raise self.unexpected("brackets do not match")
        if depth:
            raise self.unexpected("a closing bracket expected")
