"""The wiring: settings in, one running gateway out. Only this module and its neighbours import adapters."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from fastapi import FastAPI

from app.api.document import agents_document, full_document
from app.api.door import AsgiApp, Door, Entrance
from app.api.operations import ENDPOINTS, SCOPES, declare
from app.api.problems import Problems
from app.api.system import Health, Surface, add_system_routes
from app.approval.digest import pending
from app.gateway.approvals import ApprovalDesk
from app.gateway.connections import Catalogs, Connection
from app.gateway.cursor import Cursors
from app.gateway.discovery import Discovery
from app.gateway.parameters import Binder
from app.gateway.pipeline import Customs
from app.gateway.planning import Plan, Planner
from app.gateway.query import Query, QueryCommand
from app.gateway.record import Record, rfc3339, rule_ids
from app.identity.issuers import IssuerConfig
from app.identity.jwks import KeyRing
from app.identity.metadata import challenge, metadata_url, protected_resource
from app.identity.transport import HttpsFetch
from app.identity.verifier import Verifier
from app.policy.connections import ConnectionKind
from app.policy.findings import Finding as PolicyFinding
from app.policy.findings import Level, PolicyBroken
from app.policy.loaded import LoadedPolicy
from app.ports import StoreUnavailable, TrailUnavailable
from app.secrets.mask_keys import MaskKeyring, NoMaskKeys, parse_master_key
from app.serving import StartRefused
from app.settings.model import Settings
from app.settings.unsafe import findings as unsafe_findings
from app.sql.guards import GUARDS, SHAPES
from app.store.approvals import ApprovalStore
from app.store.policy_files import PolicyFolder
from app.store.trail import FileTrail
from app.store.trail_key import load_key
from app.telemetry.metrics import Metrics
from app.telemetry.trace import trace_of
from app.workers.planning import PlanningWorker
from connectors.contract import Catalog, ConnectorError, Finding, Severity, SqlConnectorConfig
from connectors.registry import factory

DOCS_URL = "https://douane.dev/errors"
APPROVAL_LIFETIME_S = 24 * 3600
CATALOG_REFRESH_S = 30.0
FIRST_CATALOG_WAIT_S = 5.0
PLANNING_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoParts:
    """What `douane demo` adds to a normal server: its own issuer, and the login page that goes with it."""

    identity: tuple[IssuerConfig, KeyRing]
    login: AsgiApp
    login_path: str
    docs_settings: Mapping[str, Any]


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


def issuer_config(section: Any) -> IssuerConfig:
    return IssuerConfig(
        issuer=section.issuer,
        audience=section.audience,
        jwks_url=section.jwks_url,
        algorithms=section.algorithms,
        clients=section.clients,
        roles_claim=section.roles_claim,
        groups_claim=section.groups_claim,
        accept_typ_jwt=section.accept_typ_jwt,
        namespace=section.namespace or "",
        leeway_s=section.leeway_s,
    )


@asynccontextmanager
async def gateway(settings: Settings, demo_parts: DemoParts | None = None) -> AsyncIterator[AsgiApp]:
    """Everything wired and open; closing drains the audit log last. Raises StartRefused."""
    try:
        async with _opened(settings, demo_parts) as door:
            yield door
    except TrailUnavailable as unavailable:
        raise StartRefused([f"audit.dir: {unavailable}"]) from unavailable
    except StoreUnavailable as unavailable:
        raise StartRefused([f"store.url: {unavailable}"]) from unavailable


@asynccontextmanager
async def _opened(settings: Settings, demo_parts: DemoParts | None) -> AsyncIterator[AsgiApp]:
    log = structlog.get_logger()
    public_url = settings.server.public_url.rstrip("/")
    async with AsyncExitStack() as stack:
        trail = await stack.enter_async_context(
            await FileTrail.open(
                settings.audit.dir,
                origin=settings.audit.origin,
                key=load_key(file_of(settings.audit.key)),
                report=lambda problem: log.error("audit_log_failing", exc_info=problem),
            )
        )
        if trail.cut_bytes:
            log.warning("audit_log_tail_cut", bytes=trail.cut_bytes, log=trail.origin)
        store = await stack.enter_async_context(ApprovalStore.open(settings.store.read_url()))
        connections = build_connections(settings)
        for connection in connections.values():
            await connection.connector.open()
            stack.push_async_callback(connection.connector.close)

        def catalog_changed(name: str, catalog: Catalog) -> None:
            log.info("catalog_read", connection=name, catalog_version=catalog.version[:12], count=len(catalog.tables))

        catalogs = Catalogs(connections, catalog_changed)
        await first_catalogs(connections, catalogs)
        await _refuse_unsafe(settings, connections)

        def misfits(policy: LoadedPolicy) -> tuple[PolicyFinding, ...]:
            """A policy that names tables or columns which a reachable database does not have is not activated."""
            return tuple(
                finding
                for name, connection in connections.items()
                if (catalog := connection.connector.catalog()) is not None
                for finding in policy.check_catalog(name, catalog)
                if finding.level is Level.ERROR
            )

        async def activated(old: LoadedPolicy, new: LoadedPolicy) -> None:
            await trail.append(
                {**_event("policy_activated"), "policy_version": new.version, "policy_version_before": old.version}
            )

        async def broke(lines: Sequence[str]) -> None:
            await trail.append({**_event("policy_broken"), "findings": list(lines)})

        folder = PolicyFolder(
            settings.policies,
            dict.fromkeys(connections, ConnectionKind.SQL),
            objections=misfits,
            on_change=activated,
            on_broken=broke,
        )
        try:
            policies = await stack.enter_async_context(folder)
        except PolicyBroken as broken:
            raise StartRefused([str(finding) for finding in broken.findings]) from broken
        await trail.append({**_event("started"), "policy_version": policies.current.version})
        configs = [issuer_config(section) for section in settings.issuers]
        identities = [(config, KeyRing(config, fetch=HttpsFetch(), now=time.time)) for config in configs]
        if demo_parts is not None:
            identities.append(demo_parts.identity)
        verifier = await stack.enter_async_context(Verifier(identities, now=time.time))
        worker = PlanningWorker(timeout_s=PLANNING_TIMEOUT_S)
        stack.push_async_callback(worker.aclose)
        planner = Planner(catalogs=catalogs, heavy=worker)
        master = settings.masking.key.read() if settings.masking is not None else None
        keys = NoMaskKeys() if master is None else MaskKeyring(parse_master_key(master))
        cursors = Cursors(_cursor_key(master))
        metrics = Metrics(
            operations=[endpoint.name for endpoint in ENDPOINTS],
            connections=connections,
            issuers=[config.issuer for config, _ in identities],
        )
        resource = settings.issuers[0].audience if settings.issuers else public_url
        described_at = metadata_url(public_url)
        problems = Problems(
            docs_url=DOCS_URL,
            challenge=lambda error, description, scope: challenge(
                metadata_url=described_at, error=error, description=description, scope=(scope or "").split()
            ),
        )

        def settled(record: Record, size: int) -> None:
            metrics.finished(
                record.operation,
                record.outcome,
                duration_s=time.time() - record.started,
                rows=record.rows,
                size_bytes=size,
            )

        def report(fault: BaseException, trace_id: str) -> None:
            log.error("fault", trace_id=trace_id, exc_info=fault)

        customs = Customs(
            tokens=verifier, trail=trail, now=time.time, render=problems.render, report=report, settled=settled
        )
        background = await stack.enter_async_context(_Background())
        background.start(catalogs.keep_fresh(CATALOG_REFRESH_S))
        background.start(worker.warm())
        query = Query(
            connections=connections,
            policies=policies,
            planner=planner,
            catalogs=catalogs,
            binder=Binder(keys),
            cursors=cursors,
            approvals=store,
            new_approval=_new_approval,
            now=time.time,
            public_url=public_url,
            refresh_soon=lambda connection: background.start(_quietly(catalogs, connection)),
            intend=customs.intend,
        )
        discovery = Discovery(
            connections=connections,
            policies=policies,
            planner=planner,
            cursors=cursors,
            now=time.time,
            public_url=public_url,
        )
        desk = ApprovalDesk(approvals=store, policies=policies, cursors=cursors, public_url=public_url, now=time.time)
        app, document = application(
            public_url=public_url,
            openid_url=_openid_url(settings, demo_parts),
        )

        def health() -> Health:
            return Health(
                audit=trail.healthy,
                policy=not policies.broken,
                issuers=tuple(verifier.ready().values()),
                connections=tuple(c.connector.catalog() is not None for c in connections.values()),
            )

        def exposition() -> bytes:
            metrics.state(
                policy_version=policies.current.version,
                policy_broken=bool(policies.broken),
                trail_healthy=trail.healthy,
                connections={n: c.connector.catalog() is not None for n, c in connections.items()},
                issuers=verifier.ready(),
            )
            return metrics.render()

        def trace(header: bytes | None) -> str:
            return trace_of(header).trace_id

        add_system_routes(
            app,
            Surface(
                document=lambda: document,
                agents=lambda: agents_document(document),
                health=health,
                metrics=exposition,
                metrics_from=settings.server.metrics_from,
                metadata=protected_resource(
                    resource=resource if isinstance(resource, str) else public_url,
                    authorization_servers=[config.issuer for config, _ in identities],
                    scopes=list(SCOPES),
                    documentation=f"{public_url}/docs",
                ),
                metadata_path=urlsplit(described_at).path,
                docs_settings={} if demo_parts is None else demo_parts.docs_settings,
                login_path=None if demo_parts is None else demo_parts.login_path,
                login=None if demo_parts is None else demo_parts.login,
            ),
            problems,
            trace,
        )
        yield Door(
            customs=customs,
            endpoints=ENDPOINTS,
            use_cases={
                "get_identity": discovery.identity,
                "list_connections": discovery.list_connections,
                "describe_connection": discovery.describe_connection,
                "query_sql": query.run,
                "explain_sql": query.explain,
                "list_approvals": desk.list_approvals,
                "get_approval": desk.get_approval,
            },
            entrance=_entrance(settings),
            trace=trace,
            rest=app,
        )


def application(*, public_url: str, openid_url: str | None) -> tuple[FastAPI, dict[str, Any]]:
    """The FastAPI app with every endpoint declared, and its document."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    declare(app)
    version = installed_version("douane")
    return app, full_document(app, version=version, public_url=public_url, openid_url=openid_url)


