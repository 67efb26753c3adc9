"""Which labels are in content that somebody puts: what the data file names in it, and what detectors find anywhere.

Nothing is rendered. Every text of it is searched, names of members and columns too, and every number that is long
enough to be somebody's; a JSON document is read as a whole, so one that is large has to come as NDJSON.
"""

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

import pyarrow as pa

from app.masking.masks import Null
from app.masking.redaction import Find
from app.objects.arrow_leaves import Leaves, metadata_texts, names, paths
from app.objects.column_names import ColumnViews
from app.objects.columnar import batches_of
from app.objects.csv_records import Block, Grammar
from app.objects.encoding import as_utf8, without_mark
from app.objects.formats import FormatKind
from app.objects.json_masking import masked
from app.objects.json_places import JsonPlaces
from app.objects.json_text import parsed
from app.objects.ndjson import lines_of
from app.objects.plan import RenderPlan
from app.objects.refusal import ContentFault, ContentRefused
from app.objects.text import windows
from app.objects.unwrapping import Source, whole
from app.policy.content import ContentView, FieldView

LEAST_DIGITS = 6
MOST_DOCUMENT_BYTES = 64 << 20
_HEADER_BYTES = 1 << 20
_JOINED_CHARACTERS = 1 << 16
_LEAF_VALUES = 1 << 16
_APART = "\n\x1f\n"
"""Between values that are searched together: no entity goes over it, and no context word either."""


@dataclass(slots=True)
class _Seen:
    find: Find
    labels: set[str] = field(default_factory=set)

    def texts(self, texts: Iterable[str]) -> None:
        """Short ones are searched together: each search has a cost of its own."""
        waiting: list[str] = []
        size = 0
        for text in texts:
            waiting.append(text)
            size += len(text)
            if size > _JOINED_CHARACTERS:
                self._search(waiting)
                waiting, size = [], 0
        self._search(waiting)

    def _search(self, texts: list[str]) -> None:
        if texts:
            self.labels.update(one.label for one in self.find(_APART.join(texts)))


def look(plan: RenderPlan, source: Source | BinaryIO, find: Find) -> tuple[str, ...]:
    """Sorted labels. `source`: without its wrapping; seekable where the format is. Raises ContentRefused."""
    seen = _Seen(find)
    match plan.format.kind:
        case FormatKind.TEXT:
            _text(source, seen)
        case FormatKind.CSV | FormatKind.TSV:
            _csv(source, plan, seen)
        case FormatKind.JSON:
            data = whole(source, MOST_DOCUMENT_BYTES)
            if data is None:
                raise ContentRefused(
                    ContentFault.TOO_LARGE,
                    f"A JSON document above {MOST_DOCUMENT_BYTES:,} bytes cannot be looked through. Put it as NDJSON.",
                )
            _documents(plan, iter([(None, without_mark(data))]), seen)
        case FormatKind.NDJSON:
            _documents(plan, ((f"line {at}", line) for at, line in lines_of(source, plan.limits)), seen)
        case FormatKind.PARQUET | FormatKind.ARROW:
            _columnar(source, plan, seen)  # type: ignore[arg-type]
    return tuple(sorted(seen.labels))


def _text(source: Source, seen: _Seen, delimiter: str = "") -> None:
    """`delimiter`: of cells; a comma between digits would be read as part of a number."""
    for window in windows(source):
        text = window.replace(delimiter, "\t") if delimiter else window
        seen.labels.update(one.label for one in seen.find(text))


def _csv(source: Source, plan: RenderPlan, seen: _Seen) -> None:
    """Searched as the text it is: quoting changes little of a cell, and a search over whole rows has context. Its
    columns are those that a rendering of it would have."""
    text = as_utf8(source)
    start = b""
    while len(start) <= _HEADER_BYTES and (chunk := text.read(_HEADER_BYTES)):
        start += chunk
    grammar = Grammar("\t" if plan.format.kind is FormatKind.TSV else plan.view.delimiter or ",")
    _text(_After(start, text), seen, grammar.delimiter)
    header: Sequence[str] | None = plan.view.header
    if header is None:
        header, rest = grammar.split_first(Block(start, 1, quoted=True))
        if len(start) > _HEADER_BYTES and not rest.data:
            raise ContentRefused(
                ContentFault.TOO_LARGE,
                f"The header is longer than {_HEADER_BYTES:,} bytes. Name columns shortly.",
                "line 1",
            )
    _columns(plan.view, header or (), seen)


class _After:
    def __init__(self, start: bytes, rest: Source) -> None:
        self._start = io.BytesIO(start)
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        return self._start.read(size) or self._rest.read(size)


def _columns(view: ContentView, columns: Iterable[str], seen: _Seen) -> None:
    views = ColumnViews(view.columns)
    for name in columns:
        found = views.of(name)
        if found is not None and found.label is not None:
            seen.labels.add(found.label)


def _documents(plan: RenderPlan, documents: Iterator[tuple[str | None, bytes]], seen: _Seen) -> None:
    """Read twice: as it is rendered, for the labels of its places, and with every member of a name that comes twice."""
    places = JsonPlaces(_labelled(plan.view), {}, str)
    for place, data in documents:
        masked(parsed(data, plan.limits.max_depth, place), places.root)
        seen.texts(_texts_of(json.loads(data, object_pairs_hook=_Members, parse_float=str, parse_int=str)))
    seen.labels.update(places.labels_met())


class _Members(list[tuple[str, Any]]):
    """Of an object, those of one name included."""


def _labelled(view: ContentView) -> ContentView:
    """Everything comes raw but what has a label, so that its masks say where a label was met."""
    paths = {
        path: FieldView(label=each.label, mask=Null()) if each.label is not None else FieldView()
        for path, each in view.paths.items()
    }
    return replace(view, paths=paths, default=FieldView(), scanned=False)


def _texts_of(document: Any) -> Iterator[str]:
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        match value:
            case str():
                yield value
            case dict():
                yield from value
                waiting.extend(value.values())
            case list() | tuple():
                waiting.extend(value)
            case bool() | None:
                pass
            case bytes():
                yield value.decode("utf-8", "replace")
            case _:
                if len(text := str(value)) >= LEAST_DIGITS:
                    yield text.removesuffix(".0")


def _columnar(raw: BinaryIO, plan: RenderPlan, seen: _Seen) -> None:
    def named(schema: pa.Schema) -> None:
        _columns(plan.view, paths(schema), seen)
        seen.texts(names(schema))
        seen.texts(metadata_texts(schema.metadata))

    leaves = Leaves()
    for batch in batches_of(raw, plan, named):
        for leaf in leaves.of(batch):
            for start in range(0, len(leaf), _LEAF_VALUES):
                seen.texts(_texts_of(leaf.slice(start, _LEAF_VALUES).to_pylist()))
