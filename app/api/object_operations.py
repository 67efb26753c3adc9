"""The operations on objects, declared: list, fetch, put, delete; content in JSON, or as bytes."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from app.api import wire_objects as wire
from app.api.endpoint import (
    ANY,
    FILES_TAG,
    LIMIT,
    MAX_LIMIT,
    OBJECTS_SCOPE,
    Endpoint,
    to_approval,
)
from app.api.object_requests import (
    content_command,
    delete_command,
    fetch_by_key_command,
    fetch_command,
    is_content,
    list_command,
    put_command,
)
from app.api.reading import MAX_WAIT_S

_SCOPES = frozenset({OBJECTS_SCOPE})

Connection = Annotated[
    str,
    Path(min_length=1, max_length=100, description="Name of a connection, see list_connections.", examples=["files"]),
]
_KEY = "The object's key. Slashes may come as they are or as %2F: it is decoded exactly once."
KeyPath = Annotated[str, Path(min_length=1, max_length=1_024, description=_KEY, examples=["customers/2026.csv"])]
ChangedKey = Annotated[str, Path(min_length=1, max_length=1_024, description=_KEY, examples=["exports/draft.csv"])]
_Text = Annotated[str, Field(max_length=500)]
Unmask = Annotated[
    _Text | SkipJsonSchema[None],
    Query(description="Labels that you need unmasked, separated by commas. Usually waits for a human."),
]
PurposeParam = Annotated[_Text | SkipJsonSchema[None], Query(description="Why: approvers and auditors read it.")]
WaitParam = Annotated[
    Annotated[int, Field(ge=0, le=MAX_WAIT_S)] | SkipJsonSchema[None],
    Query(description="If a human has to approve first, wait so long for it."),
]
IfMatch = Annotated[
    Annotated[str, Field(min_length=1, max_length=200)] | SkipJsonSchema[None],
    Query(description="Only the object with this ETag."),
]
IdempotencyParam = Annotated[
    Annotated[str, Field(min_length=1, max_length=255)] | SkipJsonSchema[None],
    Query(description="Same as the Idempotency-Key header."),
]


def _list(
    connection: Connection,
    prefix: Annotated[
        Annotated[str, Field(max_length=1_024)] | SkipJsonSchema[None],
        Query(description="What keys begin with, such as customers/", examples=["customers/"]),
    ] = None,
    shallow: Annotated[
        Annotated[str, Field(pattern="^(true|false)$")] | SkipJsonSchema[None],
        Query(description="true: what lies in folders below the prefix is folded into their names."),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items per page.", examples=[50])] = LIMIT,
    cursor: Annotated[
        Annotated[str, Field(max_length=4_000)] | SkipJsonSchema[None],
        Query(description="next_cursor of the page before."),
    ] = None,
) -> None: ...


def _fetch(
    connection: Connection,
    key: KeyPath,
    unmask: Unmask = None,
    purpose: PurposeParam = None,
    wait_seconds: WaitParam = None,
) -> None: ...


def _fetch_by_key(
    connection: Connection,
    key: Annotated[
        str, Query(min_length=1, max_length=1_024, description="The object's key.", examples=["customers/2026.csv"])
    ],
    unmask: Unmask = None,
    purpose: PurposeParam = None,
    wait_seconds: WaitParam = None,
) -> None: ...


def _put(connection: Connection, key: ChangedKey, body: wire.PutBody) -> None: ...


def _put_content(
    connection: Connection,
    key: ChangedKey,
    content_type: Annotated[
        Annotated[str, Field(max_length=200)] | SkipJsonSchema[None],
        Query(description="Media type of the content, instead of the Content-Type header.", examples=["text/csv"]),
    ] = None,
    if_match: IfMatch = None,
    if_none_match: Annotated[
        Annotated[str, Field(pattern=r"^\*$")] | SkipJsonSchema[None],
        Query(description="*: only where there is no object yet."),
    ] = None,
    purpose: PurposeParam = None,
    wait_seconds: WaitParam = None,
    idempotency_key: IdempotencyParam = None,
) -> None: ...


def _delete(
    connection: Connection,
    key: ChangedKey,
    if_match: IfMatch = None,
    purpose: PurposeParam = None,
    wait_seconds: WaitParam = None,
    idempotency_key: IdempotencyParam = None,
) -> None: ...


_SENT: Mapping[str, Any] = {ANY: {"schema": {"type": "string", "format": "binary"}}}
_GIVEN: Mapping[str, Any] = {ANY: {}}
"""No schema: it may be JSON of any form."""
_CHANGED = (408, 409, 412, 413, 415, 422, 507)
_PENDING: Mapping[int, Mapping[str, Any]] = {202: {"approval": to_approval("$response.body#/approval_id")}}

OBJECT_ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        name="list_objects",
        method="GET",
        path="/v1/connections/{connection}/objects",
        scopes=_SCOPES,
        parse=list_command,
        reads_body=False,
        signature=_list,
        answers={200: wire.ObjectsAnswer},
        summary="Objects you can see",
        description="Keys below a prefix, in order, and how the content of each would come: raw, masked, closed. "
        "A page can be shorter than the limit; next_cursor says whether there is more. "
        "Example: GET /v1/connections/files/objects?prefix=customers/",
        problems=(422,),
    ),
    Endpoint(
        name="fetch_object",
        method="GET",
        path="/v1/connections/{connection}/objects/{key}",
        scopes=_SCOPES,
        parse=fetch_command,
        reads_body=False,
        signature=_fetch,
        answers={200: wire.ObjectAnswer, 202: wire.PendingAnswer},
        summary="One object, in JSON",
        description="Its content as you may see it: CSV, TSV, JSON, NDJSON, Parquet, Arrow and text masked by policy, "
        "text as utf-8, other bytes as base64. 202 means that a human has to approve first: call get_approval, then "
        "execute_approval. 413: use fetch_content. Example: GET /v1/connections/files/objects/customers/2026.csv",
        problems=(412, 413, 422),
        tail=True,
        waits=True,
        links=_PENDING,
    ),
    Endpoint(
        name="fetch_object_by_key",
        method="GET",
        path="/v1/connections/{connection}/object",
        scopes=_SCOPES,
        parse=fetch_by_key_command,
        reads_body=False,
        signature=_fetch_by_key,
        answers={200: wire.ObjectAnswer, 202: wire.PendingAnswer},
        summary="One object, in JSON, by a key in the query",
        description="Same as fetch_object, for clients that cannot put slashes into a path. "
        "Example: GET /v1/connections/files/object?key=customers/2026.csv",
        problems=(412, 413, 422),
        waits=True,
        links=_PENDING,
    ),
    Endpoint(
        name="fetch_content",
        method="GET",
        path="/v1/connections/{connection}/content/{key}",
        scopes=_SCOPES,
        tag=FILES_TAG,
        parse=content_command,
        reads_body=False,
        signature=_fetch,
        answers={200: None, 202: wire.PendingAnswer},
        media_type=ANY,
        produces=_GIVEN,
        summary="The content of one object, as bytes",
        description="Streams content of any size. ETag, If-Match, If-None-Match always; Range where nothing is masked. "
        "Masked content is whole before its first byte leaves. The receipt is in the header X-Receipt. "
        "Example: GET /v1/connections/files/content/customers/2026.csv",
        problems=(412, 413, 416, 422),
        tail=True,
        waits=True,
        links=_PENDING,
    ),
    Endpoint(
        name="put_object",
        method="PUT",
        path="/v1/connections/{connection}/objects/{key}",
        scopes=_SCOPES,
        parse=put_command,
        reads_body=True,
        streams_body=is_content,
        signature=_put,
        answers={200: wire.PutAnswer, 202: wire.PendingAnswer},
        summary="Write one object",
        description="Content in JSON; with any Content-Type but application/json the body is the content itself, as in "
        "put_content. It is looked through first: policy may refuse, mask or ask a human for personal data and secrets "
        "in it. if_match and if_none_match guard against overwriting. Example body: "
        '{"content": "id,total\\n1,9.90\\n", "content_type": "text/csv"}',
        problems=_CHANGED,
        tail=True,
        waits=True,
        links=_PENDING,
    ),
    Endpoint(
        name="put_content",
        method="PUT",
        path="/v1/connections/{connection}/content/{key}",
        scopes=_SCOPES,
        tag=FILES_TAG,
        parse=put_command,
        reads_body=True,
        streams_body=lambda _headers: True,
        signature=_put_content,
        consumes=_SENT,
        answers={200: wire.PutAnswer, 202: wire.PendingAnswer},
        summary="Write one object from bytes",
        description="Same as put_object, the body being the content whatever its type, JSON included. if_match, "
        "if_none_match, purpose and idempotency_key stand in headers or the query. "
        "Example: PUT /v1/connections/files/content/exports/draft.csv?content_type=text/csv",
        problems=_CHANGED,
        tail=True,
        waits=True,
        links=_PENDING,
    ),
    Endpoint(
        name="delete_object",
        method="DELETE",
        path="/v1/connections/{connection}/objects/{key}",
        scopes=_SCOPES,
        parse=delete_command,
        reads_body=False,
        signature=_delete,
        answers={200: wire.DeleteAnswer, 202: wire.PendingAnswer},
        summary="Delete one object",
        description="Usually waits for a human: 202. With if_match only the object with that ETag. "
        "Example: DELETE /v1/connections/files/objects/exports/draft.csv",
        problems=(409, 412, 422),
        tail=True,
        waits=True,
        links=_PENDING,
    ),
)
