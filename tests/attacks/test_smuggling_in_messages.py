"""Personal data and secrets on their way past the payload guard, and out of messages that others published."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.messages.cloudevents import CLOUD_EVENT_TYPE
from connectors.contract import Outgoing
from connectors.memory.connector import MemoryConnector
from tests.gateway.message_site import DATA, MessageSite

LABELLED = DATA.replace("strict: {found: {}}", "strict: {found: {}, paths: {$.name: pii.name}}")
EVENT = {"specversion": "1.0", "type": "order.created", "source": "/shop", "id": "1", "data": {"n": 1}}


@pytest.fixture
async def site() -> AsyncIterator[MessageSite]:
    async with MessageSite() as running:
        yield running


async def put(site: MessageSite, topic: str, body: bytes, content_type: str) -> None:
    """By somebody who needs no gateway."""
    message = Outgoing(topic=topic, body=body, message_id="m", content_type=content_type)
    await MemoryConnector.publish(site.wire, message, timeout_s=1)


async def received(site: MessageSite, topic: str) -> dict[str, Any]:
    told = await site.receive("ana", topic)
    assert told.status == 200
    found: dict[str, Any] = told.body["messages"][0]
    return found


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"text": '{"name": "Ada Lovelace"}'}, "/text"),
        ({"text": '{"name": "Ada Lovelace"}', "content_type": "text/json"}, "/text"),
        (
            {
                "text": json.dumps(EVENT | {"data": '{"name": "Ada Lovelace"}', "datacontenttype": "text/json"}),
                "content_type": CLOUD_EVENT_TYPE,
            },
            "/text/data",
        ),
    ],
)
async def test_labels_by_path_are_not_passed_by_what_calls_itself_text(sent: dict[str, str], pointer: str) -> None:
    async with MessageSite(data=LABELLED) as site:
        told = await site.publish("ana", "strict", **sent)
        assert (told.status, told.code) == (422, "payload_invalid")
        assert [each["pointer"] for each in told.body["errors"]] == [pointer]
        assert site.wire.sent == []


async def test_a_path_counts_where_what_is_received_comes_raw() -> None:
    async with MessageSite(
        data=DATA.replace("raw: {content: raw}", "raw: {content: raw, paths: {$.name: pii.name}}")
    ) as site:
        told = await site.publish("ana", "raw", {"name": "Ada Lovelace"})
        assert (told.status, told.code) == (403, "content_denied")
        assert (await site.publish("ana", "raw", {"other": "x"})).status == 200


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"text": "x", "content_type": "text/4111111111111111"}, "/content_type"),
        ({"payload": {"a": 1}, "content_type": "application/x.4111111111111111+json"}, "/content_type"),
        ({"payload": EVENT | {"datacontenttype": "application/4111111111111111+json"}}, "/payload/datacontenttype"),
        ({"payload": EVENT | {"ssn": 219099999}}, "/payload/ssn"),
        ({"payload": EVENT | {"phone": 2025550123}}, "/payload/phone"),
        ({"payload": {"card": 4111111111111111.5}}, "/payload/card"),
        ({"payload": {"card": -4111111111111111.5}}, "/payload/card"),
    ],
)
async def test_every_place_that_holds_a_number_is_looked_at(
    site: MessageSite, sent: dict[str, Any], pointer: str
) -> None:
    whole = {"content_type": CLOUD_EVENT_TYPE} if "specversion" in sent.get("payload", {}) else {}
    told = await site.publish("ana", "strict", **(whole | sent))
    assert (told.status, told.code) == (403, "content_denied")
    assert [each["pointer"] for each in told.body["errors"]] == [pointer]
    assert site.wire.sent == []


@pytest.mark.parametrize("kind", ["text/ ada@example.com", "ada@example.com+json", "text/x y", 7])
async def test_a_type_of_data_that_is_no_type_is_refused(site: MessageSite, kind: Any) -> None:
    told = await site.publish(
        "ana", "strict", EVENT | {"datacontenttype": kind, "data": "x"}, content_type=CLOUD_EVENT_TYPE
    )
    assert (told.status, told.code) == (422, "invalid_request")
    assert site.wire.sent == []


async def test_a_content_type_is_not_masked_but_refused(site: MessageSite) -> None:
    data = DATA.replace("strict: {found: {}}", "strict: {found: {pci.*: mask}}")
    async with MessageSite(data=data) as masking:
        told = await masking.publish("ana", "strict", text="x", content_type="text/4111111111111111")
        assert (told.status, told.code) == (403, "content_denied")
        assert "41111111" not in told.raw.decode()


async def test_a_number_in_an_event_is_masked_and_waits_for_a_human_as_it_was_masked() -> None:
    data = DATA.replace("partner: {found: {pii.*: mask}", "partner: {found: {pii.*: mask}, cloud_events: true")
    async with MessageSite(data=data) as site:
        asked = await site.publish("ana", "partner", EVENT | {"ssn": 219099999}, content_type=CLOUD_EVENT_TYPE)
        assert asked.status == 202
        await site.said_yes(asked.body["approval_id"])
        done = await site.execute("ana", asked.body["approval_id"])
        assert done.status == 200
        assert b"219099999" not in site.wire.sent[0].body
        assert "ssn" not in json.loads(site.wire.sent[0].body)


async def test_numbers_too_large_for_a_float_pass_like_others(site: MessageSite) -> None:
    told = await site.publish("ana", "plain", {"n": 10**400})
    assert told.status == 200
    assert site.faults == []


@pytest.mark.parametrize(
    ("body", "sent", "shown"),
    [
        (b'{"a":1}', "4111111111111111+json", "application/json"),
        (b'{"a":1}', "application/4111111111111111+json", "application/json"),
        (b"hello", "text/ada@example.com", "text/plain"),
        (b"hello", "text/x-log; charset=utf-8", "text/x-log"),
    ],
)
async def test_a_content_type_comes_as_its_sender_says_only_where_it_is_one(
    site: MessageSite, body: bytes, sent: str, shown: str
) -> None:
    await put(site, "plain", body, sent)
    assert (await received(site, "plain"))["content_type"] == shown


async def test_numbers_in_attributes_of_an_event_come_masked(site: MessageSite) -> None:
    event = EVENT | {"ssn": 219099999, "attempt": 3}
    await put(site, "plain", json.dumps(event).encode(), CLOUD_EVENT_TYPE)
    seen = (await received(site, "plain"))["cloud_event"]
    assert (seen["ssn"], seen["attempt"]) == (None, 3)


async def test_many_names_that_are_masked_alike_cost_no_more_than_others(site: MessageSite) -> None:
    names = [f"u{number}@x.io" for number in range(4_000)]
    await put(site, "plain", json.dumps(dict.fromkeys(names, 1)).encode(), "application/json")
    told = await site.receive("ana", "plain")
    assert len(told.body["messages"][0]["payload"]) == len(names)
    assert len(told.raw) < 40 * len(names)
