"""What is unsafe about how a broker is reached: one rule for all that are reached by a URL."""

import ipaddress

from connectors.contract import Finding, Severity


def loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def exposed(host: str, *, encrypted: bool, credentials: bool) -> tuple[Finding, ...]:
    """On this machine alone what is missing is a warning."""
    severity = Severity.WARNING if loopback(host) else Severity.UNSAFE
    findings = []
    if not encrypted and severity is Severity.UNSAFE:
        findings.append(
            Finding(code="plain_text", severity=severity, text="messages cross the network in plain text: use TLS")
        )
    if not credentials:
        findings.append(
            Finding(
                code="no_credentials",
                severity=severity,
                text="the broker takes anybody's messages: give this connection credentials of its own",
            )
        )
    return tuple(findings)
