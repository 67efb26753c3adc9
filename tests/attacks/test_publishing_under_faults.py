"""Whatever fails or leaves at whichever step: no broker has anything unrecorded, and one key publishes one message."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from app.approval.approval import State
from app.ports import TrailUnavailable
from connectors.contract import ConnectorError, Failure
from tests.gateway.message_site import MessageSite


class Broken:
    """One thing that goes wrong at step `at` of a site."""

    def __init__(self, kind: str, at: int) -> None:
        self.kind = kind
        self.at = at

    def apply(self, site: MessageSite) -> None:
        match self.kind:
            case "store before" | "store after":
                site.outages.at = len(site.outages.calls) + self.at
                site.outages.after = self.kind == "store after"
            case "trail":
                self._fail_append(site)
            case "broker before":
                site.wire.error = ConnectorError(Failure.UNAVAILABLE)
            case "broker after":
                site.wire.lost = ConnectorError(Failure.OUTCOME_UNKNOWN)

    def _fail_append(self, site: MessageSite) -> None:
        first = len(site.trail.entries)
        append = site.trail.append

        def failing(entry: Any) -> Any:
            site.trail.down = len(site.trail.entries) - first >= self.at
            return append(entry)

        site.trail.append = failing  # type: ignore[method-assign]
        self._mend_trail = lambda: setattr(site.trail, "append", append)

    def mend(self, site: MessageSite) -> None:
        site.outages.at = None
        site.wire.error = site.wire.lost = None
        if self.kind == "trail":
            self._mend_trail()
            site.trail.down = False


async def _cut(call: Callable[[], Any], steps: int | None) -> Any:
    """What the call gives; None where its client left after so many steps."""
    task = asyncio.ensure_future(call())
    if steps is not None:
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
    try:
        return await task
    except asyncio.CancelledError:
        return None


def _unexpected(site: MessageSite) -> list[BaseException]:
    """The operator hears of a log that is away."""
    return [fault for fault in site.faults if not isinstance(fault, TrailUnavailable)]


def _intents(site: MessageSite) -> int:
    return sum(entry["outcome"] == "intent" for entry in site.trail.entries)


@pytest.mark.parametrize("leaves", [None, 1, 4, 6, 9])
@pytest.mark.parametrize("kind", ["nothing", "store before", "store after", "trail", "broker before", "broker after"])
async def test_one_key_publishes_at_most_once_and_never_unrecorded(kind: str, leaves: int | None) -> None:
    for at in range(3):
        broken = Broken(kind, at)
        async with MessageSite() as site:
            broken.apply(site)
            told = await _cut(lambda site=site: site.publish("ana", "plain", {"n": 1}, idempotency_key="k"), leaves)
            first = len(site.wire.sent)
            assert first <= _intents(site)
            if told is not None and told.status == 200:
                assert first == 1
            if told is not None and told.code in ("connection_unavailable", "approvals_unavailable"):
                assert first == 0
            broken.mend(site)
            await site.settled()
            for _ in range(2):
                site.restart()
                again = await site.publish("ana", "plain", {"n": 1}, idempotency_key="k")
                assert again.status in (200, 409)
            assert len(site.wire.sent) <= max(1, first)
            assert len(await site.waiting("plain")) == len(site.wire.sent) <= 1
            assert _unexpected(site) == []


@pytest.mark.parametrize("leaves", [None, 2, 5, 8, 11])
@pytest.mark.parametrize("kind", ["nothing", "store before", "store after", "trail", "broker before", "broker after"])
async def test_an_approval_publishes_at_most_once_and_never_unrecorded(kind: str, leaves: int | None) -> None:
    for at in range(6):
        broken = Broken(kind, at)
        async with MessageSite() as site:
            asked = await site.publish("ana", "partner", {"n": 1})
            approval = asked.body["approval_id"]
            await site.said_yes(approval)
            intents = _intents(site)
            broken.apply(site)
            await _cut(lambda site=site, approval=approval: site.execute("ana", approval, "k"), leaves)
            assert len(site.wire.sent) <= _intents(site) - intents
            broken.mend(site)
            await site.settled()
            for key in ("k", "other", None):
                site.restart()
                await site.execute("ana", approval, key)
                await site.settled()
            assert len(site.wire.sent) <= 1
            assert len(await site.waiting("partner")) == len(site.wire.sent)
            after = (await site.stored(approval)).state
            assert (after is State.EXECUTED) <= (len(site.wire.sent) == 1)
            assert _unexpected(site) == []
