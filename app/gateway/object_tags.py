"""The ETags that callers see and send: of one state of one object, and nobody can work one out.

A bucket's own ETag is a digest of the content. Who may put or delete where content comes masked could try values
against it with `if_match`, and equal ones would show that two objects hold the same.
"""

import hmac

from connectors.contract import ObjectInfo

_SHOWN = 40
_SECOND = len("2026-11-28T10:00:00")
"""A bucket tells of finer parts in some answers and not in others."""


class ObjectTags:
    """`key` is 32 bytes, and the same in every process of a gateway."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, connection: str, info: ObjectInfo) -> str:
        state = "\0".join((connection, info.key, info.etag, info.last_modified[:_SECOND]))
        return hmac.digest(self._key, state.encode(), "sha256").hex()[:_SHOWN]
