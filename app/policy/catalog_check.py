"""Holds a data file against the catalog of its database: what does not exist there, and what inherits a mask."""

from collections.abc import Iterator
from dataclasses import replace

from app.policy.data_file import ConnectionData, TableData
from app.policy.documents import Document, Path
from app.policy.findings import Finding, Level
from app.policy.labels import Masks
from app.policy.resources import table_path
from app.policy.tables import DERIVED_KINDS, Columns
from connectors.contract import Catalog, Table


def catalog_findings(data: ConnectionData, masks: Masks, catalog: Catalog) -> tuple[Finding, ...]:
    """Errors for names that the database lacks; warnings where the guard is stricter than the file asks."""
    if data.document is None:
        return ()
    document = data.document
    tables = {table_path(key): table for key, table in catalog.tables.items()}
    columns = Columns(data, masks, catalog, lambda label: False)
    findings: list[Finding] = []
    for name, entry in data.tables.items():
        table = tables.get(name)
        if table is None:
            findings.append(
                document.finding(("tables", name), f"the database has no table {name!r}", "schema.table as stored")
            )
            continue
        findings.extend(_unknown_columns(document, entry, table))
        findings.extend(_inherited(document, entry, table, columns))
        if table.kind in DERIVED_KINDS and not entry.rows:
            findings.extend(_filtered_below(document, data, entry, table))
    return tuple(findings)


def _unknown_columns(document: Document, entry: TableData, table: Table) -> Iterator[Finding]:
    known = {column.name for column in table.columns}
    base = ("tables", entry.name)
    named: list[tuple[Path, str]] = [((*base, "columns", column), column) for column in entry.columns]
    named += [((*base, "required", at), column) for at, column in enumerate(entry.required)]
    named += [((*base, "rows", who), column) for who, rows in entry.rows.items() for column in rows.columns]
    if entry.subject is not None:
        named.append(((*base, "subject"), entry.subject))
    for path, column in named:
        if column not in known:
            yield document.finding(path, f"{entry.name} has no column {column!r}", ", ".join(sorted(known)))


def _inherited(document: Document, entry: TableData, table: Table, columns: Columns) -> Iterator[Finding]:
    for column in table.columns:
        if table.kind not in DERIVED_KINDS and not column.generated_from:
            continue
        written, state = columns.written(table, column), columns.state(table, column)
        if state.raw or state == written:
            continue
        path = ("tables", entry.name, "columns", column.name)
        label = f" of {state.label}" if state.label is not None else ""
        what = f"{column.name} of {entry.name} is made of masked columns and inherits a mask{label}"
        if written is not None:
            what += "; what the file says would show more"
        yield _warning(document, path, what, "a label of its sources, or deny")


def _filtered_below(document: Document, data: ConnectionData, entry: TableData, view: Table) -> Iterator[Finding]:
    filtered = [
        key for key in {read.table for read in view.reads} if (below := data.of(key)) is not None and below.rows
    ]
    if filtered:
        yield _warning(
            document,
            ("tables", entry.name),
            f"{entry.name} reads tables with row filters: it shows no rows to whom they apply",
            "rows of its own",
        )


def _warning(document: Document, path: Path, what: str, expected: str) -> Finding:
    found = document.finding(path, what, expected)
    return replace(found, level=Level.WARNING)
