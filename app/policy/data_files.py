"""Which data files there are, and what each says, by the family of its connection."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.policy.connections import ConnectionKind
from app.policy.content_data import ContentData, ContentReader, is_schema_file
from app.policy.content_file import ObjectsDocument, TopicsDocument
from app.policy.data_file import ConnectionData, DataDocument, data_of
from app.policy.documents import Document, read_document, validated
from app.policy.findings import Finding, Level
from app.policy.rules import KNOWN_LABEL, label_is_known

DATA_FILE = re.compile(r"data/([^/]+)\.yaml")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DataFiles:
    """By connection: `tables` of databases, `content` of objects and messages."""

    tables: Mapping[str, ConnectionData] = field(default_factory=dict)
    content: Mapping[str, ContentData] = field(default_factory=dict)

    @property
    def labels(self) -> frozenset[str]:
        tables = (each.labels for each in self.tables.values())
        return frozenset().union(*tables, *(each.labels for each in self.content.values()))

    @property
    def subjects(self) -> frozenset[str]:
        return frozenset(subject for each in self.tables.values() for subject in each.subjects)


def read_data_files(
    files: Mapping[str, bytes], connections: Mapping[str, ConnectionKind], findings: list[Finding]
) -> DataFiles:
    """Files of unknown connections are skipped here: their names are faults already."""
    tables: dict[str, ConnectionData] = {}
    content: dict[str, ContentData] = {}
    schemas_read: set[str] = set()
    for name, data in files.items():
        data_file = DATA_FILE.fullmatch(name)
        kind = None if data_file is None else connections.get(data_file[1])
        document = None if data_file is None or kind is None else read_document(name, data, findings)
        if data_file is None or document is None:
            continue
        connection = data_file[1]
        if kind is ConnectionKind.SQL:
            parsed = validated(DataDocument, document, findings)
            if parsed is not None:
                tables[connection] = data_of(parsed, document, findings)
            continue
        reader = ContentReader(connection, document, files, connections, findings)
        found = _content(kind, reader, document, findings)
        schemas_read |= reader.schemas_read
        if found is not None:
            content[connection] = found
    findings.extend(_unread(files, schemas_read))
    return DataFiles(tables=tables, content=content)


def check_found(data: DataFiles, declared: frozenset[str], findings: list[Finding]) -> None:
    """What files say of labels that may be found. A misspelt one would be without effect."""
    for document in (each.document for each in data.content.values() if each.document is not None):
        for family in ("objects", "topics"):
            for glob, written in document.value.get(family, {}).items():
                for label in written.get("found", {}):
                    if not label_is_known(label, declared):
                        path = (family, glob, "found", label)
                        findings.append(document.finding(path, f"unknown label {label!r}", KNOWN_LABEL))


def _content(
    kind: ConnectionKind | None, reader: ContentReader, document: Document, findings: list[Finding]
) -> ContentData | None:
    if kind is ConnectionKind.OBJECTS:
        objects = validated(ObjectsDocument, document, findings)
        return None if objects is None else reader.objects(objects)
    topics = validated(TopicsDocument, document, findings)
    return None if topics is None else reader.topics(topics)


def _unread(files: Mapping[str, bytes], schemas_read: set[str]) -> list[Finding]:
    return [
        Finding(
            file=name,
            line=0,
            column=0,
            what="no topic has this schema",
            expected=f"schema: {{file: {name}}} in a data file",
            level=Level.WARNING,
        )
        for name in files
        if is_schema_file(name) and name not in schemas_read
    ]
