"""Paths into JSON, as data files name fields: a small part of JSONPath (RFC 9535), without indexes and filters.

`$.a.b`, `$['odd name']` name members; `$.a.*` every member or item of `a`, `$.a[*]` every item; `$..name` whatever has
that name, at any depth.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

MAX_PATH_CHARACTERS = 500
MAX_WILD_STEPS = 6
PATH_FORM = "$.a.b, $.a[*].b, $.a.*, $..name or $['odd name']"


class StepKind(Enum):
    NAME = "name"
    ANY = "any"
    """Every member of an object, every item of an array."""
    ITEM = "item"
    """Every item of an array."""


@dataclass(frozen=True, slots=True)
class Step:
    """`deep`: not only here, but at any depth from here on."""

    kind: StepKind
    name: str = ""
    deep: bool = False


Steps = tuple[Step, ...]


class PathError(Exception):
    """`at` is the 0-based offset in the text."""

    def __init__(self, at: int, what: str) -> None:
        super().__init__(what)
        self.at = at
        self.what = what


_STEP = re.compile(
    r"""(?P<deep>\.\.)(?:(?P<deep_word>[^\W\d][\w-]*)|\[(?P<deep_quoted>'(?:[^'\\]|\\['\\])+'|"(?:[^"\\]|\\["\\])+")\])
    |\.(?P<word>[^\W\d][\w-]*)
    |(?P<any>\.\*)
    |(?P<item>\[\*\])
    |\[(?P<quoted>'(?:[^'\\]|\\['\\])+'|"(?:[^"\\]|\\["\\])+")\]""",
    re.VERBOSE,
)
_SPECIAL = re.compile(r"[%/*\[\x00-\x1f]")


def parse_path(text: str) -> Steps:
    """At least one step. Raises PathError."""
    if len(text) > MAX_PATH_CHARACTERS:
        raise PathError(MAX_PATH_CHARACTERS, "path too long")
    if not text.startswith("$"):
        raise PathError(0, "a path begins with $")
    steps = tuple(_steps(text))
    if not steps:
        raise PathError(len(text), "a path without a step")
    if sum(step.deep or step.kind is StepKind.ANY for step in steps) > MAX_WILD_STEPS:
        raise PathError(0, f"more than {MAX_WILD_STEPS} steps that stand for many")
    return steps


def _steps(text: str) -> Iterator[Step]:
    at = 1
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            raise PathError(at, f"unexpected {text[at]!r}")
        if found["any"]:
            yield Step(StepKind.ANY)
        elif found["item"]:
            yield Step(StepKind.ITEM)
        else:
            quoted = found["quoted"] or found["deep_quoted"]
            word = found["word"] or found["deep_word"]
            name = word if quoted is None else re.sub(r"\\(.)", r"\1", quoted[1:-1])
            yield Step(StepKind.NAME, name, found["deep"] is not None)
        at = found.end()


def specificity(steps: Steps) -> tuple[int, int, int]:
    """The greater, the more specific. Of two paths of which one covers all that the other does, the narrower one is
    greater; a data file with two that meet and are in no such order does not load."""
    named = sum(step.kind is not StepKind.ANY for step in steps)
    return (named, -sum(step.deep for step in steps), len(steps))


def as_pattern(steps: Steps) -> str:
    """As a resource pattern, so that what can meet and what lies within what is decided in one place. Only for
    comparing paths with paths: a step has a slash on either side, so that what `**` takes are whole steps."""
    return "".join(_segment(step) for step in steps)


def _segment(step: Step) -> str:
    match step.kind:
        case StepKind.ANY:
            return "/*/"
        case StepKind.ITEM:
            return "/[]/"
        case StepKind.NAME:
            name = _SPECIAL.sub(lambda found: f"%{ord(found[0]):02X}", step.name)
            return f"{'**' if step.deep else ''}/{name}/"
