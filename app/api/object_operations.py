"""The operations on objects: keys come as they were sent, bodies as envelopes or as bytes."""

import base64
import binascii
import re
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from app.api import wire_objects as wire
from app.api.endpoint import (
    ANY,
    FILES_TAG,
    JSON,
    LIMIT,
    MAX_LIMIT,
    OBJECTS_SCOPE,
    Arrived,
    Endpoint,
    to_approval,
)
from app.api.incoming import BodyStream
from app.api.reading import MAX_WAIT_S, QueryString, body_of, body_too_large, idempotency_key, preferred_wait_s
from app.gateway.errors import FieldError, InvalidRequest
from app.gateway.object_commands import Body, DeleteObject, FetchContent, FetchObject, ListObjects, PutObject
from app.objects.keys import KeyRefused, ObjectKey, decoded, parse_key, parse_prefix

_SCOPES = frozenset({OBJECTS_SCOPE})
_FETCHING = frozenset({"unmask", "purpose", "wait_seconds"})
_CHANGING = frozenset({"if_match", "if_none_match", "purpose", "wait_seconds", "idempotency_key", "content_type"})
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")
_ETAG = re.compile(r'(?:W/)?"([^"]*)"')

Connection = Annotated[
    str,
    Path(min_length=1, max_length=100, description="Name of a connection, see list_connections.", examples=["files"]),
]
KeyPath = Annotated[
    str,
    Path(
        min_length=1,
        max_length=1_024,
        description="The object's key. Slashes may come as they are or as %2F: it is decoded exactly once.",
        examples=["customers/2026.csv"],
    ),
]
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
_Etag = Annotated[str, Field(max_length=200)]
IfMatch = Annotated[_Etag | SkipJsonSchema[None], Query(description="Only the object with this ETag.")]
KeyParam = Annotated[str, Field(min_length=1, max_length=255)]


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


def _put(connection: Connection, key: KeyPath, body: wire.PutBody) -> None: ...


def _delete(
    connection: Connection,
    key: KeyPath,
    if_match: IfMatch = None,
    purpose: PurposeParam = None,
    wait_seconds: WaitParam = None,
    idempotency_key: Annotated[
        KeyParam | SkipJsonSchema[None], Query(description="Same as the Idempotency-Key header.")
    ] = None,
) -> None: ...


def _parse_list(arrived: Arrived) -> ListObjects:
    query = QueryString(arrived.query, frozenset({"prefix", "shallow", "limit", "cursor"}))
    try:
        prefix = parse_prefix(query.text("prefix", max_chars=1_024) or "")
    except KeyRefused as refused:
        raise _bad_key(refused, "query/prefix") from refused
    return ListObjects(
        connection=arrived.path_args["connection"],
        prefix=prefix,
        limit=query.integer("limit", default=LIMIT, low=1, high=MAX_LIMIT),
        shallow=query.word("shallow", frozenset({"true", "false"})) == "true",
        cursor=query.text("cursor", max_chars=4_000),
    )


def _parse_fetch(arrived: Arrived) -> FetchObject:
    query = QueryString(arrived.query, _FETCHING)
    return _fetching(arrived, query, _key(arrived))


def _parse_fetch_by_key(arrived: Arrived) -> FetchObject:
    query = QueryString(arrived.query, _FETCHING | {"key"})
    sent = query.text("key", max_chars=1_024)
    if sent is None:
        raise InvalidRequest(
            "Query parameter 'key': it is missing.", errors=(FieldError(pointer="query/key", detail="is missing"),)
        )
    try:
        key = parse_key(sent)
    except KeyRefused as refused:
        raise _bad_key(refused, "query/key") from refused
    return _fetching(arrived, query, key)


def _parse_content(arrived: Arrived) -> FetchContent:
    fetch = _parse_fetch(arrived)
    header = arrived.headers.get
    if_range = header(b"if-range")
    return FetchContent(
        fetch=fetch,
        if_none_match=_etags(header(b"if-none-match")),
        span=_span(header(b"range")),
        # A date, or a weak tag, never matches: then the whole content comes.
        if_range=None if if_range is None else if_range.decode("latin-1").strip().strip('"'),
    )


