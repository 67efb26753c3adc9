"""Queries: SELECT, VALUES, WITH, set operations, FROM. What is not written here is refused."""

from app.sql.sqlite.expressions import Expressions
from app.sql.sqlite.lexis import Kind, fold
from app.sql.sqlite.nodes import (
    Cte,
    Derived,
    Expr,
    From,
    Group,
    Join,
    Nested,
    Output,
    Parenthesis,
    Query,
    Relation,
    Select,
    Source,
    Star,
    TableCall,
    Values,
    Window,
)
from app.sql.statement import Refusal


class Queries(Expressions):
    __slots__ = ()

    def query(self) -> Query:
        recursive, ctes = self.with_clause()
        return self.body(recursive, ctes)

    def body(self, recursive: bool, ctes: tuple[Cte, ...]) -> Query:
        arms: list[Select | Values] = [self._arm()]
        operators: list[str] = []
        while self.word() in ("UNION", "INTERSECT", "EXCEPT"):
            operator = self.advance().word
            if operator == "UNION" and self.accept("ALL"):
                operator = "UNION ALL"
            operators.append(operator)
            arms.append(self._arm())
        order = self.ordering() if self.accept("ORDER", "BY") else ()
        limit = offset = None
        sign = ""
        if self.accept("LIMIT"):
            limit = self.expression()
            if self.word() in (",", "OFFSET"):
                sign = self.advance().word
                offset = self.expression()
        return Query(ctes, recursive, tuple(arms), tuple(operators), order, limit, sign, offset)

    def with_clause(self) -> tuple[bool, tuple[Cte, ...]]:
        if not self.accept("WITH"):
            return False, ()
        recursive = self.word() == "RECURSIVE" and self.word(1) not in ("AS", "(")
        if recursive:
            self.advance()
        ctes = [self._cte()]
        while self.accept(","):
            ctes.append(self._cte())
        return recursive, tuple(ctes)

    def _cte(self) -> Cte:
        name = self.name()
        columns = self.names_in_parentheses() if self.word() == "(" else ()
        self.expect("AS")
        hint = ""
        if self.accept("NOT", "MATERIALIZED"):
            hint = "NOT MATERIALIZED"
        elif self.accept("MATERIALIZED"):
            hint = "MATERIALIZED"
        self.expect("(")
        query = self.query()
        self.expect(")")
        return Cte(name, columns, hint, query)

    def _arm(self) -> Select | Values:
        if self.accept("VALUES"):
            rows = [self._row()]
            while self.accept(","):
                rows.append(self._row())
            return Values(tuple(rows))
        self.expect("SELECT")
        quantifier = self.advance().word if self.word() in ("DISTINCT", "ALL") else ""
        outputs = [self.output()]
        while self.accept(","):
            outputs.append(self.output())
        if self.word() == "INTO":
            raise self.refused(Refusal.CONSTRUCT, "SELECT INTO is not allowed: select the rows and read the answer.")
        source = self.sources() if self.accept("FROM") else None
        where = self.expression() if self.accept("WHERE") else None
        group = self.expressions() if self.accept("GROUP", "BY") else ()
        having = self.expression() if self.accept("HAVING") else None
        windows: list[tuple[str, Window]] = []
        if self.opens_window():
            self.advance()
            windows.append(self._named_window())
            while self.accept(","):
                windows.append(self._named_window())
        return Select(quantifier, tuple(outputs), source, where, group, having, tuple(windows))

    def _row(self) -> Parenthesis:
        self.expect("(")
        parts = self.expressions()
        self.expect(")")
        return Parenthesis(parts)

    def _named_window(self) -> tuple[str, Window]:
        name = self.name()
        self.expect("AS")
        return name, self.window()

    def output(self) -> Output:
        token = self.peek()
        if self.accept("*"):
            return Output(Star(None, token.start), None)
        if self.names_something() and self.word(1) == "." and self.word(2) == "*":
            table = self.name()
            self.at += 2
            return Output(Star(table, token.start), None)
        value = self.expression()
        return Output(value, self.alias())

    def sources(self) -> From:
        joins = [Join("", self._source())]
        while True:
            if self.accept(","):
                how = ","
            elif not (how := self._join_words()):
                return From(tuple(joins))
            source = self._source()
            on: Expr | None = None
            using: tuple[str, ...] = ()
            if self.accept("ON"):
                on = self.expression()
            elif self.accept("USING"):
                using = self.names_in_parentheses()
            joins.append(Join(how, source, on, using))

    def _join_words(self) -> str:
        words = []
        if self.accept("NATURAL"):
            words.append("NATURAL")
        if self.word() in ("LEFT", "RIGHT", "FULL"):
            words.append(self.advance().word)
            if self.accept("OUTER"):
                words.append("OUTER")
        elif self.word() in ("INNER", "CROSS"):
            words.append(self.advance().word)
        if self.word() == "JOIN":
            self.advance()
            return " ".join([*words, "JOIN"])
        if words:
            raise self.unexpected("JOIN expected")
        return ""

    def _source(self) -> Source:
        if self.word() == "(":
            if self.opens_query(1):
                nested = self.parenthesis()
                assert isinstance(nested, Nested)
                return Derived(nested.query, self.alias())
            self.advance()
            source = self.sources()
            self.expect(")")
            return Group(source, self.alias())
        if self.names_something() and self.word(1) == "(":
            call = self.call(self.advance())
            return TableCall(call, self.alias())
        relation = self.relation()
        return Relation(relation.schema, relation.name, self._relation_alias(), relation.position)

    def _relation_alias(self) -> str | None:
        self.index_hint()
        alias = self.alias()
        self.index_hint()
        return alias

    def index_hint(self) -> None:
        if self.word() == "INDEXED" or (self.word() == "NOT" and self.word(1) == "INDEXED"):
            raise self.refused(Refusal.CONSTRUCT, "Index hints are not allowed: leave INDEXED BY out.")

    def relation(self) -> Relation:
        position = self.peek().start
        if self.peek().kind is Kind.STRING:
            raise self.refused(Refusal.CONSTRUCT, "A string is no table name: write it without quotes.")
        name = self.name()
        if not self.accept("."):
            return Relation(None, name, None, position)
        if fold(name) != "main":
            raise self.refused(Refusal.CATALOG, "Only the schema main can be read: drop the prefix.")
        return Relation("main", self.name(), None, position)
