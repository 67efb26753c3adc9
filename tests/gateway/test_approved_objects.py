"""Objects that people said yes to, when the object or the policy is another one by the time it is used."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import ConnectorError, Failure
from tests.gateway.object_site import TERMS, Files, ObjectSite, policy

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
