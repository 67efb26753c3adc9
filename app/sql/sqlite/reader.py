"""A cursor over tokens: what every part of the grammar needs to know of the next ones."""

from app.sql.sqlite.lexis import Kind, Token
from app.sql.statement import ParamTypes, Refusal, SqlRefused

RESERVED = frozenset(
    """
    ADD ALL ALTER AND AS AUTOINCREMENT BETWEEN CASE CHECK COLLATE COMMIT CONSTRAINT CREATE DEFAULT DEFERRABLE
    DELETE DISTINCT DROP ELSE ESCAPE EXCEPT EXISTS FOREIGN FROM GROUP HAVING IN INDEX INSERT INTERSECT INTO IS
    ISNULL JOIN LIMIT NOT NOTHING NOTNULL NULL ON OR ORDER PRIMARY REFERENCES RETURNING SELECT SET TABLE THEN TO
    TRANSACTION UNION UNIQUE UPDATE USING VALUES WHEN WHERE
    """.split()  # noqa: SIM905
)
JOIN_WORDS = frozenset({"CROSS", "FULL", "INNER", "LEFT", "NATURAL", "OUTER", "RIGHT"})
_NO_BARE_ALIAS = RESERVED | JOIN_WORDS | {"INDEXED"}


class Reader:
    """Raises SqlRefused(SYNTAX) with the position wherever the grammar has no way on."""

    __slots__ = ("_next_param", "at", "params", "tokens", "used_params")

    def __init__(self, tokens: list[Token], params: ParamTypes) -> None:
        self.tokens = tokens
        self.at = 0
        self.params = params
        self.used_params: set[str] = set()
        self._next_param = 1

    def peek(self, ahead: int = 0) -> Token:
        index = self.at + ahead
        return self.tokens[index] if index < len(self.tokens) else self.tokens[-1]

    def word(self, ahead: int = 0) -> str:
        return self.peek(ahead).word

    def advance(self) -> Token:
        token = self.tokens[self.at]
        if token.kind is not Kind.END:
            self.at += 1
        return token

    def accept(self, *words: str) -> bool:
        """Takes the whole run of words, or nothing."""
        for ahead, word in enumerate(words):
            if self.word(ahead) != word:
                return False
        self.at += len(words)
        return True

    def expect(self, word: str) -> Token:
        if self.word() != word:
            raise self.unexpected(f"{word} expected")
        return self.advance()

    def unexpected(self, hint: str = "") -> SqlRefused:
        token = self.peek()
        found = "the statement ends too early" if token.kind is Kind.END else f"unexpected {_shown(token)}"
        detail = f"Not a statement SQLite understands: {found}{'; ' + hint if hint else ''}."
        return SqlRefused(Refusal.SYNTAX, detail, position=token.start)

    def refused(self, refusal: Refusal, detail: str) -> SqlRefused:
        return SqlRefused(refusal, detail, position=self.peek().start)

    def names_something(self, ahead: int = 0) -> bool:
        token = self.peek(ahead)
        if token.kind is Kind.QUOTED:
            return True
        return token.kind is Kind.WORD and token.word not in RESERVED

    def name(self) -> str:
        if not self.names_something():
            raise self.unexpected("a name expected")
        return self.advance().text

    def alias(self) -> str | None:
        """`AS name`, or a bare one where no keyword stands; SQLite takes strings for names here."""
        if self.accept("AS"):
            return self.advance().text if self.peek().kind is Kind.STRING else self.name()
        token = self.peek()
        if token.kind in (Kind.QUOTED, Kind.STRING):
            return self.advance().text
        if token.kind is Kind.WORD and token.word not in _NO_BARE_ALIAS and not self.opens_window():
            return self.advance().text
        return None

    def opens_window(self) -> bool:
        return self.word() == "WINDOW" and self.names_something(1) and self.word(2) == "AS"

    def names_in_parentheses(self) -> tuple[str, ...]:
        self.expect("(")
        names = [self.name()]
        while self.accept(","):
            names.append(self.name())
        self.expect(")")
        return tuple(names)

    def param(self) -> Token:
        """The placeholder's canonical name as text. A bare `?` is one more than the highest number so far."""
        token = self.advance()
        raw = token.text
        if raw == "?":
            name = str(self._next_param)
        elif raw[0] == ":":
            name = raw[1:]
        else:
            name = str(int(raw[1:]))
        if raw[0] != ":":
            self._next_param = max(self._next_param, int(name) + 1)
        if name not in self.params:
            raise SqlRefused(
                Refusal.PARAMETERS, f"Parameter {name} has no value: add it to params.", position=token.start
            )
        self.used_params.add(name)
        return token._replace(text=name)


def _shown(token: Token) -> str:
    if token.kind is Kind.SIGN or token.word:
        return f'"{token.text[:40]}"'
    return {Kind.STRING: "string", Kind.NUMBER: "number", Kind.BLOB: "blob", Kind.PARAM: "placeholder"}.get(
        token.kind, "name"
    )
