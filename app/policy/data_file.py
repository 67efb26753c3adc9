"""data/<connection>.yaml: what the data of one connection is, before anybody asks for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from app.policy.documents import Document, PolicyModel
from app.policy.expression import ExpressionError
from app.policy.findings import Finding
from app.policy.labels import LABEL_FORM
from app.policy.resources import table_path
from app.policy.row_filters import Predicate, compile_predicate
from app.policy.subjects import ANYBODY, SUBJECT_FORM, is_subject
from connectors.contract import TableKey

_LABEL = re.compile(LABEL_FORM)
WORDS = ("allow", "mask", "deny")

Word = Literal["allow", "mask", "deny"]


def _column_word(text: object) -> object:
    if isinstance(text, str) and text not in WORDS and not _LABEL.fullmatch(text):
        raise PydanticCustomError(
            "column",
            "{text} is no label",
            {"text": repr(text), "expected": "a label such as pii.email, or allow, mask, deny"},
        )
    return text


def _subject(text: object) -> object:
    if isinstance(text, str) and not is_subject(text):
        raise PydanticCustomError("subject", "unknown subject {text}", {"text": repr(text), "expected": SUBJECT_FORM})
    return text


ColumnWord = Annotated[
    str,
    BeforeValidator(_column_word),
    Field(json_schema_extra={"pattern": f"^(allow|mask|deny|{LABEL_FORM})$"}),
]
Subject = Annotated[str, BeforeValidator(_subject)]


class TableDocument(PolicyModel):
    """One table of a data file."""

    columns: dict[str, ColumnWord] = Field(default_factory=dict)
    default: Word | None = None
    subject: str | None = None
    rows: dict[Subject, str | bool] = Field(default_factory=dict)
    required: list[str] = Field(default_factory=list)
    max_rows: int | None = Field(default=None, gt=0)
    max_bytes: int | None = Field(default=None, gt=0)
    description: str = ""


class DataDocument(PolicyModel):
    """The whole of data/<connection>.yaml."""

    default: Word = "mask"
    max_rows: int | None = Field(default=None, gt=0)
    max_bytes: int | None = Field(default=None, gt=0)
    tables: dict[str, TableDocument] = Field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TableData:
    """`columns` maps a column to its label or to allow, mask, deny; `default` counts for all others."""

    name: str
    columns: Mapping[str, str]
    default: Word
    subject: str | None
    rows: Mapping[str, Predicate]
    required: tuple[str, ...]
    max_rows: int | None
    max_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConnectionData:
    """`tables` is keyed as resources.table_path spells a table; `document` knows the place of everything."""

    default: Word = "mask"
    max_rows: int | None = None
    max_bytes: int | None = None
    tables: Mapping[str, TableData] = field(default_factory=dict)
    document: Document | None = None

    def of(self, key: TableKey) -> TableData | None:
        return self.tables.get(table_path(key))

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(word for table in self.tables.values() for word in table.columns.values() if word not in WORDS)

    @property
    def subjects(self) -> frozenset[str]:
        return frozenset(subject for table in self.tables.values() for subject in table.rows if subject != ANYBODY)


def data_of(parsed: DataDocument, document: Document, findings: list[Finding]) -> ConnectionData:
    return ConnectionData(
        default=parsed.default,
        max_rows=parsed.max_rows,
        max_bytes=parsed.max_bytes,
        tables={name: _table(name, table, parsed.default, document, findings) for name, table in parsed.tables.items()},
        document=document,
    )


def _table(name: str, table: TableDocument, default: Word, document: Document, findings: list[Finding]) -> TableData:
    if name.count(".") != 1 or "/" in name or name.startswith(".") or name.endswith("."):
        findings.append(document.finding(("tables", name), f"{name!r} is no table", "schema.table"))
    rows = {}
    for subject, text in table.rows.items():
        written = text if isinstance(text, str) else str(text).lower()
        try:
            rows[subject] = compile_predicate(written)
        except ExpressionError as wrong:
            findings.append(
                document.finding(
                    ("tables", name, "rows", subject),
                    f"row filter: {wrong.what} at character {wrong.at + 1}",
                    wrong.expected,
                )
            )
    return TableData(
        name=name,
        columns=table.columns,
        default=table.default or default,
        subject=table.subject,
        rows=rows,
        required=tuple(table.required),
        max_rows=table.max_rows,
        max_bytes=table.max_bytes,
    )
