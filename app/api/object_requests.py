"""From requests about objects to commands: keys as they were sent, conditions and ranges from headers, bodies."""

import base64
import binascii
import re
from collections.abc import AsyncIterator, Mapping

from app.api import wire_objects as wire
from app.api.endpoint import LIMIT, MAX_LIMIT, Arrived
from app.api.incoming import BodyStream
from app.api.reading import MAX_WAIT_S, QueryString, body_of, body_too_large, idempotency_key, preferred_wait_s
from app.gateway.errors import FieldError, InvalidRequest, UnsupportedMediaType
from app.gateway.object_commands import Body, DeleteObject, FetchContent, FetchObject, ListObjects, PutObject
from app.objects.keys import KeyRefused, ObjectKey, decoded, parse_key, parse_prefix

_FETCHING = frozenset({"unmask", "purpose", "wait_seconds"})
_CHANGING = frozenset({"if_match", "if_none_match", "purpose", "wait_seconds", "idempotency_key", "content_type"})
_UNMODIFIED_SINCE, _MODIFIED_SINCE = "If-Unmodified-Since", "If-Modified-Since"
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")
_ETAG = re.compile(r'(W/)?"([^"]*)"')
_ETAGS = re.compile(rf"[\s,]*{_ETAG.pattern}(?:\s*,[\s,]*{_ETAG.pattern})*[\s,]*")
_STRONG = re.compile(r'"((?!\*")[^"]*)"|(\*)')
"""An asterisk in quotes is no tag of ours, and not the one that stands for any."""


def list_command(arrived: Arrived) -> ListObjects:
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


def fetch_command(arrived: Arrived) -> FetchObject:
    query = QueryString(arrived.query, _FETCHING)
    return _fetching(arrived, query, _key(arrived))


def fetch_by_key_command(arrived: Arrived) -> FetchObject:
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


def content_command(arrived: Arrived) -> FetchContent:
    fetch = fetch_command(arrived)
    header = arrived.headers.get
    if_range = header(b"if-range")
    return FetchContent(
        fetch=fetch,
        if_none_match=_etags(header(b"if-none-match")),
        span=_span(header(b"range")),
        # A date, or a weak tag, never matches: then the whole content comes.
        if_range=None if if_range is None else if_range.decode("latin-1").strip().strip('"'),
    )


def put_command(arrived: Arrived) -> PutObject:
    key = _key(arrived)
    _require_whole(arrived.headers)
    _require_known_conditions(arrived.headers, _UNMODIFIED_SINCE, _MODIFIED_SINCE)
    if arrived.stream is not None:
        return _streamed(arrived, key, arrived.stream)
    QueryString(arrived.query, frozenset())
    body = body_of(wire.PutBody, arrived.body, arrived.headers)
    return PutObject(
        connection=arrived.path_args["connection"],
        key=key,
        body=_inline(body),
        content_type=body.content_type,
        if_match=_tag(body.if_match, arrived.headers, "/if_match"),
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
        if_match=_tag_of_query(query, arrived.headers),
        if_absent=_absent(query.word("if_none_match", frozenset({"*"})), arrived.headers),
        purpose=query.text("purpose", max_chars=500),
        idempotency_key=_idempotency_key(query, arrived.headers),
        wait_seconds=_wait_s(query, arrived.headers),
    )


