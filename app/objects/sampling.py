"""The first values of every column or path of one object, for who proposes labels: read here, where content may be
hostile, and judged elsewhere.

What is given is bounded whatever the content: so many places, values of each, and characters in all.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.objects.csv_records import Grammar
from app.objects.encoding import as_utf8, without_mark
from app.objects.formats import ContentFormat, FormatKind
from app.objects.json_text import Number, parsed
from app.objects.plan import RenderLimits, RenderPlan
from app.objects.refusal import ContentFault, ContentRefused
from app.objects.unwrapping import STEP_BYTES, Source, unwrapped, whole
from app.policy.content import ContentView, FieldView

MOST_PLACES = 1_000
MOST_CHARACTERS = 4 << 20
VALUE_CHARACTERS = 2_000
MOST_EXPANDED_BYTES = 64 << 20
_PIECE_BYTES = 1 << 12
ITEM = 0
"""Stands in a place for every item of a list; names stand for themselves."""
_LIMITS = RenderLimits(max_input_bytes=MOST_EXPANDED_BYTES, max_expanded_bytes=MOST_EXPANDED_BYTES)

Place = tuple[str | int, ...]


@dataclass(slots=True)
class Sampled:
    """`type`: as classify knows types, "" where the format has none. `place`: column or member names from outside in,
    and ITEM."""

    place: Place
    type: str
    values: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleJob:
    """`cut`: the data is only the beginning of the object. `header`, `delimiter`: as the data file has them."""

    format: ContentFormat
    rows: int
    cut: bool = False
    header: tuple[str, ...] | None = None
    delimiter: str | None = None


def sampled(job: SampleJob, data: bytes) -> list[Sampled]:
    """Of a CSV the places are numbers of columns, and unless it has a declared header every column starts with its cell
    of the first line, empty or not. Running text has no
    places. Raises ContentRefused."""
    taken = _Taken(job.rows + 1)
    kind = job.format.kind
    if kind in (FormatKind.PARQUET, FormatKind.ARROW):
        _columnar(job, data, taken)
    elif kind is not FormatKind.TEXT:
        source = unwrapped(io.BytesIO(data), job.format.wrapping, _LIMITS)
        if job.cut:
            source = _Cut(source)
        match kind:
            case FormatKind.CSV | FormatKind.TSV:
                _csv(job, source, taken)
            case FormatKind.NDJSON:
                _lines(job, source, taken)
            case _:
                document = whole(source, MOST_EXPANDED_BYTES) or b""
                taken.walk((), parsed(without_mark(document), _LIMITS.max_depth, None))
    return list(taken.places.values())


class _Taken:
    def __init__(self, rows: int) -> None:
        self.places: dict[Place, Sampled] = {}
        self._rows = rows
        self._left = MOST_CHARACTERS

    def add(self, place: Place, declared_type: str, value: Any, *, empty: bool = False) -> None:
        """`empty`: a text without characters counts as well."""
        found = self.places.get(place)
        if found is None:
            if len(self.places) >= MOST_PLACES:
                return
            found = self.places[place] = Sampled(place, declared_type)
        text = "" if value is None or isinstance(value, bytes) else str(value)[:VALUE_CHARACTERS]
        if found.type != declared_type and value is not None:
            found.type = declared_type if not found.values else "text"
        if (text or empty) and len(found.values) < self._rows and len(text) <= self._left:
            self._left -= len(text)
            found.values.append(text)

    def walk(self, place: Place, document: Any, declared_type: str | None = None) -> None:
        """Every scalar in it, in its order. `declared_type`: of all scalars, None: as each of them is."""
        waiting = [(place, document)]
        while waiting:
            at, value = waiting.pop()
            match value:
                case dict():
                    waiting.extend((((*at, name), inner) for name, inner in reversed(value.items())))
                case list() | tuple():
                    waiting.extend(((*at, ITEM), inner) for inner in reversed(value[: self._rows]))
                case Number():
                    self.add(at, "double", value.token)
                case _:
                    self.add(at, declared_type or _type_of(value), value)


def _type_of(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "double"
        case _:
            return "text"


class _Cut:
    """Ends where the beginning of compressed content ends, instead of raising that it does; the last piece is lost."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def read(self, size: int, /) -> bytes:
        try:
            return self._source.read(min(size, _PIECE_BYTES))
        except ContentRefused as refused:
            if refused.code is ContentFault.TRUNCATED:
                return b""
            raise


