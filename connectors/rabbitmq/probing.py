"""What is unsafe about how RabbitMQ is reached."""

import ipaddress
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from connectors.contract import Finding, Severity

REACHABLE = Finding(code="reachable", severity=Severity.OK, text="the broker answers")
UNREACHABLE = Finding(
    code="unreachable",
    severity=Severity.WARNING,
    text="no connection: check address, credentials, virtual host and that the broker runs",
)


def findings_of(address: str) -> Iterator[Finding]:
    """Of the URL alone; nothing of it is in the texts. One that is none has no findings: nothing is reached with it."""
    try:
        url = urlsplit(address)
    except ValueError:
        return
    if url.scheme != "amqps" and not _loopback(url.hostname or ""):
        yield Finding(
            code="plain_text",
            severity=Severity.UNSAFE,
            text="messages and password go over the network in plain text: use amqps://",
        )
    if url.scheme == "amqps" and parse_qs(url.query).get("no_verify_ssl", ["0"]) != ["0"]:
        yield Finding(
            code="unverified_tls",
            severity=Severity.UNSAFE,
            text="the broker's certificate is not verified: remove no_verify_ssl, name the authority with cafile",
        )
    if url.username in (None, "", "guest"):
        yield Finding(
            code="default_credentials",
            severity=Severity.UNSAFE,
            text="the user is RabbitMQ's guest: make a user of its own that may not configure anything",
        )


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
