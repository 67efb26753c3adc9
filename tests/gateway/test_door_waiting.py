"""The door and requests that wait for a human: counted apart, ended with their client, woken when the server drains."""

import asyncio
from collections.abc import AsyncGenerator, MutableMapping
from typing import Any

import pytest

from app.api import sending
from app.gateway.answer import Answer, Spool, json_answer
from app.gateway.errors import Overloaded
from app.gateway.record import Record
from app.gateway.waiting import WaitingRoom
from app.policy.caller import Caller
from tests.gateway.test_door import HOST, JSON, TOKEN, Site, body, code

PATH = "/v1/approvals/apr_1"
Sent = list[MutableMapping[str, Any]]
LEAVES: MutableMapping[str, Any] = {"type": "http.disconnect"}
GET = body(b"")


class Lounge:
    """A site whose use case waits in a room until it is told."""

    def __init__(self) -> None:
        self.room, self.told, self.drained = WaitingRoom(), asyncio.Event(), 0
        self.site = Site(self.wait)
        self.site.door._room = self.room

    async def wait(self, caller: Caller, command: Any, record: Record) -> Answer:
        with self.room.seat():
            await self.told.wait()
        return json_answer(200, {"state": "approved"})


async def ask(site: Site, *messages: Any, path: str = PATH, headers: Any = (HOST, TOKEN), query: bytes = b"") -> Sent:
    return await site.send(*(messages or (GET,)), path=path, method="GET", headers=headers)


async def test_who_waits_is_no_part_of_the_crowd_and_turns_nobody_away() -> None:
    lounge = Lounge()
    waiters = [asyncio.create_task(ask(lounge.site)) for _ in range(30)]
    await asyncio.sleep(0.05)
    assert (lounge.room.waiting, lounge.site.door.in_flight) == (30, 0)
    lounge.told.set()
    assert {sent[0]["status"] for sent in await asyncio.gather(*waiters)} == {200}
    assert (lounge.room.waiting, lounge.site.door.in_flight) == (0, 0)


async def test_those_at_work_are_counted_as_before() -> None:
    busy = asyncio.Event()

    async def works(caller: Caller, command: Any, record: Record) -> Answer:
        await busy.wait()
        return json_answer(200, {"state": "approved"})

    site = Site(works)
    tasks = [asyncio.create_task(ask(site)) for _ in range(10)]
    await asyncio.sleep(0.05)
    assert site.door.in_flight == 10
    assert code(await ask(site)) == Overloaded.code
    busy.set()
    await asyncio.gather(*tasks)


async def test_a_client_that_leaves_ends_its_wait() -> None:
    lounge = Lounge()
    gone = asyncio.Event()

    async def receive() -> MutableMapping[str, Any]:
        if not gone.is_set():
            gone.set()
            return GET
        return LEAVES

    sent: Sent = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": PATH, "raw_path": PATH.encode(), "query_string": b"wait_seconds=60",
        "headers": [HOST, TOKEN],
    }  # fmt: skip
    await asyncio.wait_for(lounge.site.door(scope, receive, send), 5)
    assert sent == []
    assert lounge.room.waiting == 0
    assert [entry["outcome"] for entry in lounge.site.trail.entries] == ["cancelled"]


@pytest.mark.parametrize(("preferred", "applied"), [(b"wait=7", b"wait=7"), (b"respond-async", None)])
async def test_a_preference_that_is_honoured_is_confirmed(preferred: bytes, applied: bytes | None) -> None:
    sent = await ask(Site(), headers=(HOST, TOKEN, (b"prefer", preferred)))
    assert dict(sent[0]["headers"]).get(b"preference-applied") == applied


async def test_the_twin_in_the_body_has_precedence_over_the_header() -> None:
    headers = (HOST, TOKEN, JSON, (b"prefer", b"wait=7"))
    for wait_s, applied in ((b"7", b"wait=7"), (b"3", None)):
        sent = await Site().send(body(b'{"sql": "SELECT 1", "wait_seconds": %b}' % wait_s), headers=headers)
        assert dict(sent[0]["headers"]).get(b"preference-applied") == applied


def streaming(pieces: AsyncGenerator[bytes, None]) -> Any:
    async def use_case(caller: Caller, command: Any, record: Record) -> Answer:
        return Answer(status=200, opening=Spool(), media_type="text/event-stream", stream=pieces)

    return use_case


async def test_a_stream_goes_out_piece_by_piece_with_its_receipt_in_a_header() -> None:
    async def pieces() -> AsyncGenerator[bytes, None]:
        yield b"one"
        yield b"two"

    site = Site(streaming(pieces()))
    sent = await ask(site)
    headers = dict(sent[0]["headers"])
    assert headers[b"content-type"] == b"text/event-stream"
    assert b'"index":0' in headers[b"x-receipt"]
    assert b"content-length" not in headers
    assert [message.get("body") for message in sent[1:]] == [b"one", b"two", b""]
    assert site.trail.entries[0]["operation"] == "get_approval"
    assert site.door.in_flight == 0


async def test_a_client_that_takes_nothing_is_cut_and_its_stream_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TAKE_WITHIN_S", 0.02)
    closed = asyncio.Event()

    async def pieces() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"more"
        finally:
            closed.set()

    async def stuck(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    answer = Answer(status=200, opening=Spool(), media_type="text/event-stream", stream=pieces())
    await asyncio.wait_for(sending.send_stream(answer, "0" * 32, stuck), 5)
    assert closed.is_set()


async def test_draining_is_passed_on() -> None:
    lounge = Lounge()
    lounge.site.door._draining = lounge.told.set
    task = asyncio.create_task(ask(lounge.site))
    await asyncio.sleep(0.02)
    lounge.site.door.drain()
    assert (await asyncio.wait_for(task, 5))[0]["status"] == 200
