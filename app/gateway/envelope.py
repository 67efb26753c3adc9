"""The one envelope of query answers, built around the rows while they are read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import orjson

from app.approval.approval import Approval, State
from app.gateway.answer import Spool
from app.gateway.plan import Plan
from app.gateway.rows import RowEncoder
from connectors.contract import Dialect, Limits, ReadOutcome, ResultColumn, Stopped, WriteOutcome

PENDING_RETRY_S = 5

_STORAGE_CLASSES: dict[type, str] = {int: "INTEGER", float: "REAL", str: "TEXT", bytes: "BLOB"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """What an answer says beside its rows. `affected_rows`: of a write, None for reads."""

    approval_id: str | None = None
    approval_url: str | None = None
    affected_rows: int | None = None
    dry_run: bool = False
    notice: str | None = None


class Envelope:
    """Writes into `spool`: columns, then rows batch by batch, then the closing members but for the receipt.

    SQLite announces no types: there a column is named after the first value it shows.
    """

    __slots__ = ("_columns", "_dynamic", "_encoder", "_plan", "_spool", "_started")

    def __init__(self, spool: Spool, plan: Plan, dialect: Dialect) -> None:
        self._spool = spool
        self._plan = plan
        self._dynamic = dialect is Dialect.SQLITE
        self._columns: tuple[ResultColumn, ...] = ()
        self._encoder: RowEncoder | None = None
        self._started = False

    def columns(self, columns: tuple[ResultColumn, ...]) -> None:
        self._columns = columns
        if not self._dynamic:
            self._open(columns)

    def rows(self, rows: Sequence[Sequence[Any]]) -> int:
        if self._encoder is None:
            self._open(_typed(self._columns, rows))
        assert self._encoder is not None
        encoded = self._encoder.encode(rows)
        if encoded:
            self._spool.add(b"," + encoded if self._started else encoded)
            self._started = True
        return len(encoded)

    def close(
        self, outcome: ReadOutcome | WriteOutcome, cursor: str | None, limits: Limits, closing: Closing | None = None
    ) -> None:
        if self._encoder is None:
            self._open(outcome.columns)
        if outcome.stopped is None and closing is None:
            self._spool.add(b'],"row_count":%d,' % outcome.row_count + _whole(self._plan.policy_version))
            return
        said = closing or _PLAIN
        notices = (said.notice, None if outcome.stopped is None else _notice(outcome.stopped, limits, cursor))
        rest = _members(
            self._plan.policy_version,
            row_count=outcome.row_count,
            truncated=outcome.stopped is not None,
            next_cursor=cursor,
            approval_id=said.approval_id,
            approval_url=said.approval_url,
            affected_rows=said.affected_rows,
            dry_run=said.dry_run,
            notice=" ".join(notice for notice in notices if notice) or None,
        )
        self._spool.add(b"]," + orjson.dumps(rest)[1:-1])

    def _open(self, columns: tuple[ResultColumn, ...]) -> None:
        opening, self._encoder = self._plan.opening(columns, dynamic=self._dynamic)
        self._spool.add(opening)


def closing_members(policy_version: str, closing: Closing | None) -> dict[str, Any]:
    """What answers of every kind end with, but for the receipt."""
    said = closing or _PLAIN
    return {
        "approval_id": said.approval_id,
        "approval_url": said.approval_url,
        "session_id": None,
        "policy_version": policy_version,
        "retry_after_seconds": None,
        "notice": said.notice,
    }


def pending_document(
    approval: Approval, url: str, policy_version: str, *, affected_rows: int | None = None
) -> dict[str, Any]:
    """The body of a 202: what happened, and which call comes next. It shows nothing of what is held for approvers."""
    told = {"approval_id": approval.approval_id, "approval_url": url, "retry_after_seconds": PENDING_RETRY_S}
    told["notice"] = _what_next(approval)
    state = {"state": approval.state.value, "expires_at": approval.expires_at}
    if approval.request["statement"] is None:
        return {"status": "pending_approval", **closing_members(policy_version, None), **told, **state}
    members = _members(policy_version, affected_rows=affected_rows, **told)
    return {"status": "pending_approval", "columns": [], "rows": [], **members, **state}


def rowless_document(policy_version: str, closing: Closing) -> dict[str, Any]:
    """A completed write whose rows cannot be told (again): they are gone, what it did is not."""
    return {
        "status": "completed",
        "columns": [],
        "rows": [],
        **_members(
            policy_version,
            truncated=True,
            approval_id=closing.approval_id,
            approval_url=closing.approval_url,
            affected_rows=closing.affected_rows,
            dry_run=closing.dry_run,
            notice=closing.notice,
        ),
    }


def _what_next(approval: Approval) -> str:
    name = approval.approval_id
    match approval.state:
        case State.APPROVED:
            return f"It is approved: call execute_approval with approval_id {name} to get the result."
        case State.EXECUTING:
            return f"It is running right now: call get_approval with approval_id {name} and wait_seconds 30."
        case _:
            return (
                "Nothing was changed or shown: a human has to approve this first. Call get_approval with approval_id "
                f"{name} and wait_seconds 30, again while its state is pending; once it is approved, call "
                f"execute_approval with the same approval_id to get the result. It expires {approval.expires_at}."
            )


_PLAIN = Closing()


@lru_cache(maxsize=64)
def _whole(policy_version: str) -> bytes:
    """The closing members of an answer that nothing cut, after row_count."""
    members = _members(policy_version)
    del members["row_count"]
    return orjson.dumps(members)[1:-1]


def _members(policy_version: str, **given: Any) -> dict[str, Any]:
    return {
        "row_count": 0,
        "truncated": False,
        "next_cursor": None,
        "approval_id": None,
        "approval_url": None,
        "session_id": None,
        "policy_version": policy_version,
        "retry_after_seconds": None,
        "affected_rows": None,
        "dry_run": False,
        "notice": None,
    } | given


def _notice(stopped: Stopped, limits: Limits, cursor: str | None) -> str:
    go_on = "" if cursor is None else ", or repeat the request with next_cursor as `cursor` for the rows that follow"
    match stopped:
        case Stopped.ROWS:
            return f"Limit is {limits.max_rows} rows: narrow WHERE, aggregate{go_on}."
        case Stopped.BYTES:
            return f"Limit is {limits.max_bytes} bytes: select fewer columns, narrow WHERE{go_on}."


def _typed(columns: tuple[ResultColumn, ...], rows: Sequence[Sequence[Any]]) -> tuple[ResultColumn, ...]:
    return tuple(
        column if column.type else replace(column, type=_type_of(row[place] for row in rows))
        for place, column in enumerate(columns)
    )


def _type_of(values: Any) -> str:
    first = next((value for value in values if value is not None), None)
    return _STORAGE_CLASSES.get(type(first), "")
