"""Settings that load but endanger: each a finding with a stable code. `serve` refuses those nobody acknowledged."""

import stat
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from app.secrets.reference import readable_by_others
from app.settings.model import Settings, loopback
from connectors.contract import Finding, Severity


def _http_off_loopback(url: str | None) -> bool:
    parts = urlsplit(url or "")
    return parts.scheme == "http" and not loopback(parts.hostname or "")


def http_issuer(settings: Settings) -> Iterator[Finding]:
    for n, issuer in enumerate(settings.issuers):
        for field, url in (("issuer", issuer.issuer), ("jwks_url", issuer.jwks_url)):
            if _http_off_loopback(url):
                yield Finding(
                    code="http_issuer",
                    severity=Severity.UNSAFE,
                    text=f"issuers[{n}].{field} is http off loopback: anybody on the way can issue tokens; use https",
                )


def secret_file_permissions(settings: Settings) -> Iterator[Finding]:
    for path, secret in settings.secrets():
        if secret.file is not None and readable_by_others(secret.file):
            field = ".".join(map(str, path))
            yield Finding(
                code="secret_file_permissions",
                severity=Severity.UNSAFE,
                text=f"{field}: {secret.file} can be read by group or world: chmod 600 it",
            )


def plain_http(settings: Settings) -> Iterator[Finding]:
    public = urlsplit(settings.server.public_url)
    off_loopback = not loopback(settings.server.host) or not loopback(public.hostname or "")
    if public.scheme == "http" and off_loopback:
        yield Finding(
            code="plain_http",
            severity=Severity.UNSAFE,
            text="server.public_url is http off loopback: tokens and rows travel in the clear; put TLS in front",
        )


def any_client(settings: Settings) -> Iterator[Finding]:
    for n, issuer in enumerate(settings.issuers):
        if issuer.clients is None:
            yield Finding(
                code="any_client",
                severity=Severity.WARNING,
                text=f"issuers[{n}].clients is absent: every client of {issuer.issuer} may call",
            )


def shared_namespace(settings: Settings) -> Iterator[Finding]:
    namespaces = [issuer.namespace for issuer in settings.issuers]
    if len(set(namespaces)) < len(namespaces):
        yield Finding(
            code="shared_namespace",
            severity=Severity.WARNING,
            text="several issuers share their names: each can speak for every sub of the others; give each a namespace",
        )


def audit_dir_permissions(settings: Settings) -> Iterator[Finding]:
    try:
        mode = settings.audit.dir.stat().st_mode
    except FileNotFoundError:
        return
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Finding(
            code="audit_dir_permissions",
            severity=Severity.WARNING,
            text=f"audit.dir {settings.audit.dir} is open to group or world: entries hold statements as asked",
        )


def no_connections(settings: Settings) -> Iterator[Finding]:
    if not settings.connections:
        yield Finding(code="no_connections", severity=Severity.WARNING, text="connections is empty: nothing to query")


RULES = (
    http_issuer,
    secret_file_permissions,
    plain_http,
    any_client,
    shared_namespace,
    audit_dir_permissions,
    no_connections,
)


def findings(settings: Settings) -> tuple[Finding, ...]:
    """What the settings themselves show, without asking a server."""
    return tuple(finding for rule in RULES for finding in rule(settings))


def unacknowledged(found: Iterable[Finding], settings: Settings) -> tuple[Finding, ...]:
    """Unsafe findings that keep `serve` from starting."""
    return tuple(f for f in found if f.severity is Severity.UNSAFE and f.code not in settings.acknowledge)
