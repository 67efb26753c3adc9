"""The configured connections: built, probed, and refused where they are unsafe and nobody said so."""

import asyncio
from collections.abc import Mapping

import structlog

from app.gateway.connections import Catalogs, Connection
from app.serving import StartRefused
from app.settings.model import Settings
from app.settings.unsafe import findings as unsafe_findings
from app.sql.guards import GUARDS, SHAPES
from connectors.contract import ConnectorError, Finding, Severity, SqlConnectorConfig
from connectors.registry import factory

FIRST_CATALOG_WAIT_S = 5.0


def build_connections(settings: Settings) -> dict[str, Connection]:
    connections: dict[str, Connection] = {}
    for name, section in settings.connections.items():
        connector = factory(section.kind)(
            SqlConnectorConfig(
                name=name,
                secret=section.secret,
                options=section.options,
                pool_max=section.pool_max,
                statement_timeout_s=section.statement_timeout_s,
            )
        )
        connections[name] = Connection(
            name=name,
            kind=section.kind,
            connector=connector,
            guard=GUARDS[connector.dialect],
            shapes=SHAPES.get(connector.dialect),
            max_rows=section.max_rows,
            max_bytes=section.max_bytes,
            max_value_bytes=section.max_value_bytes,
            timeout_s=section.statement_timeout_s,
        )
    return connections


async def refresh_quietly(catalogs: Catalogs, connection: Connection) -> None:
    """Refresh beside the requests; a database that is down answers for itself."""
    try:
        await catalogs.refresh(connection)
    except ConnectorError as error:
        structlog.get_logger().warning("catalog_not_read", connection=connection.name, reason=error.failure.value)


async def first_catalogs(connections: Mapping[str, Connection], catalogs: Catalogs) -> None:
    """Known before the policy is checked, where the databases answer in time; the others follow in the background."""
    if connections:
        reads = [asyncio.ensure_future(refresh_quietly(catalogs, c)) for c in connections.values()]
        _, late = await asyncio.wait(reads, timeout=FIRST_CATALOG_WAIT_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


async def probe(connections: Mapping[str, Connection]) -> list[tuple[str, Finding]]:
    """What each connection's role and reach look like; the code of a finding that concerns one connection."""
    found: list[tuple[str, Finding]] = []
    for name, connection in connections.items():
        found += [(name, finding) for finding in await connection.connector.probe()]
    return found


async def refuse_unsafe(settings: Settings, connections: Mapping[str, Connection]) -> None:
    log = structlog.get_logger()
    problems = []
    for where, finding in [("settings", f) for f in unsafe_findings(settings)] + await probe(connections):
        if finding.severity is Severity.OK:
            continue
        acknowledged = finding.code in settings.acknowledge
        if finding.severity is Severity.UNSAFE and not acknowledged:
            problems.append(f"{where}: {finding.code}: {finding.text} (or add {finding.code} to `acknowledge`)")
        else:
            log.warning("finding", connection=where, finding=finding.code, severity=finding.severity.value)
    if problems:
        raise StartRefused(problems)
