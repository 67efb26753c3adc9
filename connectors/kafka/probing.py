"""What is unsafe about how Kafka is reached."""

import ipaddress
from collections.abc import Iterator

from connectors.contract import Finding, Severity
from connectors.kafka.settings import Reach

REACHABLE = Finding(code="reachable", severity=Severity.OK, text="the cluster answers")
UNREACHABLE = Finding(
    code="unreachable",
    severity=Severity.WARNING,
    text="no connection: check bootstrap, credentials and that a broker runs; one without idempotent producers needs "
    "idempotent: false",
)


def findings_of(reach: Reach) -> Iterator[Finding]:
    if all(_loopback(address.strip()) for address in reach.bootstrap.split(",")):
        return
    if not reach.encrypted:
        yield Finding(
            code="plain_text",
            severity=Severity.UNSAFE,
            text="messages go over the network in plain text: use security_protocol SSL or SASL_SSL",
        )
    if not reach.authenticated:
        yield Finding(
            code="no_credentials",
            severity=Severity.WARNING,
            text="the cluster asks for no password: whoever reaches it reads and writes past Douane",
        )


def _loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]") or address
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
