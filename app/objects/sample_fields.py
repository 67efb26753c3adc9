"""Names of what a sample holds, as a data file writes them, so that no name is a piece of data.

The first line of a CSV may be no header, and members of a JSON object may be named after people: what may be data by
its looks stands under a number or a star.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from app.masking.detectors.classifying import Find, classify
from app.objects.column_names import folded
from app.objects.sampling import Place, Sampled
from app.policy.json_paths import PathError, as_pattern, parse_path, specificity
from app.policy.resources import Pattern

MOST_NAMES = 50
"""Of the members of one object; one with more is a map, and its names are data."""
LEAST_ALIKE = 5
_NAME = re.compile(r"[^\W\d][\w$@.-]{0,63}")
_COLUMN = re.compile(r"[^\W\d][\w $@./()#%&+-]{0,63}")
_DIGITS = re.compile(r"[0-9]{4}")
_NO_WORD = re.compile(r"[0-9.,:+TZ/ -]+|true|false", re.IGNORECASE)
_STEP = re.compile(r"[^\W\d][\w-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """`name`: a column, a dotted column or a JSON path."""

    name: str
    type: str
    values: tuple[str, ...]


def joined(fields: Iterable[Field]) -> list[Field]:
    """Fields of one name are one, as if their values had stood in one object."""
    found: dict[str, Field] = {}
    for one in fields:
        known = found.get(one.name)
        if known is None:
            found[one.name] = one
        else:
            kind = known.type if known.type == one.type or not one.values else one.type if not known.values else "text"
            found[one.name] = replace(known, type=kind, values=known.values + one.values)
    return list(found.values())


def csv_fields(
    columns: Sequence[Sampled], header: Sequence[str] | None, known: Collection[str], find: Find
) -> list[Field] | None:
    """`header`: declared; otherwise None where nothing says that the first line is one. `known`: names that the data
    file has."""
    if header is not None:
        pairs = zip(header, columns, strict=False)
        return [Field(name=name, type="", values=tuple(one.values)) for name, one in pairs]
    names = [one.values[0] if one.values else "" for one in columns]
    fields = [Field(name=name, type="", values=tuple(one.values[1:])) for name, one in zip(names, columns, strict=True)]
    return fields if _is_header(fields, known, find) else None


def _is_header(fields: Sequence[Field], known: Collection[str], find: Find) -> bool:
    names = [one.name for one in fields]
    there = {folded(name) for name in known}
    if any(folded(name) in there for name in names):
        return True
    if len(set(map(folded, names))) < len(names) or not all(map(_COLUMN.fullmatch, names)):
        return False
    if any(_is_data(one.name, find) or one.name in one.values for one in fields):
        return False
    return any(
        # A name that says what its column holds, or values of another kind than a name is.
        classify(lambda _text, _name: (), one.name, "", ()) is not None
        or (one.values and all(_NO_WORD.fullmatch(value) or find(value, "") for value in one.values))
        for one in fields
    )


def column_fields(columns: Iterable[Sampled]) -> list[Field]:
    """Of Parquet and Arrow."""
    return [Field(name=_dotted(one.place), type=one.type, values=tuple(one.values)) for one in columns]


def _dotted(place: Place) -> str:
    return "".join(f".{part}" if isinstance(part, str) else "[]" for part in place).removeprefix(".")


def path_fields(places: Iterable[Sampled], find: Find) -> list[Field]:
    """Of JSON. What no path can name is left out."""
    found = [
        Field(name=path, type=one.type, values=tuple(one.values))
        for path, one in _paths("$", [(one.place, one) for one in places], find)
        if _is_path(path)
    ]
    return joined(found)


_Group = list[tuple[Place, Sampled]]


def _paths(above: str, group: _Group, find: Find) -> Iterator[tuple[str, Sampled]]:
    members: dict[str, _Group] = {}
    items: _Group = []
    for place, one in group:
        if not place:
            yield above, one
        elif isinstance(place[0], str):
            members.setdefault(place[0], []).append((place[1:], one))
        else:
            items.append((place[1:], one))
    if items:
        yield from _paths(f"{above}[*]", items, find)
    is_map = len(members) > MOST_NAMES or _alike(members.values())
    others = [name for name in members if is_map or not _NAME.fullmatch(name) or _is_data(name, find)]
    if others:
        yield from _paths(f"{above}.*", [one for name in others for one in members.pop(name)], find)
    for name, inner in members.items():
        yield from _paths(f"{above}{_step(name)}", inner, find)


def _alike(members: Collection[_Group]) -> bool:
    """Several objects with the same members: records by their key."""
    shapes = {frozenset(place[:1] for place, _ in group) for group in members}
    return len(members) >= LEAST_ALIKE and len(shapes) == 1 and () not in next(iter(shapes))


def _is_data(name: str, find: Find) -> bool:
    return bool(_DIGITS.search(name) or find(name, ""))


def _step(name: str) -> str:
    if _STEP.fullmatch(name):
        return f".{name}"
    quoted = re.sub(r"(['\\])", r"\\\1", name)
    return f"['{quoted}']"


def _is_path(text: str) -> bool:
    try:
        parse_path(text)
    except PathError:
        return False
    return True


def column_word(columns: Mapping[str, str], name: str, *, nested: bool) -> tuple[str, str | None]:
    """The name as the data file writes it, and what it says of the column. `nested`: of dotted names, what is said of
    a column counts for what lies in it."""
    written = {folded(each): each for each in columns}
    exact = written.get(folded(name))
    if exact is not None:
        return exact, columns[exact]
    around = name
    while nested and (cut := max(around.rfind("."), around.rfind("[]"))) > 0:
        around = around[:cut]
        if (found := written.get(folded(around))) is not None:
            return name, columns[found]
    return name, None


def path_word(paths: Mapping[str, str], path: str) -> str | None:
    """What the most specific path says of a place; otherwise what is said of what lies around it."""
    parsed = [(parse_path(text), word) for text, word in paths.items()]
    known = [(Pattern(as_pattern(steps)), specificity(steps), word) for steps, word in parsed]
    steps = parse_path(path)
    for length in range(len(steps), 0, -1):
        here = as_pattern(steps[:length])
        covering = [(rank, word) for pattern, rank, word in known if pattern.covers(here)]
        if covering:
            return max(covering)[1]
    return None