def delete_command(arrived: Arrived) -> DeleteObject:
    _require_known_conditions(arrived.headers, _UNMODIFIED_SINCE, _MODIFIED_SINCE, "If-None-Match")
    query = QueryString(arrived.query, frozenset({"if_match", "purpose", "wait_seconds", "idempotency_key"}))
    return DeleteObject(
        connection=arrived.path_args["connection"],
        key=_key(arrived),
        if_match=_tag_of_query(query, arrived.headers),
        purpose=query.text("purpose", max_chars=500),
        idempotency_key=_idempotency_key(query, arrived.headers),
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
    _require_known_conditions(arrived.headers, _UNMODIFIED_SINCE)
    labels = (query.text("unmask", max_chars=500) or "").split(",")
    return FetchObject(
        connection=arrived.path_args["connection"],
        key=key,
        unmask=tuple(sorted({label.strip() for label in labels if label.strip()})),
        if_match=_required_etags(arrived.headers.get(b"if-match")),
        purpose=query.text("purpose", max_chars=500),
        wait_seconds=_wait_s(query, arrived.headers),
    )


def _idempotency_key(query: QueryString, headers: Mapping[bytes, bytes]) -> str | None:
    return idempotency_key(query.text("idempotency_key", max_chars=255, may_be_empty=False), headers)


def _wait_s(query: QueryString, headers: Mapping[bytes, bytes]) -> int:
    return query.integer("wait_seconds", default=preferred_wait_s(headers), low=0, high=MAX_WAIT_S)


def _etags(sent: bytes | None) -> frozenset[str]:
    if sent is None:
        return frozenset()
    text = sent.decode("latin-1").strip()
    return frozenset({"*"}) if text == "*" else frozenset(tag for _, tag in _ETAG.findall(text) if tag != "*")


def _required_etags(sent: bytes | None) -> frozenset[str] | None:
    """ETags of which one has to be there; None: no condition. Weak ones never match (RFC 9110, 13.1.1)."""
    if sent is None:
        return None
    text = sent.decode("latin-1").strip()
    if text == "*":
        return frozenset({"*"})
    if _ETAGS.fullmatch(text) is None:
        raise InvalidRequest(
            "If-Match must be * or ETags in quotes: send those that earlier answers had in their header ETag.",
            errors=(FieldError(pointer="header/If-Match", detail="* or ETags in quotes"),),
        )
    return frozenset(tag for weak, tag in _ETAG.findall(text) if not weak and tag != "*")


def _require_known_conditions(headers: Mapping[bytes, bytes], *unknown: str) -> None:
    """Nobody shall take a condition for a guard that is dropped in silence. Raises InvalidRequest."""
    for name in unknown:
        sent = name.lower().encode("ascii") in headers
        # RFC 9110, 13.1.4: beside If-Match it counts for nothing.
        if sent and not (name == _UNMODIFIED_SINCE and b"if-match" in headers):
            raise InvalidRequest(
                f"{name} is not evaluated here, and nothing was done: leave it out, or send If-Match with an ETag.",
                errors=(FieldError(pointer=f"header/{name}", detail="is not supported: send If-Match"),),
            )


def _require_whole(headers: Mapping[bytes, bytes]) -> None:
    """What a put brings is all of the content, and as it is stored. Raises InvalidRequest, UnsupportedMediaType."""
    if b"content-range" in headers:
        raise InvalidRequest(
            "A put replaces the whole object, and a part of it cannot be put: send all of it, without Content-Range.",
            errors=(FieldError(pointer="header/Content-Range", detail="must not be there"),),
        )
    if headers.get(b"content-encoding", b"").strip().lower() not in (b"", b"identity"):
        raise UnsupportedMediaType(
            "Content-Encoding is not undone here: send the bytes as they are to be stored, without it; of compressed "
            "content the key says so by its ending, .gz or .zst.",
            errors=(FieldError(pointer="header/Content-Encoding", detail="must be identity, or not there"),),
        )


def _span(sent: bytes | None) -> tuple[int | None, int | None] | None:
    """One range of bytes. Of anything else the whole comes, as RFC 9110 (14.2) lets a server do."""
    found = _RANGE.fullmatch(sent.decode("latin-1").replace(" ", "")) if sent is not None else None
    if found is None:
        return None
    if found[3] is not None:
        return (None, int(found[3]))
    last = int(found[2]) if found[2] else None
    return None if last is not None and last < int(found[1]) else (int(found[1]), last)


def _tag_of_query(query: QueryString, headers: Mapping[bytes, bytes]) -> str | None:
    return _tag(query.text("if_match", max_chars=200, may_be_empty=False), headers, "query/if_match")


def _tag(twin: str | None, headers: Mapping[bytes, bytes], pointer: str) -> str | None:
    """The one ETag that has to be there, "*" for any. A weak one never matches (RFC 9110, 13.1.1). `pointer`: to the
    twin, which may come without quotes."""
    sent = headers.get(b"if-match")
    named = None if sent is None else _strong(sent.decode("latin-1"), "header/If-Match")
    if twin is None:
        return named
    twin = twin.strip()
    also = _strong(twin if twin == "*" or '"' in twin else f'"{twin}"', pointer)
    if named not in (None, also):
        raise _not_one_tag(pointer)
    return also


def _strong(text: str, pointer: str) -> str:
    found = _STRONG.fullmatch(text.strip())
    if found is None:
        raise _not_one_tag(pointer)
    return found[1] if found[2] is None else found[2]


def _not_one_tag(pointer: str) -> InvalidRequest:
    return InvalidRequest(
        "If-Match must name one strong ETag (in quotes, without W/), or *, and agree with `if_match`: send the ETag of "
        "a listing, of raw content or of the answer to a put.",
        errors=(FieldError(pointer=pointer, detail="one strong ETag, or *"),),
    )


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


def is_content(headers: Mapping[bytes, bytes]) -> bool:
    return headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower() != b"application/json"
