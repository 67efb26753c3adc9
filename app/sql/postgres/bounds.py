"""Bounds on the text, checked in one linear pass before any parser sees it."""

from app.sql.postgres.lexer import Token, tokens
from app.sql.statement import (
    MAX_NESTING,
    MAX_PREFIX_CHAIN,
    MAX_SET_OPERATIONS,
    MAX_TEXT_BYTES,
    MAX_TOKENS,
    Refusal,
    SqlRefused,
)

_SET_OPERATIONS = frozenset({"union", "intersect", "except"})
_OPENING = frozenset({"(", "["})
_CLOSING = frozenset({")", "]"})


def bounded_tokens(text: str) -> list[Token]:
    """The tokens of a text within every bound; raises SqlRefused otherwise."""
    _check_encoding(text)
    found: list[Token] = []
    depth = chain = set_operations = 0
    for token in tokens(text):
        found.append(token)
        if len(found) > MAX_TOKENS:
            raise SqlRefused(
                Refusal.TOO_LARGE, f"The statement has more than {MAX_TOKENS} tokens. Split it or use parameters."
            )
        kind, word = token.kind, token.text
        if kind == "word":
            word = word.lower()
            chain = chain + 1 if word == "not" else 0
            if word == "case":
                depth += 1
            elif word == "end":
                depth -= 1
            elif word in _SET_OPERATIONS:
                set_operations += 1
                if set_operations > MAX_SET_OPERATIONS:
                    raise _too_complex(f"more than {MAX_SET_OPERATIONS} set operations", token)
        elif kind == "mark":
            if word in _OPENING:
                depth += 1
                chain += 1
            else:
                chain = 0
                if word in _CLOSING:
                    depth -= 1
        elif kind == "operator":
            chain += sum(character in "+-~@!" for character in word)
        else:
            chain = 0
        if depth > MAX_NESTING:
            raise _too_complex(f"nesting deeper than {MAX_NESTING} levels", token)
        if chain > MAX_PREFIX_CHAIN:
            raise _too_complex(f"more than {MAX_PREFIX_CHAIN} brackets or unary operators in a row", token)
    if not found:
        raise SqlRefused(Refusal.SYNTAX, "The statement is empty. Send one SELECT statement.")
    return found


def _check_encoding(text: str) -> None:
    if "\x00" in text:
        raise SqlRefused(
            Refusal.SYNTAX, "The statement contains a NUL character. Remove it.", position=text.index("\x00")
        )
    try:
        size_bytes = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError as error:
        raise SqlRefused(
            Refusal.SYNTAX, "The statement is not valid Unicode. Send it as UTF-8.", position=error.start
        ) from None
    if size_bytes > MAX_TEXT_BYTES:
        raise SqlRefused(
            Refusal.TOO_LARGE, f"The statement is larger than {MAX_TEXT_BYTES} bytes. Split it or use parameters."
        )


def _too_complex(what: str, token: Token) -> SqlRefused:
    return SqlRefused(Refusal.TOO_COMPLEX, f"The statement has {what}. Simplify it or split it.", position=token.start)
