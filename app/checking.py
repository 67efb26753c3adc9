"""`douane check`: everything a server needs, probed once and reported; nothing is changed."""

import time
from dataclasses import replace

import uvloop

from app.bypass_check import bypass_findings
from app.connecting import Connections, build_connections, first_catalogs, probe
from app.couriers import probe_targets
from app.gateway.connections import Catalogs
from app.identity.jwks import KeyRing
from app.identity.transport import HttpsFetch
from app.parts import issuer_config
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
    configured = build_connections(settings)
    catalogs = Catalogs(configured.databases, lambda _name, _catalog: None)
    try:
        for each in configured.all().values():
            await each.connector.open()
        await first_catalogs(configured.databases, catalogs)
        for name, finding in await probe(configured.all()):
            found.append(replace(finding, text=f"{name}: {finding.text}"))
        found += await _check_policy(settings, configured)
        found += bypass_findings(configured.databases)
    finally:
        for each in configured.all().values():
            await each.connector.close()
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


async def _check_policy(settings: Settings, configured: Connections) -> list[Finding]:
    try:
        policy = load_folder(settings.policies, configured.kinds())
    except PolicyBroken as broken:
        return [Finding(code="policy", severity=Severity.UNSAFE, text=str(finding)) for finding in broken.findings]
    found = [Finding(code="policy", severity=Severity.OK, text=f"version {policy.version[:12]} loads")]
    found += [Finding(code="policy", severity=Severity.WARNING, text=str(finding)) for finding in policy.warnings]
    for name, connection in configured.databases.items():
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
