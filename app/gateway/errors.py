"""Why a request was refused: one class per meaning, each with a stable code; the HTTP status is decided by the door."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from app.approval.machine import Objection
from app.policy.decision import RuleRef


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """`pointer` is a JSON pointer into the body (RFC 6901) or "query/NAME", "path/NAME", "header/NAME"."""

    pointer: str
    detail: str


class Refused(Exception):  # noqa: N818 - a refusal is an answer
    """`detail` says what and the next step. It never carries a value of the data, a secret or driver text."""

    code: ClassVar[str] = "refused"
    title: ClassVar[str] = "The request was refused"
    outcome: ClassVar[str] = "invalid"
    """The word on the audit trail."""

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        rules: Sequence[RuleRef] = (),
        suggestion: str | None = None,
        errors: Sequence[FieldError] = (),
        retry_after_s: int | None = None,
        reason: str | None = None,
        scope: str | None = None,
        allow: Sequence[str] = (),
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.stable_code = code or self.code
        self.rules = tuple(rules)
        self.suggestion = suggestion
        self.errors = tuple(errors)
        self.retry_after_s = retry_after_s
        self.reason = reason
        self.scope = scope
        self.allow = tuple(allow)


class MalformedJson(Refused):
    code = "malformed_json"
    title = "The body is not JSON"


class MissingToken(Refused):
    code = "missing_token"
    title = "A bearer token is required"
    outcome = "unauthenticated"


class InvalidToken(Refused):
    code = "invalid_token"
    title = "The token was not accepted"
    outcome = "unauthenticated"


class InsufficientScope(Refused):
    code = "insufficient_scope"
    title = "The token lacks a scope"
    outcome = "denied"


class AccessDenied(Refused):
    code = "access_denied"
    title = "Policy denies this"
    outcome = "denied"


class HostNotAllowed(Refused):
    code = "host_not_allowed"
    title = "This host name is not served"


class OriginNotAllowed(Refused):
    code = "origin_not_allowed"
    title = "Cross-origin requests are not accepted"


class NotFound(Refused):
    code = "not_found"
    title = "Nothing here"


class UnknownConnection(NotFound):
    code = "unknown_connection"
    title = "No such connection"


class UnknownApproval(NotFound):
    code = "unknown_approval"
    title = "No such approval"


class NoPreview(NotFound):
    code = "approval_no_preview"
    title = "There is no preview"


class UnknownDelivery(NotFound):
    code = "unknown_delivery"
    title = "No such delivery"


class MethodNotAllowed(Refused):
    code = "method_not_allowed"
    title = "This path has no such method"


class NotAcceptable(Refused):
    code = "not_acceptable"
    title = "Answers are application/json"


class IdempotencyInFlight(Refused):
    code = "idempotency_in_flight"
    title = "The same request is still running"


class IdempotencyMismatch(Refused):
    code = "idempotency_mismatch"
    title = "The idempotency key was used for another request"


class BodyTooLarge(Refused):
    code = "body_too_large"
    title = "The body is too large"


class SlowBody(Refused):
    code = "slow_body"
    title = "The body took too long to arrive"


class UriTooLong(Refused):
    code = "uri_too_long"
    title = "The URL is too long"


class HeadersTooLarge(Refused):
    code = "headers_too_large"
    title = "The request headers are too large"


class ResultTooLarge(Refused):
    code = "result_too_large"
    title = "A value of the result is too large"
    outcome = "failed"


class UnsupportedMediaType(Refused):
    code = "unsupported_media_type"
    title = "A body of this type is not taken here"


class InvalidRequest(Refused):
    code = "invalid_request"
    title = "The request does not fit the schema"


class InvalidCursor(NotFound):
    code = "invalid_cursor"
    title = "No such page"


class StatementNotAllowed(Refused):
    """The guard refused the statement; the code is the guard's own."""

    code = "sql_statement_not_allowed"
    title = "This statement cannot run here"
    outcome = "denied"


class StatementInvalid(Refused):
    """The statement or its parameters are wrong in themselves; the code is the guard's own."""

    code = "sql_syntax"
    title = "The statement is not valid"


class TableNotFound(NotFound):
    code = "sql_table_not_found"
    title = "No such table for you"


class WritesNotRun(Refused):
    code = "writes_need_approval"
    title = "Writes run only after a human approved them"
    outcome = "denied"


class StatementFailed(Refused):
    code = "statement_failed"
    title = "The database could not run the statement"
    outcome = "failed"


class StatementTimeout(Refused):
    code = "statement_timeout"
    title = "The statement took too long"
    outcome = "failed"


class ConnectionUnavailable(Refused):
    code = "connection_unavailable"
    title = "The database cannot be reached"
    outcome = "failed"


class AuditUnavailable(Refused):
    code = "audit_unavailable"
    title = "The audit log cannot be written"
    outcome = "failed"


class IdentityProviderUnavailable(Refused):
    code = "identity_unavailable"
    title = "The identity provider cannot be reached"
    outcome = "failed"


class ApprovalsUnavailable(Refused):
    code = "store_unavailable"
    title = "The approval store cannot be reached"
    outcome = "failed"


class NoSpaceForAnswer(Refused):
    code = "no_space"
    title = "There is no room for the answer"
    outcome = "failed"


