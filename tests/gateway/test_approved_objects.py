"""Objects that people said yes to, when the object or the policy is another one by the time it is used."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.gateway.object_writing import Arriving
from app.objects.refusal import ContentFault, ContentRefused
from connectors.contract import ConnectorError, Failure
from tests.gateway.object_site import DATA, RULES, TERMS, Files, ObjectSite, policy

UNSEEN = TERMS.replace("preview: true", "preview: false")


class Restless(Files):
    """`changes`: how often an object is another one between the look at it and its reading."""

    changes = 0

    @asynccontextmanager
    async def read(self, key: str, **more: Any) -> AsyncIterator[Any]:
        if self.changes:
            self.changes -= 1
            raise ConnectorError(Failure.CHANGED)
        async with super().read(key, **more) as read:
            yield read


class RestlessSite(ObjectSite):
    files: Restless

    def __init__(self, root: Path, **more: Any) -> None:
        super().__init__(root, **more)
        self.files = Restless(root)
        self.restart()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[RestlessSite]:
    async with RestlessSite(tmp_path) as made:
        made.files.file("asked/a.csv", b"id,email\n1,ann@example.org\n")
        yield made


async def approved(site: ObjectSite, told: Any) -> str:
    assert told.status == 202, told.body
    name: str = told.body["approval_id"]
    await site.said_yes(name)
    return name


async def test_a_fetch_that_fails_once_people_said_yes_asks_nobody_again(site: RestlessSite) -> None:
    site.current = policy(terms=UNSEEN)
    waiting = asyncio.ensure_future(site.fetch("ana", "asked/a.csv", wait_seconds=5))
    while not site.store.all:
        await asyncio.sleep(0.001)
    name = site.store.all[0].approval_id
    site.files.changes = 1
    await site.said_yes(name)
    told = await waiting
    assert (told.status, told.code) == (412, "object_changed")
    assert [(each.approval_id, each.state.value) for each in site.store.all] == [(name, "failed")]
    last = site.trail.entries[-1]
    assert (last["approval_id"], last["approval_state"], last["code"]) == (name, "failed", "object_changed")


async def test_an_object_that_changes_while_it_is_made_ready_for_people_is_looked_at_anew(site: RestlessSite) -> None:
    site.files.changes = 2
    told = await site.fetch("ana", "asked/a.csv")
    assert (told.status, len(site.store.all), len(site.held.held)) == (202, 1, 1)
    site.files.changes = 3
    assert (await site.fetch("ana", "asked/a.csv")).code == "object_changed"
    assert len(site.store.all) == 1


@pytest.mark.parametrize("condition", ["if_absent", "if_match", "any"])
async def test_a_put_whose_condition_holds_no_more_is_taken_back_and_asks_nobody_again(
    site: RestlessSite, condition: str
) -> None:
    conditions: dict[str, Any] = {"if_absent": True}
    if condition != "if_absent":
        etag = (await site.put("dee", "out/kept/a.csv", b"id\n1\n")).body["etag"]
        conditions = {"if_match": etag if condition == "if_match" else "*"}
    name = await approved(site, await site.put("ana", "out/kept/a.csv", b"id\n2\n", **conditions))
    site.files.file("out/kept/a.csv", b"id\n9\n")
    if condition == "any":
        (site.files.root / "out/kept/a.csv").unlink()
    before = site.files.content("out/kept/a.csv")
    await taken_back(site, name, "if_match", 412, "object_changed")
    assert site.files.content("out/kept/a.csv") == before


async def test_a_delete_whose_condition_holds_no_more_is_taken_back(site: RestlessSite) -> None:
    etag = (await site.put("ana", "out/a.csv", b"id\n1\n")).body["etag"]
    name = await approved(site, await site.delete("ana", "out/a.csv", if_match=etag))
    site.files.file("out/a.csv", b"id\n9\n")
    await taken_back(site, name, "if_match", 412, "object_changed")
    assert site.files.content("out/a.csv") == b"id\n9\n"


PUT = "put: {types: [text/csv, application/json, text/plain, application/octet-stream], max_bytes: 100000}"


@pytest.mark.parametrize(
    ("rule", "content", "says"),
    [
        ("put: {types: [application/json]}", b"id\n1\n", "application/json"),
        ("put: {types: [text/csv], max_bytes: 4}", b"id\n1\n", "4 bytes"),
        (PUT + "\n    format: json", b"id\n1\n", "JSON"),
    ],
)
async def test_content_that_policy_takes_no_more_is_not_put_and_its_approval_is_taken_back(
    site: RestlessSite, rule: str, content: bytes, says: str
) -> None:
    name = await approved(site, await site.put("ana", "out/kept/a.csv", content))
    site.current = policy(data=DATA.replace(PUT, rule))
    await taken_back(site, name, says)
    assert site.files.content("out/kept/a.csv") is None


async def test_a_size_that_policy_takes_no_more_counts_where_nobody_looks_into_content(site: RestlessSite) -> None:
    rules = RULES + "p, user:ana, lake/out/free/kept/**, put, approve,\n"
    site.current = policy(rules)
    name = await approved(site, await site.put("ana", "out/free/kept/a.csv", b"id\n1\n"))
    site.current = policy(rules, DATA.replace('found: {"*": allow}', 'found: {"*": allow}\n    put: {max_bytes: 4}'))
    await taken_back(site, name, "4 bytes")


async def looked_through_since(site: RestlessSite) -> str:
    """A put that nobody looked into when it was asked for, of little that becomes much."""
    rules = RULES + "p, user:ana, lake/out/free/kept/**, put, approve,\n"
    site.current = policy(rules)
    content = gzip.compress(b"id\n" + b"1\n" * 1_000_000)
    name = await approved(site, await site.put("ana", "out/free/kept/a.csv.gz", content, "application/gzip"))
    site.current = policy(rules, DATA.replace('found: {"*": allow}', "found: {pii.*: deny}"))
    return name


async def test_content_that_cannot_be_looked_through_by_now_is_not_put(site: RestlessSite) -> None:
    await taken_back(site, await looked_through_since(site), "expands")


async def test_a_look_through_that_was_stopped_takes_nothing_back(
    site: RestlessSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await looked_through_since(site)

    async def stopped(*_: object) -> tuple[str, ...]:
        raise ContentRefused(ContentFault.TOO_EXPENSIVE, "It took too long.")

    with monkeypatch.context() as patched:
        patched.setattr(site.renderer, "found", stopped)
        assert (await site.execute("ana", name)).code == "content_too_expensive"
    assert (await site.stored(name)).state.value == "approved"


async def test_content_that_masks_make_larger_than_policy_takes_is_not_put(site: RestlessSite) -> None:
    """Else the same policy would refuse it, once people said yes to it."""
    rules = RULES + "p, user:ana, lake/ids/**, put, allow,\n"
    data = DATA + "  ids/**:\n    format: csv\n    columns: {ref: pii.id}\n    default: allow\n"
    data += "    put: {max_bytes: 20}\n    found: {pii.id: mask}\n"
    site.current = policy(rules, data)
    told = await site.put("ana", "ids/a.csv", b"ref,n\nA-1,2\n")
    assert (told.status, told.code) == (413, "body_too_large")
    assert site.files.content("ids/a.csv") is None


async def test_a_store_that_is_away_leaves_the_approval_as_it_is_and_nothing_open(
    site: RestlessSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await approved(site, await site.put("ana", "out/kept/a.csv", b"id\n1\n", if_absent=True))
    site.files.error = ConnectorError(Failure.UNAVAILABLE)
    closed: list[Arriving] = []
    with monkeypatch.context() as watched:
        watched.setattr(Arriving, "close", lambda self: closed.append(self))
        assert (await site.execute("ana", name)).status == 503
    assert len(closed) == 1
    closed[0].close()
    assert (await site.stored(name)).state.value == "approved"
    site.files.error = None
    assert (await site.execute("ana", name)).status == 200


async def taken_back(site: ObjectSite, name: str, says: str, status: int = 403, code: str = "access_denied") -> None:
    told = await site.execute("ana", name)
    assert (told.status, told.code) == (status, code)
    assert says in told.body["detail"]
    assert (await site.stored(name)).state.value == "revoked"
    assert name not in site.held.held
    last = site.trail.entries[-1]
    assert (last["approval_id"], last["approval_state"], last["code"]) == (name, "revoked", code)
    assert (await site.execute("ana", name)).code == "approval_revoked"


async def test_a_fetch_that_can_only_come_masked_by_now_and_cannot_be_masked_is_taken_back(site: RestlessSite) -> None:
    raw = DATA + "  asked/*.png: {content: raw}\n"
    site.current = policy(data=raw)
    site.files.file("asked/a.png", b"\x89PNG")
    name = await approved(site, await site.fetch("ana", "asked/a.png"))
    site.current = policy()
    await taken_back(site, name, "cannot be masked")


@pytest.mark.parametrize("terms", [TERMS, UNSEEN])
async def test_nobody_is_asked_about_content_that_cannot_be_masked(site: RestlessSite, terms: str) -> None:
    site.current = policy(terms=terms)
    site.files.file("asked/a.png", b"\x89PNG")
    assert (await site.fetch("ana", "asked/a.png")).code == "content_unknown_type"
    assert not site.store.all
