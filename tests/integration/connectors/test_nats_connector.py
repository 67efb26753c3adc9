"""What the NATS connector does beyond the suite: credentials, permissions, lost confirms, streams and consumers that
others change."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.js.api import ConsumerConfig, DiscardPolicy, RetentionPolicy, StreamConfig

from connectors.conformance.message_harness import LONG_S, failed, nothing_comes, outgoing, published, taken
from connectors.contract import Acked, ConnectorConfig, Failure, MessageConnector, Severity
from connectors.nats import connector
from connectors.nats.subjects import belongs, durable_name, literal
from tests.authority import Authority
from tests.message_servers import NatsServer, nats_server
from tests.tcp_gate import Mode, gate_to

_USERS = """
authorization { users = [
  { user: admin, password: admin-secret }
  { user: reader, password: reader-secret, permissions: {
    publish: { deny: ["orders.>"] }, subscribe: { allow: ["_INBOX.>"] } } }
] }
"""


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as running:
        yield running


@pytest.fixture(scope="module")
def guarded() -> Iterator[NatsServer]:
    with nats_server(_USERS) as running:
        yield running


@contextlib.asynccontextmanager
async def stream(
    url: str, name: str, *, user: str | None = None, password: str | None = None, **config: Any
) -> AsyncIterator[Any]:
    """A new stream, and JetStream as an administrator sees it."""
    async with await nats.connect(url, user=user, password=password) as client:
        js = client.jetstream()
        await js.add_stream(StreamConfig(name=name, **config))
        yield js
        await js.delete_stream(name)


@contextlib.asynccontextmanager
async def opened(url: str, stream: str, secrets: dict[str, str] | None = None) -> AsyncIterator[MessageConnector]:
    sources = {name: (lambda name=name: (secrets or {})[name]) for name in (secrets or {})}
    made = connector(ConnectorConfig(name="queue", options={"url": url, "stream": stream}, secrets=sources))
    await made.open()
    try:
        yield made
    finally:
        await made.close()


def url_of(guarded: NatsServer, user: str) -> str:
    return f"nats://{user}:{user}-secret@127.0.0.1:{guarded.port}"


async def test_wrong_credentials_are_unavailable_and_rotated_ones_need_no_restart(guarded: NatsServer) -> None:
    secrets = {"user": "admin", "password": "old-secret"}
    async with (
        stream(url_of(guarded, "admin"), "A", subjects=["orders.a"]),
        opened(guarded.url, "A", secrets) as wrong,
    ):
        error = await failed(wrong.publish(outgoing("orders.a"), timeout_s=5))
        assert error.failure is Failure.UNAVAILABLE
        assert "secret" not in str(error)
        assert [f.code for f in await wrong.probe()] == ["unreachable"]
        secrets["password"] = "admin-secret"
        await published(wrong, outgoing("orders.a"))


async def test_a_server_that_forbids_says_so_at_once(guarded: NatsServer) -> None:
    reader = {"user": "reader", "password": "reader-secret"}
    async with (
        stream(url_of(guarded, "admin"), "B", subjects=["orders.b"]) as js,
        opened(guarded.url, "B", reader) as connected,
    ):
        error = await failed(connected.publish(outgoing("orders.b"), timeout_s=60))
        assert error.failure is Failure.REFUSED_BY_WALL
        assert (await js.stream_info("B")).state.messages == 0


async def test_a_lost_confirm_is_an_unknown_outcome_and_a_dedup_id_settles_it(server: NatsServer) -> None:
    async with stream(server.url, "C", subjects=["c"]) as js, gate_to(server.port) as gate:
        async with opened(f"nats://127.0.0.1:{gate.port}", "C") as connected:
            await published(connected, outgoing("c", "0"))
            message = outgoing("c", "1", dedup_id="one")
            gate.mode = Mode.MUTE
            error = await failed(connected.publish(message, timeout_s=0.5))
            assert error.failure is Failure.OUTCOME_UNKNOWN
            gate.mode = Mode.CUT
            error = await failed(connected.publish(message, timeout_s=30))
            assert error.failure is Failure.OUTCOME_UNKNOWN
            gate.mode = Mode.PASS
            assert (await connected.publish(message, timeout_s=5)).duplicate
        assert (await js.stream_info("C")).state.messages == 2


async def test_a_server_that_hangs_is_told_and_used_again(server: NatsServer) -> None:
    async with stream(server.url, "P", subjects=["p"]), opened(server.url, "P") as connected:
        await published(connected, outgoing("p", "0"))
        (came,) = await taken(connected, "p", 1)
        server.pause()
        try:
            error = await failed(connected.publish(outgoing("p", "1", dedup_id="1"), timeout_s=0.5))
            assert error.failure is Failure.OUTCOME_UNKNOWN
            assert (await failed(connected.ack("p", [came.handle], timeout_s=0.5))).failure is Failure.TIMEOUT
            error = await failed(connected.receive("p", limit=1, visibility_s=LONG_S, wait_s=0))
            assert error.failure is Failure.UNAVAILABLE
        finally:
            server.resume()
        assert (await connected.publish(outgoing("p", "1", dedup_id="1"), timeout_s=10)).duplicate
        assert await connected.ack("p", [came.handle], timeout_s=10) == (Acked.DONE,)
        assert [m.body for m in await taken(connected, "p", 1)] == [b"1"]


async def test_messages_whose_lease_did_not_come_through_come_again(server: NatsServer) -> None:
    async with (
        stream(server.url, "D", subjects=["d"]),
        gate_to(server.port) as gate,
        opened(f"nats://127.0.0.1:{gate.port}", "D") as connected,
        opened(server.url, "D") as other,
    ):
        assert await nothing_comes(connected, "d", wait_s=0)
        waiting = asyncio.create_task(connected.receive("d", limit=1, visibility_s=LONG_S, wait_s=30))
        await asyncio.sleep(0.3)
        gate.mode = Mode.CUT
        await published(other, outgoing("d", "1"))
        assert (await failed(waiting)).failure is Failure.UNAVAILABLE
        gate.mode = Mode.PASS
        (came,) = await taken(other, "d", 1, within_s=30)
        assert came.body == b"1"


async def test_a_subject_of_another_stream_is_not_this_connections(server: NatsServer) -> None:
    async with (
        stream(server.url, "E", subjects=["e.>"]),
        stream(server.url, "F", subjects=["f.>"]) as js,
        opened(server.url, "E") as connected,
    ):
        for topic in ("f.x", "e", "$JS.API.STREAM.DELETE.E", "e.>", "e.*", "_INBOX.x"):
            assert (await failed(connected.publish(outgoing(topic), timeout_s=5))).failure is Failure.NOT_FOUND
        await published(connected, outgoing("e.x.y"))
        assert (await js.stream_info("F")).state.messages == 0
        assert await connected.topics() == ("e.x.y",)


async def test_a_subject_that_somebody_listens_to_is_no_topic(server: NatsServer) -> None:
    async with (
        stream(server.url, "G", subjects=["g"]),
        opened(server.url, "G") as connected,
        await nats.connect(server.url) as client,
    ):
        heard = await client.subscribe("plain")
        assert (await failed(connected.publish(outgoing("plain"), timeout_s=5))).failure is Failure.NOT_FOUND
        await client.flush()
        assert heard.pending_msgs == 0


_GARBAGE = (
    b"+OK",
    b"",
    b"[" * 10_000,
    b"7",
    b"{}",
    b'{"error": 1}',
    b'{"stream": "OTHER", "seq": 77}',
    b'{"stream": "U"}',
)
_FORGED = (b'{"stream": "U", "seq": true}', b'{"stream": "U", "seq": 0}', b'{"stream": "U", "seq": "1"}')


@contextlib.asynccontextmanager
async def answered_by_somebody(server: NatsServer, *answers: bytes, **headers: str) -> AsyncIterator[MessageConnector]:
    """A stream that confirms nothing, and a client that answers what is published to it."""
    async with (
        stream(server.url, "U", subjects=["u"], no_ack=True) as js,
        opened(server.url, "U") as connected,
        await nats.connect(server.url) as client,
    ):

        async def answer(came: Any) -> None:
            for each in answers:
                await client.publish(came.reply, each, headers=headers or None)

        await client.subscribe("u", cb=answer)
        await client.flush()
        yield connected
        assert (await js.stream_info("U")).state.messages == 1


async def test_what_somebody_else_answers_is_no_confirm_and_no_refusal(server: NatsServer) -> None:
    async with answered_by_somebody(server, *_GARBAGE, *_FORGED) as connected:
        error = await failed(connected.publish(outgoing("u"), timeout_s=1))
        assert error.failure is Failure.OUTCOME_UNKNOWN


async def test_the_confirm_counts_that_comes_after_what_is_none(server: NatsServer) -> None:
    real = b'{"stream": "U", "seq": 9, "duplicate": true}'
    async with answered_by_somebody(server, *_GARBAGE, real) as connected:
        confirmed = await connected.publish(outgoing("u"), timeout_s=5)
        assert (confirmed.message_id, confirmed.duplicate) == ("9", True)


async def test_that_nobody_listens_is_not_believed_where_the_stream_does(server: NatsServer) -> None:
    async with answered_by_somebody(server, b"", Status="503") as connected:
        error = await failed(connected.publish(outgoing("u"), timeout_s=5))
        assert error.failure is Failure.OUTCOME_UNKNOWN


async def consumers_of(js: Any, stream: str) -> int:
    return int((await js.stream_info(stream)).state.consumer_count)


async def test_subjects_without_messages_leave_no_consumers_behind(server: NatsServer) -> None:
    async with stream(server.url, "V", subjects=["v.>"]) as js, opened(server.url, "V") as connected:
        for number in range(20):
            assert await nothing_comes(connected, f"v.{number}", wait_s=0)
            assert await connected.ack(f"v.{number}", ["x"], timeout_s=5) == (Acked.GONE,)
            await connected.release(f"v.{number}", ["x"])
        assert await consumers_of(js, "V") == 0
        waiting = asyncio.create_task(connected.receive("v.1", limit=1, visibility_s=LONG_S, wait_s=20))
        await asyncio.sleep(0.3)
        await published(connected, outgoing("v.1", "1"))
        (came,) = await waiting
        assert await connected.ack("v.1", [came.handle], timeout_s=5) == (Acked.DONE,)
        assert await consumers_of(js, "V") == 1


async def test_a_stream_that_keeps_only_what_has_a_consumer_has_one_before_its_first_message(
    server: NatsServer,
) -> None:
    async with (
        stream(server.url, "W", subjects=["w.>"], retention=RetentionPolicy.INTEREST) as js,
        opened(server.url, "W") as connected,
    ):
        assert await nothing_comes(connected, "w.1", wait_s=0)
        assert await consumers_of(js, "W") == 1
        await published(connected, outgoing("w.1", "1"))
        assert [each.body for each in await taken(connected, "w.1", 1)] == [b"1"]


async def test_headers_that_mean_something_to_the_server_do_nothing(server: NatsServer) -> None:
    async with (
        stream(server.url, "H", subjects=["h"], allow_rollup_hdrs=True) as js,
        opened(server.url, "H") as connected,
    ):
        await published(connected, outgoing("h", "1"))
        headers = {
            "nats-rollup": "all", "nats-msg-id": "x", "nats-expected-stream": "other", "status": "503",
            "douane-headers": '{"a": "b"}', "douane-key": "k", "content-type": "text/html", "description": "x",
        }  # fmt: skip
        await published(connected, outgoing("h", "", headers=headers), outgoing("h", "3", headers=headers))
        assert (await js.stream_info("H")).state.messages == 3
        came = await taken(connected, "h", 3)
        assert [(m.body, m.key, m.content_type) for m in came] == [
            (body, None, "application/json") for body in (b"1", b"", b"3")
        ]
        assert [dict(m.headers) for m in came] == [{}, headers, headers]


async def test_what_others_publish_is_received_as_it_is(server: NatsServer) -> None:
    async with stream(server.url, "I", subjects=["i"]) as js, opened(server.url, "I") as connected:
        await js.publish("i", b"plain")
        await js.publish("i", b"more", headers={"Content-Type": "text/plain", "X-Who": "größe", "douane-headers": "{"})
        first, second = await taken(connected, "i", 2)
        assert (first.content_type, first.headers, first.key) == (None, {}, None)
        assert second.content_type == "text/plain"
        assert second.headers == {"x-who": "größe", "douane-headers": "{"}


async def test_a_stream_that_is_full_takes_no_more_and_drops_none(server: NatsServer) -> None:
    async with (
        stream(server.url, "J", subjects=["j"], max_msgs=1, discard=DiscardPolicy.NEW),
        opened(server.url, "J") as connected,
    ):
        await published(connected, outgoing("j", "1"))
        error = await failed(connected.publish(outgoing("j", "2"), timeout_s=5))
        assert error.failure is Failure.OUT_OF_RESOURCES
        assert [m.body for m in await taken(connected, "j", 1)] == [b"1"]


async def test_a_deleted_consumer_is_made_anew_and_its_handles_are_gone(server: NatsServer) -> None:
    async with stream(server.url, "K", subjects=["k"]) as js, opened(server.url, "K") as connected:
        await published(connected, outgoing("k", "1"))
        (old,) = await taken(connected, "k", 1)
        await js.delete_consumer("K", durable_name("douane", "k"))
        (again,) = await taken(connected, "k", 1)
        assert again.body == b"1"
        # The new consumer knows nothing of the old one's deliveries.
        assert await connected.ack("k", [old.handle, again.handle], timeout_s=5) == (Acked.GONE, Acked.DONE)


async def test_a_consumer_that_others_set_up_differently_is_not_used(server: NatsServer) -> None:
    async with stream(server.url, "L", subjects=["l", "m"]) as js, opened(server.url, "L") as connected:
        await js.add_consumer("L", ConsumerConfig(durable_name=durable_name("douane", "l"), filter_subject="m"))
        error = await failed(connected.receive("l", limit=1, visibility_s=LONG_S, wait_s=0))
        assert error.failure is Failure.REFUSED_BY_WALL


async def test_without_the_stream_nothing_is_found_and_the_probe_says_so(server: NatsServer) -> None:
    async with opened(server.url, "NOWHERE") as connected:
        assert (await failed(connected.publish(outgoing("a"), timeout_s=5))).failure is Failure.NOT_FOUND
        assert await connected.topics() == ()
        codes = {f.code: f.severity for f in await connected.probe()}
        assert codes == {"reachable": Severity.OK, "no_stream": Severity.WARNING, "no_credentials": Severity.WARNING}


async def test_a_tls_address_never_means_plain_text(server: NatsServer) -> None:
    async with gate_to(server.port) as gate:
        secrets = {"user": "admin", "password": "admin-secret"}
        async with opened(f"tls://127.0.0.1:{gate.port}", "A", secrets) as connected:
            assert (await failed(connected.publish(outgoing("a"), timeout_s=5))).failure is Failure.UNAVAILABLE
        assert b"secret" not in gate.sent


async def test_a_tls_address_reaches_a_server_that_a_known_authority_vouches_for_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = Authority(tmp_path), Authority(tmp_path)
    certificate = theirs.server_file("127.0.0.1")
    config = f'tls {{ cert_file: "{certificate}", key_file: "{certificate}" }}\n{_USERS}'
    secrets = {"user": "admin", "password": "admin-secret"}
    with nats_server(config) as encrypted:
        url = encrypted.url.replace("nats://", "tls://")
        monkeypatch.setenv("SSL_CERT_FILE", str(ours.file))
        async with opened(url, "T", secrets) as connected:
            assert (await failed(connected.publish(outgoing("t"), timeout_s=5))).failure is Failure.UNAVAILABLE
            assert {f.code for f in await connected.probe()} == {"unreachable"}
        monkeypatch.setenv("SSL_CERT_FILE", str(theirs.file))
        async with (
            stream(url, "T", user="admin", password="admin-secret", subjects=["t"]),
            opened(url, "T", secrets) as connected,
        ):
            await published(connected, outgoing("t", "over TLS"))
            assert [m.body for m in await taken(connected, "t", 1)] == [b"over TLS"]
            assert {f.code for f in await connected.probe()} == {"reachable"}


async def test_cancelled_publishes_leave_nothing_behind(server: NatsServer) -> None:
    async with stream(server.url, "O", subjects=["o"]), opened(server.url, "O") as connected:
        await published(connected, outgoing("o", "first"))
        for n in range(50):
            publishing = asyncio.create_task(connected.publish(outgoing("o", f"{n}"), timeout_s=5))
            await asyncio.sleep(0.0001 * (n % 5))
            publishing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await publishing
        await published(connected, outgoing("o", "last"))
        bodies = [m.body for m in await taken(connected, "o", 52, within_s=2)]
        assert bodies[0] == b"first"
        assert bodies[-1] == b"last"
        assert len(bodies) == len(set(bodies))


@pytest.mark.parametrize(
    ("topic", "patterns", "expected"),
    [
        ("a.b", ["a.b"], True), ("a.b", ["a.*"], True), ("a.b", ["*.b"], True), ("a.b", ["a.>"], True),
        ("a.b", [">"], True), ("a", ["a.>"], False), ("a.b.c", ["a.*"], False), ("a.b", ["a"], False),
        ("a.b", [], False), ("a.b", ["x", "a.b"], True),
    ],
)  # fmt: skip
def test_a_topic_belongs_where_a_pattern_takes_it(topic: str, patterns: list[str], expected: bool) -> None:
    assert belongs(topic, patterns) is expected


def test_durable_names_differ_for_different_topics() -> None:
    topics = ["a.b", "a_b", "a-b", "A.b", "a.b" * 40, "a.b" * 41, "größe"]
    names = {durable_name("douane", topic) for topic in topics}
    assert len(names) == len(topics)
    assert all(literal(name) and "." not in name for name in names)


def test_a_config_is_not_changed_by_its_connector() -> None:
    config = ConnectorConfig(name="queue", options={"url": "nats://127.0.0.1:1", "stream": "S"})
    before = dataclasses.replace(config, options=dict(config.options))
    connector(config)
    assert config == before
