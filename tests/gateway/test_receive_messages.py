"""Messages come masked or withheld, with handles for their receiver alone; whatever goes wrong, they come again."""

import asyncio
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from app.gateway.handles import Handles
from connectors.contract import ConnectorError, Failure, Incoming, Outgoing, Unread
from tests.gateway.message_site import DATA, RULES, MessageSite, policy

ORDER = {"n": 1, "customer": {"name": "Ana", "email": "ana@example.com"}, "note": "call bo@example.com"}


@pytest.fixture
async def site() -> AsyncIterator[MessageSite]:
    async with MessageSite() as running:
        yield running


async def put(site: MessageSite, topic: str, body: Any, **more: Any) -> None:
    """From another sender, past the gateway."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    more = {"message_id": "m", "content_type": "application/json"} | more
    await site.wire.publish(Outgoing(topic=topic, body=raw, **more), timeout_s=1)


async def test_a_message_comes_masked_for_its_receiver(site: MessageSite) -> None:
    await put(site, "orders", ORDER, headers={"from": "eve@example.com"}, key="k")
    told = await site.receive("ana", "orders")
    (message,) = told.body["messages"]
    assert message["payload"]["n"] == 1
    assert message["payload"]["note"] == "call ***@example.com"
    assert message["payload"]["customer"]["email"] == "***@example.com"
    assert len(message["payload"]["customer"]["name"]) == 32
    assert (message["headers"], message["key"], message["deliveries"]) == ({"from": "***@example.com"}, "k", 1)
    assert (told.body["message_count"], told.body["withheld_count"]) == (1, 0)
    assert told.body["masks"] == ["partial", "pseudonym", "redact"]


async def test_others_get_other_views_of_it(site: MessageSite) -> None:
    await put(site, "orders", ORDER)
    told = await site.receive("bob", "orders")
    assert told.body["messages"][0]["payload"]["customer"]["email"] == "ana@example.com"
    assert len(told.body["messages"][0]["payload"]["customer"]["name"]) == 32


async def test_what_was_received_is_on_record_and_not_what_is_in_it(site: MessageSite) -> None:
    await put(site, "orders", ORDER)
    told = await site.receive("ana", "orders")
    entry = site.trail.entries[-1]
    assert (entry["action"], entry["rows"], entry["message_ids"]) == ("receive", 1, ("1",))
    assert entry["labels"] == ("pii.email", "pii.name")
    assert "ana@" not in json.dumps(entry)
    assert told.body["receipt"]["index"] == len(site.trail.entries) - 1


async def test_twins_that_differ_in_what_is_masked_are_answered_alike() -> None:
    answers = []
    for name, mail, note in (("Ana", "ana@example.com", "by 1"), ("Bartholomew", "b.b@example.com", "by 22222")):
        data = "topics: {orders: {paths: {$.n: allow, $.mail: pii.email}}}"
        async with MessageSite(data=data) as site:
            await put(site, "orders", {"n": 1, "mail": mail, "name": name, "more": {name: note}})
            answers.append((await site.receive("ana", "orders")).body["messages"])
    for one in answers:
        one[0].pop("handle")
    assert answers[0] == answers[1]


async def test_a_poison_message_is_withheld_and_the_others_come(site: MessageSite) -> None:
    await put(site, "orders", ORDER)
    await put(site, "orders", b"\xff{", headers={"x": "ana@example.com"}, key="ana@example.com")
    await put(site, "orders", b"[" * 5_000)
    await put(site, "orders", ORDER)
    told = await site.receive("ana", "orders")
    assert [each["withheld"] for each in told.body["messages"]] == [None, "not_json", "not_json", None]
    poison = told.body["messages"][1]
    assert (poison["payload"], poison["text"], poison["base64"], poison["headers"], poison["key"]) == (
        None, None, None, {}, None,
    )  # fmt: skip
    assert b"ana@" not in told.raw
    assert site.trail.entries[-1]["withheld"] == told.body["withheld_count"] == 2
    acked = await site.ack("ana", "orders", poison["handle"])
    assert acked.body["results"][0]["result"] == "done"


async def test_a_message_that_our_own_fault_hides_hides_no_other(site: MessageSite) -> None:
    find = site.find

    def broken(text: str, name: str = "") -> Any:
        if text == "poison":
            raise RuntimeError("secret: hunter2")
        return find(text, name)

    site.find = broken
    await put(site, "plain", {"a": "poison"})
    await put(site, "plain", {"a": "fine"})
    told = await site.receive("ana", "plain")
    assert [each["withheld"] for each in told.body["messages"]] == ["masking_failed", None]
    assert b"hunter2" not in told.raw
    assert len(site.faults) == 1


async def test_a_mask_without_its_key_hides_what_needs_it_and_nothing_else(site: MessageSite) -> None:
    def no_key(_domain: str) -> bytes:
        raise LookupError("no master key")

    site.keyring.key = no_key  # type: ignore[method-assign]
    await put(site, "orders", {"n": 1})
    await put(site, "orders", ORDER)
    told = await site.receive("ana", "orders")
    assert [each["withheld"] for each in told.body["messages"]] == [None, "masking_failed"]
    assert len(site.faults) == 1


@pytest.mark.parametrize("why", list(Unread))
async def test_what_its_broker_could_not_unpack_is_withheld_and_can_be_acked(
    site: MessageSite, monkeypatch: pytest.MonkeyPatch, why: Unread
) -> None:
    await put(site, "orders", ORDER)
    received = site.wire.receive

    async def unread(topic: str, **given: Any) -> tuple[Incoming, ...]:
        return tuple(replace(each, body=b"", unread=why) for each in await received(topic, **given))

    monkeypatch.setattr(site.wire, "receive", unread)
    (message,) = (await site.receive("ana", "orders")).body["messages"]
    assert (message["withheld"], message["payload"], message["text"]) == (why.value, None, None)
    assert (await site.ack("ana", "orders", message["handle"])).body["results"][0]["result"] == "done"


async def test_a_message_that_is_too_large_is_withheld(site: MessageSite) -> None:
    await put(site, "plain", b'"' + b"x" * 100_000 + b'"')
    await put(site, "plain", b'"' + b"x y " * 20_000 + b'"')
    told = await site.receive("ana", "plain")
    assert [each["withheld"] for each in told.body["messages"]] == ["too_large", None]


async def test_numbers_beyond_64_bits_come_whole(site: MessageSite) -> None:
    await put(site, "plain", b'{"n": 123456789012345678901234567890}')
    assert b'{"n":123456789012345678901234567890}' in (await site.receive("ana", "plain")).raw


async def test_bytes_text_and_events_come_in_members_of_their_own(site: MessageSite) -> None:
    await put(site, "raw", b"\0\xff", content_type="image/png")
    await put(site, "plain", b"to ana@example.com", content_type="text/plain")
    event = {"specversion": "1.0", "id": "1", "type": "t", "source": "/s", "data": {"name": "Ana", "n": 1}}
    await put(site, "events", event)
    (raw,) = (await site.receive("ana", "raw")).body["messages"]
    (text,) = (await site.receive("ana", "plain")).body["messages"]
    (one,) = (await site.receive("ana", "events")).body["messages"]
    assert (raw["base64"], raw["content_type"]) == ("AP8=", "image/png")
    assert (text["text"], text["content_type"]) == ("to ***@example.com", "text/plain")
    assert one["cloud_event"] == {"type": "t", "source": "/s", "id": "1"}
    assert one["payload"]["n"] == 1
    assert len(one["payload"]["name"]) == 32


@pytest.mark.parametrize(
    ("who", "topic", "more", "status", "code"),
    [
        ("ana", "closed", {}, 403, "access_denied"),
        ("eve", "asking", {}, 403, "access_denied"),
        ("eve", "orders", {}, 403, "access_denied"),
        ("eve", "plain", {}, 404, "topic_not_found"),
        ("ana", "nowhere", {}, 404, "topic_not_found"),
        ("ana", "$SYS", {}, 422, "invalid_request"),
        ("ana", "orders", {"connection": "other"}, 404, "unknown_connection"),
        ("max", "orders", {}, 404, "unknown_connection"),
        ("ana", "orders", {"unmask": ("pii.email",)}, 403, "access_denied"),
    ],
)
async def test_what_policy_does_not_allow_is_not_received(
    site: MessageSite, who: str, topic: str, more: dict[str, Any], status: int, code: str
) -> None:
    await put(site, "orders", ORDER)
    told = await site.receive(who, topic, **more)
    assert (told.status, told.code) == (status, code)
    assert len(await site.waiting("orders")) == 1


async def test_a_label_that_policy_lets_be_seen_may_be_named(site: MessageSite) -> None:
    await put(site, "orders", ORDER)
    told = await site.receive("bob", "orders", unmask=("pii.email",))
    assert told.body["messages"][0]["payload"]["customer"]["email"] == "ana@example.com"


async def test_messages_that_cannot_be_recorded_are_given_back(site: MessageSite) -> None:
    await put(site, "orders", ORDER)
    site.trail.down = True
    told = await site.receive("ana", "orders")
    assert told.code == "audit_unavailable"
    assert b"example.com" not in told.raw
    assert len(site.wire.released) == 1
    assert len(await site.waiting("orders")) == 1


async def test_messages_of_a_client_that_left_are_given_back(site: MessageSite) -> None:
    await put(site, "orders", ORDER)
    site.trail.gate = asyncio.Event()
    running = asyncio.ensure_future(site.receive("ana", "orders"))
    while not site.trail.entries:
        await asyncio.sleep(0)
    running.cancel()
    site.trail.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    await site.settled()
    assert len(await site.waiting("orders")) == 1


async def test_messages_of_one_whose_access_ended_while_it_waited_are_given_back(site: MessageSite) -> None:
    running = asyncio.ensure_future(site.receive("ana", "orders", wait_seconds=20))
    await asyncio.sleep(0.01)
    site.withdrawn.add("ana")
    await put(site, "orders", ORDER)
    told = await running
    assert told.code == "invalid_token"
    await site.settled()
    assert len(await site.waiting("orders")) == 1


async def test_one_who_waits_gets_the_first_message(site: MessageSite) -> None:
    running = asyncio.ensure_future(site.receive("ana", "orders", wait_seconds=20))
    await asyncio.sleep(0.01)
    await put(site, "orders", ORDER)
    assert (await running).body["message_count"] == 1


async def test_an_empty_topic_says_so(site: MessageSite) -> None:
    told = await site.receive("ana", "orders")
    assert (told.status, told.body["messages"]) == (200, [])
    assert "Nothing waits" in told.body["notice"]


async def test_a_broker_that_is_away_is_a_clear_answer(site: MessageSite) -> None:
    site.wire.error = ConnectorError(Failure.UNAVAILABLE)
    assert (await site.receive("ana", "orders")).code == "connection_unavailable"
    site.wire.error = ConnectorError(Failure.TIMEOUT)
    assert (await site.receive("ana", "orders")).status == 503


# Acks


async def received(site: MessageSite, who: str = "ana", topic: str = "orders") -> str:
    await put(site, topic, ORDER)
    handle: str = (await site.receive(who, topic)).body["messages"][0]["handle"]
    return handle


async def test_what_is_acked_does_not_come_again(site: MessageSite) -> None:
    handle = await received(site)
    told = await site.ack("ana", "orders", handle)
    assert told.body["results"] == [{"handle": handle, "result": "done"}]
    assert told.body["done_count"] == 1
    site.now += 120
    assert (await site.receive("ana", "orders")).body["messages"] == []
    assert [entry["outcome"] for entry in site.trail.entries][-3:] == ["intent", "completed", "completed"]


async def test_what_is_not_acked_comes_again_and_its_old_handle_is_gone(site: MessageSite) -> None:
    old = await received(site)
    site.now += 61
    told = await site.ack("ana", "orders", old)
    assert told.body["results"][0]["result"] == "gone"
    again = (await site.receive("ana", "orders")).body["messages"]
    assert again[0]["deliveries"] == 2


async def test_handles_open_for_nobody_else_and_nowhere_else(site: MessageSite) -> None:
    handle = await received(site)
    raw = bytearray(urlsafe_b64decode(handle + "=" * (-len(handle) % 4)))
    raw[-1] ^= 1
    altered = urlsafe_b64encode(bytes(raw)).decode().rstrip("=")
    results = [
        (await site.ack("bob", "orders", handle)).body["results"][0]["result"],
        (await site.ack("ana-other", "orders", handle)).body["results"][0]["result"],
        (await site.ack("ana", "plain", handle)).body["results"][0]["result"],
        (await site.ack("ana", "orders", altered)).body["results"][0]["result"],
        (await site.ack("ana", "orders", "garbage!")).body["results"][0]["result"],
        (await site.ack("ana", "orders", "\u00e9")).body["results"][0]["result"],
    ]
    assert results == ["gone"] * 6
    assert site.wire.acked == []
    assert all(entry["reason"] == "handles_not_good" for entry in site.trail.entries[-6:])
    assert (await site.ack("ana", "orders", handle)).body["done_count"] == 1


async def test_a_handle_of_another_is_answered_like_one_that_never_was(site: MessageSite) -> None:
    handle = await received(site)
    foreign = (await site.ack("bob", "orders", handle)).body
    unknown = (await site.ack("bob", "orders", "AAAA")).body
    for answer in (foreign, unknown):
        answer.pop("receipt")
        answer["results"][0].pop("handle")
    assert foreign == unknown


async def test_each_handle_has_its_own_result(site: MessageSite) -> None:
    handle = await received(site)
    told = await site.ack("ana", "orders", "AAAA", handle)
    assert [each["result"] for each in told.body["results"]] == ["gone", "done"]
    assert (told.body["done_count"], site.trail.entries[-1]["affected_rows"]) == (1, 1)


async def test_nothing_is_acked_without_a_record_or_a_right(site: MessageSite) -> None:
    handle = await received(site)
    site.trail.down = True
    assert (await site.ack("ana", "orders", handle)).code == "audit_unavailable"
    site.trail.down = False
    assert site.wire.acked == []
    site.current = policy(RULES.replace("events/*, receive, allow", "events/*, receive, deny"), DATA)
    assert (await site.ack("ana", "orders", handle)).code == "access_denied"
    assert site.wire.acked == []


async def test_an_ack_that_the_broker_did_not_hear_may_be_repeated(site: MessageSite) -> None:
    handle = await received(site)
    site.wire.error = ConnectorError(Failure.TIMEOUT)
    assert (await site.ack("ana", "orders", handle)).code == "connection_unavailable"
    site.wire.error = None
    assert (await site.ack("ana", "orders", handle)).body["done_count"] == 1


def test_a_handle_tells_nothing_of_what_the_broker_calls_it() -> None:
    handles = Handles(b"h" * 32)
    sealed = handles.seal(("a",), "queue-url/receipt", 10.0)
    assert "queue" not in sealed
    assert b"queue" not in urlsafe_b64decode(sealed + "==")
    assert handles.open(("a",), sealed, 9.0) == "queue-url/receipt"
    assert handles.open(("a",), sealed, 10.0) is None
    assert handles.open(("b",), sealed, 9.0) is None
    assert Handles(b"i" * 32).open(("a",), sealed, 9.0) is None


async def test_what_was_received_for_a_purpose_is_acked_without_it() -> None:
    rules = RULES.replace(
        "bob, events/orders, receive, allow,", "bob, events/orders, receive, allow, purpose = 'support'"
    )
    async with MessageSite(rules=rules) as site:
        await put(site, "orders", ORDER)
        assert (await site.receive("bob", "orders")).code == "access_denied"
        told = await site.receive("bob", "orders", purpose="support")
        done = await site.ack("bob", "orders", told.body["messages"][0]["handle"])
        assert (done.status, done.body["done_count"]) == (200, 1)


async def test_nothing_is_acked_where_nothing_may_be_received(site: MessageSite) -> None:
    assert (await site.ack("ana", "closed", "AAAA")).code == "access_denied"
    assert (await site.ack("eve", "orders", "AAAA")).code == "access_denied"
    assert site.wire.acked == []


async def test_a_handle_is_good_through_the_agents_that_received_alone() -> None:
    async with MessageSite() as site:
        site.tokens["ana-chain"] = replace(site.tokens["ana"], actor_chain=("other",))
        await site.publish("ana", "orders", {"a": 1})
        handle = (await site.receive("ana", "orders")).body["messages"][0]["handle"]
        assert (await site.ack("ana-chain", "orders", handle)).body["results"][0]["result"] == "gone"
        assert (await site.ack("ana", "orders", handle)).body["results"][0]["result"] == "done"
