"""A page of names: as many requests as it takes until it is full or the bucket ends."""

from typing import TYPE_CHECKING, Any

from connectors.contract import ObjectInfo, ObjectPage
from connectors.object_keys import is_folded, is_key
from connectors.s3.client import Client
from connectors.s3.facts import bare, moment

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client
    from types_boto3_s3.type_defs import ListObjectsV2OutputTypeDef

_MOST_PER_REQUEST = 1_000


async def page_of(client: Client, bucket: str, prefix: str, *, after: str, limit: int, shallow: bool) -> ObjectPage:
    """The order of names is the store's. Amazon's is that of their UTF-8 bytes; a store that sorts folder by folder
    (SeaweedFS) may, with `shallow`, give a name again on the next page, but leaves none out."""
    if after > prefix and not after.startswith(prefix):
        return ObjectPage(objects=())
    # botocore asks for names in percent-encoding and decodes them: XML 1.0 has no way to write some characters.
    wanted: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix}
    if after > prefix:
        wanted["StartAfter"] = after
    if shallow:
        wanted["Delimiter"] = "/"
    objects: list[ObjectInfo] = []
    prefixes: list[str] = []
    while True:
        missing = limit - len(objects) - len(prefixes)
        listed = await client.call(_Listing({**wanted, "MaxKeys": min(missing, _MOST_PER_REQUEST)}))
        objects += [
            ObjectInfo(
                key=found["Key"],
                size=found["Size"],
                etag=bare(found["ETag"]),
                last_modified=moment(found["LastModified"]),
            )
            for found in listed.get("Contents", ())
            if is_key(found["Key"])
        ]
        folded = (found["Prefix"] for found in listed.get("CommonPrefixes", ()))
        # Names below a prefix come behind it: Amazon gives the prefix again that `after` is or lies below.
        prefixes += [name for name in folded if is_folded(name) and not after.startswith(name)]
        more = listed["IsTruncated"]
        if not more or len(objects) + len(prefixes) >= limit:
            return ObjectPage(objects=tuple(objects), prefixes=tuple(prefixes), more=more)
        wanted["ContinuationToken"] = listed["NextContinuationToken"]


class _Listing:
    def __init__(self, request: dict[str, Any]) -> None:
        self._request = request

    def __call__(self, client: "S3Client") -> "ListObjectsV2OutputTypeDef":
        return client.list_objects_v2(**self._request)
