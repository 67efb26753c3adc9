"""What an answer of the store says about an object."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connectors.contract import ObjectInfo


def info_of(key: str, answer: Mapping[str, Any], *, size: int) -> ObjectInfo:
    """Of an answer to HEAD or GET."""
    return ObjectInfo(
        key=key,
        size=size,
        etag=bare(answer["ETag"]),
        last_modified=moment(answer["LastModified"]),
        content_type=answer.get("ContentType") or None,
        version=answer.get("VersionId"),
    )


def bare(etag: str) -> str:
    return etag.strip('"')


def quoted(etag: str) -> str:
    return f'"{etag}"'


def moment(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
