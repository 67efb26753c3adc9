"""`:name` and `$n` in the caller's text: which tokens are placeholders, and the same text with `$n` alone."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from app.sql.postgres.lexer import Token
from app.sql.statement import ParamTypes, Refusal, SqlRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """`text` has only `$1 … $n`; `names[k - 1]` is the request's parameter behind `$k`."""

    text: str
    names: tuple[str, ...]
    shifts: tuple[tuple[int, int], ...] = ()
    """(offset in `text`, what to subtract from offsets from there on to get the caller's offset)."""

    def caller_place(self, byte_offset: int) -> int:
        """The caller's character offset of a byte offset in `text` (what the parser counts)."""
        if self.text.isascii():
            return self.caller_offset(byte_offset)
        return self.caller_offset(len(self.text.encode()[:byte_offset].decode(errors="ignore")))

    def caller_offset(self, offset: int) -> int:
        place = bisect_right(self.shifts, (offset, 1 << 30)) - 1
        return offset if place < 0 else offset - self.shifts[place][1]


def number(text: str, found: Sequence[Token], params: ParamTypes) -> Numbered:
    positional = [token for token in found if token.kind == "param"]
    named = _named(found, params) if ":" in text else []
    if positional and named:
        raise SqlRefused(
            Refusal.PARAMETERS,
            "The statement mixes $1 and :name placeholders. Use one kind.",
            position=named[0][0].start,
        )
    if named:
        numbered = _replaced(text, named)
    else:
        for token in positional:
            if token.text[1:] not in params:
                raise SqlRefused(
                    Refusal.PARAMETERS,
                    f"The placeholder {token.text} has no value. Send it in params, or remove it.",
                    position=token.start,
                )
        if any(token.text.startswith("$0") for token in positional):
            raise SqlRefused(Refusal.PARAMETERS, "Placeholders start at $1.")
        highest = max((int(token.text[1:]) for token in positional), default=0)
        numbered = Numbered(text=text, names=tuple(str(k) for k in range(1, highest + 1)))
    used = set(numbered.names) if named else {token.text[1:] for token in positional}
    unused = [name for name in params if name not in used]
    if unused:
        raise SqlRefused(
            Refusal.PARAMETERS,
            f"The parameter {unused[0]!r} is not used in the statement. "
            + ("Write $1, $2, …" if unused[0].isdigit() else f"Write :{unused[0]} where its value belongs."),
        )
    return numbered


def _named(found: Sequence[Token], params: ParamTypes) -> list[tuple[Token, Token]]:
    """(colon, name) pairs; a colon inside a subscript that follows an operand is an array slice."""
    pairs: list[tuple[Token, Token]] = []
    brackets: list[str] = []
    for index, token in enumerate(found):
        if token.kind != "mark":
            continue
        if token.text in "([":
            constructor = index > 0 and found[index - 1].text.lower() == "array"
            nested = bool(brackets) and brackets[-1] == "array" and found[index - 1].text in "[,"
            brackets.append("(" if token.text == "(" else "array" if constructor or nested else "subscript")
        elif token.text in ")]":
            if brackets:
                brackets.pop()
        elif token.text == ":" and index + 1 < len(found):
            name = found[index + 1]
            if name.kind != "word" or name.start != token.end:
                continue
            if name.text not in params:
                if not brackets or brackets[-1] != "subscript":
                    raise SqlRefused(
                        Refusal.PARAMETERS,
                        f"The placeholder :{name.text} has no value. Send it in params, or remove it.",
                        position=token.start,
                    )
                continue
            slice_bound = bool(brackets) and brackets[-1] == "subscript" and found[index - 1].text != "["
            if slice_bound and found[index - 1].kind != "operator" and found[index - 1].text != ":":
                continue
            pairs.append((token, name))
    return pairs


def _replaced(text: str, pairs: Sequence[tuple[Token, Token]]) -> Numbered:
    names: dict[str, int] = {}
    pieces: list[str] = []
    shifts: list[tuple[int, int]] = []
    position = length = 0
    for colon, name in pairs:
        placeholder = f"${names.setdefault(name.text, len(names) + 1)}"
        # A number must not run into what follows ($1 before "abc" is not possible: the name ended there).
        pieces += (text[position : colon.start], placeholder)
        length += colon.start - position + len(placeholder)
        position = name.end
        shifts.append((length, length - position))
    pieces.append(text[position:])
    return Numbered(text="".join(pieces), names=tuple(names), shifts=tuple(shifts))
