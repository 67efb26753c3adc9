"""What the store keeps unreadable: AES-256-GCM under a key of the gateway's, bound to the place where it belongs."""

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12


class Seal:
    """One key for one purpose: `purpose` keeps what two parts of the store seal with the same key apart."""

    __slots__ = ("_cipher", "_purpose")

    def __init__(self, key: bytes, purpose: str) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"the key has {len(key)} bytes; it needs {KEY_BYTES}")
        self._cipher = AESGCM(key)
        self._purpose = purpose.encode()

    def close(self, content: bytes, place: Sequence[bytes]) -> tuple[bytes, bytes]:
        """(nonce, body); `place`: where the body is kept, and whatever else must be as it was for it to open."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce, self._cipher.encrypt(nonce, content, self._bound(place))

    def open(self, nonce: bytes, body: bytes, place: Sequence[bytes]) -> bytes | None:
        """None: damaged, of another place, or of another key."""
        try:
            return self._cipher.decrypt(nonce, body, self._bound(place))
        except (InvalidTag, ValueError):  # ValueError: no nonce at all
            return None

    def _bound(self, place: Sequence[bytes]) -> bytes:
        # Lengths go first, so that no two places have the same bytes
        return b"".join(len(part).to_bytes(8, "big") + part for part in (self._purpose, *place))

    def __repr__(self) -> str:
        return "Seal(…)"
