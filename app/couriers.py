"""The configured targets of notifications: built, and probed for `douane check`."""

import asyncio
import ssl
import time
from collections.abc import Mapping

from app.notify.addresses import networks
from app.notify.courier import PostalCourier
from app.notify.posting import Posting
from app.notify.smtp import Relay, Smtp, Tls
from app.notify.targets import HookTarget, MailTarget, Target
from app.secrets.reference import SecretMissing
from app.settings.model import Notifications
from app.settings.notifications import AnyTarget, EmailTarget, WebhookTarget
from connectors.contract import Finding, Severity

ADVICE = {
    "name_not_found": "its host name is not known: check the address and the resolver",
    "address_refused": "its name leads to an address that is not public; if that is meant, name the network in "
    "notifications.allow_private",
    "clear_text_refused": "without TLS it may only be in a network that notifications.allow_private names",
    "connection_failed": "no connection: check host, port and firewall",
    "timeout": "no answer in time",
    "tls_failed": "TLS failed: its certificate must be valid for that name (SSL_CERT_FILE names further authorities)",
    "login_refused": "user and password are refused",
    "not_offered": "the relay does not offer what is asked for: STARTTLS, or a login",
    "secret_unusable": "a secret of it cannot be used",
    "bad_url": "its URL cannot be used",
}


def audiences(settings: Notifications) -> Mapping[str, frozenset[str]]:
    """Target to the events that it wants."""
    return {name: frozenset(target.events) for name, target in settings.targets.items()}


def courier(settings: Notifications) -> PostalCourier:
    """Loads the trust store: once at start."""
    allowed = networks(settings.allow_private)
    tls = ssl.create_default_context()
    return PostalCourier(
        {name: _target(section) for name, section in settings.targets.items()},
        allowed=allowed,
        posting=Posting(allowed=allowed, tls=tls),
        smtp=Smtp(allowed=allowed, tls=tls),
        now=time.time,
        unreadable=SecretMissing,
    )


def _target(section: AnyTarget) -> Target:
    if isinstance(section, EmailTarget):
        relay = Relay(
            host=section.host,
            port=section.port_or_default,
            tls=Tls(section.tls),
            user=section.user,
            password=section.read_password,
        )
        return MailTarget(relay=relay, sender=section.sender, recipients=section.recipients)
    secrets = section.secrets if isinstance(section, WebhookTarget) else ()
    return HookTarget(kind=section.kind, url=section.read_url, secrets=tuple(secret.read for secret in secrets))


async def probe_targets(settings: Notifications) -> list[Finding]:
    """Connects to each target, encrypted, and logs in where that is asked for; sends nothing."""
    if not settings.targets:
        return []
    asked = courier(settings)
    errors = await asyncio.gather(*(asked.probe(name) for name in settings.targets))
    return [_finding(name, error) for name, error in zip(settings.targets, errors, strict=True)]


def _finding(name: str, error: str | None) -> Finding:
    where = f"notifications.targets.{name}"
    if error is None:
        return Finding(code="notification_target", severity=Severity.OK, text=f"{where}: can be reached")
    advice = ADVICE.get(error, error)
    return Finding(code="notification_target_unusable", severity=Severity.WARNING, text=f"{where}: {advice}")
