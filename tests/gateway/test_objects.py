"""Objects through the whole gateway: what comes out, what goes in, what waits for people, what is on the trail."""

import asyncio
import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import ConnectorError, Failure, ObjectInfo, ObjectPage
from tests.gateway.object_site import CSV, DATA, RULES, ObjectSite, policy


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[ObjectSite]:
    root = tmp_path / "lake"
    root.mkdir()
    async with ObjectSite(root) as made:
        made.files.file("people/one.csv", CSV)
        made.files.file("people/two.json", b'{"id": 1, "email": "ann@example.org", "new": "secret"}')
        made.files.file("people/raw/logo.png", b"\x89PNG" + bytes(range(256)))
        made.files.file("seen/only.csv", CSV)
        made.files.file("asked/wait.csv", b"id,email\n1,ann@example.org\n")
        made.files.file("hidden/x.csv", CSV)
        yield made


async def approval(site: ObjectSite, told: Any) -> str:
    assert told.status == 202, told.body
    name: str = told.body["approval_id"]
    return name


async def test_an_object_comes_masked_as_its_columns_are_labelled(site: ObjectSite) -> None:
    told = await site.fetch("ana", "people/one.csv")
    assert told.status == 200
    rows = [line.split(",") for line in told.body["content"].splitlines()]
    assert rows[0] == ["id", "name", "email", "ref"]
    assert rows[1][:3] == ["1", "", "***@example.org"]
    assert rows[1][3] not in ("", "A-1")
    assert told.body["etag"] == hashlib.sha256(told.body["content"].encode()).hexdigest()
    assert told.body["masked"] is True


async def test_who_may_unmask_gets_what_was_stored(site: ObjectSite) -> None:
    told = await site.fetch("dee", "people/one.csv")
    assert told.body["content"].encode() == CSV


async def test_a_json_document_shows_what_a_path_names_and_nothing_else(site: ObjectSite) -> None:
    told = await site.fetch("ana", "people/two.json")
    assert json.loads(told.body["content"]) == {"id": 1, "email": "***@example.org", "new": None}


async def test_what_differs_in_masked_values_alone_is_answered_with_the_same_bytes(
    site: ObjectSite, tmp_path: Path
) -> None:
    answers = []
    for email in (b"ann@example.org", b"bartholomew.the.third@example.org"):
        site.files.file("people/one.csv", CSV.replace(b"ann@example.org", email))
        listed = await site.list("ana", "people/one.csv")
        fetched = await site.fetch("ana", "people/one.csv")
        content = await site.content("ana", "people/one.csv")
        for told in (listed, fetched):
            told.body.pop("receipt")
        for shown in (listed.body["objects"][0], fetched.body):
            shown.pop("last_modified")
        headers = {name: value for name, value in content.headers.items() if name != "x-receipt"}
        answers.append((listed.body, fetched.body, content.raw, headers))
    assert answers[0] == answers[1]


async def test_a_listing_shows_what_may_be_listed_and_sizes_of_what_comes_raw(site: ObjectSite) -> None:
    told = await site.list("ana")
    assert [(each["key"], each["comes"], each["size"]) for each in told.body["objects"]] == [
        ("people/one.csv", "masked", None),
        ("people/raw/logo.png", "raw", 260),
        ("people/two.json", "masked", None),
        ("seen/only.csv", "closed", None),
    ]


async def test_a_folder_shows_only_through_something_in_it(site: ObjectSite) -> None:
    told = await site.list("ana", shallow=True)
    assert (told.body["prefixes"], told.body["objects"]) == (["people/", "seen/"], [])
    told = await site.list("ana", "people/", shallow=True)
    assert told.body["prefixes"] == ["people/raw/"]


