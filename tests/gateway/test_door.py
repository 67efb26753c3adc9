"""The door: who is let in, what two headers of one name mean, and which requests leave an entry."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from app.api.door import Door, Entrance
from app.api.operations import ENDPOINTS
from app.gateway.answer import Answer, json_answer
from app.gateway.record import Record
from app.policy.caller import Caller
from tests.gateway.fakes import FakeTrail, Told, customs

HOST, TOKEN, JSON = (b"host", b"gate.test"), (b"authorization", b"Bearer good"), (b"content-type", b"application/json")
ENTRANCE = Entrance(
    hosts=frozenset({"gate.test", "[::1]"}),
    origins=frozenset({"https://gate.test"}),
    max_body_bytes=1_000,
    max_url_bytes=1_000,
    max_headers_bytes=1_000,
    max_in_flight=10,
)


class Site:
    """A door with one use case for everything, and a client that sends what it is told."""

    def __init__(self, use_case: Any = None) -> None:
        self.trail, self.told = FakeTrail(), Told()
        self.door = Door(
            customs=customs(self.trail, self.told),
            endpoints=ENDPOINTS,
            use_cases={endpoint.name: use_case or hello for endpoint in ENDPOINTS},
            entrance=ENTRANCE,
            trace=lambda _header: "0" * 31 + "1",
            rest=elsewhere,
            elsewhere=lambda path: not path.startswith("/v1"),
        )

    async def send(
        self,
        *messages: MutableMapping[str, Any],
        headers: Any = (HOST, TOKEN, JSON),
        path: str = "/v1/connections/shop/query",
        method: str = "POST",
    ) -> list[MutableMapping[str, Any]]:
        waiting, sent = list(messages), []

        async def receive() -> MutableMapping[str, Any]:
            if waiting:
                return waiting.pop(0)
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": list(headers),
        }
        await self.door(scope, receive, send)
        return sent


async def hello(caller: Caller, command: Any, record: Record) -> Answer:
    return json_answer(200, {"hello": caller.principal})


async def elsewhere(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "elsewhere"})


def body(text: bytes, *, more: bool = False) -> MutableMapping[str, Any]:
    return {"type": "http.request", "body": text, "more_body": more}


def code(sent: list[MutableMapping[str, Any]]) -> str:
    return str(json.loads(b"".join(message.get("body", b"") for message in sent)).get("code"))


WHOLE = body(b'{"sql": "SELECT 1"}')


async def test_a_request_is_answered_and_recorded() -> None:
    site = Site()
    sent = await site.send(body(b'{"sql": ', more=True), body(b'"SELECT 1"}'))
    assert sent[0]["status"] == 200
    assert [entry["operation"] for entry in site.trail.entries] == ["query_sql"]


async def test_a_client_that_leaves_before_its_body_is_whole_leaves_an_entry() -> None:
    site = Site()
    assert await site.send(body(b'{"sql": ', more=True), {"type": "http.disconnect"}) == []
    assert [(entry["operation"], entry["outcome"]) for entry in site.trail.entries] == [("query_sql", "cancelled")]


async def test_a_request_cancelled_while_its_body_arrives_leaves_an_entry_before_the_door_is_empty() -> None:
    site = Site()
    task = asyncio.create_task(site.send(body(b'{"sql": ', more=True)))
    await asyncio.sleep(0.01)
    emptied = asyncio.create_task(site.door.emptied(5))
    await asyncio.sleep(0)
    assert not emptied.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await emptied
    assert [entry["outcome"] for entry in site.trail.entries] == ["cancelled"]


async def test_a_client_that_leaves_while_it_waits_ends_its_request() -> None:
    async def hangs(caller: Caller, command: Any, record: Record) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    site = Site(hangs)
    assert await site.send(WHOLE, {"type": "http.disconnect"}) == []
    assert [entry["outcome"] for entry in site.trail.entries] == ["cancelled"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((HOST,), "missing_token"),
        ((TOKEN,), "host_not_allowed"),
        ((HOST, (b"host", b"evil.test"), TOKEN), "host_not_allowed"),
        (((b"host", b"evil.test"), HOST, TOKEN), "host_not_allowed"),
        (((b"host", b"gate.test.evil.test"), TOKEN), "host_not_allowed"),
        (((b"host", b"evil.test:gate.test"), TOKEN), "host_not_allowed"),
        ((HOST, TOKEN, TOKEN), "invalid_token"),
        ((HOST, TOKEN, (b"origin", b"null")), "origin_not_allowed"),
        ((HOST, TOKEN, (b"origin", b"https://evil.test"), (b"origin", b"https://gate.test")), "host_not_allowed"),
        ((HOST, TOKEN), "unsupported_media_type"),
        ((HOST, TOKEN, JSON, (b"x", b"y" * 1_000)), "headers_too_large"),
        ((HOST, (b"authorization", b"Basic Z29vZA==")), "missing_token"),
    ],
)
async def test_what_is_wrong_with_a_request_is_told_and_recorded(headers: Any, expected: str) -> None:
    site = Site()
    assert code(await site.send(WHOLE, headers=headers)) == expected
    assert [entry["code"] for entry in site.trail.entries] == [expected]


@pytest.mark.parametrize("host", [b"gate.test", b"gate.test:8443", b"GATE.test", b"[::1]", b"[::1]:8080"])
async def test_a_host_is_known_in_any_case_and_with_any_port(host: bytes) -> None:
    assert (await Site().send(WHOLE, headers=((b"host", host), TOKEN, JSON)))[0]["status"] == 200


@pytest.mark.parametrize("path", ["/v1/", "/v1/me/", "/v1//me", "/v1/connections//query", "/v1/connections/a/b/query"])
async def test_paths_with_empty_or_further_segments_are_nothing(path: str) -> None:
    site = Site()
    assert code(await site.send(WHOLE, path=path)) == "not_found"
    assert [entry["path"] for entry in site.trail.entries] == [path]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "query"])
async def test_other_methods_are_refused_and_recorded(method: str) -> None:
    site = Site()
    sent = await site.send(WHOLE, method=method)
    assert [entry["code"] for entry in site.trail.entries] == ["method_not_allowed"]
    assert (sent[1]["body"] == b"") == (method == "HEAD")