class _Background:
    """Tasks that live as long as the gateway. One that fails is logged; it never takes the gateway with it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            structlog.get_logger().error("background_task_failed", exc_info=error)

    async def __aenter__(self) -> "_Background":
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _quietly(catalogs: Catalogs, connection: Connection) -> None:
    """Refresh beside the requests; a database that is down answers for itself."""
    try:
        await catalogs.refresh(connection)
    except ConnectorError as error:
        structlog.get_logger().warning("catalog_not_read", connection=connection.name, reason=error.failure.value)


async def first_catalogs(connections: Mapping[str, Connection], catalogs: Catalogs) -> None:
    """Known before the policy is checked, where the databases answer in time; the others follow in the background."""
    if connections:
        reads = [asyncio.ensure_future(_quietly(catalogs, c)) for c in connections.values()]
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


async def _refuse_unsafe(settings: Settings, connections: Mapping[str, Connection]) -> None:
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


def _event(operation: str) -> dict[str, Any]:
    """An entry of the gateway itself, not of a request."""
    return {"v": 1, "time": rfc3339(time.time()), "operation": operation, "outcome": "completed"}


def _new_approval(caller: Any, command: QueryCommand, plan: Plan, now: float) -> Any:
    decision = plan.decision
    return pending(
        random=secrets.token_bytes(16),
        created_at=rfc3339(now),
        expires_at=rfc3339(now + APPROVAL_LIFETIME_S),
        caller=caller,
        connection=command.connection,
        action=plan.action.value,
        resources=plan.resources,
        reasons=rule_ids(decision.rules),
        statement=command.sql,
        params=command.params,
        unmask=command.unmask,
        purpose=command.purpose,
        policy_version=plan.policy_version,
    )


def file_of(reference: Any) -> Path:
    if reference.file is None:
        raise StartRefused(["audit.key: the signing key must be a file: {file: PATH}"])
    path: Path = reference.file
    return path


def _cursor_key(master: str | None) -> bytes:
    """Derived from the masking key, so that cursors survive a restart and hold for every worker."""
    if master is None:
        return secrets.token_bytes(32)
    return MaskKeyring(parse_master_key(master)).key("douane/cursor")


def _openid_url(settings: Settings, demo_parts: DemoParts | None) -> str | None:
    issuers = [s.issuer for s in settings.issuers]
    if demo_parts is not None:
        issuers.append(demo_parts.identity[0].issuer)
    return f"{issuers[0].rstrip('/')}/.well-known/openid-configuration" if issuers else None


def _entrance(settings: Settings) -> Entrance:
    public = urlsplit(settings.server.public_url)
    hosts = {public.hostname or "", "127.0.0.1", "localhost", "[::1]", settings.server.host}
    hosts |= set(settings.server.allowed_hosts)
    origins = {f"{public.scheme}://{public.netloc}".lower()}
    for host in ("127.0.0.1", "localhost"):
        origins.add(f"http://{host}:{settings.server.port}")
    return Entrance(
        hosts=frozenset(host.lower() for host in hosts if host),
        origins=frozenset(origins),
        max_body_bytes=settings.limits.max_body_bytes,
        max_url_bytes=settings.limits.max_url_bytes,
        max_headers_bytes=settings.limits.max_header_bytes,
        max_in_flight=settings.limits.max_concurrent_requests,
    )