@pytest.mark.parametrize("shallow", [False, True])
async def test_pages_give_every_name_once(site: ObjectSite, shallow: bool) -> None:
    for number in range(25):
        site.files.file(f"people/{number % 5}/{number:02}.csv", CSV)
        site.files.file(f"hidden/{number:02}.csv", CSV)
    whole = (await site.list("ana", "people/", shallow=shallow)).body
    seen: list[str] = []
    cursor = None
    while True:
        page = (await site.list("ana", "people/", shallow=shallow, limit=3, cursor=cursor)).body
        assert len(page["objects"]) + len(page["prefixes"]) <= 3
        seen += [each["key"] for each in page["objects"]] + page["prefixes"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted([each["key"] for each in whole["objects"]] + whole["prefixes"])
    assert len(seen) == len(set(seen))


class FolderByFolder:
    """A store that sorts what is below a folder where the folder's own name stands: `a/x` before `a-`."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = sorted(keys, key=self._place)
        self.asked = 0

    @staticmethod
    def _place(key: str) -> list[str]:
        return key.split("/")

    async def list(self, prefix: str, *, after: str, limit: int, shallow: bool) -> ObjectPage:
        assert not shallow
        self.asked += 1
        behind = [k for k in self._keys if k.startswith(prefix) and self._place(k) > self._place(after)]
        objects = tuple(ObjectInfo(key=k, size=1, etag="e", last_modified="") for k in behind[:limit])
        return ObjectPage(objects=objects, more=len(behind) > limit)


@pytest.mark.parametrize("limit", [1, 7, 1_000])
async def test_a_store_with_an_order_of_its_own_is_listed_whole_and_to_an_end(
    site: ObjectSite, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    beside = ["people/a!", "people/a-b", "people/a.b", "people/z"]
    keys = [*beside, *(f"people/a/{n:04}" for n in range(1_005)), *(f"people/a-{n:04}" for n in range(1_005))]
    store = FolderByFolder(keys if limit > 1 else keys[:20])
    monkeypatch.setattr(site.files, "list", store.list)
    for shallow in (False, True):
        seen: list[str] = []
        cursor = None
        while cursor is not None or not seen:
            page = (await site.list("ana", "people/", shallow=shallow, limit=limit, cursor=cursor)).body
            seen += [each["key"] for each in page["objects"]] + page["prefixes"]
            cursor = page["next_cursor"]
        folded = {"people/a/" if shallow and "/a/" in key else key for key in store._keys}
        assert sorted(seen) == sorted(folded)


async def test_a_store_that_says_more_and_gives_none_is_not_asked_for_ever(
    site: ObjectSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ObjectPage(objects=(ObjectInfo(key="people/a", size=1, etag="e", last_modified=""),), more=True)

    async def again(*_: Any, **__: Any) -> ObjectPage:
        return page

    monkeypatch.setattr(site.files, "list", again)
    assert (await site.list("ana", "people/")).code == "connection_unavailable"


async def test_a_cursor_does_not_tell_the_length_of_a_hidden_name(
    site: ObjectSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.gateway.listing.MAX_SCANNED", 1)
    lengths = set()
    for name in ("hidden/x", "hidden/x" + "y" * 90):
        monkeypatch.setattr(site.files, "list", FolderByFolder([name, "hidden/z"]).list)
        told = (await site.list("ana", "hidden/")).body
        assert told["objects"] == []
        lengths.add(len(told["next_cursor"]))
    assert len(lengths) == 1


async def test_a_cursor_is_of_its_caller_and_its_prefix(site: ObjectSite) -> None:
    cursor = (await site.list("dee", limit=1)).body["next_cursor"]
    assert (await site.list("dee", limit=1, cursor=cursor)).status == 200
    assert (await site.list("ana", limit=1, cursor=cursor)).code == "invalid_cursor"
    assert (await site.list("dee", "people/", limit=1, cursor=cursor)).code == "invalid_cursor"


async def test_an_object_that_is_hidden_and_one_that_is_not_there_are_told_apart_by_nothing(site: ObjectSite) -> None:
    answers = [(await site.fetch("eve", key)).body for key in ("hidden/x.csv", "hidden/none.csv", "people/two.json")]
    for body in answers:
        body.pop("receipt")
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["code"] == "object_not_found"


async def test_what_a_store_keeps_packed_is_masked_within_and_comes_raw_as_what_it_is(site: ObjectSite) -> None:
    site.files.file("people/one.csv", gzip.compress(CSV))
    site.files.file("people/raw/logo.png", gzip.compress(b"logo"))
    assert (await site.content("ana", "people/one.csv")).code == "content_undecodable"
    site.files.encoding = "gzip"
    told = await site.content("ana", "people/one.csv")
    assert b"***@example.org" in gzip.decompress(told.raw)
    assert b"ann@" not in gzip.decompress(told.raw)
    told = await site.content("ana", "people/raw/logo.png")
    assert (told.headers["content-encoding"], gzip.decompress(told.raw)) == ("gzip", b"logo")
    assert (await site.fetch("ana", "people/raw/logo.png")).body["content_type"] == "application/gzip"
    site.files.encoding = "br"
    assert (await site.content("ana", "people/one.csv")).code == "content_unknown_type"
    assert (await site.content("ana", "people/raw/logo.png")).headers["content-encoding"] == "br"
    site.files.encoding = "x\r\nset-cookie: a"
    assert "content-encoding" not in (await site.content("ana", "people/raw/logo.png")).headers


async def test_what_may_be_listed_and_not_fetched_is_denied_by_name(site: ObjectSite) -> None:
    assert (await site.fetch("ana", "seen/only.csv")).code == "access_denied"
    assert (await site.fetch("ana", "seen/none.csv")).code == "access_denied"


async def test_raw_content_streams_and_leaves_two_entries(site: ObjectSite) -> None:
    told = await site.content("ana", "people/raw/logo.png")
    assert (told.status, told.raw) == (200, b"\x89PNG" + bytes(range(256)))
    first, second = site.trail.entries[-2:]
    assert (first["outcome"], second["outcome"], second["opened_index"]) == ("opened", "completed", 0)
    assert second["answer_blake3"] == "digest"
    assert json.loads(told.headers["x-receipt"])["index"] == 0


@pytest.mark.parametrize(
    ("span", "status", "expected"),
    [
        ((0, 3), 206, b"\x89PNG"),
        ((4, None), 206, bytes(range(256))),
        ((None, 2), 206, bytes([254, 255])),
        ((0, 9_999), 206, b"\x89PNG" + bytes(range(256))),
        ((260, None), 416, None),
        ((None, 0), 416, None),
    ],
)
async def test_ranges_of_raw_content(
    site: ObjectSite, span: tuple[int | None, int | None], status: int, expected: bytes | None
) -> None:
    told = await site.content("ana", "people/raw/logo.png", span=span)
    assert told.status == status
    if expected is None:
        assert told.headers["content-range"] == "bytes */260"
    else:
        assert told.raw == expected
        assert told.headers["content-range"].endswith("/260")


async def test_a_range_of_masked_content_is_all_of_it(site: ObjectSite) -> None:
    told = await site.content("ana", "people/one.csv", span=(0, 3))
    assert told.status == 200
    assert told.raw.startswith(b"id,name")


async def test_an_etag_that_is_known_is_answered_with_nothing(site: ObjectSite) -> None:
    for key in ("people/one.csv", "people/raw/logo.png"):
        etag = (await site.content("ana", key)).headers["etag"].strip('"')
        jobs = len(site.renderer.jobs)
        told = await site.content("ana", key, if_none_match=frozenset({etag}))
        assert (told.status, told.raw, told.headers["etag"]) == (304, b"", f'"{etag}"')
        assert len(site.renderer.jobs) == jobs
        assert (await site.content("ana", key, if_none_match=frozenset({"other"}))).status == 200


async def test_what_is_not_the_content_that_was_meant_is_read_once_and_not_given(site: ObjectSite) -> None:
    for key, jobs in (("people/one.csv", 2), ("people/raw/logo.png", 0)):
        before = len(site.renderer.jobs)
        for ask in (site.fetch, site.content):
            site.restart()
            told = await ask("ana", key, if_match=frozenset({"other"}))
            assert (told.status, told.code) == (412, "object_changed")
        assert len(site.renderer.jobs) == before + jobs


async def test_a_range_of_another_version_is_all_of_the_new_one(site: ObjectSite) -> None:
    told = await site.content("ana", "people/raw/logo.png", span=(0, 3), if_range="other")
    assert (told.status, len(told.raw)) == (200, 260)


async def test_content_that_cannot_be_masked_is_refused(site: ObjectSite) -> None:
    site.files.file("people/x.bin", b"\0\1")
    assert (await site.fetch("ana", "people/x.bin")).code == "content_unknown_type"
    assert (await site.content("ana", "people/x.bin")).code == "content_unknown_type"


async def test_content_that_cannot_be_read_is_a_problem_and_nothing_of_it_leaves(site: ObjectSite) -> None:
    site.files.file("people/bad.csv", CSV + b"1,2\n")
    told = await site.content("ana", "people/bad.csv")
    assert (told.status, told.code) == (422, "content_ragged")
    assert b"example.org" not in told.raw
    assert site.trail.entries[-1]["outcome"] == "failed"


async def test_content_too_large_for_json_points_to_the_other_operation(site: ObjectSite) -> None:
    site.files.file("people/large.csv", b"id\n" + b"1\n" * 9_000)
    told = await site.fetch("ana", "people/large.csv")
    assert (told.status, told.code) == (413, "content_too_large")
    assert "fetch_content" in told.body["detail"]
    assert (await site.content("ana", "people/large.csv")).status == 200


async def test_an_unmasked_fetch_waits_for_a_human_and_is_released_as_it_was_seen(site: ObjectSite) -> None:
    name = await approval(site, await site.fetch("ana", "people/one.csv", unmask=("pii.email",), purpose="ticket"))
    shown = await site.preview("max", name)
    content = shown.body["answer"]["content"]
    assert "ann@example.org" in content
    assert (await site.execute("ana", name)).code == "approval_not_approved"
    await site.said_yes(name)
    site.files.file("people/one.csv", b"id,name,email,ref\n9,Z,z@example.org,Z\n")
    told = await site.execute("ana", name)
    assert (told.status, told.body["content"]) == (200, content)
    assert (await site.execute("ana", name)).code == "approval_already_executed"


async def test_a_label_that_may_never_be_unmasked_is_refused(site: ObjectSite) -> None:
    assert (await site.fetch("ana", "people/one.csv", unmask=("pii.name",))).code == "access_denied"


async def test_a_fetch_that_policy_asks_people_about_shows_nothing_before(site: ObjectSite) -> None:
    name = await approval(site, await site.fetch("ana", "asked/wait.csv"))
    await site.said_yes(name)
    told = await site.execute("ana", name)
    assert told.body["content"] == "id,email\n1,***@example.org\n"


async def test_what_was_approved_is_shown_to_its_approvers_alone(site: ObjectSite) -> None:
    name = await approval(site, await site.fetch("ana", "asked/wait.csv"))
    assert (await site.preview("ana", name)).status == 403
    assert (await site.preview("bob", name)).code == "unknown_approval"


async def test_an_object_is_put_where_policy_lets_it_in(site: ObjectSite) -> None:
    told = await site.put("ana", "out/a.csv", b"id\n1\n")
    assert (told.status, told.body["replaced"]) == (200, False)
    assert site.files.content("out/a.csv") == b"id\n1\n"
    assert site.outcomes()[-2:] == ["intent", "completed"]
    intent = site.trail.entries[-2]
    assert intent["content_sha256"] == hashlib.sha256(b"id\n1\n").hexdigest()
    assert intent["statement_run"] == "put lake/out/a.csv (none there)"


async def test_who_may_not_put_sends_no_body(site: ObjectSite) -> None:
    async def body(max_bytes: int) -> AsyncIterator[bytes]:
        raise AssertionError("read")
        yield b""

    command = replace_body(site.putting("people/one.csv", b""), body)
    told = await site._call("ana", site.objects.put_object, command, "put_object")
    assert told.code == "access_denied"
    assert site.files.puts == 0


def replace_body(command: Any, body: Any) -> Any:
    return replace(command, body=body)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"id,card\n1,4111111111111111\n", "content_denied"),
        (b"id,note\n1,token ghp_aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789\n", "content_denied"),
        (b"\xff\xfe\x00\x01\x02", "content_undecodable"),
    ],
)
async def test_what_policy_does_not_let_in_is_not_stored(site: ObjectSite, content: bytes, code: str) -> None:
    told = await site.put("ana", "out/a.csv", content)
    assert told.code == code, told.body
    assert site.files.content("out/a.csv") is None
    assert b"4111111111111111" not in told.raw


async def test_a_put_where_personal_data_is_masked_stores_it_masked(site: ObjectSite) -> None:
    told = await site.put("ana", "out/a.csv", b"id,mail\n1,ann@example.org\n")
    assert (told.status, told.body["masked_labels"]) == (200, ["pii.email"])
    assert site.files.content("out/a.csv") == b"id,mail\n1,***@example.org\n"


async def test_a_put_that_people_are_asked_about_is_stored_as_they_saw_it(site: ObjectSite) -> None:
    content = b"id,phone\n1,+14155550164\n"
    name = await approval(site, await site.put("ana", "out/a.csv", content))
    assert site.files.content("out/a.csv") is None
    shown = await site.preview("max", name)
    assert shown.body["content"]["content"].encode() == content
    await site.said_yes(name)
    assert (await site.execute("ana", name)).status == 200
    assert site.files.content("out/a.csv") == content
    assert (await site.execute("ana", name)).code == "approval_already_executed"
    assert name not in site.held.held


async def test_held_content_that_was_altered_is_not_stored(site: ObjectSite) -> None:
    name = await approval(site, await site.put("ana", "out/kept/a.csv", b"id\n1\n"))
    await site.said_yes(name)
    site.held.held[name] = (b"id\n2\n", site.held.held[name][1])
    assert (await site.execute("ana", name)).code == "approval_altered"
    assert site.files.content("out/kept/a.csv") is None


async def test_what_is_overwritten_is_bound(site: ObjectSite) -> None:
    site.files.file("out/kept/a.csv", b"old\n")
    name = await approval(site, await site.put("ana", "out/kept/a.csv", b"id\n1\n"))
    await site.said_yes(name)
    site.files.file("out/kept/a.csv", b"newer\n")
    assert (await site.execute("ana", name)).code == "approval_reopened"
    assert site.files.content("out/kept/a.csv") == b"newer\n"
    await site.said_yes(name)
    assert (await site.execute("ana", name)).status == 200
    assert site.files.content("out/kept/a.csv") == b"id\n1\n"


async def test_a_policy_that_no_longer_lets_it_in_takes_the_approval_back(site: ObjectSite) -> None:
    name = await approval(site, await site.put("ana", "out/kept/a.csv", b"id\n1\n"))
    await site.said_yes(name)
    site.current = policy(RULES + "p, *, lake/out/**, put, deny,\n")
    assert (await site.execute("ana", name)).code == "access_denied"
    assert (await site.stored(name)).state.value == "revoked"
    assert name not in site.held.held


async def test_content_too_large_to_wait_for_a_human_is_refused(site: ObjectSite) -> None:
    told = await site.put("ana", "out/kept/a.csv", b"id\n" + b"1\n" * 15_000)
    assert (told.status, told.code) == (413, "content_too_large")
    assert not site.store.all


async def test_conditions_of_a_put_are_held(site: ObjectSite) -> None:
    etag = (await site.put("ana", "out/free/a.csv", b"1\n")).body["etag"]
    assert (await site.put("ana", "out/free/a.csv", b"2\n", if_absent=True)).code == "object_changed"
    assert (await site.put("ana", "out/free/a.csv", b"2\n", if_match="other")).code == "object_changed"
    assert (await site.put("ana", "out/free/a.csv", b"2\n", if_match=etag)).status == 200
    assert site.files.content("out/free/a.csv") == b"2\n"


async def test_a_condition_on_size_decides_on_what_arrived(site: ObjectSite) -> None:
    rules = RULES + "p, user:ana, lake/out/free/**, put, deny, bytes > 50\n"
    site.current = policy(rules)
    assert (await site.put("ana", "out/free/a.csv", b"x" * 50)).status == 200
    assert (await site.put("ana", "out/free/a.csv", b"x" * 51)).code == "access_denied"


async def test_a_type_that_is_not_taken_is_refused_before_it_is_read(site: ObjectSite) -> None:
    told = await site.put("ana", "out/a.png", b"\x89PNG", "image/png")
    assert (told.status, told.code) == (415, "content_type_not_allowed")


async def test_a_type_that_cannot_be_looked_through_does_not_go_in(site: ObjectSite) -> None:
    told = await site.put("ana", "out/a.bin", b"\0\1", "application/octet-stream")
    assert (told.status, told.code) == (403, "content_unknown_type")
    assert (await site.put("ana", "out/free/a.bin", b"\0\1", "application/octet-stream")).status == 200


async def test_the_same_key_stores_once(site: ObjectSite) -> None:
    first = await site.put("ana", "out/free/a.csv", b"1\n", idempotency_key="k")
    site.files.file("out/free/a.csv", b"somebody else's\n")
    again = await site.put("ana", "out/free/a.csv", b"1\n", idempotency_key="k")
    assert again.body["etag"] == first.body["etag"]
    assert site.files.content("out/free/a.csv") == b"somebody else's\n"
    other = await site.put("ana", "out/free/a.csv", b"2\n", idempotency_key="k")
    assert (other.status, other.code) == (422, "idempotency_mismatch")


async def test_a_store_that_is_away_leaves_the_key_free(site: ObjectSite) -> None:
    site.files.error = ConnectorError(Failure.UNAVAILABLE)
    assert (await site.put("ana", "out/free/a.csv", b"1\n", idempotency_key="k")).status == 503
    site.files.error = None
    assert (await site.put("ana", "out/free/a.csv", b"1\n", idempotency_key="k")).status == 200


async def test_a_put_whose_answer_was_lost_is_not_done_again(site: ObjectSite) -> None:
    site.files.error, site.files.after = ConnectorError(Failure.OUTCOME_UNKNOWN), True
    assert (await site.put("ana", "out/free/a.csv", b"1\n", idempotency_key="k")).code == "outcome_unknown"
    site.files.error = None
    assert (await site.put("ana", "out/free/a.csv", b"1\n", idempotency_key="k")).code == "idempotency_in_flight"
    assert site.files.puts == 1


async def test_an_approved_put_whose_answer_was_lost_ends_as_unknown(site: ObjectSite) -> None:
    name = await approval(site, await site.put("ana", "out/kept/a.csv", b"id\n1\n"))
    await site.said_yes(name)
    site.files.error, site.files.after = ConnectorError(Failure.OUTCOME_UNKNOWN), True
    assert (await site.execute("ana", name)).code == "outcome_unknown"
    site.files.error = None
    assert (await site.execute("ana", name)).code == "approval_failed"
    assert site.files.puts == 1


async def test_nothing_is_stored_when_the_intent_cannot_be_recorded(site: ObjectSite) -> None:
    site.trail.down = True
    told = await site.put("ana", "out/free/a.csv", b"1\n")
    assert (told.status, told.code) == (503, "audit_unavailable")
    assert site.files.content("out/free/a.csv") is None


async def test_nothing_streams_when_the_trail_is_down(site: ObjectSite) -> None:
    site.trail.down = True
    told = await site.content("ana", "people/raw/logo.png")
    assert (told.status, told.body["code"]) == (503, "audit_unavailable")


async def test_a_delete_waits_for_a_human_and_meets_what_was_there(site: ObjectSite) -> None:
    site.files.file("out/a.csv", b"1\n")
    name = await approval(site, await site.delete("ana", "out/a.csv", purpose="tidy"))
    assert site.files.content("out/a.csv") == b"1\n"
    await site.said_yes(name)
    site.files.file("out/a.csv", b"another\n")
    assert (await site.execute("ana", name)).code == "approval_reopened"
    await site.said_yes(name)
    assert (await site.execute("ana", name)).body["deleted"] is True
    assert site.files.content("out/a.csv") is None


async def test_a_delete_of_nothing_is_not_found(site: ObjectSite) -> None:
    assert (await site.delete("dee", "out/none.csv")).code == "object_not_found"


async def test_of_many_uses_at_once_one_wins(site: ObjectSite) -> None:
    name = await approval(site, await site.put("ana", "out/kept/a.csv", b"id\n1\n"))
    await site.said_yes(name)
    told = await asyncio.gather(*(site.execute("ana", name) for _ in range(10)))
    assert sorted(each.status for each in told) == [200] + [409] * 9
    assert site.files.puts == 1


async def test_no_answer_and_no_entry_tells_a_requester_the_raw_etag_or_size_of_masked_content(
    site: ObjectSite,
) -> None:
    info = await site.files.head("people/one.csv")
    for told in (
        await site.fetch("ana", "people/one.csv"),
        await site.content("ana", "people/one.csv"),
        await site.list("ana"),
    ):
        assert info.etag.encode() not in told.raw
        assert info.etag not in json.dumps(dict(told.headers))


@pytest.mark.parametrize(
    ("key", "content_type", "content", "stored"),
    [
        ("out/a.json", "application/json", b'{"a": {"b": ["ann@example.org", 7, true, null]}}',
         b'{"a":{"b":["***@example.org",7,true,null]}}\n'),
        ("out/a.txt", "text/plain", b"write to ann@example.org now", b"write to ***@example.org now"),
        ("out/a.csv", "text/csv", b"id,n\n007,1.50\n8,ann@example.org\n", b"id,n\n007,1.50\n8,***@example.org\n"),
    ],
)  # fmt: skip
async def test_masking_on_the_way_in_changes_what_was_found_and_nothing_else(
    site: ObjectSite, key: str, content_type: str, content: bytes, stored: bytes
) -> None:
    told = await site.put("ana", key, content, content_type)
    assert (told.status, told.body["masked_labels"]) == (200, ["pii.email"]), told.body
    assert site.files.content(key) == stored


async def test_what_cannot_be_masked_on_its_way_in_does_not_go_in(site: ObjectSite) -> None:
    told = await site.put("ana", "out/a.json", b'{"ann@example.org": 1}', "application/json")
    assert (told.status, told.code) == (403, "content_denied")
    assert site.files.content("out/a.json") is None


@pytest.mark.parametrize(
    "content",
    [
        b'{"card": 4111111111111111}',
        b'{"a": "4111\\u0031111 1111 1111"}',
        b'{"a": "4111111111111111", "a": "x"}',
        b'{"4111111111111111": 1}',
        b'[[[["4111-1111-1111-1111"]]]]',
    ],
)
async def test_a_card_is_found_wherever_it_lies_in_json(site: ObjectSite, content: bytes) -> None:
    told = await site.put("ana", "out/a.json", content, "application/json")
    assert (told.status, told.code) == (403, "content_denied"), told.body


async def test_what_was_masked_before_people_saw_it_is_stored_as_they_saw_it(site: ObjectSite) -> None:
    """Also where a field is declared, and its mask would change it a second time."""
    data = DATA + "  ids/**:\n    format: csv\n    columns: {ref: pii.id}\n    default: allow\n"
    data += "    found: {pii.id: mask, pii.email: mask, pii.phone: approve}\n"
    site.current = policy(RULES + "p, user:ana, lake/ids/**, put, allow,\n", data)
    name = await approval(site, await site.put("ana", "ids/a.csv", b"ref,n\nA-1,+14155550164 ann@example.org\n"))
    shown = (await site.preview("max", name)).body["content"]["content"]
    assert "A-1" not in shown
    assert "ann@" not in shown
    await site.said_yes(name)
    assert (await site.execute("ana", name)).status == 200
    assert site.files.content("ids/a.csv") == shown.encode()


async def test_a_policy_that_masks_more_by_now_sends_it_back_to_people(site: ObjectSite) -> None:
    name = await approval(site, await site.put("ana", "out/kept/a.csv", b"n\n+14155550164\n"))
    await site.said_yes(name)
    site.current = policy(data=DATA.replace("pii.*: approve", "pii.*: mask"))
    assert (await site.execute("ana", name)).code == "approval_reopened"
    shown = (await site.preview("max", name)).body["content"]["content"]
    assert "+14155550164" not in shown
    await site.said_yes(name)
    assert (await site.execute("ana", name)).status == 200
    assert site.files.content("out/kept/a.csv") == shown.encode()


@pytest.mark.parametrize("before", [None, b"old\n"])
async def test_what_somebody_stores_at_the_very_moment_is_not_lost(site: ObjectSite, before: bytes | None) -> None:
    if before is not None:
        site.files.file("out/kept/a.csv", before)
    name = await approval(site, await site.put("ana", "out/kept/a.csv", b"id\n1\n"))
    await site.said_yes(name)
    site.files.gate = asyncio.Event()
    using = asyncio.ensure_future(site.execute("ana", name))
    while not site.files.puts:
        await asyncio.sleep(0.001)
    site.files.file("out/kept/a.csv", b"somebody else\n")
    site.files.gate.set()
    assert (await using).code == "object_changed"
    assert site.files.content("out/kept/a.csv") == b"somebody else\n"


@pytest.mark.parametrize("said", [None, "application/octet-stream", "application/x-www-form-urlencoded"])
async def test_content_that_says_nothing_of_its_type_is_what_its_key_ends_with(
    site: ObjectSite, said: str | None
) -> None:
    told = await site.put("ana", "out/a.csv", b"id,mail\n1,ann@example.org\n", said)
    assert (told.status, told.body["masked_labels"]) == (200, ["pii.email"]), told.body
    assert told.body["content_type"] == "text/csv; charset=utf-8"


async def test_content_whose_client_leaves_before_its_first_byte_has_an_end_on_the_trail(site: ObjectSite) -> None:
    site.trail.gate = asyncio.Event()
    leaving = asyncio.ensure_future(site.content("ana", "people/raw/logo.png"))
    while not site.trail.entries:
        await asyncio.sleep(0.001)
    leaving.cancel()
    await asyncio.sleep(0)
    site.trail.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    first, second = site.trail.entries
    assert (first["outcome"], second["outcome"], second["bytes"]) == ("opened", "cut", 0)
    assert (second["opened_index"], second["code"]) == (0, "client_left")
