"""E-mail through a real relay on loopback: encryption first, then the login, then the message."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from app.notify.addresses import networks
from app.notify.courier import PostalCourier
from app.notify.posting import Posting
from app.notify.smtp import Relay, Smtp, Tls
from app.notify.targets import MailTarget
from app.ports import Message, Sent
from app.secrets.reference import SecretMissing
from tests.authority import Authority
from tests.servers import free_port

LOOPBACK = networks(["127.0.0.0/8"])
DATA = {
    "approval_id": "apr_1", "state": "pending", "principal": "user:ana", "actor": "client:bot", "connection": "shop",
    "action": "delete", "resources": ["shop/main.orders"], "kind": "write", "rows": 3, "estimated_rows": None,
    "labels": [], "unmask": [], "purpose": "Close <b>order</b> 42\r\nBcc: eve@evil.example", "by": None, "reason": None,
    "expires_at": "2026-11-24T10:00:00.000000Z", "link": "https://douane.example/a/x",
}  # fmt: skip
MESSAGE = Message(message_id="dlv_1", event="requested", at="2026-11-23T10:00:00.000000Z", data=DATA)


class Mailbox:
    def __init__(self) -> None:
        self.mails: list[Envelope] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.encrypted: list[bool] = []
        self.refuse_recipients = False
        self.refused: tuple[str, ...] = ()
        self.answer = "250 taken"
        self.delay_s = 0.0

    async def handle_RCPT(  # noqa: N802 - the server's own name for it
        self, _server: Any, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.refuse_recipients or address in self.refused:
            return "550 nobody here"
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, _server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        await asyncio.sleep(self.delay_s)
        self.mails.append(envelope)
        self.encrypted.append(session.ssl is not None)
        return self.answer

    def login(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: LoginPassword
    ) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"pw", handled=False)


@asynccontextmanager
async def relay(mailbox: Mailbox, *, implicit: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    protocols: list[SMTP] = []

    def made() -> SMTP:
        protocols.append(SMTP(mailbox, loop=loop, hostname="relay.test", **options))
        return protocols[-1]

    server = await loop.create_server(made, "127.0.0.1", 0, ssl=implicit)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for protocol in protocols:
            if protocol.transport is not None:
                protocol.transport.abort()
        await server.wait_closed()


async def send(
    port: int,
    *,
    tls: Tls = Tls.NONE,
    context: ssl.SSLContext | None = None,
    password: str | None = None,
    host: str = "127.0.0.1",
    **options: Any,
) -> Sent:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    smtp = Smtp(allowed=options.pop("allowed", LOOPBACK), tls=context, resolve=resolve, **options)
    there = Relay(
        host=host,
        port=port,
        tls=tls,
        user=None if password is None else "douane",
        password=None if password is None else lambda: str(password),
    )
    target = MailTarget(relay=there, sender="douane@example.org", recipients=("dee@example.org", "max@example.org"))
    courier = PostalCourier(
        {"mail": target}, allowed=LOOPBACK, posting=Posting(allowed=()), smtp=smtp, now=time.time,
        unreadable=SecretMissing,
    )  # fmt: skip
    sent = await courier.send("mail", MESSAGE)
    return replace(sent, duration_ms=0)


async def test_a_mail_arrives_as_text_and_html_for_its_recipients_alone() -> None:
    mailbox = Mailbox()
    async with relay(mailbox) as port:
        assert await send(port) == Sent(status=250)
    (mail,) = mailbox.mails
    assert mail.rcpt_tos == ["dee@example.org", "max@example.org"]
    assert isinstance(mail.content, bytes)
    read = message_from_bytes(mail.content, policy=default)
    assert read["Subject"] == "[douane] Approval requested: delete on shop"
    assert read["Bcc"] is None
    text, html = (part.get_content() for part in read.iter_parts())
    assert "https://douane.example/a/x" in text
    assert "&lt;" in html
    assert "<b>" not in html


async def test_with_starttls_the_login_and_the_mail_go_encrypted(tmp_path: Path) -> None:
    authority, mailbox = Authority(tmp_path), Mailbox()
    options = {
        "tls_context": authority.server("mail.example.com"), "require_starttls": True, "auth_required": True,
        "authenticator": mailbox.login, "auth_require_tls": True,
    }  # fmt: skip
    async with relay(mailbox, **options) as port:
        sent = await send(port, tls=Tls.STARTTLS, context=authority.client, password="pw", host="mail.example.com")
        assert sent == Sent(status=250)
        assert mailbox.logins == [(b"douane", b"pw")]
        assert mailbox.encrypted == [True]
        sent = await send(port, tls=Tls.STARTTLS, context=authority.client, password="no", host="mail.example.com")
        assert sent == Sent(status=535, error="login_refused")


async def test_with_implicit_tls_the_mail_goes_encrypted(tmp_path: Path) -> None:
    authority, mailbox = Authority(tmp_path), Mailbox()
    async with relay(mailbox, implicit=authority.server("mail.example.com")) as port:
        sent = await send(port, tls=Tls.IMPLICIT, context=authority.client, host="mail.example.com")
    assert sent == Sent(status=250)
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
async def test_a_certificate_for_another_name_gets_neither_login_nor_mail(tmp_path: Path, tls: Tls) -> None:
    authority, mailbox = Authority(tmp_path), Mailbox()
    context = authority.server("other.example.com")
    options: dict[str, Any] = {"implicit": context} if tls is Tls.IMPLICIT else {"tls_context": context}
    async with relay(mailbox, **options) as port:
        sent = await send(port, tls=tls, context=authority.client, password="pw", host="mail.example.com")
    assert sent == Sent(error="tls_failed")
    assert (mailbox.mails, mailbox.logins) == ([], [])


async def test_a_relay_without_starttls_gets_nothing_in_the_clear() -> None:
    mailbox = Mailbox()
    async with relay(mailbox, authenticator=mailbox.login, auth_require_tls=False) as port:
        assert (await send(port, tls=Tls.STARTTLS, password="pw")).error == "not_offered"
    assert (mailbox.mails, mailbox.logins) == ([], [])


async def test_refused_recipients_and_refused_mail_are_failures() -> None:
    mailbox = Mailbox()
    async with relay(mailbox) as port:
        mailbox.answer = "554 spam"
        assert await send(port) == Sent(status=554, error="status")
        mailbox.refuse_recipients = True
        assert await send(port) == Sent(error="recipients_refused")


async def test_a_mail_that_some_got_is_not_sent_to_them_again() -> None:
    mailbox = Mailbox()
    mailbox.refused = ("max@example.org",)
    async with relay(mailbox) as port:
        assert await send(port) == Sent(error="some_recipients_refused", gone=True)
    assert mailbox.mails[0].rcpt_tos == ["dee@example.org"]


async def test_a_relay_that_hangs_or_is_away_is_given_up() -> None:
    mailbox = Mailbox()
    mailbox.delay_s = 2
    async with relay(mailbox) as port:
        assert await send(port, total_timeout_s=0.5) == Sent(error="timeout")
    assert await send(free_port()) == Sent(error="connection_failed")


async def test_a_relay_on_a_private_network_needs_to_be_named() -> None:
    mailbox = Mailbox()
    async with relay(mailbox) as port:
        assert await send(port, allowed=()) == Sent(error="address_refused")
    assert mailbox.mails == []


async def test_a_probe_logs_in_and_sends_nothing(tmp_path: Path) -> None:
    mailbox = Mailbox()
    async with relay(mailbox, authenticator=mailbox.login, auth_require_tls=False) as port:
        there = Relay(host="127.0.0.1", port=port, tls=Tls.NONE, user="douane", password=lambda: "pw")
        assert (await Smtp(allowed=LOOPBACK).probe(there)).error is None
    assert len(mailbox.logins) == 1
    assert mailbox.mails == []
