"""What a data file says of objects or messages, once every name, pattern and schema in it is known to be good."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

from app.policy.connections import ConnectionKind
from app.policy.content import Intake, OnFound, TopicRules
from app.policy.content_file import (
    MAX_WILD_PATHS,
    EntryDocument,
    ObjectDocument,
    ObjectsDocument,
    TopicDocument,
    TopicsDocument,
)
from app.policy.data_file import WORDS, Word
from app.policy.documents import Document, Path
from app.policy.findings import Finding
from app.policy.globs import Globs, ties
from app.policy.json_paths import as_pattern, parse_path, specificity
from app.policy.payload_schema import SchemaError, checked, schema_in
from app.policy.places import ANY_ACTION, BadPlace, resource_pattern
from app.policy.resources import Pattern, Width, overlap

_COLUMNAR = ("csv", "tsv", "parquet", "arrow")
_NESTED = ("json", "ndjson")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ContentEntry:
    """One glob. `columns` and `paths` map a field to its label or to allow, mask, deny; `default` counts for all
    others. `rules` holds the intake of topics; of objects it holds nothing else."""

    raw: bool = False
    format: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    default: Word = "mask"
    header: tuple[str, ...] | None = None
    delimiter: str | None = None
    rules: TopicRules = field(default_factory=TopicRules)

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(word for word in (*self.columns.values(), *self.paths.values()) if word not in WORDS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ContentData:
    """`entries` are found by the resource of a key or topic; `scanned`: text that comes raw by default alone still
    goes through the detectors, as that of messages does."""

    default: Word = "mask"
    max_bytes: int | None = None
    entries: Globs[ContentEntry] = field(default_factory=lambda: Globs({}))
    scanned: bool = False
    document: Document | None = None

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(label for entry in self.entries.entries.values() for label in entry.labels)


class ContentReader:
    """Makes ContentData of one file; every fault becomes a finding. `files`: the policy folder, for schemas."""

    def __init__(
        self,
        connection: str,
        document: Document,
        files: Mapping[str, bytes],
        connections: Mapping[str, ConnectionKind],
        findings: list[Finding],
    ) -> None:
        self._connection = connection
        self._document = document
        self._files = files
        self._connections = connections
        self._findings = findings
        self.schemas_read: set[str] = set()

    def objects(self, parsed: ObjectsDocument) -> ContentData:
        entries = {}
        for glob, written in parsed.objects.items():
            path: Path = ("objects", glob)
            self._check_object(written, path)
            entries[glob] = ContentEntry(
                raw=written.content == "raw",
                format=written.format,
                columns=written.columns,
                paths=written.paths,
                default=written.default or parsed.default,
                header=None if written.header is None else tuple(written.header),
                delimiter=written.delimiter,
                rules=TopicRules(
                    intake=Intake(
                        found=_found(written),
                        types=tuple(written.put.types),
                        max_bytes=_least(written.put.max_bytes, parsed.max_bytes),
                    )
                ),
            )
            self._check_paths(written, path)
        return ContentData(
            default=parsed.default,
            max_bytes=parsed.max_bytes,
            entries=self._globs("objects", entries),
            document=self._document,
        )

    def topics(self, parsed: TopicsDocument) -> ContentData:
        entries = {}
        for glob, written in parsed.topics.items():
            path: Path = ("topics", glob)
            if written.content == "raw" and written.default is not None:
                self._find((*path, "default"), "default has no effect on raw content", "content: masked, or no default")
            entries[glob] = ContentEntry(
                raw=written.content == "raw",
                paths=written.paths,
                default=written.default or parsed.default,
                rules=TopicRules(
                    intake=Intake(found=_found(written), max_bytes=_least(written.max_bytes, parsed.max_bytes)),
                    schema=self._schema(written, path),
                    headers=None if written.headers is None else tuple(written.headers),
                    max_header_bytes=written.max_header_bytes or TopicRules().max_header_bytes,
                    cloud_events=written.cloud_events,
                    named="*" not in glob,
                ),
            )
            self._check_paths(written, path)
        return ContentData(
            default=parsed.default,
            max_bytes=parsed.max_bytes,
            entries=self._globs("topics", entries),
            scanned=True,
            document=self._document,
        )

    def _find(self, path: Path, what: str, expected: str) -> None:
        self._findings.append(self._document.finding(path, what, expected))

    def _globs(self, key: str, entries: Mapping[str, ContentEntry]) -> Globs[ContentEntry]:
        found = {}
        for glob, entry in entries.items():
            try:
                pattern = resource_pattern(f"{self._connection}/{glob}", ANY_ACTION, self._connections)
            except BadPlace as bad:
                self._find((key, glob), bad.what, f"{bad.expected}, without the connection")
                continue
            found[pattern.text] = entry
        skipped = len(self._connection) + 1
        for first, second in ties(found):
            a, b = first[skipped:], second[skipped:]
            self._find(
                (key, b),
                f"{a!r} and {b!r} may both cover one name, and neither is the narrower",
                "globs of which one lies within the other, or that never meet",
            )
        return Globs(found)

    def _check_object(self, written: ObjectDocument, path: Path) -> None:
        if written.content == "raw":
            for key in ("columns", "paths", "default", "format", "header", "delimiter"):
                if getattr(written, key):
                    self._find((*path, key), f"{key} has no effect on raw content", f"content: masked, or no {key}")
            return
        possible = {
            "columns": (None, *_COLUMNAR),
            "paths": (None, *_NESTED),
            "default": (None, *_COLUMNAR, *_NESTED),
            "header": (None, "csv", "tsv"),
            "delimiter": (None, "csv"),
        }
        for key, formats in possible.items():
            if getattr(written, key) and written.format not in formats:
                self._find(
                    (*path, key),
                    f"{key} has no effect on the format {written.format}",
                    f"no {key}, or one of the formats {', '.join(each for each in formats if each)}",
                )
        if written.header is not None and len(set(written.header)) < len(written.header):
            self._find((*path, "header"), "two columns of one name", "a name of its own for every column")

    def _check_paths(self, written: EntryDocument, path: Path) -> None:
        wide = [text for text in written.paths if Pattern(as_pattern(parse_path(text))).width is not Width.LITERAL]
        if len(wide) > MAX_WILD_PATHS:
            self._find((*path, "paths"), "too many paths that stand for many", f"at most {MAX_WILD_PATHS}")
            return
        for a, b in combinations(wide, 2):
            left, right = parse_path(a), parse_path(b)
            if written.paths[a] == written.paths[b] or specificity(left) != specificity(right):
                continue
            if overlap(as_pattern(left), as_pattern(right)):
                self._find(
                    (*path, "paths", b),
                    f"{a!r} and {b!r} may both name one field, and neither is the more specific",
                    "one word for both, or a path that names more",
                )

    def _schema(self, written: TopicDocument, path: Path) -> str | None:
        schema = written.schema_
        if schema is None:
            return None
        place: Path = (*path, "schema")
        name = schema["file"] if schema.keys() == {"file"} else None
        if not isinstance(name, str):
            return self._checked(schema, place, "")
        self.schemas_read.add(name)
        data = self._files.get(name)
        if data is None or not is_schema_file(name):
            self._find((*place, "file"), f"no file {name!r}", "a file schemas/NAME.json of the policy folder")
            return None
        try:
            value = schema_in(data)
        except SchemaError as wrong:
            self._findings.append(
                Finding(file=name, line=wrong.line, column=wrong.column, what=wrong.what, expected=wrong.expected)
            )
            return None
        return self._checked(value, place, f"{name}: ")

    def _checked(self, schema: object, place: Path, whose: str) -> str | None:
        try:
            return checked(schema)
        except SchemaError as wrong:
            self._find(place, f"{whose}{wrong.what}", wrong.expected)
            return None


def is_schema_file(name: str) -> bool:
    folder, slash, file = name.partition("/")
    return (folder, slash) == ("schemas", "/") and "/" not in file and file.endswith(".json") and file != ".json"


def _found(written: EntryDocument) -> dict[str, OnFound]:
    return {pattern: OnFound(word) for pattern, word in written.found.items()}


def _least(*bounds: int | None) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)
