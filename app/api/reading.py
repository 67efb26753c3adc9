"""From bytes to commands: everything a request can get wrong in form is found here, after authentication."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from app.api.wire import Body, QueryBody
from app.gateway.command import QueryCommand
from app.gateway.errors import (
    BodyTooLarge,
    FieldError,
    InvalidRequest,
    MalformedJson,
    NotAcceptable,
    Refused,
    UnsupportedMediaType,
)

B = TypeVar("B", bound=Body)
_WHOLE = re.compile(r"[+]?([0-9]{1,18})(?:\.0+)?")
_PREFERRED_WAIT = re.compile(r"""(?:^|,)\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(?:[,;]|$)""", re.IGNORECASE)
_BIG = 2**53
MAX_WAIT_S = 60
"""Longer than that, proxies between us and the client lose patience."""
MAX_DEPTH = 64
"""Levels of nesting in a body; deeper ones serve nobody and break recursive readers."""
_validate: Callable[[Any], QueryBody] = TypeAdapter(QueryBody).validator.validate_python


def require_json(headers: Mapping[bytes, bytes]) -> None:
    kind = headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower()
    if kind != b"application/json":
        raise UnsupportedMediaType("Send the body as JSON with `Content-Type: application/json`.")


def require_acceptable(headers: Mapping[bytes, bytes], media_type: str = "application/json") -> None:
    accept = headers.get(b"accept")
    if media_type == "*/*":
        return
    wanted = media_type.encode("ascii")
    if accept is None or b"*/*" in accept or wanted in accept:
        return
    kinds = {part.split(b";", 1)[0].strip().lower() for part in accept.split(b",")}
    if kinds.isdisjoint({wanted.split(b"/")[0] + b"/*", b"application/problem+json", b""}):
        raise NotAcceptable(f"The answer is {media_type}: send `Accept: {media_type}`, or no Accept header.")


def body_too_large(max_bytes: int) -> Refused:
    return BodyTooLarge(f"The limit is {max_bytes} bytes: send less, and keep large values out of `params`.")


def json_object(body: bytes) -> dict[str, Any]:
    """Raises MalformedJson (undecodable) or InvalidRequest (not an object)."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedJson(
            'The body is not valid JSON in UTF-8: send an object such as {"sql": "SELECT 1"}.'
        ) from error
    if not isinstance(document, dict):
        raise InvalidRequest(
            "The body must be a JSON object.", errors=(FieldError(pointer="", detail="must be an object"),)
        )
    if _has_big_float(document):
        # orjson reads integers beyond 64 bits as floats; this parser keeps them exact.
        exact: dict[str, Any] = from_json(body, allow_inf_nan=False)
        return exact
    return document


def _has_big_float(document: dict[str, Any]) -> bool:
    """Level by level, so that no nesting is too deep for the check itself. Raises InvalidRequest."""
    found = False
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for container in level:
            for item in container.values() if type(container) is dict else container:
                kind = type(item)
                if kind is dict or kind is list:
                    below.append(item)
                elif kind is float and abs(item) >= _BIG:
                    found = True
        if not below:
            return found
        level = below
    raise InvalidRequest(
        f"The body is nested deeper than {MAX_DEPTH} levels: send flatter `params`, or JSON as text.",
        errors=(FieldError(pointer="", detail=f"at most {MAX_DEPTH} levels"),),
    )


def body_of(kind: type[B], body: bytes, headers: Mapping[bytes, bytes]) -> B:
    """Raises UnsupportedMediaType, MalformedJson, InvalidRequest."""
    require_json(headers)
    try:
        return kind.model_validate(json_object(body))
    except ValidationError as error:
        raise _misfit(error) from error


def query_command(connection: str, body: bytes, headers: Mapping[bytes, bytes]) -> QueryCommand:
    require_json(headers)
    try:
        fields = _validate(json_object(body))
    except ValidationError as error:
        raise _misfit(error) from error
    return QueryCommand(
        connection=connection,
        sql=fields.sql,
        params=fields.params or {},
        max_rows=fields.max_rows,
        unmask=tuple(sorted(set(fields.unmask or ()))),
        purpose=fields.purpose,
        cursor=fields.cursor,
        idempotency_key=idempotency_key(fields.idempotency_key, headers),
        dry_run=fields.dry_run or False,
        wait_seconds=preferred_wait_s(headers) if fields.wait_seconds is None else fields.wait_seconds,
    )


