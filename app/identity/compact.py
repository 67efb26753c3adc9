"""From the text of a bearer token to header, claims, signed bytes and signature; nothing is believed yet."""

from dataclasses import dataclass
from typing import Any

from app.identity.strict_json import NotBase64Url, NotStrictJson, decode_base64url, parse_object
from app.ports import TokenRefused

MAX_TOKEN_CHARS = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Compact:
    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


def parse(token: str) -> Compact:
    """Raises TokenRefused. The work is bounded by the size cap whatever the text is."""
    if len(token) > MAX_TOKEN_CHARS:
        raise TokenRefused("too_large", f"The token is longer than {MAX_TOKEN_CHARS} characters: ask for fewer claims.")
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):
        raise TokenRefused(
            "not_a_jwt", "Send a signed JWT access token: three parts separated by dots. Encrypted tokens are not read."
        )
    try:
        header_bytes, payload_bytes, signature = map(decode_base64url, parts)
    except NotBase64Url:
        raise TokenRefused(
            "bad_encoding", "A part of the token is not base64url without padding: send it as it was issued."
        ) from None
    try:
        header, claims = parse_object(header_bytes), parse_object(payload_bytes)
    except NotStrictJson:
        raise TokenRefused(
            "bad_json", "Header or claims of the token are not one JSON object with unique names: get a new token."
        ) from None
    signed = token.rpartition(".")[0].encode("ascii")
    return Compact(header=header, claims=claims, signed=signed, signature=signature)
