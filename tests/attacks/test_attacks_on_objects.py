"""Agents that want more of stored objects than policy shows them, through the whole gateway."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest

from app.objects.plan import RenderPlan
from connectors.contract import ConnectorError, Failure, ObjectInfo, ObjectPage, ObjectRead
from tests.gateway.object_site import CSV, Files, InlineRenderer, ObjectSite, policy

RULES = """\
p, client:cli, **, *, allow,
p, user:ana, lake/people/**, *, allow,
p, user:ana, lake/people/**, delete, approve,
p, user:ana, lake/out/**, *, allow,
p, user:dee, lake/**, *, allow,
p, user:dee, label:pii.*, unmask, allow,
p, user:eve, lake/people/one.csv, fetch, allow,
p, user:max, douane/approvals, decide, allow,
"""


class Bucketlike(Files):
    """As buckets do, it takes the digest of the content for its ETag, and keeps the content type that it was told."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.types: dict[str, str] = {}
        self.heads = self.reads = 0

    def _told(self, info: ObjectInfo) -> ObjectInfo:
        content = self.content(info.key) or b""
        return replace(
            info,
            etag=md5(content, usedforsecurity=False).hexdigest(),
            content_type=self.types.get(info.key, info.content_type),
        )

    async def list(self, prefix: str, *, after: str, limit: int, shallow: bool) -> ObjectPage:
        page = await super().list(prefix, after=after, limit=limit, shallow=shallow)
        return replace(page, objects=tuple(map(self._told, page.objects)))

    async def head(self, key: str) -> ObjectInfo:
        self.heads += 1
        return self._told(await super().head(key))

    @asynccontextmanager
    async def read(
        self, key: str, *, first: int = 0, count: int | None = None, etag: str | None = None
    ) -> AsyncIterator[ObjectRead]:
        self.reads += 1
        await self._require(key, etag)
        async with super().read(key, first=first, count=count) as read:
            yield replace(read, info=self._told(read.info))

    async def put(self, key: str, body: AsyncIterator[bytes], **more: Any) -> ObjectInfo:
        await self._require(key, more.pop("if_match", None))
        self.types[key] = more["content_type"]
        return self._told(await super().put(key, body, **more))

    async def delete(self, key: str, *, if_match: str | None = None) -> None:
        await self._require(key, if_match)
        await super().delete(key)

    async def _require(self, key: str, etag: str | None) -> None:
        if etag is not None and (await self.head(key)).etag != etag:
            raise ConnectorError(Failure.CHANGED)


class BucketSite(ObjectSite):
    files: Bucketlike

    def restart(self) -> None:
        if not isinstance(self.files, Bucketlike):
            self.files = Bucketlike(self.files.root)
        super().restart()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[BucketSite]:
    root = tmp_path / "lake"
    root.mkdir()
    async with BucketSite(root, rules=RULES) as made:
        made.files.file("people/one.csv", CSV)
        made.files.file("hidden/x.csv", CSV)
        yield made


def digest(content: bytes) -> str:
    return md5(content, usedforsecurity=False).hexdigest()


async def test_a_guess_of_masked_content_is_not_told_from_a_wrong_one(site: BucketSite) -> None:
    right, wrong = digest(CSV), digest(CSV.replace(b"ann@", b"eve@"))
    told = [await site.delete("ana", "people/one.csv", if_match=guess) for guess in (right, wrong)]
    assert [each.code for each in told] == ["object_changed"] * 2
    told = [await site.put("ana", "people/one.csv", b"id\n1\n", if_match=guess) for guess in (right, wrong)]
    assert [each.code for each in told] == ["object_changed"] * 2


async def test_no_answer_tells_the_digest_of_content_that_it_does_not_show(site: BucketSite) -> None:
    answers = [
        await site.list("ana"),
        await site.fetch("ana", "people/one.csv"),
        await site.content("ana", "people/one.csv"),
        await site.delete("ana", "people/one.csv"),
    ]
    for told in answers:
        assert digest(CSV) not in told.raw.decode() + repr(told.headers)


async def test_what_waits_for_people_does_not_show_that_two_objects_hold_the_same(site: BucketSite) -> None:
    """The requester reads what would run."""
    site.files.file("people/guess.csv", CSV)
    runs = []
    for key in ("people/one.csv", "people/guess.csv"):
        name = (await site.delete("ana", key)).body["approval_id"]
        runs.append((await site.stored(name)).request["outcome"]["rewritten_sql"].rpartition("(")[2])
    assert runs[0] != runs[1]


async def test_the_tag_of_a_put_guards_the_next_one_though_the_content_comes_masked(site: BucketSite) -> None:
    first = await site.put("ana", "out/a.csv", b"id\n1\n")
    tag = first.body["etag"]
    assert (await site.put("ana", "out/a.csv", b"id\n2\n", if_match=tag)).status == 200
    assert (await site.put("ana", "out/a.csv", b"id\n3\n", if_match=tag)).code == "object_changed"
    assert site.files.content("out/a.csv") == b"id\n2\n"


async def test_tags_of_raw_content_agree_wherever_they_are_told(site: BucketSite) -> None:
    site.files.file("people/raw/a.png", b"\x89PNG")
    listed = (await site.list("ana", "people/raw/")).body["objects"][0]["etag"]
    fetched = (await site.fetch("ana", "people/raw/a.png")).body["etag"]
    streamed = await site.content("ana", "people/raw/a.png")
    assert streamed.headers["etag"] == f'"{listed}"' == f'"{fetched}"'
    assert (await site.content("ana", "people/raw/a.png", if_none_match=frozenset({listed}))).status == 304
    assert (await site.delete("ana", "people/raw/a.png", if_match=listed)).status == 202


async def test_what_is_refused_by_now_is_not_confirmed_to_who_had_it(site: BucketSite) -> None:
    site.files.file("people/plain", b'{"name": "Ann"}')
    site.files.types["people/plain"] = "application/json"
    tag = (await site.content("ana", "people/plain")).headers["etag"].strip('"')
    known = frozenset({tag})
    assert (await site.content("ana", "people/plain", if_none_match=known)).status == 304
    site.files.types["people/plain"] = "image/png"
    told = [await site.content("ana", "people/plain", if_none_match=each) for each in (known, frozenset({"*"}))]
    assert [each.code for each in told] == ["content_unknown_type"] * 2


async def test_a_tag_is_of_content_under_the_type_that_it_has_by_now(site: BucketSite) -> None:
    site.files.file("people/figure", b"1\n")
    site.files.types["people/figure"] = "application/json"
    tag = (await site.content("ana", "people/figure")).headers["etag"].strip('"')
    site.files.types["people/figure"] = "text/csv"
    told = await site.content("ana", "people/figure", if_none_match=frozenset({tag}))
    assert (told.status, told.answer.media_type) == (200, "text/csv; charset=utf-8")


async def test_any_tag_is_a_condition_that_something_is_there(site: BucketSite) -> None:
    assert (await site.put("ana", "out/a.csv", b"id\n1\n", if_match="*")).code == "object_changed"
    assert (await site.put("ana", "out/a.csv", b"id\n1\n")).status == 200
    assert (await site.put("ana", "out/a.csv", b"id\n2\n", if_match="*")).status == 200
    assert (await site.delete("ana", "out/a.csv", if_match="*")).body["deleted"] is True


@pytest.mark.parametrize(
    "told", ["text/html\r\nset-cookie: a=b", "text/\u00fcml", "\U0001f4a9", "plain", "a/b/c", "x" * 300]
)
async def test_a_content_type_that_no_header_can_hold_is_not_passed_on(site: BucketSite, told: str) -> None:
    site.files.file("people/raw/a.bin", b"\0\1")
    site.files.types["people/raw/a.bin"] = told
    streamed = await site.content("ana", "people/raw/a.bin")
    assert (streamed.raw, streamed.answer.media_type) == (b"\0\1", "application/octet-stream")
    assert (await site.fetch("ana", "people/raw/a.bin")).body["content_type"] == "application/octet-stream"


@pytest.mark.parametrize(
    "told", ["application/pdf", "Application/PDF", "application/pdf; version=1", " application/pdf"]
)
async def test_a_rule_on_content_types_is_not_escaped_by_how_one_is_written(site: BucketSite, told: str) -> None:
    site.current = policy(RULES + "p, user:ana, lake/people/**, fetch, deny, content_type == 'application/pdf'\n")
    site.files.file("people/raw/a.bin", b"\0\1")
    site.files.types["people/raw/a.bin"] = told
    assert (await site.fetch("ana", "people/raw/a.bin")).code == "access_denied"


MIXED = """\
objects:
  people/columns/**: {default: allow, columns: {name: pii.name}}
  people/paths/**: {default: allow, paths: {$.name: pii.name}}
  people/both/**: {default: allow, columns: {name: pii.name}, paths: {$.name: pii.name}}
"""


@pytest.mark.parametrize("form", ["columns", "paths", "both"])
async def test_a_field_that_is_masked_in_one_form_does_not_come_in_another(site: BucketSite, form: str) -> None:
    site.current = policy(RULES, MIXED)
    contents = {
        "a.csv": b"id,name\n1,Adalbert\n", "a.json": b'{"id": 1, "name": "Adalbert"}',
        "a.tsv": b"id\tname\n1\tAdalbert\n", "a.ndjson": b'{"id": 1, "name": "Adalbert"}\n',
        "a.txt": b"id,name\n1,Adalbert\n",
    }  # fmt: skip
    shown = {}
    for name, content in contents.items():
        site.files.file(f"people/{form}/{name}", content)
        told = await site.fetch("ana", f"people/{form}/{name}")
        assert b"Adalbert" not in told.raw, name
        shown[name] = told.status
        assert (await site.fetch("dee", f"people/{form}/{name}")).body["content"].replace(" ", "").strip() == (
            content.decode().replace(" ", "").strip()
        )
    assert shown == {"a.csv": 200, "a.json": 200, "a.tsv": 200, "a.ndjson": 200, "a.txt": 403}


FREE = """\
objects:
  out/**: {default: allow, found: {"*": allow}}
"""


@pytest.mark.parametrize(
    ("rule", "code"), [("deny, 'pii' in labels", "access_denied"), ("approve, 'pii.email' in labels", None)]
)
async def test_a_rule_on_labels_counts_where_everything_found_may_go_in(
    site: BucketSite, rule: str, code: str | None
) -> None:
    site.current = policy(RULES + f"p, user:ana, lake/out/**, put, {rule}\n", FREE)
    assert (await site.put("ana", "out/a.txt", b"nothing in it", "text/plain")).status == 200
    told = await site.put("ana", "out/b.txt", b"ann@example.org", "text/plain")
    assert (told.status, told.code) == ((403, code) if code else (202, None))
    assert site.files.content("out/b.txt") is None
    assert (await site.put("ana", "out/c.bin", b"ann@example.org")).status in (202, 403)
    site.current = policy(RULES, FREE)
    jobs = len(site.renderer.jobs)
    assert (await site.put("ana", "out/b.txt", b"ann@example.org", "text/plain")).status == 200
    assert len(site.renderer.jobs) == jobs


async def test_a_rule_on_labels_knows_those_that_the_data_file_names_in_what_is_fetched(site: BucketSite) -> None:
    site.files.file("people/plain.csv", b"id\n1\n")
    data = (
        "objects: {people/one.csv: {columns: {id: allow, email: pii.email}}, people/plain.csv: {columns: {id: allow}}}"
    )
    site.current = policy(RULES + "p, user:ana, lake/people/**, fetch, deny, 'pii' in labels\n", data)
    assert (await site.fetch("ana", "people/one.csv")).code == "access_denied"
    assert (await site.fetch("ana", "people/plain.csv")).status == 200
    listed = (await site.list("ana", "people/")).body["objects"]
    assert [each["comes"] for each in listed] == ["closed", "masked"]


class BusyRenderer(InlineRenderer):
    """Everybody waits for a turn."""

    def __init__(self) -> None:
        super().__init__()
        self.free = asyncio.Event()

    @asynccontextmanager
    async def job(self, plan: RenderPlan) -> AsyncIterator[Any]:
        await self.free.wait()
        async with super().job(plan) as job:
            yield job


async def test_who_waits_for_a_turn_to_be_masked_holds_no_read_of_the_store(site: BucketSite) -> None:
    site.renderer = busy = BusyRenderer()
    site.restart()
    waiting = [asyncio.ensure_future(site.content("ana", "people/one.csv")) for _ in range(20)]
    while site.files.heads < 20:
        await asyncio.sleep(0.01)
    assert site.files.reads == 0
    busy.free.set()
    assert {told.status for told in await asyncio.gather(*waiting)} == {200}
    assert site.files.reads == 20


async def test_a_put_that_is_sent_again_with_its_key_is_answered_as_before(site: BucketSite) -> None:
    first = await site.put("ana", "out/a.csv", b"id\n1\n", if_absent=True, idempotency_key="k")
    again = await site.put("ana", "out/a.csv", b"id\n1\n", if_absent=True, idempotency_key="k")
    assert (again.status, again.body["etag"]) == (200, first.body["etag"])
    assert again.headers["idempotency-replayed"] == "true"
    over = {"if_match": first.body["etag"], "idempotency_key": "m"}
    first = await site.put("ana", "out/a.csv", b"id\n2\n", **over)
    again = await site.put("ana", "out/a.csv", b"id\n2\n", **over)
    assert (again.status, again.body["etag"]) == (200, first.body["etag"])
    assert site.files.puts == 2


async def test_a_delete_that_is_sent_again_with_its_key_is_answered_as_before(site: BucketSite) -> None:
    site.files.file("out/a.csv", b"id\n1\n")
    first = await site.delete("ana", "out/a.csv", idempotency_key="k")
    again = await site.delete("ana", "out/a.csv", idempotency_key="k")
    assert (first.body["deleted"], again.status, again.body.get("deleted")) == (True, 200, True)


async def test_a_key_whose_condition_does_not_hold_is_free_again(site: BucketSite) -> None:
    assert (await site.delete("ana", "out/a.csv", idempotency_key="k")).code == "object_not_found"
    site.files.file("out/a.csv", b"id\n1\n")
    assert (await site.delete("ana", "out/a.csv", idempotency_key="k")).status == 200


async def test_a_store_that_refuses_tells_those_nothing_who_may_do_nothing_there(site: BucketSite) -> None:
    os.symlink(site.files.root / "hidden" / "x.csv", site.files.root / "hidden" / "link.csv")
    for who, call in (("eve", site.fetch), ("eve", site.content), ("eve", site.delete)):
        told = [await call(who, key) for key in ("hidden/link.csv", "hidden/none.csv", "hidden/x.csv")]
        assert {(each.status, each.code) for each in told[:2]} == {(404, "object_not_found")}, call
        assert told[2].status == 404
    assert site.files.heads == 0


async def test_who_may_not_delete_does_not_learn_what_is_there(site: BucketSite) -> None:
    site.current = policy(RULES + "p, user:bob, lake/people/**, list, allow,\n")
    told = [await site.delete("bob", key) for key in ("people/one.csv", "people/none.csv")]
    assert [each.code for each in told] == ["access_denied"] * 2
    assert site.files.heads == 0