def preferred_wait_s(headers: Mapping[bytes, bytes]) -> int:
    """`Prefer: wait=N` (RFC 7240), at most what an answer may wait. A preference that cannot be read is none."""
    sent = headers.get(b"prefer")
    if sent is None:
        return 0
    found = _PREFERRED_WAIT.search(sent.decode("latin-1"))
    return 0 if found is None else min(int(found[1]), MAX_WAIT_S)


def idempotency_key(twin: str | None, headers: Mapping[bytes, bytes]) -> str | None:
    sent = headers.get(b"idempotency-key")
    if sent is None:
        return twin
    key = sent.decode("latin-1").strip().strip('"')
    if not 1 <= len(key) <= 255 or (twin is not None and twin != key):
        raise InvalidRequest(
            "Idempotency-Key must have 1 to 255 characters and agree with `idempotency_key` in the body.",
            errors=(FieldError(pointer="header/Idempotency-Key", detail="1 to 255 characters, same as in the body"),),
        )
    return key


def _misfit(error: ValidationError) -> InvalidRequest:
    errors = tuple(
        FieldError(pointer=_pointer(issue["loc"]), detail=str(issue["msg"]))
        for issue in error.errors(include_input=False, include_url=False, include_context=False)[:20]
    )
    return InvalidRequest(
        "The body does not fit the schema: `errors` names each field; /openapi.json has the schema.", errors=errors
    )


def _pointer(location: Iterable[int | str]) -> str:
    """RFC 6901; parts that pydantic adds for union members are no fields of the body."""
    parts = [
        str(part) for part in location if not (isinstance(part, str) and ("[" in part or part == "function-before"))
    ]
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


class QueryString:
    """Declared parameters of a URL; anything else in it is an error, not silently dropped."""

    def __init__(self, raw: bytes, allowed: frozenset[str]) -> None:
        try:
            pairs = parse_qsl(
                raw.decode("ascii"),
                keep_blank_values=True,
                strict_parsing=bool(raw),
                errors="strict",
                max_num_fields=50,
            )
        except ValueError as error:
            raise InvalidRequest(
                "The query string cannot be decoded: use name=value pairs, percent-encoded UTF-8."
            ) from error
        self._values: dict[str, str] = {}
        for name, value in pairs:
            if name not in allowed:
                raise _query_error(name[:100], f"unknown; known: {', '.join(sorted(allowed)) or 'none'}")
            if name in self._values:
                raise _query_error(name, "given twice")
            self._values[name] = value

    def text(self, name: str, *, max_chars: int, may_be_empty: bool = True) -> str | None:
        """None also for an empty one. `may_be_empty`: False where that would take a guard away."""
        value = self._values.get(name)
        if value is not None and len(value) > max_chars:
            raise _query_error(name, f"at most {max_chars} characters")
        if value == "" and not may_be_empty:
            raise _query_error(name, "must not be empty: give it a value, or leave it out")
        return value or None

    def word(self, name: str, allowed: frozenset[str]) -> str | None:
        value = self._values.get(name)
        if value is not None and value not in allowed:
            raise _query_error(name, f"must be one of {', '.join(sorted(allowed))}")
        return value

    def integer(self, name: str, *, default: int, low: int, high: int) -> int:
        value = self._values.get(name)
        if value is None:
            return default
        found = _WHOLE.fullmatch(value)
        if found is None or not low <= int(found[1]) <= high:
            raise _query_error(name, f"must be an integer from {low} to {high}")
        return int(found[1])


def _query_error(name: str, detail: str) -> InvalidRequest:
    return InvalidRequest(
        f"Query parameter {name!r}: {detail}.", errors=(FieldError(pointer=f"query/{name}", detail=detail),)
    )