class ShuttingDown(Refused):
    code = "shutting_down"
    title = "The gateway is stopping"
    outcome = "failed"


class Overloaded(Refused):
    code = "overloaded"
    title = "Too many requests at once"
    outcome = "failed"


class ApprovalConflict(Refused):
    """The approval is not in a state that allows this; every class below has its own code."""

    code = "approval_conflict"
    title = "The approval changed meanwhile"
    outcome = "denied"


class ApprovalNotPending(ApprovalConflict):
    code = "approval_not_pending"
    title = "The approval does not wait for a decision"


class ApprovalNotApproved(ApprovalConflict):
    code = "approval_not_approved"
    title = "Nobody approved it yet"


class ApprovalExpired(ApprovalConflict):
    code = "approval_expired"
    title = "The approval has expired"


class ApprovalRejected(ApprovalConflict):
    code = "approval_rejected"
    title = "The request was rejected"


class ApprovalCancelled(ApprovalConflict):
    code = "approval_cancelled"
    title = "The request was cancelled"


class ApprovalRevoked(ApprovalConflict):
    code = "approval_revoked"
    title = "The approval was revoked"


class ApprovalAlreadyExecuted(ApprovalConflict):
    code = "approval_already_executed"
    title = "What was approved has run already"


class ApprovalInUse(ApprovalConflict):
    code = "approval_in_use"
    title = "The approval is being used right now"


class ApprovalReopened(ApprovalConflict):
    code = "approval_reopened"
    title = "What was approved has changed"


class ApprovalFailed(ApprovalConflict):
    code = "approval_failed"
    title = "The use of the approval failed"


class ApprovalAlreadyVoted(ApprovalConflict):
    code = "approval_already_voted"
    title = "You have decided already"


class ApprovalRowsExceeded(ApprovalConflict):
    code = "approval_rows_exceeded"
    title = "More rows than were approved"


class ApprovalSelfDecision(Refused):
    code = "approval_self_decision"
    title = "Nobody decides their own request"
    outcome = "denied"


class ApprovalNotApprover(Refused):
    code = "approval_not_approver"
    title = "You are not an approver of this request"
    outcome = "denied"


class ApprovalNotRequester(Refused):
    code = "approval_not_requester"
    title = "Only its requester may do this"
    outcome = "denied"


class ApprovalAltered(Refused):
    """The stored request does not have the digest that was approved."""

    code = "approval_altered"
    title = "The stored approval is not what was approved"
    outcome = "failed"


class OutcomeUnknown(Refused):
    """It may have run: nothing runs it again."""

    code = "outcome_unknown"
    title = "Whether it ran is not known"
    outcome = "failed"


class ObjectNotFound(NotFound):
    code = "object_not_found"
    title = "No such object for you"


class ObjectChanged(Refused):
    """A condition of the request does not hold (RFC 9110, 15.5.13), or the object changed while it was read."""

    code = "object_changed"
    title = "The object is another one by now"


class ConditionFailed(ObjectChanged):
    """If-Match of a fetch. Nothing changes while it is read, so it is not read anew."""


class RangeNotSatisfiable(Refused):
    code = "range_not_satisfiable"
    title = "The range lies outside of the object"

    def __init__(self, detail: str, *, size: int) -> None:
        super().__init__(detail)
        self.size = size


class ContentNotMaskable(Refused):
    code = "content_unknown_type"
    title = "This content cannot be masked"
    outcome = "denied"


class ContentUnreadable(Refused):
    """The object is not what its type says; the code says in which way."""

    code = "content_undecodable"
    title = "The content cannot be read"
    outcome = "failed"


class ContentDenied(Refused):
    """What is put or published holds what policy does not let in here."""

    code = "content_denied"
    title = "Policy does not let this content in"
    outcome = "denied"


class StorageFull(Refused):
    code = "storage_full"
    title = "The store has no room"
    outcome = "failed"


class TopicNotFound(NotFound):
    code = "topic_not_found"
    title = "No such topic for you"


class PayloadInvalid(Refused):
    code = "payload_invalid"
    title = "The topic takes no such message"


class PayloadTooLarge(Refused):
    code = "payload_too_large"
    title = "The message is too large"


class TopicFull(Refused):
    code = "topic_full"
    title = "The broker has no room for the message"
    outcome = "failed"


class InternalFault(Refused):
    code = "internal_error"
    title = "A fault of the gateway"
    outcome = "failed"


OBJECTIONS: dict[str, type[Refused]] = {
    kind.code: kind
    for kind in (
        ApprovalNotPending,
        ApprovalNotApproved,
        ApprovalExpired,
        ApprovalRejected,
        ApprovalCancelled,
        ApprovalRevoked,
        ApprovalAlreadyExecuted,
        ApprovalInUse,
        ApprovalReopened,
        ApprovalFailed,
        ApprovalAlreadyVoted,
        ApprovalRowsExceeded,
        ApprovalSelfDecision,
        ApprovalNotApprover,
        ApprovalNotRequester,
        ApprovalAltered,
        OutcomeUnknown,
    )
}


def refusal_of_objection(objection: Objection) -> Refused:
    """What the state machine objects, as an answer. A code that nobody knows is a conflict all the same."""
    kind = OBJECTIONS.get(objection.code, ApprovalConflict)
    return kind(objection.detail, code=objection.code)
