"""What an answer of the store says about an object."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connectors.contract import ObjectInfo


def info_of(key: str, answer: Mapping[str, Any], *, size: int | None = None) -> ObjectInfo:
    """Of an answer to HEAD, or to GET with the `size` of the whole object. Raises KeyError or
    ValueError where it was cut."""
    return ObjectInfo(
        key=key,
        size=answer["ContentLength"] if size is None else size,
        etag=bare(answer["ETag"]),
        last_modified=moment(answer["LastModified"]),
        content_type=answer.get("ContentType") or None,
        version=answer.get("VersionId"),
    )


def bare(etag: str) -> str:
    """Raises ValueError where the answer was cut inside of it."""
    if etag.startswith('"') != (len(etag) > 1 and etag.endswith('"')):
        raise ValueError("an entity tag without its end")
    return etag.strip('"')


def quoted(etag: str) -> str:
    return f'"{etag}"'


def moment(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
