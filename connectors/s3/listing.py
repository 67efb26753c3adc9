"""A page of names: as many requests as it takes until it is full or the bucket ends."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.contract import ObjectInfo, ObjectPage
from connectors.object_keys import is_folded, is_key
from connectors.s3.client import Client
from connectors.s3.facts import bare, moment

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

_MOST_PER_REQUEST = 1_000


async def page_of(client: Client, bucket: str, prefix: str, *, after: str, limit: int, shallow: bool) -> ObjectPage:
    """The order of names is the store's. Amazon's is that of their UTF-8 bytes; a store that sorts folder by folder
    (SeaweedFS) may, with `shallow`, give a name again on the next page, but leaves none out."""
    if after > prefix and not after.startswith(prefix):
        return ObjectPage(objects=())
    # botocore asks for names in percent-encoding and decodes them: XML 1.0 has no way to write some characters.
    wanted: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix}
    if after and after >= prefix:
        wanted["StartAfter"] = after
    if shallow:
        wanted["Delimiter"] = "/"
    objects: list[ObjectInfo] = []
    prefixes: list[str] = []
    while True:
        # Full requests, cut afterwards: among many names that are no keys, small ones would be as many. Folded names
        # come in a list of their own, where a cut could not tell what came first.
        missing = limit - len(objects) - len(prefixes) if shallow else limit
        part = await client.call(_Listing({**wanted, "MaxKeys": min(missing, _MOST_PER_REQUEST)}))
        objects += part.objects
        # Names below a prefix come behind it: Amazon gives the prefix again that `after` is or lies below.
        prefixes += [name for name in part.prefixes if not after.startswith(name)]
        if part.following is None or len(objects) + len(prefixes) >= limit:
            more = part.following is not None or len(objects) > limit
            return ObjectPage(objects=tuple(objects[:limit]), prefixes=tuple(prefixes), more=more)
        wanted["ContinuationToken"] = part.following


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What one request gave. `following`: the store's word for what comes next."""

    objects: list[ObjectInfo]
    prefixes: list[str]
    following: str | None


class _Listing:
    def __init__(self, request: dict[str, Any]) -> None:
        self._request = request

    def __call__(self, client: "S3Client") -> _Part:
        listed = client.list_objects_v2(**self._request)
        return _Part(
            objects=[
                ObjectInfo(key=o["Key"], size=o["Size"], etag=bare(o["ETag"]), last_modified=moment(o["LastModified"]))
                for o in listed.get("Contents", ())
                if is_key(o["Key"])
            ],
            prefixes=[p["Prefix"] for p in listed.get("CommonPrefixes", ()) if is_folded(p["Prefix"])],
            following=listed["NextContinuationToken"] if listed["IsTruncated"] else None,
        )
