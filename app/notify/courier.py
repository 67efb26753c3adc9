"""Implements `ports.Courier`: finds the target, makes the body it understands, signs it, sends it once."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from app.notify.addresses import Network
from app.notify.endpoint import BadEndpoint, endpoint
from app.notify.formats import FORMATS
from app.notify.mail import mail
from app.notify.posting import Posting
from app.notify.smtp import Smtp
from app.notify.standard_webhooks import BadSecret, headers, key_of
from app.notify.targets import HookTarget, MailTarget, Target
from app.ports import Message, Sent


class PostalCourier:
    """`now`: wall-clock seconds, for signatures and dates; `unreadable`: what a reader of secrets raises."""

    def __init__(
        self,
        targets: Mapping[str, Target],
        *,
        allowed: Sequence[Network],
        posting: Posting,
        smtp: Smtp,
        now: Callable[[], float],
        unreadable: type[Exception],
    ) -> None:
        self._targets = targets
        self._allowed = allowed
        self._posting = posting
        self._smtp = smtp
        self._now = now
        self._unreadable = unreadable

    async def send(self, target: str, message: Message) -> Sent:
        begun = time.monotonic()
        sent = await self._send(self._targets.get(target), message)
        return replace(sent, duration_ms=int((time.monotonic() - begun) * 1_000))

    async def probe(self, target: str) -> str | None:
        """Whether it could be told, without telling it anything: the word of what is in the way."""
        match self._targets[target]:
            case HookTarget() as hook:
                return (await self._guarded(self._probe(hook))).error
            case MailTarget(relay=relay):
                return (await self._guarded(self._smtp.probe(relay))).error

    async def _send(self, target: Target | None, message: Message) -> Sent:
        match target:
            case HookTarget():
                return await self._guarded(self._post(target, message))
            case MailTarget():
                return await self._guarded(self._mail(target, message))
            case None:
                return Sent(error="no_such_target", gone=True)

    async def _guarded(self, work: Awaitable[Sent]) -> Sent:
        try:
            return await work
        except BadEndpoint:
            return Sent(error="bad_url")
        except (BadSecret, self._unreadable):
            return Sent(error="secret_unusable")

    async def _probe(self, target: HookTarget) -> Sent:
        for secret in target.secrets:
            key_of(secret())
        return await self._posting.probe(endpoint(target.url(), self._allowed))

    async def _post(self, target: HookTarget, message: Message) -> Sent:
        to = endpoint(target.url(), self._allowed)
        keys = [key_of(secret()) for secret in target.secrets]
        body = FORMATS[target.kind](message)
        now = self._now()
        signed = headers(keys, message_id=message.message_id, timestamp=int(now), body=body) if keys else {}
        return await self._posting.post(to, body, signed, now)

    async def _mail(self, target: MailTarget, message: Message) -> Sent:
        written = mail(message, sender=target.sender, recipients=target.recipients, now=self._now())
        return await self._smtp.send(target.relay, written)
