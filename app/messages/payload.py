"""What a caller sends as one message: its body as bytes, its headers and its key. Parsed once, and well formed from
then on; what is in it is for app.messages.guard to say.

Bodies are compact JSON with sorted member names, or text in UTF-8, or the very bytes that were sent as base64.
"""

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from pydantic_core import from_json

MAX_DEPTH = 64
MAX_HEADERS = 32
MAX_HEADER_NAME_CHARS = 64
MAX_HEADER_VALUE_CHARS = 1_024
MAX_KEY_CHARS = 128
JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain"

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
_HEADER_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_OF_THE_BROKER = re.compile(
    r"(?:nats|ce|douane|x-amz|x-aws|x-amzn|x-opt|x-dead-letter|x-first-death|x-last-death|x-stream|x-douane|proxy|sec)-.*"
    r"|x-(?:death|delay|delivery-count|delivery-limit|expires|max-length|message-ttl|match|priority|received-from"
    r"|single-active-consumer|shovelled)|dedup-id|message-id|cc|bcc|connection|content-encoding|content-length|content-type|cookie|host"
    r"|authorization|keep-alive|set-cookie|te|trailer|transfer-encoding|upgrade"
)
"""Names that a broker, a hop on the way or our own connectors act upon: with one of them a message could route or
expire itself, or pass for another one with whoever knows messages again by their ids."""


class Form(StrEnum):
    JSON = "json"
    TEXT = "text"
    BINARY = "binary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """`pointer` into the request body (RFC 6901); `detail` quotes no value."""

    pointer: str
    detail: str


class Misfit(Exception):  # noqa: N818 - names what the message is
    """Not well formed, whoever sends it to whichever topic."""

    def __init__(self, *complaints: Complaint) -> None:
        super().__init__("; ".join(complaint.detail for complaint in complaints))
        self.complaints = complaints


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """`value`: of JSON any value, of text a str, of binary bytes. `spelled`: JSON that came as text. `member`: of the
    request body that brought it: pointers into it begin there."""

    form: Form
    value: Any
    content_type: str
    spelled: bool = False

    @property
    def member(self) -> str:
        match self.form:
            case Form.JSON:
                return "text" if self.spelled else "payload"
            case Form.TEXT:
                return "text"
            case Form.BINARY:
                return "base64"


def payload_of(payload: Any, text: str | None, base64: str | None, content_type: str | None) -> Payload:
    """Exactly one of the first three is there. Text of a JSON type is JSON. Raises Misfit."""
    given = [name for name, value in (("payload", payload), ("text", text), ("base64", base64)) if value is not None]
    if len(given) != 1:
        raise Misfit(
            Complaint(pointer="", detail="needs exactly one of payload (JSON), text, or base64 with content_type")
        )
    kind = None if content_type is None else _media_type(content_type)
    if payload is not None:
        if kind is not None and not is_json(kind):
            raise _unfit("/content_type", "payload is JSON: leave content_type out, or name a JSON type")
        return Payload(form=Form.JSON, value=payload, content_type=kind or JSON_TYPE)
    if text is not None:
        if kind is not None and is_json(kind):
            return Payload(form=Form.JSON, value=_spelled(text), content_type=kind, spelled=True)
        if kind is not None and not kind.startswith("text/"):
            raise _unfit("/content_type", "text needs a type that begins with text/, or a JSON type")
        return Payload(form=Form.TEXT, value=text, content_type=kind or TEXT_TYPE)
    if kind is None:
        raise _unfit("/content_type", "base64 needs the content_type of what it holds")
    try:
        content = b64decode(base64 or "", validate=True)
    except (binascii.Error, ValueError):
        raise _unfit("/base64", "must be base64 (RFC 4648, section 4, with padding)") from None
    return Payload(form=Form.BINARY, value=content, content_type=kind)


def is_media_type(text: str) -> bool:
    """Without parameters, in lower case."""
    return _MEDIA_TYPE.fullmatch(text) is not None


def is_json(content_type: str) -> bool:
    return content_type == JSON_TYPE or content_type.endswith("+json")


def encoded(form: Form, value: Any) -> bytes:
    """The body. Raises Misfit for what JSON or UTF-8 cannot say."""
    try:
        match form:
            case Form.BINARY:
                return bytes(value)
            case Form.TEXT:
                return str(value).encode()
            case Form.JSON:
                return json_bytes(value)
    except (UnicodeEncodeError, RecursionError, ValueError, TypeError):
        raise _unfit("/payload", "must be JSON: no lone surrogates, NaN or infinities, no endless nesting") from None


def json_bytes(value: Any) -> bytes:
    """Compact, member names sorted. Raises ValueError, TypeError, UnicodeEncodeError, RecursionError."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        # It refuses the integers beyond 64 bits that JSON has.
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
        return text.encode()


