"""One POST, against real servers: what counts as delivered, and where it never goes."""

import asyncio
import os
import time
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

import pytest
from receivers import Handler, endless, endless_head, garbage, never, receiver, status
from standardwebhooks import Webhook

from app.notify.addresses import networks
from app.notify.courier import PostalCourier
from app.notify.endpoint import endpoint
from app.notify.posting import Posting
from app.notify.smtp import Smtp
from app.notify.targets import HookTarget
from app.ports import Message, Sent
from app.secrets.reference import SecretMissing, read_file
from tests.authority import Authority
from tests.servers import free_port

LOOPBACK = networks(["127.0.0.0/8"])
SECRETS = tuple("whsec_" + b64encode(bytes([n]) * 32).decode() for n in (1, 2))


async def post(port: int, *, posting: Posting | None = None, scheme: str = "http", host: str = "127.0.0.1") -> Sent:
    to = endpoint(f"{scheme}://{host}:{port}/hook?x=1", LOOPBACK)
    return await (posting or Posting(allowed=LOOPBACK)).post(to, b'{"a":1}', {"webhook-id": "dlv_1"}, time.time())


async def answer_of(handler: Handler, **limits: float) -> Sent:
    async with receiver(handler) as there:
        return await post(there.port, posting=Posting(allowed=LOOPBACK, **limits))


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
async def test_a_success_is_delivered(code: int) -> None:
    assert await answer_of(status(code, body=b"")) == Sent(status=code)


async def test_the_request_is_whole() -> None:
    async with receiver(status(200)) as there:
        await post(there.port)
    got = there.got[0]
    assert got.line == "POST /hook?x=1 HTTP/1.1"
    assert got.body == b'{"a":1}'
    assert got.headers["host"] == f"127.0.0.1:{there.port}"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["webhook-id"] == "dlv_1"


@pytest.mark.parametrize("code", [400, 401, 404, 500, 503])
async def test_a_failure_is_a_failure_and_nothing_of_its_body_is_kept(code: int) -> None:
    assert await answer_of(status(code, body=b"internal secrets")) == Sent(status=code, error="status")


async def test_gone_means_no_more() -> None:
    assert await answer_of(status(410)) == Sent(status=410, error="gone", gone=True)


async def test_a_redirect_is_not_followed() -> None:
    async with receiver(status(200)) as trap:
        for code in (301, 302, 303, 307, 308):
            sent = await answer_of(status(code, location=f"http://127.0.0.1:{trap.port}/"))
            assert sent == Sent(status=code, error="redirect")
        assert trap.connections == 0


async def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    assert (await answer_of(status(429, retry_after="7"))).retry_after_s == 7
    assert (await answer_of(status(503, retry_after="Fri, 31 Dec 9999 23:59:59 GMT"))).retry_after_s == 86_400
    assert (await answer_of(status(503, retry_after="Fri, 31 Dec 1999 23:59:59 GMT"))).retry_after_s == 0
    assert (await answer_of(status(503, retry_after="99999999999"))).retry_after_s == 86_400
    for nonsense in ("soon", "-1", "9" * 400, "1e9", "Fri, 99 Dec 1999 99:99:99 GMT"):
        assert (await answer_of(status(503, retry_after=nonsense))).retry_after_s is None


async def test_nobody_listening_is_a_failure() -> None:
    assert await post(free_port()) == Sent(error="connection_failed")


async def test_a_receiver_that_never_answers_is_given_up() -> None:
    assert await answer_of(never, total_timeout_s=0.3) == Sent(error="timeout")


async def test_an_endless_body_is_not_read_to_its_end() -> None:
    assert await answer_of(endless) == Sent(status=200)


async def test_endless_headers_are_no_answer() -> None:
    assert (await answer_of(endless_head)).error in {"connection_failed", "not_http"}


async def test_what_is_not_http_is_no_answer() -> None:
    assert (await answer_of(garbage)).error == "connection_failed"


