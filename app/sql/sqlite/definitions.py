"""DDL: the few forms that an approval may let through, read whole so that they can be rendered again.

A table's body stays a run of tokens: it defines what did not exist before. Whatever could test or move what the caller
may not see (renames, checks on existing rows, computed columns) is refused here or in app.sql.sqlite.defining.
"""

from app.sql.sqlite.grammar import Queries
from app.sql.sqlite.lexis import Kind, Token
from app.sql.sqlite.nodes import Definition
from app.sql.statement import Refusal

_ADDS_NO = {
    "CHECK": "A CHECK tests the rows that are there",
    "AS": "A computed column copies others",
    "GENERATED": "A computed column copies others",
    "UNIQUE": "A new column cannot be unique",
    "PRIMARY": "A new column cannot be the key",
}


class Definitions(Queries):
    __slots__ = ()

    def definition(self, allowed: str) -> Definition:
        """`allowed`: what to send instead of other DDL."""
        if self.params:
            raise self.refused(Refusal.PARAMETERS, "DDL takes no parameters: write the values.")
        verb = self.advance().word
        if verb == "ALTER":
            return self._alter()
        unique = self.accept("UNIQUE")
        kind = self.word()
        if kind not in ("TABLE", "VIEW", "INDEX") or (unique and (kind, verb) != ("INDEX", "CREATE")):
            raise self.refused(Refusal.STATEMENT_CLASS, f"This DDL is not allowed. {allowed}")
        self.advance()
        if verb == "DROP":
            guarded = self.accept("IF", "EXISTS")
            return Definition(verb, kind, self.relation(), guarded=guarded)
        guarded = self.accept("IF", "NOT", "EXISTS")
        match kind:
            case "INDEX":
                return self._index(guarded, unique)
            case "VIEW":
                return self._view(guarded)
            case _:
                return self._table(guarded)

    def _table(self, guarded: bool) -> Definition:
        target = self.relation()
        if self.accept("AS"):
            return Definition("CREATE", "TABLE", target, guarded=guarded, query=self.query())
        return Definition("CREATE", "TABLE", target, guarded=guarded, body=self._rest())

    def _view(self, guarded: bool) -> Definition:
        target = self.relation()
        columns = self.names_in_parentheses() if self.word() == "(" else ()
        self.expect("AS")
        return Definition("CREATE", "VIEW", target, guarded=guarded, columns=columns, query=self.query())

    def _index(self, guarded: bool, unique: bool) -> Definition:
        target = self.relation()
        self.expect("ON")
        owner = self.relation()
        self.expect("(")
        terms = self.ordering()
        self.expect(")")
        where = self.expression() if self.accept("WHERE") else None
        return Definition(
            "CREATE", "INDEX", target, owner=owner, guarded=guarded, unique=unique, terms=terms, where=where
        )

    def _alter(self) -> Definition:
        self.expect("TABLE")
        target = self.relation()
        match self.word():
            case "ADD":
                self.advance()
                self.accept("COLUMN")
                body = self._rest()
                for token in body[1:]:
                    if (why := _ADDS_NO.get(token.word)) is not None:
                        raise self.refused(Refusal.CONSTRUCT, f"{why}: add the plain column.")
                return Definition("ALTER", "ADD", target, body=body)
            case "DROP":
                self.advance()
                self.accept("COLUMN")
                return Definition("ALTER", "DROP", target, altered=self.name())
            case "RENAME":
                raise self.refused(
                    Refusal.CONSTRUCT, "RENAME is not allowed: policy knows tables and columns by their names."
                )
            case _:
                raise self.unexpected("ADD COLUMN or DROP COLUMN expected")

    def _rest(self) -> tuple[Token, ...]:
        """Up to the end, with brackets in pairs."""
        taken: list[Token] = []
        depth = 0
        while self.peek().kind is not Kind.END and self.word() != ";":
            token = self.advance()
            if token.kind is Kind.PARAM:
                self.at -= 1
                raise self.refused(Refusal.PARAMETERS, "DDL takes no parameters: write the values.")
            taken.append(token)
            depth += (token.word == "(") - (token.word == ")")
            if depth < 0:
                raise self.unexpected("brackets do not match")
        if depth or not taken:
            raise self.unexpected("a closing bracket expected" if depth else "a definition expected")
        return tuple(taken)