def _parse_put(arrived: Arrived) -> PutObject:
    key = _key(arrived)
    if arrived.stream is not None:
        return _streamed(arrived, key, arrived.stream)
    QueryString(arrived.query, frozenset())
    body = body_of(wire.PutBody, arrived.body, arrived.headers)
    return PutObject(
        connection=arrived.path_args["connection"],
        key=key,
        body=_inline(body),
        content_type=body.content_type,
        if_match=_tag(body.if_match, arrived.headers, b"if-match"),
        if_absent=_absent(body.if_none_match, arrived.headers),
        purpose=body.purpose,
        idempotency_key=idempotency_key(body.idempotency_key, arrived.headers),
        wait_seconds=preferred_wait_s(arrived.headers) if body.wait_seconds is None else body.wait_seconds,
    )


def _streamed(arrived: Arrived, key: ObjectKey, stream: BodyStream) -> PutObject:
    """The body is the content itself; everything else stands in headers and the query."""
    query = QueryString(arrived.query, _CHANGING)
    return PutObject(
        connection=arrived.path_args["connection"],
        key=key,
        body=stream.chunks,
        content_type=query.text("content_type", max_chars=200) or stream.content_type or None,
        if_match=_tag(query.text("if_match", max_chars=200), arrived.headers, b"if-match"),
        if_absent=_absent(query.word("if_none_match", frozenset({"*"})), arrived.headers),
        purpose=query.text("purpose", max_chars=500),
        idempotency_key=idempotency_key(query.text("idempotency_key", max_chars=255), arrived.headers),
        wait_seconds=_wait_s(query, arrived.headers),
    )


def _parse_delete(arrived: Arrived) -> DeleteObject:
    query = QueryString(arrived.query, frozenset({"if_match", "purpose", "wait_seconds", "idempotency_key"}))
    return DeleteObject(
        connection=arrived.path_args["connection"],
        key=_key(arrived),
        if_match=_tag(query.text("if_match", max_chars=200), arrived.headers, b"if-match"),
        purpose=query.text("purpose", max_chars=500),
        idempotency_key=idempotency_key(query.text("idempotency_key", max_chars=255), arrived.headers),
        wait_seconds=_wait_s(query, arrived.headers),
    )


def _key(arrived: Arrived) -> ObjectKey:
    try:
        return parse_key(decoded(arrived.path_args["key"].encode("latin-1")))
    except KeyRefused as refused:
        raise _bad_key(refused, "path/key") from refused


def _bad_key(refused: KeyRefused, pointer: str) -> InvalidRequest:
    return InvalidRequest(
        refused.detail, code="key_invalid", errors=(FieldError(pointer=pointer, detail=refused.code.value),)
    )


def _fetching(arrived: Arrived, query: QueryString, key: ObjectKey) -> FetchObject:
    labels = (query.text("unmask", max_chars=500) or "").split(",")
    return FetchObject(
        connection=arrived.path_args["connection"],
        key=key,
        unmask=tuple(sorted({label.strip() for label in labels if label.strip()})),
        purpose=query.text("purpose", max_chars=500),
        wait_seconds=_wait_s(query, arrived.headers),
    )


def _wait_s(query: QueryString, headers: Mapping[bytes, bytes]) -> int:
    return query.integer("wait_seconds", default=preferred_wait_s(headers), low=0, high=MAX_WAIT_S)


def _etags(sent: bytes | None) -> frozenset[str]:
    if sent is None:
        return frozenset()
    text = sent.decode("latin-1").strip()
    return frozenset({"*"}) if text == "*" else frozenset(_ETAG.findall(text))


