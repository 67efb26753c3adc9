"""`douane check` names a target that cannot work, and tells nobody anything."""

import asyncio
from pathlib import Path

import pytest
from receivers import receiver, status

from app.couriers import probe_targets
from app.settings.model import Notifications, SecretRef
from app.settings.notifications import AnyTarget, EmailTarget, SlackTarget, WebhookTarget
from connectors.contract import Finding, Severity
from tests.authority import Authority
from tests.servers import free_port


async def found(**targets: AnyTarget) -> dict[str, Finding]:
    section = Notifications(allow_private=("127.0.0.0/8",), targets=targets)
    return dict(zip(targets, await probe_targets(section), strict=True))


async def test_a_target_that_answers_is_fine_and_gets_no_request() -> None:
    async with receiver(status(200)) as hook:
        here = SlackTarget(kind="slack", url=f"http://127.0.0.1:{hook.port}/T/B/x")
        assert (await found(chat=here))["chat"].severity is Severity.OK
        await asyncio.sleep(0.05)
        assert hook.got == []


async def test_what_is_in_the_way_is_named_with_the_target_and_the_next_step(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    certified = Authority(tmp_path).server("127.0.0.1")
    async with receiver(status(200)) as plain, receiver(status(200), tls=certified) as stranger:
        findings = await found(
            away=SlackTarget(kind="slack", url=f"http://127.0.0.1:{free_port()}/"),
            untrusted=SlackTarget(kind="slack", url=f"https://127.0.0.1:{stranger.port}/"),
            unknown=SlackTarget(kind="slack", url="https://nowhere.invalid/"),
            secret=WebhookTarget(
                kind="webhook", url=f"http://127.0.0.1:{plain.port}/", secrets=(SecretRef(file=secret),)
            ),
            private=SlackTarget(kind="slack", url="https://10.0.0.1/"),
            mail=EmailTarget(
                kind="email", host="127.0.0.1", port=free_port(), tls="none", sender="a@b.c", recipients=("d@e.f",)
            ),
        )
    for name, said in (
        ("away", "no connection"),
        ("untrusted", "TLS failed"),
        ("unknown", "host name is not known"),
        ("secret", "a secret of it cannot be used"),
        ("private", "its URL cannot be used"),
        ("mail", "no connection"),
    ):
        assert findings[name].severity is Severity.WARNING
        assert findings[name].text.startswith(f"notifications.targets.{name}: ")
        assert said in findings[name].text
        assert "hunter2" not in findings[name].text


@pytest.mark.parametrize("targets", [{}])
async def test_nobody_to_tell_is_nothing_to_find(targets: dict[str, AnyTarget]) -> None:
    assert await found(**targets) == {}
