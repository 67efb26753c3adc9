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
        content_encoding=_packed(answer.get("ContentEncoding") or ""),
    )


def _packed(encodings: str) -> str | None:
    """Some stores keep `aws-chunked`, which was only of the upload's way."""
    named = (each.strip() for each in encodings.lower().split(","))
    return ", ".join(each for each in named if each not in ("", "identity", "aws-chunked")) or None


def bare(etag: str) -> str:
    """Raises ValueError where the answer was cut inside of it."""
    if etag.startswith('"') != (len(etag) > 1 and etag.endswith('"')):
        raise ValueError("an entity tag without its end")
    return etag.strip('"')


def quoted(etag: str) -> str:
    return f'"{etag}"'


def moment(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