def _span(sent: bytes | None) -> tuple[int | None, int | None] | None:
    """One range of bytes. Of anything else the whole comes, as RFC 9110 (14.2) lets a server do."""
    found = _RANGE.fullmatch(sent.decode("latin-1").replace(" ", "")) if sent is not None else None
    if found is None:
        return None
    if found[3] is not None:
        return (None, int(found[3]))
    last = int(found[2]) if found[2] else None
    return None if last is not None and last < int(found[1]) else (int(found[1]), last)


def _tag(twin: str | None, headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    sent = headers.get(name)
    if sent is None:
        return None if twin is None else twin.strip().removeprefix("W/").strip('"')
    found = _etags(sent)
    if len(found) != 1 or (twin is not None and {twin.strip('"')} != found):
        raise InvalidRequest(
            "If-Match must name one ETag and agree with `if_match`.",
            errors=(FieldError(pointer="header/If-Match", detail="one ETag in quotes"),),
        )
    return next(iter(found))


def _absent(twin: str | None, headers: Mapping[bytes, bytes]) -> bool:
    sent = headers.get(b"if-none-match")
    if sent is not None and sent.strip() != b"*":
        raise InvalidRequest(
            "If-None-Match of a put can only be *: there must be no object yet.",
            errors=(FieldError(pointer="header/If-None-Match", detail="must be *"),),
        )
    return sent is not None or twin is not None


def _inline(body: wire.PutBody) -> Body:
    if body.encoding == "base64":
        try:
            content = base64.b64decode(body.content, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidRequest(
                "content is not base64: send text with encoding utf-8, or valid base64.",
                errors=(FieldError(pointer="/content", detail="must be base64"),),
            ) from error
    else:
        try:
            content = body.content.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InvalidRequest(
                "content holds half a character (a lone surrogate): send whole text, or base64.",
                errors=(FieldError(pointer="/content", detail="must be text that UTF-8 can hold"),),
            ) from error

    async def pieces(max_bytes: int) -> AsyncIterator[bytes]:
        if len(content) > max_bytes:
            raise body_too_large(max_bytes)
        yield content

    return pieces


def _is_content(headers: Mapping[bytes, bytes]) -> bool:
    return headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower() != b"application/json"


_BYTES: Mapping[str, Any] = {ANY: {"schema": {"type": "string", "format": "binary"}}}
_CHANGED = (408, 409, 412, 413, 415, 422, 507)
_PENDING: Mapping[int, Mapping[str, Any]] = {202: {"approval": to_approval("$response.body#/approval_id")}}

OBJECT_ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        name="list_objects",
        method="GET",
        path="/v1/connections/{connection}/objects",
        scopes=_SCOPES,
        parse=_parse_list,
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
        parse=_parse_fetch,
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
        parse=_parse_fetch_by_key,
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
        parse=_parse_content,
        reads_body=False,
        signature=_fetch,
        answers={200: None, 202: wire.PendingAnswer},
        media_type=ANY,
        produces=_BYTES,
        summary="The content of one object, as bytes",
        description="Streams content of any size. ETag and If-None-Match always; Range where nothing is masked. Masked "
        "content is whole before its first byte leaves. The receipt is in the header X-Receipt. "
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
        parse=_parse_put,
        reads_body=True,
        streams_body=_is_content,
        consumes=_BYTES,
        signature=_put,
        answers={200: wire.PutAnswer, 202: wire.PendingAnswer},
        summary="Write one object",
        description="Content in JSON, or with any other Content-Type the bytes themselves. It is looked through first: "
        "policy may refuse, mask or ask a human for personal data and secrets in it. if_match and if_none_match guard "
        'against overwriting. Example body: {"content": "id,total\\n1,9.90\\n", "content_type": "text/csv"}',
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
        parse=_parse_put,
        reads_body=True,
        streams_body=lambda _headers: True,
        signature=_fetch,
        consumes={**_BYTES, JSON: {"schema": {}}},
        answers={200: wire.PutAnswer, 202: wire.PendingAnswer},
        summary="Write one object from bytes",
        description="Same as put_object, the body being the content whatever its type, JSON included. if_match, "
        "if_none_match, purpose and idempotency_key stand in headers or the query.",
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
        parse=_parse_delete,
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
