"""A message is published once, as policy wants it, and told as published only when the broker has it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.messages.cloudevents import CLOUD_EVENT_TYPE
from connectors.contract import ConnectorError, Failure
from tests.gateway import message_site
from tests.gateway.message_site import DATA, EVENT, RULES, MessageSite, policy

AWS = "AKIA" + "QYLPMN5HHHFPZAM2"


@pytest.fixture
async def site() -> AsyncIterator[MessageSite]:
    async with MessageSite() as running:
        yield running


async def test_a_message_is_published_and_told_as_the_broker_has_it(site: MessageSite) -> None:
    told = await site.publish("ana", "plain", {"b": 1, "a": "x"}, headers={"trace-id": "b7"}, key="k")
    assert told.status == 200
    assert told.body["message_id"] == "1"
    assert told.body["size"] == len(b'{"a":"x","b":1}')
    assert told.body["duplicate"] is False
    (sent,) = site.wire.sent
    assert (sent.body, sent.content_type, sent.key) == (b'{"a":"x","b":1}', "application/json", "k")
    assert sent.headers == {"trace-id": "b7"}
    assert sent.dedup_id is None


async def test_the_intent_is_on_the_trail_before_the_broker_hears_of_it(site: MessageSite) -> None:
    await site.publish("ana", "plain", {"a": 1})
    intent, done = site.trail.entries
    assert (intent["outcome"], done["outcome"]) == ("intent", "completed")
    assert intent["message_id"].startswith("msg_")
    assert intent["content_sha256"] == done["content_sha256"]
    assert (done["action"], done["resources"], done["affected_rows"]) == ("publish", ("events/plain",), 1)
    assert "payload" not in json.dumps(intent)


async def test_nothing_is_published_without_a_record(site: MessageSite) -> None:
    site.trail.down = True
    told = await site.publish("ana", "plain", {"a": 1}, idempotency_key="k")
    assert (told.status, told.code) == (503, "audit_unavailable")
    assert site.wire.sent == []
    await site.settled()
    site.trail.down = False
    assert (await site.publish("ana", "plain", {"a": 1}, idempotency_key="k")).status == 200


@pytest.mark.parametrize(
    ("who", "topic", "status", "code"),
    [
        ("ana", "nowhere", 404, "topic_not_found"),
        ("eve", "plain", 404, "topic_not_found"),
        ("bob", "orders", 403, "access_denied"),
        ("ana", "quiet", 403, "access_denied"),
        ("ana", "a..b", 422, "invalid_request"),
        ("ana", "a.*", 422, "invalid_request"),
    ],
)
async def test_topics_that_one_may_not_know_of_are_not_there(
    site: MessageSite, who: str, topic: str, status: int, code: str
) -> None:
    told = await site.publish(who, topic, {"to": "ana@example.com" if topic == "quiet" else "nobody"})
    assert (told.status, told.code) == (status, code)
    assert site.wire.sent == []


async def test_a_connection_that_one_has_no_use_of_is_not_there(site: MessageSite) -> None:
    one = await site.publish("ana", "plain", {}, connection="other")
    two = await site.publish("max", "plain", {})
    assert one.code == two.code == "unknown_connection"
    assert one.body["detail"] == two.body["detail"]


async def test_a_topic_that_is_hidden_answers_like_one_that_is_not_there(site: MessageSite) -> None:
    hidden, missing = await site.publish("eve", "plain", {}), await site.publish("ana", "nowhere", {})
    alike = ("type", "title", "status", "code", "detail")
    assert [hidden.body[name] for name in alike] == [missing.body[name] for name in alike]


async def test_secrets_do_not_pass_and_are_nowhere_repeated(site: MessageSite) -> None:
    told = await site.publish("ana", "strict", {"config": {"key": AWS}}, headers={"x-key": AWS})
    assert (told.status, told.code) == (403, "content_denied")
    assert [each["pointer"] for each in told.body["errors"]] == ["/payload/config/key", "/headers/x-key"]
    assert AWS not in told.raw.decode()
    assert AWS not in json.dumps(site.trail.entries)
    assert "secret.aws_key" in site.trail.entries[-1]["labels"]
    assert site.wire.sent == []


async def test_a_condition_may_ask_for_labels(site: MessageSite) -> None:
    assert (await site.publish("ana", "quiet", {"a": 1})).status == 200
    assert (await site.publish("ana", "quiet", {"a": "to ana@example.com"})).code == "access_denied"


async def test_what_policy_masks_is_published_masked_and_told(site: MessageSite) -> None:
    told = await site.publish("ana", "masking", {"n": 1, "mail": "to ana@example.com", "name": "Ana"})
    assert told.status == 200
    assert told.body["masked_labels"] == ["pii.email", "pii.name"]
    sent = json.loads(site.wire.sent[0].body)
    assert (sent["n"], sent["mail"]) == (1, "to ***@example.com")
    assert sent["name"] != "Ana"
    assert len(sent["name"]) == 32


async def test_twins_that_differ_in_what_is_masked_are_answered_alike(site: MessageSite) -> None:
    answers = []
    for mail in ("ana@example.com", "somebody.else@example.com"):
        site.restart()
        told = await site.publish("ana", "masking", {"n": 1, "mail": mail})
        answers.append({name: value for name, value in told.body.items() if name not in ("receipt", "message_id")})
    assert answers[0] == answers[1]
    assert site.wire.sent[0].body == site.wire.sent[1].body


async def test_a_schema_is_told_by_rule_and_place(site: MessageSite) -> None:
    told = await site.publish("ana", "masking", {"n": "many"})
    assert (told.status, told.code) == (422, "payload_invalid")
    assert told.body["errors"] == [{"pointer": "/payload/n", "detail": "must be of type integer"}]
    assert (await site.publish("ana", "masking", text="x")).code == "payload_invalid"


async def test_what_no_longer_fits_its_schema_when_masked_is_refused() -> None:
    data = DATA.replace("mail: {type: string}", "mail: {type: string, maxLength: 15}")
    masks = b"masks:\n  pii.email: {kind: constant, value: 'much longer than fifteen characters'}\n"
    async with MessageSite(data=data) as site:
        site.current = policy(RULES, data, masks)
        told = await site.publish("ana", "masking", {"n": 1, "mail": "ana@example.com"})
        assert (told.status, told.code) == (403, "content_denied")
        assert told.body["errors"] == [{"pointer": "/payload/mail", "detail": "at most 15 characters"}]
        assert site.wire.sent == []


@pytest.mark.parametrize(
    ("topic", "sent", "status", "code"),
    [
        ("small", {"payload": "x" * 30}, 413, "payload_too_large"),
        ("plain", {"payload": "x" * 100_000}, 413, "payload_too_large"),
        ("small", {"payload": 1, "headers": {"other": "x"}}, 422, "invalid_request"),
        ("plain", {"payload": 1, "headers": {"nats-msg-id": "x"}}, 422, "invalid_request"),
        ("plain", {"payload": 1, "headers": {"a": "x\r\ny: z"}}, 422, "invalid_request"),
        ("plain", {"payload": 1, "key": "a b"}, 422, "invalid_request"),
        ("plain", {"base64": "AAE=", "content_type": "image/png"}, 403, "content_denied"),
        ("raw", {"base64": "AAE=", "content_type": "image/png", "event": EVENT}, 422, "payload_invalid"),
        ("events", {"payload": {"a": 1}}, 422, "payload_invalid"),
    ],
)
async def test_messages_that_a_topic_does_not_take_are_refused(
    site: MessageSite, topic: str, sent: dict[str, Any], status: int, code: str
) -> None:
    told = await site.publish("ana", topic, **sent)
    assert (told.status, told.code) == (status, code)
    assert site.wire.sent == []


async def test_bytes_pass_where_policy_says_raw(site: MessageSite) -> None:
    assert (await site.publish("ana", "raw", base64="AAE=", content_type="image/png")).status == 200
    assert (site.wire.sent[0].body, site.wire.sent[0].content_type) == (b"\0\1", "image/png")


async def test_a_payload_becomes_the_data_of_an_event(site: MessageSite) -> None:
    told = await site.publish("ana", "events", {"name": "Ana"}, event=EVENT)
    assert (told.status, told.body["content_type"]) == (200, CLOUD_EVENT_TYPE)
    sent = json.loads(site.wire.sent[0].body)
    assert sent == {
        "specversion": "1.0", "type": "order.created", "source": "/shop", "time": "2025-06-15T15:06:40.000000Z",
        "id": site.wire.sent[0].message_id, "datacontenttype": "application/json", "data": {"name": "Ana"},
    }  # fmt: skip
    bad = {**sent, "subject": AWS, "data": {"key": AWS}}
    denied = await site.publish("ana", "events", bad, content_type=CLOUD_EVENT_TYPE)
    assert [each["pointer"] for each in denied.body["errors"]] == ["/payload/data/key", "/payload/subject"]
    again = await site.publish("ana", "events", sent, content_type=CLOUD_EVENT_TYPE)
    assert again.status == 200
    assert json.loads(site.wire.sent[1].body) == sent


FAILURES = [
    (Failure.UNAVAILABLE, 503, "connection_unavailable"),
    (Failure.OUT_OF_RESOURCES, 503, "topic_full"),
    (Failure.NOT_FOUND, 404, "topic_not_found"),
    (Failure.REFUSED_BY_WALL, 403, "broker_refused"),
]


@pytest.mark.parametrize(("failure", "status", "code"), FAILURES)
async def test_what_was_surely_not_published_leaves_its_key_free(
    site: MessageSite, failure: Failure, status: int, code: str
) -> None:
    site.wire.error = ConnectorError(failure)
    told = await site.publish("ana", "plain", {"a": 1}, idempotency_key="k")
    assert (told.status, told.code) == (status, code)
    assert site.trail.entries[-1]["outcome"] != "completed"
    await site.settled()
    site.wire.error = None
    assert (await site.publish("ana", "plain", {"a": 1}, idempotency_key="k")).status == 200
    assert len(site.wire.sent) == 1


@pytest.mark.parametrize("failure", [Failure.OUTCOME_UNKNOWN, Failure.TIMEOUT])
async def test_what_may_have_been_published_keeps_its_key(site: MessageSite, failure: Failure) -> None:
    site.wire.lost = ConnectorError(failure)
    told = await site.publish("ana", "plain", {"a": 1}, idempotency_key="k")
    assert (told.status, told.code) == (409, "outcome_unknown")
    await site.settled()
    site.wire.lost = None
    assert (await site.publish("ana", "plain", {"a": 1}, idempotency_key="k")).code == "idempotency_in_flight"
    assert len(site.wire.sent) == 1


async def test_a_fault_of_ours_while_publishing_keeps_the_key(site: MessageSite) -> None:
    site.wire.lost = RuntimeError("odd")
    assert (await site.publish("ana", "plain", {"a": 1}, idempotency_key="k")).code == "internal_error"
    await site.settled()
    site.wire.lost = None
    site.restart()
    assert (await site.publish("ana", "plain", {"a": 1}, idempotency_key="k")).code == "idempotency_in_flight"


async def test_the_same_key_publishes_once_and_answers_the_same(site: MessageSite) -> None:
    first = await site.publish("ana", "plain", {"a": 1}, idempotency_key="k")
    site.restart()
    again = await site.publish("ana", "plain", {"a": 1}, idempotency_key="k")
    assert len(site.wire.sent) == 1
    assert again.headers["idempotency-replayed"] == "true"
    assert first.body | {"receipt": None} == again.body | {"receipt": None}
    other = await site.publish("ana", "plain", {"a": 2}, idempotency_key="k")
    assert other.code == "idempotency_mismatch"
    assert (await site.publish("ana", "plain", {"a": 1}, headers={"x": "y"}, idempotency_key="k")).status == 422


async def test_keys_of_others_mean_other_messages_to_the_broker(site: MessageSite) -> None:
    await site.publish("ana", "orders", {"a": 1}, idempotency_key="k")
    await site.publish("eve", "orders", {"a": 1}, idempotency_key="k")
    first, second = (sent.dedup_id for sent in site.wire.sent)
    assert None not in (first, second)
    assert first != second


async def test_a_client_that_leaves_while_it_is_published_has_it_on_record(site: MessageSite) -> None:
    site.wire.gate = asyncio.Event()
    running = asyncio.ensure_future(site.publish("ana", "plain", {"a": 1}, idempotency_key="k"))
    while len(site.trail.entries) < 1:
        await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.sleep(0)
    site.wire.gate.set()
    told = await running
    assert told.status == 200
    assert (site.trail.entries[-1]["outcome"], site.trail.entries[-1]["affected_rows"]) == ("completed", 1)
    assert (await site.publish("ana", "plain", {"a": 1}, idempotency_key="k")).status == 200
    assert len(site.wire.sent) == 1


async def test_a_large_message_is_looked_through_all_the_same(site: MessageSite) -> None:
    told = await site.publish("ana", "strict", {"rows": ["plain words"] * 3_000, "last": AWS})
    assert [each["pointer"] for each in told.body["errors"]] == ["/payload/last"]


# Approvals


async def asked(site: MessageSite, topic: str = "partner", payload: Any = None, **more: Any) -> str:
    told = await site.publish("ana", topic, payload or {"name": "Ana", "n": 1}, **more)
    assert told.status == 202, told.body
    name: str = told.body["approval_id"]
    return name


def closing(site: MessageSite, name: str) -> tuple[object, object]:
    """State and code of the entry that closes a use: the last one, and no intent."""
    last = site.trail.entries[-1]
    assert last["approval_id"] == name
    assert last["outcome"] != "intent"
    return last["approval_state"], last["code"]


async def test_a_topic_that_wants_a_human_publishes_nothing_before(site: MessageSite) -> None:
    name = await asked(site)
    assert site.wire.sent == []
    assert (await site.execute("ana", name)).code == "approval_not_approved"
    approval = await site.stored(name)
    assert approval.request["outcome"]["kind"] == "publish"
    assert approval.request["params"]["topic"] == "partner"
    assert approval.request["outcome"]["content_sha256"]
    held = json.loads(site.held.held[name][0])
    assert held["payload"]["n"] == 1
    assert held["payload"]["name"] != "Ana"


async def test_what_people_approved_is_published_as_they_saw_it(site: MessageSite) -> None:
    name = await asked(site, headers={"trace-id": "b7"}, key="k")
    held = json.loads(site.held.held[name][0])
    await site.said_yes(name)
    site.restart()
    told = await site.execute("ana", name)
    assert (told.status, told.body["status"], told.body["approval_id"]) == (200, "completed", name)
    (sent,) = site.wire.sent
    assert json.loads(sent.body) == held["payload"]
    assert (sent.headers, sent.key, sent.message_id) == ({"trace-id": "b7"}, "k", held["message_id"])
    assert (await site.execute("ana", name)).code == "approval_already_executed"
    assert len(site.wire.sent) == 1
    assert name not in site.held.held


async def test_a_label_may_want_a_human_though_the_topic_does_not(site: MessageSite) -> None:
    assert (await site.publish("ana", "asked", {"a": 1})).status == 200
    name = await asked(site, "asked", {"to": "ana@example.com"})
    await site.said_yes(name)
    assert (await site.execute("ana", name)).status == 200
    assert json.loads(site.wire.sent[-1].body) == {"to": "ana@example.com"}


async def test_an_event_that_waited_keeps_its_id_and_time(site: MessageSite) -> None:
    name = await asked(site, event=EVENT)
    held = json.loads(site.held.held[name][0])
    await site.said_yes(name)
    site.now += 60
    await site.execute("ana", name)
    sent = json.loads(site.wire.sent[0].body)
    assert (sent["id"], sent["time"]) == (held["message_id"], held["time"])
    assert sent["data"] == held["payload"]


@pytest.mark.parametrize(
    "changed",
    [
        DATA.replace("partner: {found: {pii.*: mask}", "partner: {found: {pii.*: deny}"),
        DATA.replace("partner: {found: {pii.*: mask}, paths: {$.name: pii.name}}", "partner: {paths: {$.n: pii.n}}"),
        DATA.replace("partner: {found: {pii.*: mask}", "partner: {schema: {type: array}, found: {pii.*: mask}"),
        DATA.replace("partner: {found: {pii.*: mask}", "partner: {max_bytes: 5, found: {pii.*: mask}"),
        DATA.replace("partner: {found: {pii.*: mask}", "partner: {cloud_events: true, found: {pii.*: mask}"),
        DATA.replace("partner: {found: {pii.*: mask}", "partner: {headers: [other], found: {pii.*: mask}"),
        DATA.replace("partner: {found: {pii.*: mask}", "partner: {max_header_bytes: 3, found: {pii.*: mask}"),
    ],
)
async def test_what_policy_no_longer_takes_is_not_published(site: MessageSite, changed: str) -> None:
    name = await asked(site, headers={"trace-id": "b7"})
    await site.said_yes(name)
    site.current = policy(RULES, changed)
    told = await site.execute("ana", name)
    assert (told.status, told.code) == (403, "access_denied")
    assert (await site.stored(name)).state == "revoked"
    assert site.wire.sent == []
    assert closing(site, name) == ("revoked", "access_denied")


async def test_what_policy_masks_by_now_is_not_published_as_it_was_approved(site: MessageSite) -> None:
    name = await asked(site, "asked", {"to": "ana@example.com", "ip": 1})
    await site.said_yes(name)
    site.current = policy(RULES, DATA.replace("asked: {found: {pii.email: approve}}", "asked: {found: {pii.*: mask}}"))
    assert (await site.execute("ana", name)).code == "access_denied"
    assert site.wire.sent == []


async def test_a_label_that_is_new_since_goes_back_to_the_approvers(site: MessageSite) -> None:
    name = await asked(site)
    await site.said_yes(name)
    more = "partner: {found: {pii.*: mask, shop.*: allow}, paths: {$.n: shop.n, $.name: pii.name}}"
    site.current = policy(RULES, DATA.replace("partner: {found: {pii.*: mask}, paths: {$.name: pii.name}}", more))
    told = await site.execute("ana", name)
    assert told.code == "approval_reopened"
    assert (await site.stored(name)).request["outcome"]["labels"] == ["pii.name", "shop.n"]
    await site.said_yes(name)
    assert (await site.execute("ana", name)).status == 200


async def test_held_bytes_that_were_altered_are_not_published(site: MessageSite) -> None:
    name = await asked(site)
    await site.said_yes(name)
    data, until = site.held.held[name]
    site.held.held[name] = (data.replace(b'"n":1', b'"n":2'), until)
    told = await site.execute("ana", name)
    assert (told.status, told.code) == (500, "approval_altered")
    assert site.wire.sent == []


@pytest.mark.parametrize(("failure", "status", "code"), FAILURES)
async def test_an_approved_message_that_the_broker_refuses_fails_its_use(
    site: MessageSite, failure: Failure, status: int, code: str
) -> None:
    name = await asked(site)
    await site.said_yes(name)
    site.wire.error = ConnectorError(failure)
    told = await site.execute("ana", name)
    assert (told.status, told.code) == (status, code)
    assert (await site.stored(name)).state == "failed"
    assert closing(site, name) == ("failed", code)


async def test_an_approved_message_that_meets_a_fault_of_ours_has_an_end_on_the_trail(site: MessageSite) -> None:
    name = await asked(site)
    await site.said_yes(name)
    site.wire.error = ValueError()
    assert (await site.execute("ana", name)).code == "internal_error"
    assert closing(site, name) == ("failed", "internal_error")
    assert (await site.stored(name)).history[-1].detail["outcome_known"] is False


async def test_a_message_that_fails_while_its_sender_waited_asks_nobody_again(site: MessageSite) -> None:
    running = asyncio.ensure_future(site.publish("ana", "partner", {"n": 1}, wait_seconds=30))
    while not site.store.all:
        await asyncio.sleep(0.001)
    name = site.store.all[0].approval_id
    site.wire.error = ConnectorError(Failure.UNAVAILABLE)
    await site.said_yes(name)
    assert (await running).code == "connection_unavailable"
    assert len(site.store.all) == 1
    assert closing(site, name) == ("failed", "connection_unavailable")


async def test_an_approved_message_without_a_confirm_has_an_unknown_outcome(site: MessageSite) -> None:
    name = await asked(site)
    await site.said_yes(name)
    site.wire.lost = ConnectorError(Failure.OUTCOME_UNKNOWN)
    assert (await site.execute("ana", name)).code == "outcome_unknown"
    assert closing(site, name) == ("failed", "outcome_unknown")
    (last,) = (await site.stored(name)).history[-1:]
    assert last.detail["outcome_known"] is False


async def test_a_key_that_waits_for_a_human_asks_once(site: MessageSite) -> None:
    name = await asked(site, idempotency_key="k")
    again = await site.publish("ana", "partner", {"name": "Ana", "n": 1}, idempotency_key="k")
    assert (again.status, again.body["approval_id"]) == (202, name)
    assert len(site.store.all) == 1


async def test_one_who_waits_gets_what_came_of_it(site: MessageSite) -> None:
    running = asyncio.ensure_future(site.publish("ana", "partner", {"n": 1}, wait_seconds=30))
    while not site.store.all:
        await asyncio.sleep(0.01)
    await site.said_yes(site.store.all[0].approval_id)
    told = await running
    assert (told.status, told.body["status"]) == (200, "completed")
    assert len(site.wire.sent) == 1


async def test_only_the_one_who_asked_publishes_it_through_the_same_client(site: MessageSite) -> None:
    name = await asked(site)
    await site.said_yes(name)
    assert (await site.execute("eve", name)).code == "unknown_approval"
    assert (await site.execute("ana-other", name)).code == "approval_not_requester"
    assert site.wire.sent == []


async def test_a_topic_is_not_called_by_data(site: MessageSite) -> None:
    told = await site.publish("ana", "orders.4111-1111-1111-1111", {"n": 1})
    assert (told.status, told.code) == (403, "content_denied")
    assert [each["pointer"] for each in told.body["errors"]] == ["/topic"]
    assert site.wire.sent == []


@pytest.mark.parametrize(("glob", "status"), [("logs.*", 403), ("logs.192.0.2.*", 403), ("logs.192.0.2.7", 200)])
async def test_a_topic_may_be_called_as_the_data_file_calls_it(
    monkeypatch: pytest.MonkeyPatch, glob: str, status: int
) -> None:
    monkeypatch.setattr(message_site, "TOPICS", ("logs.192.0.2.7",))
    async with MessageSite(data=f"default: allow\ntopics:\n  {glob}: {{}}\n") as site:
        assert (await site.publish("ana", "logs.192.0.2.7", {"n": 1})).status == status
