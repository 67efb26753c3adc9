"""The places that are told, as the operator wrote them. Secrets are read at each use, so that rotated ones work."""

from collections.abc import Callable
from dataclasses import dataclass

from app.notify.smtp import Relay

ReadSecret = Callable[[], str]
"""Raises SecretMissing, or any LookupError of the adapter that reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookTarget:
    """`kind`: webhook, slack or teams. `secrets` sign; chats have none."""

    kind: str
    url: ReadSecret
    secrets: tuple[ReadSecret, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MailTarget:
    relay: Relay
    sender: str
    recipients: tuple[str, ...]


Target = HookTarget | MailTarget
