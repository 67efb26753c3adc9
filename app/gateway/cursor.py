"""Cursors: where a listing goes on, signed and bound to who asked for what."""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import orjson

from app.gateway.errors import InvalidCursor

_TAG_BYTES = 16


class Cursors:
    """HMAC-SHA-256 over (binding, position); `key` is 32 bytes. Binding: whatever the position makes sense for
    (principal, actor, operation, digest of the query). A cursor shown to somebody else is refused like garbage."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, binding: Sequence[str], position: Sequence[Any]) -> str:
        payload = orjson.dumps(list(position))
        return urlsafe_b64encode(self._tag(binding, payload) + payload).rstrip(b"=").decode("ascii")

    def read(self, binding: Sequence[str], cursor: str) -> list[Any]:
        """Raises InvalidCursor."""
        try:
            raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        except ValueError:
            raw = b""
        tag, payload = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not payload or not hmac.compare_digest(tag, self._tag(binding, payload)):
            raise InvalidCursor(
                "This cursor was not issued to you for this request: repeat the request without a cursor."
            )
        position: list[Any] = orjson.loads(payload)
        return position

    def _tag(self, binding: Sequence[str], payload: bytes) -> bytes:
        bound = orjson.dumps(list(binding)) + b"\0" + payload
        return hmac.new(self._key, bound, sha256).digest()[:_TAG_BYTES]


def digest_of_request(request: object) -> str:
    """Equal for equal requests (any JSON value, integers of any size); not a canonical form for others to check."""
    return sha256(json.dumps(request, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
