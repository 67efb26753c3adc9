"""Cursors: where a listing goes on, sealed and bound to who asked for what."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from app.gateway.errors import InvalidCursor

_STEP_BYTES = 256


class Cursors:
    """AES-SIV (RFC 5297) of the position, with the binding beside it; `key` is 32 bytes. Binding: whatever the position
    makes sense for (principal, actor, operation, digest of the query). A cursor shown to somebody else is refused like
    garbage, and nobody reads in one where a listing stands: that may be at something that its caller does not see."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESSIV(key)

    def issue(self, binding: Sequence[str], position: Sequence[Any]) -> str:
        plain = orjson.dumps(list(position))
        # Blanks behind JSON mean nothing, and the length of a name that is not seen shows through no cipher.
        plain += b" " * (-len(plain) % _STEP_BYTES)
        sealed = self._cipher.encrypt(plain, [orjson.dumps(list(binding))])
        return urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")

    def read(self, binding: Sequence[str], cursor: str) -> list[Any]:
        """Raises InvalidCursor."""
        try:
            sealed = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            opened = self._cipher.decrypt(sealed, [orjson.dumps(list(binding))])
        except (ValueError, InvalidTag):
            raise InvalidCursor(
                "This cursor was not issued to you for this request: repeat the request without a cursor."
            ) from None
        position: list[Any] = orjson.loads(opened)
        return position


def digest_of_request(request: object) -> str:
    """Equal for equal requests (any JSON value, integers of any size); not a canonical form for others to check."""
    return sha256(json.dumps(request, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
