"""The operations: one declaration each makes the document, the door's routing table and the scope check."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from app.api import wire
from app.api.approval_operations import APPROVAL_ENDPOINTS
from app.api.delivery_operations import DELIVERY_ENDPOINTS
from app.api.endpoint import (
    AGENTS_TAG,
    ANY,
    ANY_SCOPE,
    EVENTS,
    LIMIT,
    MAX_LIMIT,
    QUERY_SCOPE,
    SCOPES,
    TAGS,
    Arrived,
    Endpoint,
    nothing,
    to_approval,
)
from app.api.message_operations import MESSAGE_ENDPOINTS
from app.api.object_operations import OBJECT_ENDPOINTS
from app.api.reading import QueryString, query_command
from app.gateway.discovery import DescribeConnection, ListConnections

__all__ = ["AGENTS_TAG", "ENDPOINTS", "SCOPES", "TAGS", "Arrived", "Endpoint", "declare"]


class EventStream(Response):
    media_type = EVENTS


_RESPONSES: Mapping[str, type[Response]] = {EVENTS: EventStream, ANY: Response}


class DeclaredRoute(APIRoute):
    """A FastAPI route for the document's sake; the door's ASGI callable takes its place at run time."""


_ALWAYS = (400, 401, 403, 404, 406, 500, 503)

ConnectionName = Annotated[
    str,
    Path(min_length=1, max_length=100, description="Name of a connection, see list_connections.", examples=["shop"]),
]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items per page.", examples=[50])]
CursorParam = Annotated[
    Annotated[str, Field(max_length=2000)] | SkipJsonSchema[None], Query(description="next_cursor of the page before.")
]


def _identity() -> None: ...


def _list_connections(limit: Limit = LIMIT, cursor: CursorParam = None) -> None: ...


def _describe(
    connection: ConnectionName,
    limit: Limit = LIMIT,
    cursor: CursorParam = None,
    table: Annotated[
        Annotated[str, Field(max_length=300)] | SkipJsonSchema[None],
        Query(
            description="Only this table: name or schema.name. Or only this topic or pattern.", examples=["customers"]
        ),
    ] = None,
) -> None: ...


def _query(connection: ConnectionName, body: wire.QueryBody) -> None: ...


def _parse_list_connections(arrived: Arrived) -> ListConnections:
    query = QueryString(arrived.query, frozenset({"limit", "cursor"}))
    return ListConnections(
        limit=query.integer("limit", default=LIMIT, low=1, high=MAX_LIMIT),
        cursor=query.text("cursor", max_chars=2000),
    )


def _parse_describe(arrived: Arrived) -> DescribeConnection:
    query = QueryString(arrived.query, frozenset({"limit", "cursor", "table"}))
    return DescribeConnection(
        connection=arrived.path_args["connection"],
        limit=query.integer("limit", default=LIMIT, low=1, high=MAX_LIMIT),
        cursor=query.text("cursor", max_chars=2000),
        table=query.text("table", max_chars=300),
    )


def _parse_query(arrived: Arrived) -> Any:
    if arrived.query:
        QueryString(arrived.query, frozenset())
    return query_command(arrived.path_args["connection"], arrived.body, arrived.headers)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        name="get_identity",
        method="GET",
        path="/v1/me",
        scopes=frozenset(),
        parse=nothing,
        reads_body=False,
        signature=_identity,
        answers={200: wire.IdentityAnswer},
        summary="Who the gateway thinks you are",
        description="Principal, actor, roles and scopes as read from your token. Example: GET /v1/me",
        problems=(422,),
    ),
    Endpoint(
        name="list_connections",
        method="GET",
        path="/v1/connections",
        scopes=ANY_SCOPE,
        parse=_parse_list_connections,
        reads_body=False,
        signature=_list_connections,
        answers={200: wire.ConnectionsAnswer},
        summary="Connections you can use",
        description="Each with its SQL dialect and the actions that policy may let you take. "
        "Start here. Example: GET /v1/connections",
        problems=(422,),
    ),
    Endpoint(
        name="describe_connection",
        method="GET",
        path="/v1/connections/{connection}",
        scopes=ANY_SCOPE,
        parse=_parse_describe,
        reads_body=False,
        signature=_describe,
        answers={200: wire.DescribeAnswer},
        summary="Tables, objects or topics you can use",
        description="How each column or field will come: raw or masked, and by which mask; of objects and topics also "
        "what may be put or published, with the JSON Schema that payloads must fit. Call it before you write SQL or "
        "publish; the catalogs of the database itself cannot be queried. "
        "Example: GET /v1/connections/shop?table=customers",
        problems=(422,),
    ),
    Endpoint(
        name="query_sql",
        method="POST",
        path="/v1/connections/{connection}/query",
        scopes=frozenset({QUERY_SCOPE}),
        parse=_parse_query,
        reads_body=True,
        signature=_query,
        answers={200: wire.QueryAnswer, 202: wire.QueryAnswer},
        summary="Run one SQL statement",
        description="Runs one statement in the connection's own dialect and answers rows as you may see them: masked, "
        "filtered, limited. 202 means that a human has to approve first and nothing ran: call get_approval with the "
        "approval_id and wait_seconds, then execute_approval. A refusal says what to change. Example body: "
        '{"sql": "SELECT id, email FROM customers WHERE region = :region LIMIT 5", "params": {"region": "north"}}',
        problems=(408, 409, 413, 415, 422),
        waits=True,
        links={202: {"approval": to_approval("$response.body#/approval_id")}},
    ),
    Endpoint(
        name="explain_sql",
        method="POST",
        path="/v1/connections/{connection}/explain",
        scopes=frozenset({QUERY_SCOPE}),
        parse=_parse_query,
        reads_body=True,
        signature=_query,
        answers={200: wire.ExplainAnswer},
        summary="What would happen to a statement",
        description="Decides and rewrites, runs nothing: the effect, the rules that matched, the SQL that would run, "
        "what would be masked, and what to change to be allowed. Example body: "
        '{"sql": "SELECT email FROM customers"}',
        problems=(408, 413, 415, 422),
    ),
    *OBJECT_ENDPOINTS,
    *MESSAGE_ENDPOINTS,
    *APPROVAL_ENDPOINTS,
    *DELIVERY_ENDPOINTS,
)


def declare(app: FastAPI) -> None:
    """Put every endpoint into the document of `app`."""
    for endpoint in ENDPOINTS:
        first = min(endpoint.answers)
        responses: dict[int | str, dict[str, Any]] = {
            status: {"model": model, "description": _ANSWER_TEXT[status]}
            for status, model in endpoint.answers.items()
            if status != first and model is not None
        }
        for status, links in endpoint.links.items():
            responses.setdefault(status, {})["links"] = links
        if 202 in responses:
            responses[202]["headers"] = _headers("Location", "Retry-After", required=True)
        if endpoint.produces is not None:
            responses[first] = {"content": dict(endpoint.produces), "headers": _headers("X-Receipt", required=True)}
        for status in sorted({*_ALWAYS, *endpoint.problems}):
            responses[status] = {
                "description": _PROBLEM_TEXT[status],
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }
            if status == 401:
                responses[status]["headers"] = _headers("WWW-Authenticate", required=True)
            if status in {409, 503}:
                responses[status]["headers"] = _headers("Retry-After", required=False)
        app.router.add_api_route(
            endpoint.path,
            endpoint.signature,
            methods=[endpoint.method],
            operation_id=endpoint.name,
            name=endpoint.name,
            summary=endpoint.summary,
            description=endpoint.description,
            response_model=endpoint.answers[first],
            response_class=_RESPONSES.get(endpoint.media_type, JSONResponse),
            response_description=_ANSWER_TEXT[first],
            status_code=first,
            responses=responses,
            tags=[endpoint.tag],
            openapi_extra=None if endpoint.consumes is None else {"requestBody": {"content": dict(endpoint.consumes)}},
            route_class_override=DeclaredRoute,
        )


def _headers(*names: str, required: bool) -> dict[str, Any]:
    return {name: {**_HEADERS[name], "required": required} for name in names}


_HEADERS: Mapping[str, Mapping[str, Any]] = {
    "Location": {"description": "Same as approval_url in the body.", "schema": {"type": "string"}},
    "Retry-After": {
        "description": "Seconds to wait before the next attempt.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "X-Receipt": {
        "description": "Where this answer stands on the audit log, as JSON.",
        "schema": {"type": "string"},
    },
    "WWW-Authenticate": {
        "description": "Bearer challenge (RFC 6750); resource_metadata says where tokens come from (RFC 9728).",
        "schema": {"type": "string"},
    },
}
_ANSWER_TEXT = {
    200: "The answer, with its receipt on the audit log",
    202: "A human has to approve first; nothing ran",
}
_PROBLEM_TEXT = {
    400: "Undecodable request, or a URL or headers that are too long",
    401: "No valid token",
    403: "Policy, scope or the SQL guard says no; `detail` says what to change",
    404: "Nothing that you may know of, or a cursor of another request",
    406: "Only JSON can be answered",
    408: "The body took too long",
    409: "The state of the approval does not allow it, or the request with this idempotency key is still running",
    412: "The object is not the one that the request names, or changed meanwhile",
    413: "Body or result too large",
    415: "The body must be application/json, or the content is of a type that is not taken here",
    416: "The range lies outside of the object",
    422: "The request or the statement is not valid; `errors` or `detail` say where",
    500: "A fault of the gateway",
    507: "The store has no room",
    503: "Database, store, broker, audit log, approvals or identity provider unavailable: see Retry-After",
}
