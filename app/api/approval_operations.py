"""The operations on approvals: those of agents, and those of the people who decide."""

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from app.api import wire_approvals as wire
from app.api.endpoint import (
    ANY_SCOPE,
    APPROVALS_SCOPE,
    APPROVERS_TAG,
    EVENTS,
    LIMIT,
    MAX_LIMIT,
    Arrived,
    Endpoint,
    to_approval,
)
from app.api.reading import MAX_WAIT_S, QueryString, body_of, idempotency_key, preferred_wait_s
from app.gateway.approvals import GetApproval, ListApprovals, PreviewApproval
from app.gateway.command import ExecuteApproval
from app.gateway.errors import FieldError, InvalidRequest
from app.gateway.following import StreamApprovals
from app.gateway.judging import CancelApproval, DecideApproval, Decision, RevokeApproval

_STATES = frozenset(wire.ApprovalState.__args__)  # type: ignore[attr-defined]
_ROLES = frozenset({"mine", "decide"})
_MAX_SEQ = 10**18 - 1

_APPROVERS = frozenset({APPROVALS_SCOPE})

ApprovalId = Annotated[
    str, Path(min_length=1, max_length=100, description="approval_id of a 202 answer.", examples=["apr_5kq2"])
]


def _list(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items per page.", examples=[50])] = LIMIT,
    cursor: Annotated[
        Annotated[str, Field(max_length=2000)] | SkipJsonSchema[None],
        Query(description="next_cursor of the page before."),
    ] = None,
    state: Annotated[
        wire.ApprovalState | SkipJsonSchema[None],
        Query(description="Only approvals in this state.", examples=["pending"]),
    ] = None,
    role: Annotated[
        Literal["mine", "decide"] | SkipJsonSchema[None],
        Query(description="mine: those you asked for; decide: those of others. Both without it.", examples=["mine"]),
    ] = None,
) -> None: ...


def _get(
    approval_id: ApprovalId,
    wait_seconds: Annotated[
        int,
        Query(
            ge=0,
            le=MAX_WAIT_S,
            description="Wait so long for a decision or an outcome. Same as Prefer: wait=N.",
            examples=[0],
        ),
    ] = 0,
) -> None: ...


def _preview(approval_id: ApprovalId) -> None: ...


def _decide(approval_id: ApprovalId, body: wire.DecisionBody) -> None: ...


def _end(approval_id: ApprovalId, body: wire.ReasonBody) -> None: ...


def _execute(approval_id: ApprovalId, body: wire.ExecuteBody) -> None: ...


def _stream(
    after: Annotated[
        Annotated[int, Field(ge=0, le=_MAX_SEQ)] | SkipJsonSchema[None],
        Query(description="The last id that you saw. Same as the header Last-Event-ID.", examples=[0]),
    ] = None,
) -> None: ...


def _parse_list(arrived: Arrived) -> ListApprovals:
    query = QueryString(arrived.query, frozenset({"limit", "cursor", "state", "role"}))
    return ListApprovals(
        limit=query.integer("limit", default=LIMIT, low=1, high=MAX_LIMIT),
        cursor=query.text("cursor", max_chars=2000),
        state=query.word("state", _STATES),
        role=query.word("role", _ROLES),
    )


def _parse_get(arrived: Arrived) -> GetApproval:
    query = QueryString(arrived.query, frozenset({"wait_seconds"}))
    preferred = preferred_wait_s(arrived.headers)
    return GetApproval(
        approval_id=_id(arrived),
        wait_seconds=query.integer("wait_seconds", default=preferred, low=0, high=MAX_WAIT_S),
    )


def _parse_preview(arrived: Arrived) -> PreviewApproval:
    QueryString(arrived.query, frozenset())
    return PreviewApproval(approval_id=_id(arrived))


def _parse_decide(arrived: Arrived) -> DecideApproval:
    QueryString(arrived.query, frozenset())
    body = body_of(wire.DecisionBody, arrived.body, arrived.headers)
    return DecideApproval(
        approval_id=_id(arrived), decision=Decision(body.decision), reason=body.reason, digest=body.digest
    )


def _parse_cancel(arrived: Arrived) -> CancelApproval:
    QueryString(arrived.query, frozenset())
    body = body_of(wire.ReasonBody, arrived.body, arrived.headers)
    return CancelApproval(approval_id=_id(arrived), reason=body.reason)


def _parse_revoke(arrived: Arrived) -> RevokeApproval:
    QueryString(arrived.query, frozenset())
    body = body_of(wire.ReasonBody, arrived.body, arrived.headers)
    return RevokeApproval(approval_id=_id(arrived), reason=body.reason)


def _parse_execute(arrived: Arrived) -> ExecuteApproval:
    QueryString(arrived.query, frozenset())
    body = body_of(wire.ExecuteBody, arrived.body, arrived.headers)
    return ExecuteApproval(
        approval_id=_id(arrived), idempotency_key=idempotency_key(body.idempotency_key, arrived.headers)
    )


