"""What callers want of objects, once the door has read it. Keys are normalised."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from app.objects.keys import ObjectKey, ObjectPrefix

Body = Callable[[int], AsyncIterator[bytes]]
"""(max_bytes) -> the pieces of what is put; raises Refused when there are more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListObjects:
    connection: str
    prefix: ObjectPrefix
    limit: int
    shallow: bool = False
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchObject:
    """`unmask`: sorted labels. `if_match`: ETags without quotes of which the content has to have one, "*" for any."""

    connection: str
    key: ObjectKey
    unmask: tuple[str, ...] = ()
    if_match: frozenset[str] | None = None
    purpose: str | None = None
    wait_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchContent:
    """`if_none_match`: ETags without quotes, "*" for any. `span`: first and last byte, of which one may be missing: the
    last is then the end, or the first is counted from there. `if_range`: the span counts for this ETag alone."""

    fetch: FetchObject
    if_none_match: frozenset[str] = frozenset()
    span: tuple[int | None, int | None] | None = None
    if_range: str | None = None


@dataclass(slots=True, kw_only=True)
class PutObject:
    """`if_match`: only over the object with this ETag; `if_absent`: only where there is none."""

    connection: str
    key: ObjectKey
    body: Body = field(repr=False)
    content_type: str | None = None
    if_match: str | None = None
    if_absent: bool = False
    purpose: str | None = None
    idempotency_key: str | None = None
    wait_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteObject:
    connection: str
    key: ObjectKey
    if_match: str | None = None
    purpose: str | None = None
    idempotency_key: str | None = None
    wait_seconds: int = 0
