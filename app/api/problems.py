"""RFC 9457 problems: the one table from meaning to HTTP status, and the wire form of a refusal."""

from collections.abc import Callable
from typing import Any

from app.gateway import errors
from app.gateway.errors import Refused
from app.gateway.explaining import rule_document

STATUS: dict[type[Refused], int] = {
    errors.MalformedJson: 400,
    errors.HostNotAllowed: 400,
    errors.UriTooLong: 400,
    errors.HeadersTooLarge: 400,
    errors.MissingToken: 401,
    errors.InvalidToken: 401,
    errors.InsufficientScope: 403,
    errors.AccessDenied: 403,
    errors.OriginNotAllowed: 403,
    errors.StatementNotAllowed: 403,
    errors.WritesNotRun: 403,
    errors.ContentNotMaskable: 403,
    errors.ContentDenied: 403,
    errors.ApprovalSelfDecision: 403,
    errors.ApprovalNotApprover: 403,
    errors.ApprovalNotRequester: 403,
    errors.NotFound: 404,
    errors.UnknownConnection: 404,
    errors.UnknownApproval: 404,
    errors.NoPreview: 404,
    errors.UnknownDelivery: 404,
    errors.InvalidCursor: 404,
    errors.TableNotFound: 404,
    errors.ObjectNotFound: 404,
    errors.TopicNotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.NotAcceptable: 406,
    errors.SlowBody: 408,
    errors.IdempotencyInFlight: 409,
    errors.ApprovalConflict: 409,
    errors.ApprovalNotPending: 409,
    errors.ApprovalNotApproved: 409,
    errors.ApprovalExpired: 409,
    errors.ApprovalRejected: 409,
    errors.ApprovalCancelled: 409,
    errors.ApprovalRevoked: 409,
    errors.ApprovalAlreadyExecuted: 409,
    errors.ApprovalInUse: 409,
    errors.ApprovalReopened: 409,
    errors.ApprovalFailed: 409,
    errors.ApprovalAlreadyVoted: 409,
    errors.ApprovalRowsExceeded: 409,
    errors.OutcomeUnknown: 409,
    errors.ObjectChanged: 412,
    errors.ConditionFailed: 412,
    errors.BodyTooLarge: 413,
    errors.ResultTooLarge: 413,
    errors.PayloadTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.RangeNotSatisfiable: 416,
    errors.InvalidRequest: 422,
    errors.PayloadInvalid: 422,
    errors.ContentUnreadable: 422,
    errors.IdempotencyMismatch: 422,
    errors.StatementInvalid: 422,
    errors.StatementFailed: 422,
    errors.StatementTimeout: 422,
    errors.ApprovalAltered: 500,
    errors.InternalFault: 500,
    errors.ConnectionUnavailable: 503,
    errors.AuditUnavailable: 503,
    errors.IdentityProviderUnavailable: 503,
    errors.ApprovalsUnavailable: 503,
    errors.NoSpaceForAnswer: 503,
    errors.StorageFull: 507,
    errors.TopicFull: 503,
    errors.Overloaded: 503,
    errors.ShuttingDown: 503,
}

Challenge = Callable[[str | None, str | None, str | None], str]
"""(error, description, scope) -> the value of WWW-Authenticate."""


class Problems:
    """`docs_url` is where docs/errors.md is published; `challenge` comes from identity (RFC 6750, RFC 9728)."""

    def __init__(self, *, docs_url: str, challenge: Challenge) -> None:
        self._docs_url = docs_url
        self._challenge = challenge

    def render(self, refused: Refused, trace_id: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, document, headers. Absent members are left out."""
        status = STATUS[type(refused)]
        document: dict[str, Any] = {
            "type": f"{self._docs_url}#{refused.stable_code}",
            "title": refused.title,
            "status": status,
            "code": refused.stable_code,
            "detail": refused.detail,
            "trace_id": trace_id,
        }
        if refused.errors:
            document["errors"] = [{"pointer": e.pointer, "detail": e.detail} for e in refused.errors]
        if refused.rules:
            document["rules"] = [rule_document(rule) for rule in refused.rules]
        if refused.suggestion is not None:
            document["suggestion"] = refused.suggestion
        return status, document, self._headers(refused)

    def _headers(self, refused: Refused) -> dict[str, str]:
        headers: dict[str, str] = {}
        match refused:
            case errors.MissingToken():
                headers["www-authenticate"] = self._challenge(None, None, None)
            case errors.InvalidToken():
                headers["www-authenticate"] = self._challenge("invalid_token", refused.detail, None)
            case errors.InsufficientScope():
                headers["www-authenticate"] = self._challenge("insufficient_scope", refused.detail, refused.scope)
            case errors.MethodNotAllowed():
                headers["allow"] = ", ".join(refused.allow)
            case errors.RangeNotSatisfiable(size=size):
                headers["content-range"] = f"bytes */{size}"
            case errors.BodyTooLarge() | errors.SlowBody():
                headers["connection"] = "close"
            case _:
                pass
        if refused.retry_after_s is not None:
            headers["retry-after"] = str(refused.retry_after_s)
        return headers
