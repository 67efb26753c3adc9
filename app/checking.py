"""`douane check`: everything a server needs, probed once and reported; nothing is changed."""

import time
from collections.abc import Mapping
from dataclasses import replace

import uvloop

from app.bypass_check import bypass_findings
from app.connecting import build_connections, first_catalogs, probe
from app.couriers import probe_targets
from app.gateway.connections import Catalogs, Connection
from app.identity.jwks import KeyRing
from app.identity.transport import HttpsFetch
from app.parts import issuer_config
from app.policy.connections import ConnectionKind
from app.policy.findings import Level, PolicyBroken
from app.ports import IdentityUnavailable
from app.settings.model import Settings
from app.settings.unsafe import findings as unsafe_findings
from app.store.policy_files import load_folder
from connectors.contract import Finding, Severity


def check(settings: Settings) -> list[Finding]:
    """Probe everything once: settings, connections, policy, issuers, and the bypass corpus on each connection."""
    return uvloop.run(_check(settings))


async def _check(settings: Settings) -> list[Finding]:
    found = list(unsafe_findings(settings))
    connections = build_connections(settings)
    catalogs = Catalogs(connections, lambda _name, _catalog: None)
    try:
        for connection in connections.values():
            await connection.connector.open()
        await first_catalogs(connections, catalogs)
        for name, finding in await probe(connections):
            found.append(replace(finding, text=f"{name}: {finding.text}"))
        found += await _check_policy(settings, connections)
        found += bypass_findings(connections)
    finally:
        for connection in connections.values():
            await connection.connector.close()
    found += await probe_targets(settings.notifications)
    for section in settings.issuers:
        config = issuer_config(section)
        ring = KeyRing(config, fetch=HttpsFetch(), now=time.time)
        try:
            await ring.key("douane-check", config.algorithms[0])
            found.append(Finding(code="issuer", severity=Severity.OK, text=f"{config.issuer}: keys fetched"))
        except IdentityUnavailable:
            text = f"{config.issuer}: its keys cannot be fetched; every token will be answered 503"
            found.append(Finding(code="issuer_unreachable", severity=Severity.WARNING, text=text))
        finally:
            await ring.aclose()
    return found


async def _check_policy(settings: Settings, connections: Mapping[str, Connection]) -> list[Finding]:
    try:
        policy = load_folder(settings.policies, dict.fromkeys(connections, ConnectionKind.SQL))
    except PolicyBroken as broken:
        return [Finding(code="policy", severity=Severity.UNSAFE, text=str(finding)) for finding in broken.findings]
    found = [Finding(code="policy", severity=Severity.OK, text=f"version {policy.version[:12]} loads")]
    found += [Finding(code="policy", severity=Severity.WARNING, text=str(finding)) for finding in policy.warnings]
    for name, connection in connections.items():
        if (catalog := connection.connector.catalog()) is not None:
            found += [
                Finding(
                    code="policy",
                    severity=Severity.UNSAFE if finding.level is Level.ERROR else Severity.WARNING,
                    text=str(finding),
                )
                for finding in policy.check_catalog(name, catalog)
            ]
    return found
