"""The wiring: parts in, one running gateway out. No other module gives an adapter to a use case."""

import gc
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from typing import Any
from urllib.parse import urlsplit

import structlog
from fastapi import FastAPI

from app.api.document import agents_document, full_document
from app.api.door import AsgiApp, Door, Entrance
from app.api.operations import ENDPOINTS, SCOPES, declare
from app.api.problems import Problems
from app.api.system import Health, Surface, add_system_routes, system_paths
from app.approving import Desk, Waiting, approval_use_cases, statement_use_cases, sweep_of
from app.exchanging import message_use_cases, object_use_cases
from app.gateway.cursor import Cursors
from app.gateway.discovery import Discovery
from app.gateway.links import PREFIX as LINKS
from app.gateway.pipeline import Customs, UseCase
from app.gateway.planning import Planner
from app.gateway.record import Record
from app.identity.metadata import challenge, metadata_url, protected_resource
from app.jobs.approvals import keep_swept
from app.parts import Identity, Parts, open_parts
from app.ports import StoreUnavailable, TrailUnavailable
from app.serving import StartRefused
from app.settings.model import Settings
from app.telemetry.trace import trace_of
from app.telling import telling

DOCS_URL = "https://douane.dev/errors"
LAST_ENTRIES_WAIT_S = 5.0
SWITCH_INTERVAL_S = 0.0005
"""The thread that made a batch of the log durable must not wait long for the interpreter: requests wait for it."""
GC_THRESHOLDS = (20_000, 20, 20)
"""Requests leave next to no cycles: the interpreter's default of 700 new objects looks for them several times each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoParts:
    """What `douane demo` adds to a normal server: its own issuer, and the login page that goes with it."""

    identity: Identity
    login: AsgiApp | None
    login_path: str | None
    docs_settings: Mapping[str, Any]


@asynccontextmanager
async def gateway(settings: Settings, demo_parts: DemoParts | None = None) -> AsyncIterator[Door]:
    """Everything wired and open; closing drains the audit log last. Raises StartRefused."""
    try:
        async with open_parts(settings, None if demo_parts is None else demo_parts.identity) as parts:
            door = _door(settings, parts, demo_parts)
            # What lives as long as the process is not looked at by every collection from here on.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)
            sys.setswitchinterval(SWITCH_INTERVAL_S)
            try:
                yield door
            finally:
                # Requests that the server cancelled have their entries to make while there is a log.
                await door.emptied(LAST_ENTRIES_WAIT_S)
    except TrailUnavailable as unavailable:
        raise StartRefused([f"audit.dir: {unavailable}"]) from unavailable
    except StoreUnavailable as unavailable:
        raise StartRefused([f"store.url: {unavailable}"]) from unavailable


def _door(settings: Settings, parts: Parts, demo_parts: DemoParts | None) -> Door:
    public_url = settings.server.public_url.rstrip("/")
    described_at = metadata_url(public_url)
    problems = Problems(
        docs_url=DOCS_URL,
        challenge=lambda error, description, scope: challenge(
            metadata_url=described_at, error=error, description=description, scope=(scope or "").split()
        ),
    )
    customs = _customs(parts, problems)
    openid_url = f"{parts.issuers[0].issuer.rstrip('/')}/.well-known/openid-configuration" if parts.issuers else None
    app, document = application(public_url=public_url, openid_url=openid_url)
    surface = Surface(
        document=lambda: document,
        agents=lambda: agents_document(document),
        health=lambda: _health(parts),
        metrics=lambda: _exposition(parts),
        metrics_from=settings.server.metrics_from,
        metadata=protected_resource(
            resource=settings.issuers[0].audience if settings.issuers else public_url,
            authorization_servers=[config.issuer for config in parts.issuers],
            scopes=list(SCOPES),
            documentation=f"{public_url}/docs",
        ),
        metadata_path=urlsplit(described_at).path,
        docs_settings={} if demo_parts is None else demo_parts.docs_settings,
        login_path=None if demo_parts is None else demo_parts.login_path,
        login=None if demo_parts is None else demo_parts.login,
    )
    add_system_routes(app, surface, problems, _trace)
    waiting = Waiting(parts)
    told = telling(
        settings.notifications,
        store=parts.store,
        policies=parts.policies,
        trail=parts.trail,
        cursors=Cursors(parts.cursor_key),
        link_key=parts.approval_keys.links,
        public_url=public_url,
        intend=customs.intend,
        trace=_trace,
    )
    app.router.routes.extend(told.routes)
    use_cases = {**_use_cases(parts, customs, public_url, waiting), **told.use_cases}
    door = Door(
        customs=customs,
        endpoints=ENDPOINTS,
        use_cases=use_cases,
        entrance=_entrance(settings),
        trace=_trace,
        rest=app,
        elsewhere=_elsewhere(surface),
        room=waiting.room,
        draining=waiting.close,
    )
    parts.background.start(keep_swept(sweep_of(parts, waiting)))
    if told.job is not None:
        parts.background.start(told.job.run())
    parts.trail.expect(lambda: door.in_flight)
    return door


def _elsewhere(surface: Surface) -> Callable[[str], bool]:
    """The paths of the system surface: health, documents, assets, one-time links, the demo's login."""
    folders = tuple(f"{folder}/" for folder in ("/static", LINKS.rstrip("/"), surface.login_path) if folder)
    exact = frozenset(system_paths(surface))
    return lambda path: path in exact or path.startswith(folders)


