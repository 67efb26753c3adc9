"""Expressions, read as the flat run that the engine will read again."""

from app.sql.sqlite.lexis import Kind, Token
from app.sql.sqlite.nodes import Call, Column, Expr, Item, Members, Nested, Parenthesis, Query, Relation, Window
from app.sql.sqlite.reader import RESERVED, Reader
from app.sql.statement import Refusal, SqlRefused

_PREFIX = frozenset({"NOT", "-", "+", "~"})
_BINARY_SIGNS = frozenset(
    """
    || -> ->> * / % + - & | << >> < > <= >= = == <> !=
    """.split()  # noqa: SIM905
)
_BINARY_WORDS = frozenset({"AND", "OR", "LIKE", "GLOB", "ESCAPE", "BETWEEN"})
_AFTER_NOT = frozenset({"LIKE", "GLOB", "REGEXP", "MATCH", "BETWEEN", "IN"})
_CONSTANT_WORDS = frozenset({"NULL", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP"})
_COLLATIONS = frozenset({"BINARY", "NOCASE", "RTRIM"})
_QUERY_STARTS = frozenset({"SELECT", "VALUES", "WITH"})
_FRAME_UNITS = frozenset({"ROWS", "RANGE", "GROUPS"})


class Expressions(Reader):
    """`query` and `relation` are given by the grammar of queries, which builds on this one."""

    __slots__ = ()

    def query(self) -> Query:
        raise TypeError("a grammar of queries completes this one")

    def relation(self) -> Relation:
        raise TypeError("a grammar of queries completes this one")

    def expression(self) -> Expr:
        items: list[Item] = []
        start = self.peek().start
        while True:
            while self.word() in _PREFIX:
                items.append(self.advance())
            self._operand(items)
            if not self._operator(items):
                return Expr(tuple(items), start, self.peek().start)

    def expressions(self) -> tuple[Expr, ...]:
        found = [self.expression()]
        while self.accept(","):
            found.append(self.expression())
        return tuple(found)

    def ordering(self) -> tuple[Expr, ...]:
        """The terms of ORDER BY, each with its direction."""
        terms = []
        while True:
            items: list[Item] = [self.expression()]
            if self.word() in ("ASC", "DESC"):
                items.append(self.advance())
            if self.word() == "NULLS" and self.word(1) in ("FIRST", "LAST"):
                items += [self.advance(), self.advance()]
            terms.append(Expr(tuple(items)))
            if not self.accept(","):
                return tuple(terms)

    def opens_query(self, ahead: int = 0) -> bool:
        return self.word(ahead) in _QUERY_STARTS and not (self.word(ahead) == "WITH" and self.word(ahead + 1) == ".")

    def parenthesis(self) -> Parenthesis | Nested:
        self.expect("(")
        if self.opens_query():
            query = self.query()
            self.expect(")")
            return Nested(query)
        parts = self.expressions()
        self.expect(")")
        return Parenthesis(parts)

    def _operator(self, items: list[Item]) -> bool:
        """Takes postfix operators and one binary operator; False: the expression ends here."""
        while True:
            word = self.word()
            if word in _BINARY_SIGNS or word in _BINARY_WORDS:
                items.append(self.advance())
                return True
            match word:
                case "ISNULL" | "NOTNULL":
                    items.append(self.advance())
                case "COLLATE":
                    items += [self.advance(), self._collation()]
                case "NOT" if self.word(1) == "NULL":
                    items += [self.advance(), self.advance()]
                case "NOT" if self.word(1) in _AFTER_NOT:
                    items.append(self.advance())
                case "IS":
                    items.append(self.advance())
                    if self.word() == "NOT":
                        items.append(self.advance())
                    if self.word() == "DISTINCT" and self.word(1) == "FROM":
                        items += [self.advance(), self.advance()]
                    return True
                case "IN":
                    items.append(self.advance())
                    items.append(self._members())
                case "REGEXP" | "MATCH":
                    raise self.refused(
                        Refusal.OPERATOR, f"{word} is not available: use LIKE, GLOB or instr() to search text."
                    )
                case _:
                    return False

    def _collation(self) -> Token:
        token = self.peek()
        name = self.name().upper()
        if name not in _COLLATIONS:
            raise SqlRefused(
                Refusal.CONSTRUCT, "Collations are BINARY, NOCASE and RTRIM: choose one.", position=token.start
            )
        return Token(Kind.WORD, name, name, token.start, token.end)

    def _members(self) -> Item:
        if self.word() == "(" and self.word(1) == ")":
            self.at += 2
            return Parenthesis(())
        if self.word() == "(":
            return self.parenthesis()
        return Members(self.relation())

    def _operand(self, items: list[Item]) -> None:
        token = self.peek()
        match token.kind:
            case Kind.NUMBER | Kind.STRING | Kind.BLOB:
                items.append(self.advance())
            case Kind.PARAM:
                items.append(self.param())
            case Kind.SIGN if token.word == "(":
                items.append(self.parenthesis())
            case Kind.WORD if token.word in _CONSTANT_WORDS:
                items.append(self.advance())
            case Kind.WORD if token.word == "CASE":
                items.append(self._case())
            case Kind.WORD if token.word == "EXISTS":
                items.append(self.advance())
                if self.word() != "(" or not self.opens_query(1):
                    raise self.unexpected("EXISTS needs a query in parentheses")
                items.append(self.parenthesis())
            case Kind.WORD if token.word == "CAST" and self.word(1) == "(":
                items.append(self._cast())
            case _:
                items.append(self._reference())

    def _reference(self) -> Column | Call:
        token = self.peek()
        if token.kind not in (Kind.WORD, Kind.QUOTED) or token.word in RESERVED:
            raise self.unexpected("an expression expected")
        self.advance()
        if self.word() == "(":
            return self.call(token)
        if self.word() != ".":
            return Column(None, token.text, token.kind is Kind.WORD, token.start)
        self.advance()
        second = self.name()
        if not self.accept("."):
            return Column(token.text, second, False, token.start)
        if token.text.lower() != "main":
            raise SqlRefused(
                Refusal.CATALOG, "Only the schema main can be read: drop the prefix.", position=token.start
            )
        return Column(second, self.name(), False, token.start)

    def call(self, name: Token) -> Call:
        self.expect("(")
        star = distinct = False
        args: tuple[Expr, ...] = ()
        if self.accept("*"):
            star = True
        elif self.word() != ")":
            distinct = self.accept("DISTINCT")
            if not distinct:
                self.accept("ALL")
            args = self.expressions()
        if self.word() == "ORDER":
            raise self.refused(
                Refusal.CONSTRUCT, "This SQLite cannot sort inside an aggregate: sort in a subquery instead."
            )
        self.expect(")")
        condition = None
        if self.word() == "FILTER" and self.word(1) == "(":
            self.at += 2
            self.expect("WHERE")
            condition = self.expression()
            self.expect(")")
        over: str | Window | None = None
        if self.word() == "OVER" and self.word(1) == "(":
            self.at += 1
            over = self.window()
        elif self.word() == "OVER" and self.names_something(1):
            self.at += 1
            over = self.name()
        return Call(name.text, args, name.start, distinct, star, condition, over)

    def window(self) -> Window:
        self.expect("(")
        base = None
        clause = self.word() in _FRAME_UNITS or (self.word() in ("PARTITION", "ORDER") and self.word(1) == "BY")
        if self.word() != ")" and not clause:
            base = self.name()
        partition = self.expressions() if self.accept("PARTITION", "BY") else ()
        order = self.ordering() if self.accept("ORDER", "BY") else ()
        frame: list[Item] = []
        if self.word() in _FRAME_UNITS:
            self._frame(frame)
        self.expect(")")
        return Window(base, partition, order, tuple(frame))

    def _frame(self, items: list[Item]) -> None:
        items.append(self.advance())
        if self.word() == "BETWEEN":
            items.append(self.advance())
            self._bound(items)
            items.append(self.expect("AND"))
        self._bound(items)
        if self.word() == "EXCLUDE":
            items.append(self.advance())
            for words in (("NO", "OTHERS"), ("CURRENT", "ROW"), ("GROUP",), ("TIES",)):
                if all(self.word(i) == word for i, word in enumerate(words)):
                    items += [self.advance() for _ in words]
                    return
            raise self.unexpected()

    def _bound(self, items: list[Item]) -> None:
        if self.word() == "CURRENT" and self.word(1) == "ROW":
            items += [self.advance(), self.advance()]
            return
        if self.word() == "UNBOUNDED" and self.word(1) in ("PRECEDING", "FOLLOWING"):
            items.append(self.advance())
        else:
            items.append(self.expression())
        if self.word() not in ("PRECEDING", "FOLLOWING"):
            raise self.unexpected("PRECEDING or FOLLOWING expected")
        items.append(self.advance())

    def _case(self) -> Expr:
        items: list[Item] = [self.expect("CASE")]
        if self.word() != "WHEN":
            items.append(self.expression())
        while self.word() == "WHEN":
            items += [self.advance(), self.expression(), self.expect("THEN"), self.expression()]
        if self.word() == "ELSE":
            items += [self.advance(), self.expression()]
        items.append(self.expect("END"))
        return Expr(tuple(items))

    def _cast(self) -> Expr:
        items: list[Item] = [self.advance(), self.expect("("), self.expression(), self.expect("AS")]
        items.append(self._type())
        items.append(self.expect(")"))
        return Expr(tuple(items))

    def _type(self) -> Token:
        """A type name stands for its affinity, by the engine's own rule: render that, not the name."""
        first = self.peek()
        words = []
        while self.names_something():
            words.append(self.advance().text)
        if not words:
            raise self.unexpected("a type name expected")
        if self.accept("("):
            while not self.accept(")"):
                if self.peek().kind is not Kind.NUMBER and self.word() not in (",", "+", "-"):
                    raise self.unexpected("a length expected")
                self.advance()
        affinity = affinity_of(" ".join(words).upper())
        return Token(Kind.WORD, affinity, affinity, first.start, first.end)


def affinity_of(name: str) -> str:
    """Of a declared type, upper case, by the engine's rule."""
    for affinity, parts in _AFFINITIES:
        if any(part in name for part in parts):
            return affinity
    return "NUMERIC"


_AFFINITIES = (
    ("INTEGER", ("INT",)),
    ("TEXT", ("CHAR", "CLOB", "TEXT")),
    ("BLOB", ("BLOB",)),
    ("REAL", ("REAL", "FLOA", "DOUB")),
)
