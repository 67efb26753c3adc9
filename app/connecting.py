"""The configured connections: built, probed, and refused where they are unsafe and nobody said so."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from app.detecting import build_detectors
from app.gateway.connections import Broker, Bucket, Catalogs, Connection
from app.masking.detectors import Detectors
from app.masking.redaction import labels_only
from app.policy.connections import ConnectionKind
from app.serving import StartRefused
from app.settings.connections import (
    FilesystemConnection,
    OtherSection,
    PluginConnection,
    PostgresConnection,
    S3Connection,
    SqliteConnection,
)
from app.settings.model import Settings
from app.settings.unsafe import findings as unsafe_findings
from app.sql.guards import guard_of, shapes_of
from connectors.contract import (
    ConnectorConfig,
    ConnectorError,
    ConnectorFactory,
    Family,
    Finding,
    Severity,
    SqlConnectorConfig,
)
from connectors.registry import factory, family_of

FIRST_CATALOG_WAIT_S = 5.0
PROBE_TIMEOUT_S = 20.0
REACHABLE = "reachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """Everything that is configured, by family; a name stands in one of them."""

    databases: Mapping[str, Connection]
    buckets: Mapping[str, Bucket]
    brokers: Mapping[str, Broker]

    def all(self) -> Mapping[str, Connection | Bucket | Broker]:
        return {**self.databases, **self.buckets, **self.brokers}

    def kinds(self) -> dict[str, ConnectionKind]:
        """As policy needs it."""
        return {
            **dict.fromkeys(self.databases, ConnectionKind.SQL),
            **dict.fromkeys(self.buckets, ConnectionKind.OBJECTS),
            **dict.fromkeys(self.brokers, ConnectionKind.MESSAGES),
        }


def build_connections(settings: Settings) -> Connections:
    detectors = build_detectors(settings.detectors)
    databases: dict[str, Connection] = {}
    buckets: dict[str, Bucket] = {}
    brokers: dict[str, Broker] = {}
    for name, section in settings.connections.items():
        made: Any = factory(section.kind)
        match family_of(made), section:
            case Family.SQL, PostgresConnection() | SqliteConnection() | PluginConnection():
                databases[name] = _database(name, section, made, detectors)
            case Family.OBJECTS, FilesystemConnection() | S3Connection() | PluginConnection():
                buckets[name] = Bucket(
                    name=name,
                    kind=section.kind,
                    connector=made(_config(name, section)),
                    max_bytes=section.max_bytes,
                    max_object_bytes=section.max_object_bytes,
                    timeout_s=section.timeout_s,
                )
            case Family.MESSAGES, _ if not isinstance(section, PostgresConnection | SqliteConnection):
                brokers[name] = Broker(
                    name=name,
                    kind=section.kind,
                    connector=made(_config(name, section)),
                    max_bytes=section.max_bytes,
                    timeout_s=section.timeout_s,
                )
            case family, _:
                raise StartRefused([f"connections.{name}: kind {section.kind} is of the family {family.value}"])
    return Connections(databases=databases, buckets=buckets, brokers=brokers)


def _database(
    name: str,
    section: PostgresConnection | SqliteConnection | PluginConnection,
    made: ConnectorFactory,
    detectors: Detectors,
) -> Connection:
    connector = made(
        SqlConnectorConfig(
            name=name,
            secret=section.secret,
            options=section.options,
            pool_max=section.pool_max,
            statement_timeout_s=section.statement_timeout_s,
            redact=labels_only(detectors.find),
        )
    )
    return Connection(
        name=name,
        kind=section.kind,
        connector=connector,
        guard=guard_of(connector.dialect),
        shapes=shapes_of(connector.dialect),
        max_rows=section.max_rows,
        max_bytes=section.max_bytes,
        max_value_bytes=section.max_value_bytes,
        timeout_s=section.statement_timeout_s,
    )


def _config(name: str, section: OtherSection | PluginConnection) -> ConnectorConfig:
    return ConnectorConfig(
        name=name,
        options=section.options,
        secrets=section.secrets,
        pool_max=section.pool_max,
        timeout_s=section.timeout_s,
    )


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


async def probe(connections: Mapping[str, Connection | Bucket | Broker]) -> list[tuple[str, Finding]]:
    """What each connection's role and reach look like; the code of a finding that concerns one connection."""
    found: list[tuple[str, Finding]] = []
    for name, connection in connections.items():
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                found += [(name, finding) for finding in await connection.connector.probe()]
        except TimeoutError:
            text = f"no answer within {PROBE_TIMEOUT_S:g} s: it is probed again later"
            found.append((name, Finding(code="unreachable", severity=Severity.WARNING, text=text)))
    return found


class Reached:
    """Which buckets and brokers answered when they were asked last."""

    def __init__(self, connections: Mapping[str, Bucket | Broker]) -> None:
        self._connections = connections
        self.known: dict[str, bool] = dict.fromkeys(connections, False)

    async def look(self) -> None:
        found = await probe(self._connections)
        for name in self._connections:
            self.known[name] = any(at == name and finding.code == REACHABLE for at, finding in found)

    async def keep_looking(self, every_s: float) -> None:
        """Runs until cancelled."""
        while self._connections:
            await self.look()
            await asyncio.sleep(every_s)


async def refuse_unsafe(settings: Settings, connections: Mapping[str, Connection | Bucket | Broker]) -> None:
    log = structlog.get_logger()
    problems = []
    for where, finding in [("settings", f) for f in unsafe_findings(settings)] + await probe(connections):
        if finding.severity is Severity.OK:
            continue
        acknowledged = finding.code in settings.acknowledge
        if finding.severity is Severity.UNSAFE and not acknowledged:
            problems.append(f"{where}: {finding.code}: {finding.text} (or add {finding.code} to `acknowledge`)")
        elif finding.severity is Severity.UNSAFE or not acknowledged:
            log.warning("finding", connection=where, finding=finding.code, severity=finding.severity.value)
    if problems:
        raise StartRefused(problems)