def headers_of(
    headers: Mapping[str, str], *, allowed: Sequence[str] | None = None, max_bytes: int = 8_192
) -> dict[str, str]:
    """By name, sorted. `allowed`: names that this topic takes, None: any. Raises Misfit."""
    if len(headers) > MAX_HEADERS:
        raise _unfit("/headers", f"at most {MAX_HEADERS} headers")
    complaints = [each for name, value in headers.items() for each in _header_complaints(name, value, allowed)]
    if complaints:
        raise Misfit(*complaints)
    if sum(len(name) + len(value) for name, value in headers.items()) > max_bytes:
        raise _unfit("/headers", f"at most {max_bytes} bytes of names and values together")
    return dict(sorted(headers.items()))


def _header_complaints(name: str, value: str, allowed: Sequence[str] | None) -> list[Complaint]:
    if len(name) > MAX_HEADER_NAME_CHARS or not _HEADER_NAME.fullmatch(name):
        wrong = f"names are made of a-z, 0-9 and -, at most {MAX_HEADER_NAME_CHARS} characters"
        return [Complaint(pointer="/headers", detail=wrong)]
    pointer = f"/headers/{name}"
    if _OF_THE_BROKER.fullmatch(name):
        return [Complaint(pointer=pointer, detail="is the broker's own, or a hop's: choose another name")]
    if allowed is not None and name not in allowed:
        return [Complaint(pointer=pointer, detail="is not among the headers that this topic takes")]
    if len(value) > MAX_HEADER_VALUE_CHARS or not _PRINTABLE.fullmatch(value) or value != value.strip():
        wrong = (
            f"must be printable ASCII without space at its ends, at most {MAX_HEADER_VALUE_CHARS} characters: put "
            "other text into the payload"
        )
        return [Complaint(pointer=pointer, detail=wrong)]
    return []


def key_of(key: str | None) -> str | None:
    """What orders or partitions. Raises Misfit."""
    if key is not None and (not 1 <= len(key) <= MAX_KEY_CHARS or not _PRINTABLE.fullmatch(key) or " " in key):
        raise _unfit("/key", f"must be printable ASCII without spaces, 1 to {MAX_KEY_CHARS} characters")
    return key


def pointer_to(*parts: str | int) -> str:
    """RFC 6901."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _spelled(text: str) -> Any:
    try:
        return from_json(text.encode(), allow_inf_nan=False)
    except ValueError:
        raise _unfit("/text", "must be JSON, as content_type says") from None


def _media_type(text: str) -> str:
    """Without parameters but for the one that changes nothing (charset=utf-8)."""
    kind, _, rest = text.partition(";")
    kind = kind.strip().lower()
    if not is_media_type(kind) or rest.strip().lower() not in ("", "charset=utf-8", 'charset="utf-8"'):
        raise _unfit("/content_type", "must be a media type such as application/json, without parameters")
    return kind


def _unfit(pointer: str, detail: str) -> Misfit:
    return Misfit(Complaint(pointer=pointer, detail=detail))