def _customs(parts: Parts, problems: Problems) -> Customs:
    metrics = parts.metrics

    log = structlog.get_logger()

    def settled(record: Record, size: int) -> None:
        duration_s = time.time() - record.started
        metrics.finished(record.operation, record.outcome, duration_s=duration_s, rows=record.rows, size_bytes=size)
        if record.outcome not in ("completed", "pending_approval"):
            log.info(
                "not_served",
                operation=record.operation,
                outcome=record.outcome,
                code=record.code,
                status=record.status,
                reason=record.reason,
                causes=record.causes,
                connection=record.connection,
                trace_id=record.trace_id,
                duration_ms=round(duration_s * 1000, 1),
            )

    return Customs(
        tokens=parts.verifier,
        trail=parts.trail,
        now=time.time,
        render=problems.render,
        report=_report,
        started=metrics.started,
        settled=settled,
    )


def _report(fault: BaseException, trace_id: str) -> None:
    structlog.get_logger().error("fault", trace_id=trace_id, exc_info=fault)


def _use_cases(parts: Parts, customs: Customs, public_url: str, waiting: Waiting) -> dict[str, UseCase]:
    planner = Planner(catalogs=parts.catalogs, heavy=parts.worker, looked_up=parts.metrics.looked_up)
    cursors = Cursors(parts.cursor_key)
    desk = Desk(parts, waiting, customs.intend, public_url)
    discovery = Discovery(
        connections=parts.connections,
        buckets=parts.buckets,
        brokers=parts.brokers,
        policies=parts.policies,
        planner=planner,
        cursors=cursors,
        now=time.time,
        public_url=public_url,
    )
    return {
        "get_identity": discovery.identity,
        "list_connections": discovery.list_connections,
        "describe_connection": discovery.describe_connection,
        **statement_use_cases(parts, desk, planner, cursors, customs.intend, public_url),
        **object_use_cases(parts, desk, cursors, customs.intend, public_url),
        **message_use_cases(parts, waiting, desk, customs.intend, _report),
        **approval_use_cases(parts, waiting, cursors, customs.intend, public_url),
    }


def _health(parts: Parts) -> Health:
    return Health(
        audit=parts.trail.healthy,
        policy=not parts.policies.broken,
        issuers=tuple(parts.verifier.ready().values()),
        connections=tuple(_known(parts).values()),
        policy_problems=tuple(parts.policies.broken),
    )


def _exposition(parts: Parts) -> bytes:
    parts.metrics.state(
        policy_version=parts.policies.current.version,
        policy_broken=bool(parts.policies.broken),
        trail_healthy=parts.trail.healthy,
        connections=_known(parts),
        issuers=parts.verifier.ready(),
    )
    return parts.metrics.render()


def _known(parts: Parts) -> dict[str, bool]:
    known = {name: c.connector.catalog() is not None for name, c in parts.connections.items()}
    return known | parts.reached.known


def _trace(header: bytes | None) -> str:
    return trace_of(header).trace_id


def application(*, public_url: str, openid_url: str | None) -> tuple[FastAPI, dict[str, Any]]:
    """The FastAPI app with every endpoint declared, and its document."""
    # No redirects to paths with or without a slash: they would send the client to whatever its Host header says.
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    declare(app)
    version = installed_version("douane")
    return app, full_document(app, version=version, public_url=public_url, openid_url=openid_url)


def _as_header(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _entrance(settings: Settings) -> Entrance:
    public = urlsplit(settings.server.public_url)
    hosts = {public.hostname or "", "127.0.0.1", "localhost", "[::1]", settings.server.host}
    hosts |= set(settings.server.allowed_hosts)
    origins = {f"{public.scheme}://{public.netloc}".lower()}
    for host in ("127.0.0.1", "localhost"):
        origins.add(f"http://{host}:{settings.server.port}")
    return Entrance(
        hosts=frozenset(_as_header(host.lower()) for host in hosts if host),
        origins=frozenset(origins),
        max_body_bytes=settings.limits.max_body_bytes,
        max_url_bytes=settings.limits.max_url_bytes,
        max_headers_bytes=settings.limits.max_header_bytes,
        max_in_flight=settings.limits.max_concurrent_requests,
    )
