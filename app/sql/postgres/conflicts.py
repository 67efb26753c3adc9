"""ON CONFLICT: what it compares and changes are rows as they are stored, so it may name columns that come raw alone."""

from collections.abc import Iterator
from typing import Any

from postgast import pg_query_pb2 as pb

from app.policy.decision import TableView
from app.sql.postgres.names import strings
from app.sql.postgres.writable import check_changed, check_columns, check_named
from app.sql.statement import Refusal, SqlRefused
from connectors.contract import Table

_UPDATE = pb.OnConflictAction.Value("ONCONFLICT_UPDATE")


def check_conflict(clause: Any, alias: str, view: TableView, table: Table) -> None:
    if view.row_filter is not None:
        raise SqlRefused(
            Refusal.CONSTRUCT,
            f"ON CONFLICT is not allowed on {view.name}: you do not see all of its rows. Use INSERT, or UPDATE alone.",
        )
    raw = {column.name for column in view.columns if column.mask is None}
    for index in table.indexes:
        if index.unique and not raw.issuperset(index.columns) and not clause.infer.index_elems:
            raise SqlRefused(
                Refusal.CONSTRUCT, "Name the columns of the conflict: ON CONFLICT (column). Other keys are not yours."
            )
    if clause.infer.conname or clause.infer.HasField("where_clause"):
        raise SqlRefused(Refusal.CONSTRUCT, "Name the columns of the conflict: ON CONFLICT (column).")
    for element in clause.infer.index_elems:
        if element.index_elem.HasField("expr") or not element.index_elem.name:
            raise SqlRefused(Refusal.CONSTRUCT, "ON CONFLICT takes column names, not expressions.")
        check_named(element.index_elem.name, view)
    if clause.action == _UPDATE:
        _check_update(clause, alias, view, table)


def _check_update(clause: Any, alias: str, view: TableView, table: Table) -> None:
    names = []
    for entry in clause.target_list:
        target = entry.res_target
        if target.indirection:
            raise SqlRefused(Refusal.CONSTRUCT, f"SET {target.name}[…] is not allowed. Assign the whole column.")
        names.append(target.name)
    check_columns(names, view, table)
    check_changed(names, view, table)
    raw = {column.name for column in view.columns if column.mask is None}
    for field, message in _inside(clause):
        if field == "sub_link":
            raise SqlRefused(
                Refusal.CONSTRUCT, "ON CONFLICT DO UPDATE takes no sub-queries. Write values or excluded.c."
            )
        if field != "column_ref":
            continue
        parts = strings(message.fields)
        if len(parts) == 2 and parts[0] in (alias, "excluded"):
            parts = parts[1:]
        if len(parts) != 1 or parts[0] not in raw:
            shown = ".".join(parts)
            raise SqlRefused(
                Refusal.NOT_WRITABLE if any(c.name == parts[-1] for c in view.columns) else Refusal.UNKNOWN_COLUMN,
                f"ON CONFLICT DO UPDATE cannot read {shown!r}: it sees stored rows. Name columns that come unmasked.",
            )


def _inside(message: Any) -> Iterator[tuple[str, Any]]:
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        for part in value if descriptor.is_repeated else (value,):
            yield descriptor.name, part
            yield from _inside(part)
