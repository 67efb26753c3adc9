"""How one statement is read: in one round trip while answers are small, by cursor in one snapshot when they are not.

A read starts in a single round trip with a row cap and a byte budget. When the answer turns out larger, nothing of it
has reached the sink yet: it is dropped, and the statement runs once more as a cursor inside a READ ONLY transaction, in
batches that stay small in rows and bytes. Every answer therefore comes from one execution and one snapshot. Statements
known to be large start as a cursor.
"""

import asyncio
from collections.abc import Sequence

from connectors.contract import ConnectorError, Failure, Fault, Limits, ReadOutcome, Runnable, Stopped
from connectors.delivery import Delivery, too_large
from connectors.postgres.faults import refused_argument, translated
from connectors.postgres.session import Prepared, Session
from connectors.postgres.sizes import FIRST_ROWS, History
from connectors.postgres.values import refit

_BATCH_ROWS = 200
_BATCH_BYTES = 1024 * 1024
_PORTAL = "douane"
_MOST_BATCH_BYTES = 32 * 1024 * 1024
_SLACK_BYTES = 2 * 1024 * 1024


class TooLargeForOneTrip(Exception):  # noqa: N818 - a turn of the read, not a fault
    """The answer does not fit a single round trip, or its batch; nothing was delivered."""


async def read_at_once(
    session: Session,
    prepared: Prepared,
    args: tuple[object, ...] | list[object],
    delivery: Delivery,
    limits: Limits,
    history: History,
    timeout_s: float,
) -> None:
    """One round trip. Raises TooLargeForOneTrip before anything was delivered."""
    wanted = delivery.rows_wanted
    cap = history.row_cap
    if cap:
        cap = min(cap, wanted)
    meter = session.meter
    meter.begin(history.byte_budget)
    try:
        rows, _, completed = await session.protocol.bind_execute(prepared.state, args, "", cap, True, timeout_s)
    except Exception:
        if meter.tripped:
            # Perhaps one giant row: the cursor begins with a single one, and grows.
            history.was_large(meter.received)
            raise TooLargeForOneTrip from None
        raise
    received = meter.received
    if not completed and len(rows) < wanted:
        history.was_large(received // len(rows))
        raise TooLargeForOneTrip
    if received > limits.max_value_bytes:
        _check_values(rows[: wanted - 1], limits.max_value_bytes)
    history.was(len(rows), received)
    delivery.announce(prepared.columns)
    if len(rows) <= FIRST_ROWS + 1:
        if rows:
            delivery.push(list(map(tuple, rows)), received, last=completed)
        return
    # A statement of few rows had many narrow ones this time: handed on in pieces, and others get their turn.
    for start in range(0, len(rows), _BATCH_ROWS):
        piece = list(map(tuple, rows[start : start + _BATCH_ROWS]))
        share = received * len(piece) // len(rows) + 1
        if not delivery.push(piece, share, last=completed and start + len(piece) == len(rows)):
            return
        await asyncio.sleep(0)


async def read_by_cursor(
    session: Session,
    prepared: Prepared,
    args: tuple[object, ...] | list[object],
    delivery: Delivery,
    limits: Limits,
    history: History,
    deadline: float,
) -> None:
    """In the transaction that the caller began, and ends. Batches shrink when rows are wide."""
    meter = session.meter
    protocol = session.protocol
    now = session.loop.time
    size = _batch_size(history.row_bytes)
    state = prepared.state
    first = True
    read = 0
    while True:
        size = min(size, delivery.rows_wanted)
        meter.begin(min(limits.max_bytes, _MOST_BATCH_BYTES) + limits.max_value_bytes + _SLACK_BYTES)
        try:
            if first:
                batch = await protocol.bind_execute(state, args, _PORTAL, size, True, deadline - now())
            else:
                batch = await protocol.execute(state, _PORTAL, size, True, deadline - now())
        except Exception:
            if not meter.tripped:
                raise
            if size == 1:
                raise ConnectorError(Failure.VALUE_TOO_LARGE) from None
            history.was_large(meter.received)
            if delivery.untouched:
                raise TooLargeForOneTrip from None
            delivery.stopped = Stopped.BYTES
            return
        if first:
            delivery.announce(prepared.columns)
            first = False
        rows, _, completed = batch
        read += len(rows)
        received = meter.received
        if received > limits.max_value_bytes:
            _check_values(rows[: delivery.rows_wanted - 1], limits.max_value_bytes)
        if rows and not delivery.push(list(map(tuple, rows)), received, last=completed):
            return
        if completed:
            if read <= FIRST_ROWS:
                history.was(read, history.most_bytes)
            return
        row_bytes = received // max(len(rows), 1)
        history.row_bytes = max(history.row_bytes // 2, row_bytes)
        size = _batch_size(history.row_bytes)


def _check_values(rows: Sequence[Sequence[object]], max_value_bytes: int) -> None:
    """Of the rows that will be delivered: the one beyond the cap only tells that there are more."""
    column = too_large(rows, max_value_bytes)
    if column is not None:
        raise ConnectorError(Failure.VALUE_TOO_LARGE, column=column)


def _batch_size(row_bytes: int) -> int:
    if row_bytes <= 0:
        return _BATCH_ROWS
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // row_bytes))


def refitted(error: Exception, statement: Runnable, prepared: Prepared) -> list[object]:
    """Arguments that fit the inferred types, after the encoder refused them as they came. Raises ConnectorError when
    there are none, and `error` itself when it is of another kind."""
    if refused_argument(error) is None:
        raise error
    fitted, misfit = refit(statement.args, prepared.parameter_oids)
    if misfit is not None:
        raise ConnectorError(Failure.STATEMENT, fault=Fault.PARAMETER_TYPE, parameter=misfit) from error
    if (
        len(fitted) != len(statement.args)
        or len(fitted) != len(prepared.parameter_oids)
        or fitted == list(statement.args)
    ):
        raise translated(error) from error
    return fitted


def outcome(prepared: Prepared, delivery: Delivery) -> ReadOutcome:
    return ReadOutcome(columns=prepared.columns, row_count=delivery.row_count, stopped=delivery.stopped)