def _parse_stream(arrived: Arrived) -> StreamApprovals:
    query = QueryString(arrived.query, frozenset({"after"}))
    after = query.integer("after", default=-1, low=0, high=_MAX_SEQ)
    seen = arrived.headers.get(b"last-event-id")
    if seen is None or after >= 0:
        return StreamApprovals(after=None if after < 0 else after)
    if not seen.isdigit() or len(seen) > len(str(_MAX_SEQ)):
        wrong = FieldError(pointer="header/Last-Event-ID", detail="must be an id of this stream")
        raise InvalidRequest("Last-Event-ID must be an id that this stream gave: leave it out.", errors=(wrong,))
    return StreamApprovals(after=int(seen))


def _id(arrived: Arrived) -> str:
    return arrived.path_args["approval_id"]


def _approver(name: str, path: str, **given: Any) -> Endpoint:
    return Endpoint(name=name, path=path, scopes=_APPROVERS, tag=APPROVERS_TAG, **given)


APPROVAL_ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        name="list_approvals",
        method="GET",
        path="/v1/approvals",
        scopes=ANY_SCOPE,
        parse=_parse_list,
        reads_body=False,
        signature=_list,
        answers={200: wire.ApprovalsAnswer},
        summary="Approvals you asked for, or may decide",
        description="Newest first. Example: GET /v1/approvals?state=pending",
        problems=(422,),
        links={200: {"approval": to_approval("$response.body#/approvals/0/approval_id")}},
    ),
    # Before get_approval: the door takes the first path that fits.
    _approver(
        "stream_approvals",
        "/v1/approvals/events",
        method="GET",
        parse=_parse_stream,
        reads_body=False,
        signature=_stream,
        answers={200: None},
        media_type=EVENTS,
        waits=True,
        summary="Follow what happens to approvals",
        description="Server-sent events named approval for those who may decide, as long as they may: id, happening, "
        "state, who, what, when, and nothing of the statement. The header Last-Event-ID, or after, resumes; a comment "
        "every 15 seconds shows that the stream lives. The receipt is in the header X-Receipt. "
        "Example: GET /v1/approvals/events?after=0",
        problems=(422,),
    ),
    Endpoint(
        name="get_approval",
        method="GET",
        path="/v1/approvals/{approval_id}",
        scopes=ANY_SCOPE,
        parse=_parse_get,
        reads_body=False,
        signature=_get,
        answers={200: wire.ApprovalAnswer},
        summary="One approval: its state and your next step",
        description="What was asked, on which terms it can be approved, what happened so far, and in next_step what "
        "you can do now. With wait_seconds the answer comes as soon as it is decided, or has run. "
        "Example: GET /v1/approvals/apr_5kq2",
        problems=(422,),
        waits=True,
    ),
    Endpoint(
        name="execute_approval",
        method="POST",
        path="/v1/approvals/{approval_id}/execute",
        scopes=ANY_SCOPE,
        parse=_parse_execute,
        reads_body=True,
        signature=_execute,
        answers={200: wire.ExecutedAnswer},
        summary="Run exactly what was approved",
        description="Once, or as often as its terms say: the stored request runs as it was approved, with nothing new "
        "from you. Only for whoever asked, through the same client. 409 says why not: not approved yet, used, expired, "
        'changed and back with the approvers. Example body: {"idempotency_key": null}',
        problems=(408, 409, 412, 413, 415, 422, 507),
    ),
    Endpoint(
        name="cancel_approval",
        method="POST",
        path="/v1/approvals/{approval_id}/cancel",
        scopes=ANY_SCOPE,
        parse=_parse_cancel,
        reads_body=True,
        signature=_end,
        answers={200: wire.ApprovalAnswer},
        summary="Take your request back",
        description="As long as it waits or was not used yet. Only for whoever asked. "
        'Example body: {"reason": "No longer needed."}',
        problems=(408, 409, 413, 415, 422),
    ),
    _approver(
        "preview_approval",
        "/v1/approvals/{approval_id}/preview",
        method="GET",
        parse=_parse_preview,
        reads_body=False,
        signature=_preview,
        answers={200: wire.PreviewAnswer},
        summary="What would leave, exactly",
        description="The answer that is held for this request: on approval these very bytes are released, otherwise "
        "they are destroyed. For its approvers, never for whoever asked. 404 where nothing is held. "
        "Example: GET /v1/approvals/apr_5kq2/preview",
        problems=(409, 422),
    ),
    _approver(
        "decide_approval",
        "/v1/approvals/{approval_id}/decision",
        method="POST",
        parse=_parse_decide,
        reads_body=True,
        signature=_decide,
        answers={200: wire.ApprovalAnswer},
        summary="Approve or reject",
        description="For its approvers, never for whoever asked, nor through their agents. Give the digest of what you "
        "looked at. Example body: "
        '{"decision": "approve", "reason": "Order 42 was withdrawn, ticket 815."}',
        problems=(408, 409, 413, 415, 422),
    ),
    _approver(
        "revoke_approval",
        "/v1/approvals/{approval_id}/revoke",
        method="POST",
        parse=_parse_revoke,
        reads_body=True,
        signature=_end,
        answers={200: wire.ApprovalAnswer},
        summary="Take an approval back",
        description="For its approvers, before it is used up: no use begins any more, and what is held is destroyed. "
        'Example body: {"reason": "Approved by mistake."}',
        problems=(408, 409, 413, 415, 422),
    ),
)
