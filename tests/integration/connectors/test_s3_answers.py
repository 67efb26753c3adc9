"""Answers that a store may give and SeaweedFS does not: Amazon's listings, ranges that are ignored, short bodies."""

import asyncio
import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import ConnectorError, Failure
from connectors.s3.facts import info_of
from connectors.s3.faults import translated, translated_change
from connectors.s3.listing import page_of
from connectors.s3.reading import Body

NOW = datetime(2026, 11, 28, tzinfo=UTC)


class AmazonLike:
    """ListObjectsV2 as its reference has it: keys by their UTF-8 bytes, `StartAfter` is about keys and not about the
    prefixes that they are folded into, and folded prefixes count against MaxKeys."""

    def __init__(self, keys: set[str], most: int) -> None:
        self._keys = sorted(keys, key=str.encode)
        self._most = most
        self.asked = 0

    async def call(self, operation: Callable[[Any], Any]) -> Any:
        return operation(self)

    def list_objects_v2(
        self, *, Bucket: str, Prefix: str, MaxKeys: int, StartAfter: str = "", Delimiter: str = "",  # noqa: N803
        ContinuationToken: str = "",  # noqa: N803
    ) -> Any:  # fmt: skip
        self.asked += 1
        objects: list[Any] = []
        prefixes: list[Any] = []
        last = ""
        for key in self._keys:
            behind = key.encode() > max(StartAfter, ContinuationToken, key=str.encode).encode()
            if not behind or not key.startswith(Prefix):
                continue
            rest, slash, _ = key[len(Prefix) :].partition("/")
            folded = Prefix + rest + slash if Delimiter and slash else None
            if folded is not None and (folded == ContinuationToken[: len(folded)] or {"Prefix": folded} in prefixes):
                last = key if prefixes and prefixes[-1] == {"Prefix": folded} else last
                continue
            if len(objects) + len(prefixes) == min(MaxKeys, self._most):
                return self._answer(objects, prefixes, last)
            last = key
            if folded is not None:
                prefixes.append({"Prefix": folded})
            else:
                objects.append({"Key": key, "Size": 1, "ETag": '"e"', "LastModified": NOW})
        return self._answer(objects, prefixes, None)

    def _answer(self, objects: list[Any], prefixes: list[Any], following: str | None) -> Any:
        answer = {"Contents": objects, "CommonPrefixes": prefixes, "IsTruncated": following is not None}
        return answer if following is None else {**answer, "NextContinuationToken": following}


SEGMENT = st.text(alphabet="ab-0é", min_size=1, max_size=2)
KEY = st.lists(SEGMENT, min_size=1, max_size=3).map("/".join)
STORED = KEY | KEY.map(lambda key: f"{key}/") | KEY.map(lambda key: f"{key}//x")
"""Also names that are no keys, such as the markers of folders that some tools make."""


@given(st.sets(STORED, max_size=14), st.just("") | KEY | KEY.map(lambda key: f"{key}/"), KEY, st.integers(1, 6),
       st.integers(1, 4), st.booleans())  # fmt: skip
def test_pages_of_amazon_hold_every_name_once(
    stored: set[str], prefix: str, after: str, limit: int, most: int, shallow: bool
) -> None:
    keys = {key for key in stored if "//" not in key and not key.endswith("/") and key.startswith(prefix)}
    folded = set()
    for key in stored if shallow else ():
        rest, slash, _ = key[len(prefix) :].partition("/")
        if key.startswith(prefix) and slash and "//" not in (name := prefix + rest + slash):
            folded.add(name)
    wanted = sorted(
        (keys if not shallow else {k for k in keys if "/" not in k[len(prefix) :]} | folded), key=str.encode
    )

    async def listed(start: str) -> list[str]:
        names: list[str] = []
        while True:
            page = await page_of(
                AmazonLike(stored, most), "bucket", prefix, after=start, limit=limit, shallow=shallow,  # type: ignore[arg-type]
            )  # fmt: skip
            found = sorted([o.key for o in page.objects] + list(page.prefixes), key=str.encode)
            assert len(found) <= limit
            names += found
            if not page.more:
                return names
            start = found[-1]

    assert asyncio.run(listed("")) == wanted
    behind = [name for name in wanted if name > after and not after.startswith(name)]
    assert asyncio.run(listed(after)) == behind