def _csv(job: SampleJob, source: Source, taken: _Taken) -> None:
    delimiter = "\t" if job.format.kind is FormatKind.TSV else job.delimiter or ","
    text = _whole_lines(as_utf8(source), job.cut)
    wanted = job.rows + (job.header is None)
    width = MOST_PLACES
    rows = 0
    for block in Grammar(delimiter).blocks(io.BytesIO(text), _LIMITS.max_record_bytes):
        for cells in _records(block.data, delimiter):
            if rows >= wanted:
                return
            width = width if rows else min(len(cells), width)
            for at, cell in enumerate(cells[:width]):
                taken.add((at,), "", cell, empty=not rows)
            rows += 1


def _records(data: bytes, delimiter: str) -> Iterator[list[str]]:
    try:
        yield from filter(None, csv.reader(io.StringIO(data.decode("utf-8"), newline=""), delimiter=delimiter))
    except csv.Error as broken:
        raise ContentRefused(ContentFault.TOO_LARGE, "A cell is too long. Store it as a file of its own.") from broken


def _lines(job: SampleJob, source: Source, taken: _Taken) -> None:
    rows = 0
    for line in without_mark(_whole_lines(source, job.cut)).split(b"\n"):
        if rows >= job.rows:
            return
        if line.strip():
            rows += 1
            taken.walk((), parsed(line, _LIMITS.max_depth, f"line {rows}"))


def _whole_lines(source: Source, cut: bool) -> bytes:
    """At most a few megabytes; the last line goes where it may be half a line."""
    text = bytearray()
    while len(text) < MOST_CHARACTERS and (chunk := source.read(STEP_BYTES)):
        text += chunk
    if cut or len(text) >= MOST_CHARACTERS:
        del text[text.rfind(b"\n") + 1 :]
    return bytes(text)


def _columnar(job: SampleJob, data: bytes, taken: _Taken) -> None:
    import pyarrow as pa

    from app.objects.columnar import batches_of

    content = whole(unwrapped(io.BytesIO(data), job.format.wrapping, _LIMITS), MOST_EXPANDED_BYTES) or b""
    plan = RenderPlan(format=job.format, view=ContentView(default=FieldView()), limits=_LIMITS)
    schemas: list[Any] = []
    for batch in batches_of(io.BytesIO(content), plan, schemas.append):
        for name, column in zip(batch.schema.names, batch.slice(0, job.rows).columns, strict=True):
            kind = _arrow_type(column.type)
            for value in _values(column):
                if pa.types.is_map(column.type):
                    value = {"key": [key for key, _ in value or ()], "value": [inner for _, inner in value or ()]}
                taken.walk((name,), value, kind)
        return
    for one in schemas[0]:
        taken.add((one.name,), _arrow_type(one.type) or "text", None)


def _values(column: Any) -> list[Any]:
    """None of a column with values that Python has no type for, such as dates after the year 9999: its name counts."""
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):
        return []
    return values


def _arrow_type(kind: Any) -> str | None:
    """None: of what is nested each scalar has its own."""
    import pyarrow as pa

    known = (
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_integer, "integer"),
        (pa.types.is_floating, "double"),
        (pa.types.is_decimal, "decimal"),
        (pa.types.is_date, "date"),
        (pa.types.is_timestamp, "timestamp"),
        (pa.types.is_nested, None),
    )
    return next((word for test, word in known if test(kind)), "text")


def written(places: Iterable[Sampled]) -> bytes:
    """For the way out of the process that read the content."""
    return orjson.dumps([[list(one.place), one.type, one.values] for one in places])


def read(answer: bytes) -> Iterator[Sampled]:
    """Raises ValueError for what `written` does not write."""
    for one in orjson.loads(answer):
        match one:
            case [[*place], str(kind), [*values]] if all(isinstance(part, str | int) for part in place):
                yield Sampled(tuple(place), kind, [str(value) for value in values])
            case _:
                raise ValueError("no sample")
