"""Handles of received messages: the broker's own, sealed and bound to whoever received the message."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from app.policy.caller import Caller


class Handles:
    """AES-SIV (RFC 5297) of the broker's handle and its end, with the binding beside it; `key` is 32 bytes. A handle of
    somebody else's, of another topic, or altered, opens no more than garbage does."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESSIV(key)

    def seal(self, binding: Sequence[str], handle: str, expires_at: float) -> str:
        """`expires_at`: wall-clock seconds."""
        sealed = self._cipher.encrypt(orjson.dumps([handle, expires_at]), [orjson.dumps(list(binding))])
        return urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")

    def open(self, binding: Sequence[str], sealed: str, now: float) -> str | None:
        """The broker's handle; None: it was not given to this caller for this topic, or its time is over."""
        try:
            raw = urlsafe_b64decode(sealed.encode("ascii") + b"=" * (-len(sealed) % 4))
            opened = self._cipher.decrypt(raw, [orjson.dumps(list(binding))])
        except (ValueError, InvalidTag):
            return None
        handle, expires_at = orjson.loads(opened)
        return None if expires_at <= now else str(handle)


def binding_of(caller: Caller, connection: str, topic: str) -> tuple[str, ...]:
    through = orjson.dumps([caller.actor, caller.actor_chain, caller.client]).decode()
    return ("handle", caller.issuer, caller.principal, through, connection, topic)