async def test_names_that_are_no_keys_cost_no_request_each() -> None:
    store = AmazonLike({f"a{n:03}" for n in range(99)} | {f"b/{n}/" for n in range(400)} | {"c"}, most=1_000)
    page = await page_of(store, "bucket", "", after="", limit=100, shallow=False)  # type: ignore[arg-type]
    assert (len(page.objects), page.objects[-1].key, page.more) == (100, "c", False)
    assert store.asked <= 6
    page = await page_of(store, "bucket", "", after="", limit=99, shallow=False)  # type: ignore[arg-type]
    assert (page.objects[-1].key, page.more) == ("a098", True)


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ("gzip", "gzip"),
        ("GZIP,aws-chunked", "gzip"),
        ("aws-chunked", None),
        ("identity", None),
        ("", None),
        ("br, gzip", "br, gzip"),
    ],
)
def test_the_encoding_is_that_of_the_bytes_and_not_of_their_upload(stored: str, told: str | None) -> None:
    answer = {"ContentLength": 1, "ETag": '"e"', "LastModified": NOW, "ContentEncoding": stored}
    assert info_of("a", answer).content_encoding == told


def body(data: bytes, *, first: int = 0, count: int | None = None, **answer: Any) -> Body:
    facts = {"Body": io.BytesIO(data), "ContentLength": len(data), "ETag": '"e"', "LastModified": NOW}
    return Body("a", {**facts, **answer}, first=first, count=count)  # type: ignore[typeddict-item]


def test_a_body_that_ends_early_is_an_error() -> None:
    short = body(b"12", ContentLength=3)
    assert short.chunk() == b"12"
    with pytest.raises(ConnectorError) as caught:
        short.chunk()
    assert caught.value.failure is Failure.UNAVAILABLE


def test_a_store_that_ignores_a_range_gives_no_more_than_was_asked_for() -> None:
    whole = body(b"123456", count=2)
    assert (whole.chunk(), whole.chunk(), whole.info.size) == (b"12", b"", 6)


@pytest.mark.parametrize("stated", [None, "bytes 0-1/6", "bytes 3-4/6", "bytes 2-3/*", "bytes 2-", "lines 2-3/6"])
def test_other_bytes_than_were_asked_for_are_an_error(stated: str | None) -> None:
    answer = {} if stated is None else {"ContentRange": stated}
    with pytest.raises(ConnectorError) as caught:
        body(b"34", first=2, count=2, **answer)
    assert caught.value.failure is Failure.UNAVAILABLE


def test_the_size_is_that_of_the_whole_object() -> None:
    assert body(b"34", first=2, count=2, ContentRange="bytes 2-3/6").info.size == 6


def answered(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Operation")  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("code", "status", "reading", "changing"),
    [
        ("NoSuchKey", 404, Failure.NOT_FOUND, Failure.CHANGED),
        ("NoSuchBucket", 404, Failure.UNAVAILABLE, Failure.UNAVAILABLE),
        ("NoSuchUpload", 404, Failure.UNAVAILABLE, Failure.UNAVAILABLE),
        ("PreconditionFailed", 412, Failure.CHANGED, Failure.CHANGED),
        ("ConditionalRequestConflict", 409, Failure.CHANGED, Failure.CHANGED),
        ("AccessDenied", 403, Failure.REFUSED_BY_WALL, Failure.REFUSED_BY_WALL),
        ("InvalidAccessKeyId", 403, Failure.UNAVAILABLE, Failure.UNAVAILABLE),
        ("ExpiredToken", 400, Failure.UNAVAILABLE, Failure.UNAVAILABLE),
        ("EntityTooLarge", 400, Failure.OUT_OF_RESOURCES, Failure.OUT_OF_RESOURCES),
        ("XMinioStorageFull", 507, Failure.OUT_OF_RESOURCES, Failure.OUT_OF_RESOURCES),
        ("SlowDown", 503, Failure.UNAVAILABLE, Failure.UNAVAILABLE),
        ("InternalError", 500, Failure.UNAVAILABLE, Failure.OUTCOME_UNKNOWN),
        ("504", 504, Failure.UNAVAILABLE, Failure.OUTCOME_UNKNOWN),
        ("SomethingNew", 400, Failure.UNAVAILABLE, Failure.UNAVAILABLE),
    ],
)
def test_every_answer_means_one_failure(code: str, status: int, reading: Failure, changing: Failure) -> None:
    assert translated(answered(code, status)).failure is reading
    assert translated_change(answered(code, status)).failure is changing
