"""What a connector's failure means to the caller: one answer per class, never the engine's text."""

from app.gateway.errors import (
    AccessDenied,
    ApprovalRowsExceeded,
    ConnectionUnavailable,
    OutcomeUnknown,
    Refused,
    ResultTooLarge,
    StatementFailed,
    StatementNotAllowed,
    StatementTimeout,
)
from app.gateway.parameters import parameter_misfit
from app.sql.statement import Bind
from connectors.contract import ConnectorError, Failure, Fault, Limits

_SENTENCES = {
    Fault.SYNTAX: "The engine does not accept the statement as written: simplify it.",
    Fault.UNDEFINED_TABLE: "A table of the statement is gone: describe_connection lists those there are now.",
    Fault.UNDEFINED_COLUMN: "A column of the statement does not exist for you: describe_connection lists yours.",
    Fault.UNDEFINED_FUNCTION: "No function or operator takes arguments of these types: add explicit casts.",
    Fault.AMBIGUOUS: "A column name fits more than one table: qualify it with the table's alias.",
    Fault.GROUPING: "A selected column must stand in GROUP BY or inside an aggregate.",
    Fault.TYPE_MISMATCH: "The types of an expression do not fit: add explicit casts.",
    Fault.INVALID_VALUE: "A value cannot be converted to the type it is used as: check casts and literals.",
    Fault.OUT_OF_RANGE: "A computed value is out of the range of its type: cast to a wider one.",
    Fault.DIVISION_BY_ZERO: "The statement divides by zero: use NULLIF(divisor, 0).",
    Fault.CARDINALITY: "A subquery used as a value gave more than one row: aggregate it or add LIMIT 1.",
    Fault.INTEGRITY: "The write breaks a constraint of the database (a key, a reference, a check or a value that must "
    "be there), and nothing was changed: describe_connection shows keys and types.",
    Fault.UNSUPPORTED: "The engine does not support this: write it another way.",
    Fault.OTHER: "The engine could not run the statement: simplify it, or check types and names.",
}


def refusal_of(error: ConnectorError, binds: tuple[Bind, ...], limits: Limits) -> Refused:
    match error.failure:
        case Failure.UNAVAILABLE:
            return ConnectionUnavailable(
                "The database behind this connection cannot be reached right now: retry later.",
                retry_after_s=error.retry_after_s or 5,
            )
        case Failure.TIMEOUT:
            return StatementTimeout(
                f"The statement ran longer than {limits.timeout_s:g} s and was stopped: narrow WHERE."
            )
        case Failure.VALUE_TOO_LARGE:
            which = "A value" if error.column is None else f"A value of result column {error.column + 1}"
            return ResultTooLarge(
                f"{which} is larger than {limits.max_value_bytes} bytes and was cut off with the whole answer: "
                "select less of it, for example with substr()."
            )
        case Failure.OUT_OF_RESOURCES:
            return ResultTooLarge(
                "A value of the result, or what the database needs to compute it, is larger than it may be: select "
                "less of it, or aggregate fewer rows.",
                code="statement_too_expensive",
            )
        case Failure.REFUSED_BY_WALL:
            return StatementNotAllowed(
                "The database itself refuses this statement for the gateway's role: describe_connection shows what "
                "can be read.",
                code="sql_refused_by_database",
            )
        case Failure.OUTCOME_UNKNOWN:
            return OutcomeUnknown(
                "The connection was lost while the write was being committed: it may have happened. Nothing runs it "
                "again by itself; look at the rows before you send it once more."
            )
        case Failure.NOT_FOUND | Failure.CHANGED:
            return StatementFailed(_SENTENCES[Fault.OTHER], code="statement_other")
        case Failure.STATEMENT:
            return _of_statement(error.fault or Fault.OTHER, error, binds)


def _of_statement(fault: Fault, error: ConnectorError, binds: tuple[Bind, ...]) -> Refused:
    match fault:
        case Fault.PARAMETER_TYPE:
            return parameter_misfit(binds, error.parameter)
        case Fault.ROW_FILTER:
            return AccessDenied(
                "The write would leave rows outside of what you may see, so nothing was changed: keep the columns that "
                "your row filter reads within it.",
                code="row_filter_violation",
            )
        case Fault.TOO_MANY_AFFECTED:
            return ApprovalRowsExceeded(
                "The write would touch more rows than were approved, so nothing was changed: narrow WHERE, or send the "
                "request again to have the new number approved."
            )
        case _:
            return StatementFailed(_SENTENCES[fault], code=f"statement_{fault.value}")


_BY_DATA = frozenset(
    {
        Fault.TYPE_MISMATCH, Fault.INVALID_VALUE, Fault.OUT_OF_RANGE, Fault.DIVISION_BY_ZERO, Fault.CARDINALITY,
        Fault.INTEGRITY, Fault.ROW_FILTER, Fault.OTHER,
    }
)  # fmt: skip


def tells_of_data(refused: Refused) -> bool:
    """Whether what went wrong may depend on rows: whoever may not see them must not hear of it."""
    match refused.__cause__:
        case ConnectorError(failure=Failure.STATEMENT, fault=fault):
            return fault is None or fault in _BY_DATA
        case ConnectorError(failure=failure):
            return failure in (Failure.TIMEOUT, Failure.VALUE_TOO_LARGE, Failure.OUT_OF_RESOURCES)
        case _:
            return isinstance(refused, ResultTooLarge)
