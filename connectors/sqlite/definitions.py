"""Which columns a piece of DDL mentions. Conservative: what cannot be told counts as mentioned."""

import re
from collections.abc import Iterable, Iterator

_TOKEN = re.compile(
    r"""
      (?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
    | '(?P<text>(?:[^']|'')*)'
    | "(?P<double>(?:[^"]|"")*)"
    | `(?P<back>(?:[^`]|``)*)`
    | \[(?P<bracket>[^\]]*)\]
    | (?P<word>[^\W\d][\w$]*)
    | (?P<mark>[(),])
    | (?P<other>[^\s])
    """,
    re.VERBOSE | re.DOTALL,
)


def _tokens(sql: str) -> Iterator[tuple[str, str]]:
    """(kind, text): kind "name" for everything that SQLite may read as an identifier, quoted text included."""
    for found in _TOKEN.finditer(sql):
        match found.lastgroup:
            case "comment" | None:
                continue
            case "text":
                yield "name", found["text"].replace("''", "'")
            case "double":
                yield "name", found["double"].replace('""', '"')
            case "back":
                yield "name", found["back"].replace("``", "`")
            case "bracket":
                yield "name", found["bracket"]
            case "word":
                yield "name", found["word"]
            case kind:
                yield kind, found[kind]


def mentioned(sql: str, columns: Iterable[str]) -> tuple[str, ...]:
    """The columns of which the text holds the name, in any quoting and case."""
    names = {text.lower() for kind, text in _tokens(sql) if kind == "name"}
    return tuple(c for c in columns if c.lower() in names)


def _column_definitions(create_table: str) -> Iterator[list[tuple[str, str]]]:
    """The comma-separated parts of the outermost brackets."""
    depth = 0
    part: list[tuple[str, str]] = []
    for token in _tokens(create_table):
        if token == ("mark", "("):
            depth += 1
            if depth == 1:
                continue
        elif token == ("mark", ")"):
            depth -= 1
            if depth == 0:
                break
        elif token == ("mark", ",") and depth == 1:
            yield part
            part = []
            continue
        if depth >= 1:
            part.append(token)
    if part:
        yield part


def generated_from(create_table: str, column: str, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The sibling columns that a generated column may read; every sibling where the text is not understood."""
    siblings = tuple(c for c in columns if c != column)
    for part in _column_definitions(create_table):
        if not part or part[0][0] != "name" or part[0][1].lower() != column.lower():
            continue
        names = {text.lower() for kind, text in part[1:] if kind == "name"}
        found = tuple(c for c in siblings if c.lower() in names)
        return found if found or "as" in names else siblings
    return siblings


def checked_together(create_table: str, columns: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The columns that stand in one definition with a CHECK."""
    found = []
    for part in _column_definitions(create_table):
        names = {text.lower() for kind, text in part if kind == "name"}
        if "check" in names:
            found.append(tuple(c for c in columns if c.lower() in names))
    return tuple(together for together in found if len(together) > 1)


def index_columns(create_index: str | None, columns: tuple[str, ...]) -> tuple[str, ...]:
    """Columns that an index with an expression or a predicate may read; all where none can be told."""
    if create_index is None:
        return columns
    return mentioned(create_index, columns) or columns
