"""Resource names and the patterns that cover them.

A resource is `connection/path` or `label:name`. In a pattern `*` stands for any characters but "/" and `**` for any
characters at all; everything else stands for itself, case and all. No IO, no knowledge of rules.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from connectors.contract import TableKey

LABEL_PREFIX = "label:"
EVERYTHING = "**"
MAX_STARS = 6

_RESERVED = re.compile(r"[%/.*\x00-\x1f]")


class Width(Enum):
    """How much a single star may take; GENERAL: there are several."""

    LITERAL = 0
    SEGMENT = 1
    ANYTHING = 2
    GENERAL = 3


def _escaped(name: str) -> str:
    return _RESERVED.sub(lambda found: f"%{ord(found[0]):02X}", name)


@lru_cache(maxsize=32_768)
def table_path(key: TableKey) -> str:
    """`schema.table`; a name that holds "%", "/", ".", "*" or a control character has it as %XX, so that every table
    has a path of its own and no pattern is fooled by a strange name."""
    schema, name = key
    return f"{_escaped(schema)}.{_escaped(name)}"


def sql_resource(connection: str, key: TableKey) -> str:
    """The resource of a table, view or any other relation."""
    return f"{connection}/{table_path(key)}"


def object_resource(connection: str, key: str) -> str:
    """Of an object with a normalised key, or of what a prefix begins; "%" and "*" of the key as %25 and %2A."""
    return f"{connection}/{key_path(key)}"


def topic_resource(connection: str, topic: str) -> str:
    """Of a topic as app.messages.topics parses it: nothing in it needs to be escaped."""
    return f"{connection}/{topic}"


def key_path(key: str) -> str:
    """As a pattern meets it below the connection: "/" stays what separates segments, "*" is none of its stars."""
    return key.replace("%", "%25").replace("*", "%2A") if "%" in key or "*" in key else key


def path_key(path: str) -> str:
    """The key whose path below the connection this is."""
    return path.replace("%2A", "*").replace("%25", "%")


def label_resource(label: str) -> str:
    return LABEL_PREFIX + label


def connection_of(resource: str) -> str:
    """The part before the first "/"; "" for a label."""
    return "" if resource.startswith(LABEL_PREFIX) else resource.partition("/")[0]


@dataclass(frozen=True, slots=True, init=False)
class Pattern:
    """A resource pattern, split where an index can use it: literal head, literal tail, and what the stars may take."""

    text: str
    width: Width
    head: str
    tail: str

    def __init__(self, text: str) -> None:
        first, last = text.find("*"), text.rfind("*")
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "width", _width(text, first, last))
        object.__setattr__(self, "head", text if first < 0 else text[:first])
        object.__setattr__(self, "tail", "" if first < 0 else text[last + 1 :])

    def between_fits(self, resource: str) -> bool:
        """Whether the pattern covers a resource that is known to begin with `head` and to end with `tail`."""
        match self.width:
            case Width.LITERAL:
                return resource == self.text
            case Width.ANYTHING:
                return True
            case Width.SEGMENT:
                return "/" not in resource[len(self.head) : len(resource) - len(self.tail)]
            case Width.GENERAL:
                return _translated(self.text).fullmatch(resource) is not None

    def covers(self, resource: str) -> bool:
        if self.width is Width.LITERAL:
            return resource == self.text
        return (
            len(resource) >= len(self.head) + len(self.tail)
            and resource.startswith(self.head)
            and resource.endswith(self.tail)
            and self.between_fits(resource)
        )


def _width(text: str, first: int, last: int) -> Width:
    if first < 0:
        return Width.LITERAL
    if first == last:
        return Width.SEGMENT
    return Width.ANYTHING if last == first + 1 else Width.GENERAL


@lru_cache(maxsize=8_192)
def _translated(pattern: str) -> re.Pattern[str]:
    return re.compile(
        "".join(
            "(?s:.*)" if part.startswith("**") else "[^/]*" if part == "*" else re.escape(part)
            for part in re.split(r"(\*+)", pattern)
        )
    )


def covers(pattern: str, resource: str) -> bool:
    """The definition: a translation, without heads, tails or an index. The compiled index must agree with it."""
    return _translated(pattern).fullmatch(resource) is not None


def overlap(left: str, right: str) -> bool:
    """Whether any resource is covered by both patterns."""
    a, b = _tokens(left), _tokens(right)
    below = [False] * (len(b) + 1)
    for i in range(len(a), -1, -1):
        row = [False] * (len(b) + 1)
        for j in range(len(b), -1, -1):
            row[j] = _overlap_at(a, b, i, j, row, below)
        below = row
    return below[0]


def meet(patterns: Iterable[str], most_states: int = 20_000) -> bool:
    """Whether any resource is covered by all of the patterns. Says no where finding out would take long."""
    tokens = [_tokens(pattern) for pattern in patterns]
    todo = [(0,) * len(tokens)]
    seen = set(todo)
    while todo and len(seen) <= most_states:
        at = todo.pop()
        fronts = [each[i] if i < len(each) else None for each, i in zip(tokens, at, strict=True)]
        if not any(fronts):
            return True
        for onward in _onward(at, fronts):
            if onward not in seen:
                seen.add(onward)
                todo.append(onward)
    return False


def _onward(at: tuple[int, ...], fronts: Sequence[str | None]) -> Iterator[tuple[int, ...]]:
    """A star that takes nothing more, or one character that all of them take."""
    for n, front in enumerate(fronts):
        if front is not None and front[0] == "*":
            yield (*at[:n], at[n] + 1, *at[n + 1 :])
    letters = {front for front in fronts if front is not None and front[0] != "*"}
    if None in fronts or len(letters) != 1:
        return
    (letter,) = letters
    if all(front == letter or _takes(front, letter) for front in fronts):
        yield tuple(i + (front == letter) for i, front in zip(at, fronts, strict=True))


def _overlap_at(a: list[str], b: list[str], i: int, j: int, row: list[bool], below: list[bool]) -> bool:
    left = a[i] if i < len(a) else None
    right = b[j] if j < len(b) else None
    if left is None and right is None:
        return True
    star_left = left is not None and left[0] == "*"
    star_right = right is not None and right[0] == "*"
    if star_left and (below[j] or (right is not None and (star_right or _takes(left, right)) and row[j + 1])):
        return True
    if star_right and (row[j + 1] or (left is not None and (star_left or _takes(right, left)) and below[j])):
        return True
    return not star_left and not star_right and left is not None and left == right and below[j + 1]


def _takes(star: str | None, character: str) -> bool:
    return star == "**" or character != "/"


def _tokens(pattern: str) -> list[str]:
    return re.findall(r"\*+|[^*]", pattern, re.DOTALL)


def surely_inside(pattern: str, outer: Pattern) -> bool:
    """Whether `outer` covers all of `pattern`. Says no where it cannot be sure."""
    return outer.covers(pattern.replace("**", "*/*")) and outer.covers(pattern.replace("**", ""))
