"""One small expression language for conditions and row predicates: text becomes a tree, and means nothing yet.

a = 1 and (b in ('x', 'y') or not c) and d.e is not null
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

MAX_CHARACTERS = 2_000
MAX_TOKENS = 400
MAX_DEPTH = 24


class Op(StrEnum):
    EQ = "="
    NE = "<>"
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    value: str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """`claims.region` is ("claims", "region"). `quoted`: the whole name stood in double quotes."""

    path: tuple[str, ...]
    quoted: bool = False
    at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf:
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    op: Op
    left: "Node"
    right: "Node"
    at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    item: "Node"
    collection: "Node"
    negated: bool
    at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IsNull:
    item: "Node"
    negated: bool
    at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Either:
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    part: "Node"


Node = Literal | Name | ListOf | Compared | Within | IsNull | Both | Either | Not


class ExpressionError(Exception):
    """`at` is the 0-based offset in the text."""

    def __init__(self, at: int, what: str, expected: str) -> None:
        super().__init__(what)
        self.at = at
        self.what = what
        self.expected = expected


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<number>\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<word>[^\W\d]\w*)
    |(?P<string>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<op>==|=|!=|<>|<=|>=|<|>)
    |(?P<mark>[()\[\],.\-])""",
    re.VERBOSE,
)
_KEYWORDS = frozenset({"and", "or", "not", "in", "is", "null", "true", "false"})
_OPS = {"==": Op.EQ, "=": Op.EQ, "!=": Op.NE, "<>": Op.NE, "<": Op.LT, "<=": Op.LE, ">": Op.GT, ">=": Op.GE}
_OPERAND = "a name, a number, a 'string', true, false, or a list"


def parse(text: str, *, quoted_is_name: bool = False) -> Node:
    """Raises ExpressionError. Double quotes hold a string, or with `quoted_is_name` a column's name as in SQL."""
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(MAX_CHARACTERS, "expression too long", f"at most {MAX_CHARACTERS} characters")
    tokens = list(_scan(text))
    if len(tokens) > MAX_TOKENS:
        raise ExpressionError(tokens[MAX_TOKENS].at, "expression too long", f"at most {MAX_TOKENS} words and signs")
    parser = _Parser(tokens, len(text), quoted_is_name)
    node = parser.either(0)
    parser.end()
    return node


def _scan(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ExpressionError(at, f"unexpected {text[at]!r}", _OPERAND + ", or an operator")
        kind = found.lastgroup or ""
        if kind == "word" and found[0].lower() in _KEYWORDS:
            yield _Token("keyword", found[0].lower(), at)
        elif kind != "space":
            yield _Token(kind, found[0], at)
        at = found.end()


class _Parser:
    def __init__(self, tokens: list[_Token], length: int, quoted_is_name: bool) -> None:
        self._tokens = tokens
        self._next = 0
        self._end = _Token("end", "the end", length)
        self._quoted_is_name = quoted_is_name

    def either(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise ExpressionError(self._peek().at, "nested too deeply", f"at most {MAX_DEPTH} levels")
        parts = [self._both(depth)]
        while self._take("keyword", "or"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else Either(parts=tuple(parts))

    def end(self) -> None:
        if self._next < len(self._tokens):
            token = self._peek()
            raise ExpressionError(token.at, f"unexpected {token.text}", "and, or, an operator, or the end")

    def _both(self, depth: int) -> Node:
        parts = [self._inverted(depth)]
        while self._take("keyword", "and"):
            parts.append(self._inverted(depth))
        return parts[0] if len(parts) == 1 else Both(parts=tuple(parts))

    def _inverted(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise ExpressionError(self._peek().at, "nested too deeply", f"at most {MAX_DEPTH} levels")
        if self._take("keyword", "not"):
            return Not(part=self._inverted(depth + 1))
        return self._comparison(depth)

    def _comparison(self, depth: int) -> Node:
        left = self._operand(depth)
        token = self._peek()
        if token.kind == "op":
            self._next += 1
            return Compared(op=_OPS[token.text], left=left, right=self._operand(depth), at=token.at)
        if self._take("keyword", "is"):
            negated = self._take("keyword", "not")
            self._expect("keyword", "null")
            return IsNull(item=left, negated=negated, at=token.at)
        negated = self._take("keyword", "not")
        if self._take("keyword", "in"):
            return Within(item=left, collection=self._operand(depth, after_in=True), negated=negated, at=token.at)
        if negated:
            raise ExpressionError(self._peek().at, f"unexpected {self._peek().text}", "in, after not")
        return left

    def _operand(self, depth: int, *, after_in: bool = False) -> Node:
        token = self._peek()
        self._next += 1
        match token:
            case _Token("number"):
                return Literal(value=_number(token))
            case _Token("mark", "-") if self._peek().kind == "number":
                self._next += 1
                return Literal(value=-_number(self._tokens[self._next - 1]))
            case _Token("string"):
                return Literal(value=token.text[1:-1].replace("''", "'"))
            case _Token("quoted"):
                text = token.text[1:-1].replace('""', '"')
                return Name(path=(text,), quoted=True, at=token.at) if self._quoted_is_name else Literal(value=text)
            case _Token("keyword", "true" | "false"):
                return Literal(value=token.text == "true")
            case _Token("word"):
                return self._name(token)
            case _Token("mark", "["):
                return self._list("]", depth)
            case _Token("mark", "("):
                if after_in:
                    return self._list(")", depth)
                inner = self.either(depth + 1)
                self._expect("mark", ")")
                return inner
            case _:
                raise ExpressionError(token.at, f"unexpected {token.text}", _OPERAND)

    def _name(self, first: _Token) -> Node:
        path = [first.text]
        while True:
            if self._take("mark", "."):
                part = self._peek()
                if part.kind not in ("word", "keyword"):
                    raise ExpressionError(part.at, f"unexpected {part.text}", "a name after the dot")
                path.append(part.text)
                self._next += 1
            elif self._peek() == _Token("mark", "[", self._peek().at):
                self._next += 1
                part = self._peek()
                if part.kind not in ("string", "quoted"):
                    raise ExpressionError(part.at, f"unexpected {part.text}", "a quoted name between [ and ]")
                self._next += 1
                self._expect("mark", "]")
                path.append(part.text[1:-1].replace("''", "'"))
            else:
                return Name(path=tuple(path), at=first.at)

    def _list(self, closing: str, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise ExpressionError(self._peek().at, "nested too deeply", f"at most {MAX_DEPTH} levels")
        items: list[Node] = []
        while not self._take("mark", closing):
            if items:
                self._expect("mark", ",")
            items.append(self._operand(depth + 1))
        return ListOf(items=tuple(items))

    def _peek(self) -> _Token:
        return self._tokens[self._next] if self._next < len(self._tokens) else self._end

    def _take(self, kind: str, text: str) -> bool:
        token = self._peek()
        if token.kind == kind and token.text == text:
            self._next += 1
            return True
        return False

    def _expect(self, kind: str, text: str) -> None:
        token = self._peek()
        if not self._take(kind, text):
            raise ExpressionError(token.at, f"unexpected {token.text}", text)


def _number(token: _Token) -> int | float:
    text = token.text.replace("_", "")
    if len(text) > 30:
        raise ExpressionError(token.at, "number too long", "at most 30 digits")
    return int(text) if text.isdecimal() else float(text)