async def test_a_private_address_gets_no_connection() -> None:
    async with receiver(status(200)) as there:

        async def resolve(_host: str, _port: int) -> Sequence[str]:
            return ["127.0.0.1"]

        posting = Posting(allowed=(), resolve=resolve)
        to = endpoint(f"https://hooks.example.com:{there.port}/", ())
        assert await posting.post(to, b"{}", {}, 0.0) == Sent(error="address_refused")
    assert there.connections == 0


async def test_the_connection_goes_to_the_address_that_was_judged_however_often_the_name_moves(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    asked: list[str] = []

    async def rebinding(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.2"] if len(asked) > 1 else ["127.0.0.1"]

    async with receiver(status(200), tls=authority.server("hooks.example.com")) as there:
        posting = Posting(allowed=networks(["127.0.0.1/32"]), resolve=rebinding, tls=authority.client)
        to = endpoint(f"https://hooks.example.com:{there.port}/", ())
        assert await posting.post(to, b"{}", {}, 0.0) == Sent(status=200)
        assert asked == ["hooks.example.com"]
        assert there.got[0].headers["host"] == f"hooks.example.com:{there.port}"
        assert await posting.post(to, b"{}", {}, 0.0) == Sent(error="address_refused")


async def test_the_certificate_must_be_for_the_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async with receiver(status(200), tls=authority.server("other.example.com", "127.0.0.1")) as there:
        posting = Posting(allowed=LOOPBACK, resolve=resolve, tls=authority.client)
        assert await post(there.port, posting=posting, scheme="https", host="hooks.example.com") == Sent(
            error="tls_failed"
        )
        assert await post(there.port, posting=posting, scheme="https") == Sent(status=200)
        stranger = Posting(allowed=LOOPBACK, resolve=resolve)
        assert await post(there.port, posting=stranger, scheme="https") == Sent(error="tls_failed")
    assert len(there.got) == 1


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.9", "127.0.0.1"]

    async with receiver(status(200)) as there:
        posting = Posting(allowed=LOOPBACK, resolve=resolve)
        assert await post(there.port, posting=posting, host="hooks.example.com") == Sent(status=200)


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiver(status(502)) as proxy, receiver(status(200)) as there:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setitem(os.environ, name, f"http://127.0.0.1:{proxy.port}")
        assert await post(there.port) == Sent(status=200)
        assert proxy.connections == 0


async def test_a_courier_signs_with_secrets_as_they_are_now(tmp_path: Path) -> None:
    old, new, url = (tmp_path / name for name in ("old", "new", "url"))
    old.write_text(SECRETS[0])
    new.write_text(SECRETS[1])
    async with receiver(status(200)) as there:
        url.write_text(f"http://127.0.0.1:{there.port}/")
        target = HookTarget(
            kind="webhook", url=lambda: read_file(url), secrets=(lambda: read_file(old), lambda: read_file(new))
        )
        courier = PostalCourier(
            {"ops": target}, allowed=LOOPBACK, posting=Posting(allowed=LOOPBACK), smtp=Smtp(allowed=()), now=time.time,
            unreadable=SecretMissing,
        )  # fmt: skip
        message = Message(message_id="dlv_1", event="approved", at="2026-11-23T10:00:00.000000Z", data={"x": "é"})
        assert (await courier.send("ops", message)).error is None
        assert await courier.probe("ops") is None
        got = there.got[0]
        for secret in SECRETS:
            assert Webhook(secret).verify(got.body, got.headers)["type"] == "approval.approved"
        old.write_text("not a secret")
        assert (await courier.send("ops", message)).error == "secret_unusable"
        old.unlink()
        assert (await courier.send("ops", message)).error == "secret_unusable"
        url.write_text("https://10.0.0.1/")
        old.write_text(SECRETS[0])
        assert (await courier.send("ops", message)).error == "bad_url"
        assert (await courier.send("nobody", message)).gone
    assert await courier.probe("ops") == "bad_url"


async def test_a_cancelled_attempt_ends_at_once() -> None:
    async with receiver(never) as there:
        task = asyncio.get_running_loop().create_task(post(there.port))
        await there.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
