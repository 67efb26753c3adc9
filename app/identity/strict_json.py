"""JSON and base64url that no two readers understand differently: unique keys, no NaN, one spelling of bytes."""

import base64
import binascii
import json
import math
from typing import Any, NoReturn

import orjson

MAX_DEPTH = 16


class NotStrictJson(ValueError):  # noqa: N818
    """Not one JSON object in UTF-8, or one that another parser would read differently."""


class NotBase64Url(ValueError):  # noqa: N818
    """Padding, other alphabets, white space, or bits that no byte comes from."""


def decode_base64url(text: str) -> bytes:
    """Exactly one text gives each byte string: a token cannot be respelt around a deny list."""
    try:
        raw = text.encode("ascii")
        decoded = base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError) as e:
        raise NotBase64Url from e
    if encode_base64url(decoded) != text:
        raise NotBase64Url
    return decoded


def encode_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def parse_object(data: bytes) -> dict[str, Any]:
    try:
        orjson.loads(data)  # refuses invalid UTF-8, lone surrogates and a byte order mark, which json lets through
        value = _DECODER.decode(data.decode("utf-8"))
    except (ValueError, RecursionError) as e:
        raise NotStrictJson from e
    if not isinstance(value, dict) or not _within(value, MAX_DEPTH):
        raise NotStrictJson
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrictJson
    return found


def _refuse_constant(_: str) -> NoReturn:
    raise NotStrictJson


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise NotStrictJson
    return value


def _bounded(text: str) -> int:
    # Beyond 64 bits parsers disagree: some round, some wrap.
    if len(text) > 20:
        raise NotStrictJson
    value = int(text)
    if not -(2**63) <= value < 2**64:
        raise NotStrictJson
    return value


def _within(value: Any, depth: int) -> bool:
    match value:
        case dict():
            return depth > 0 and all(_within(item, depth - 1) for item in value.values())
        case list():
            return depth > 0 and all(_within(item, depth - 1) for item in value)
        case _:
            return True


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_bounded
)
