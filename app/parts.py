"""The adapters of one gateway, opened in order and closed in reverse: the audit log first in, last out."""

import hmac
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from app.api.operations import ENDPOINTS
from app.background import Background
from app.connecting import Connections, Reached, build_connections, first_catalogs, refuse_unsafe
from app.detecting import build_detectors
from app.gateway.connections import Broker, Bucket, Catalogs, Connection
from app.gateway.record import rfc3339
from app.identity.issuers import IssuerConfig
from app.identity.jwks import KeyRing
from app.identity.transport import HttpsFetch
from app.identity.verifier import Verifier
from app.masking.detectors import Detectors
from app.policy.findings import Finding as PolicyFinding
from app.policy.findings import Level, PolicyBroken
from app.policy.loaded import LoadedPolicy
from app.ports import MaskKeys, Renderer
from app.secrets.mask_keys import MaskKeyring, NoMaskKeys, parse_master_key
from app.serving import StartRefused
from app.settings.model import Issuer, SecretRef, Settings
from app.store.approvals import ApprovalStore
from app.store.policy_files import PolicyFolder
from app.store.trail import FileTrail
from app.store.trail_key import load_key
from app.telemetry.metrics import Metrics
from app.workers.planning import PlanningWorker
from app.workers.rendering import RenderingWorkers
from connectors.contract import Catalog

CATALOG_REFRESH_S = 30.0
PLANNING_TIMEOUT_S = 5.0
RENDERERS = 2
RENDERING_MEMORY_BYTES = 1024 * 1024 * 1024
RENDERING_TIMEOUT_S = 300.0

Identity = tuple[IssuerConfig, KeyRing]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalKeys:
    """One for each purpose, 32 bytes: held results, stored answers of idempotency keys, one-time links, tags of what an
    approved change is done over, handles of messages."""

    held: bytes
    answers: bytes
    links: bytes
    tags: bytes
    handles: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    trail: FileTrail
    store: ApprovalStore
    connections: Mapping[str, Connection]
    buckets: Mapping[str, Bucket]
    brokers: Mapping[str, Broker]
    reached: Reached
    catalogs: Catalogs
    policies: PolicyFolder
    verifier: Verifier
    issuers: Sequence[IssuerConfig]
    worker: PlanningWorker
    renderer: Renderer
    detectors: Detectors
    metrics: Metrics
    background: Background
    mask_keys: MaskKeys
    cursor_key: bytes
    approval_keys: ApprovalKeys
    max_held_bytes: int


@asynccontextmanager
async def open_parts(settings: Settings, extra: Identity | None) -> AsyncIterator[Parts]:
    """`extra`: the demo's own issuer. Raises StartRefused, TrailUnavailable, StoreUnavailable."""
    async with AsyncExitStack() as stack:
        trail = await stack.enter_async_context(await _trail(settings))
        store = await stack.enter_async_context(ApprovalStore.open(settings.store.read_url()))
        configured = build_connections(settings)
        for each in configured.all().values():
            await each.connector.open()
            stack.push_async_callback(each.connector.close)
        connections = configured.databases
        background = await stack.enter_async_context(Background())
        reconsider = _Reconsider(background)
        catalogs = Catalogs(connections, reconsider.catalog_changed)
        await first_catalogs(connections, catalogs)
        await refuse_unsafe(settings, configured.all())
        folder = _policies(settings, configured, trail)
        try:
            policies = await stack.enter_async_context(folder)
        except PolicyBroken as broken:
            raise StartRefused([str(finding) for finding in broken.findings]) from broken
        reconsider.policies = policies
        await trail.append({**_event("started"), "policy_version": policies.current.version})
        identities = [_identity(section) for section in settings.issuers]
        if extra is not None:
            identities.append(extra)
        verifier = await stack.enter_async_context(Verifier(identities, now=time.time))
        worker = PlanningWorker(timeout_s=PLANNING_TIMEOUT_S)
        stack.push_async_callback(worker.aclose)
        background.start(catalogs.keep_fresh(CATALOG_REFRESH_S))
        reached = Reached({**configured.buckets, **configured.brokers})
        background.start(reached.keep_looking(CATALOG_REFRESH_S))
        if connections:
            background.start(worker.warm())
        detectors = build_detectors(settings.detectors)
        renderer = RenderingWorkers(
            size=RENDERERS,
            memory_bytes=RENDERING_MEMORY_BYTES,
            timeout_s=RENDERING_TIMEOUT_S,
            detectors=detectors,
        )
        stack.push_async_callback(renderer.aclose)
        if configured.buckets:
            background.start(renderer.warm())
        master = settings.masking.key.read() if settings.masking is not None else None
        yield Parts(
            trail=trail,
            store=store,
            connections=connections,
            buckets=configured.buckets,
            brokers=configured.brokers,
            reached=reached,
            catalogs=catalogs,
            policies=policies,
            verifier=verifier,
            issuers=[config for config, _ in identities],
            worker=worker,
            renderer=renderer,
            detectors=detectors,
            metrics=Metrics(
                operations=[endpoint.name for endpoint in ENDPOINTS],
                connections=configured.all(),
                issuers=[config.issuer for config, _ in identities],
            ),
            background=background,
            mask_keys=NoMaskKeys() if master is None else MaskKeyring(parse_master_key(master)),
            cursor_key=_derived(load_key(file_of(settings.audit.key)).private_bytes_raw(), b"douane/cursor"),
            approval_keys=_approval_keys(settings),
            max_held_bytes=settings.approvals.max_held_bytes,
        )


class _Reconsider:
    """A policy that was refused for a table that was missing is tried again when the catalog changes."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self.policies: PolicyFolder | None = None

    def catalog_changed(self, name: str, catalog: Catalog) -> None:
        structlog.get_logger().info(
            "catalog_read", connection=name, catalog_version=catalog.version[:12], count=len(catalog.tables)
        )
        if self.policies is not None and self.policies.broken:
            self._background.start(self._reload(self.policies))

    async def _reload(self, policies: PolicyFolder) -> None:
        await policies.reload()


async def _trail(settings: Settings) -> FileTrail:
    log = structlog.get_logger()
    trail = await FileTrail.open(
        settings.audit.dir,
        origin=settings.audit.origin,
        key=load_key(file_of(settings.audit.key)),
        report=lambda problem: log.error("audit_log_failing", exc_info=problem),
    )
    if trail.cut_bytes:
        log.warning("audit_log_tail_cut", bytes=trail.cut_bytes, log=trail.origin)
    return trail


def _policies(settings: Settings, configured: Connections, trail: FileTrail) -> PolicyFolder:
    def misfits(policy: LoadedPolicy) -> tuple[PolicyFinding, ...]:
        """A policy that names tables or columns which a reachable database does not have is not activated."""
        return tuple(
            finding
            for name, connection in configured.databases.items()
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

    return PolicyFolder(
        settings.policies,
        configured.kinds(),
        objections=misfits,
        on_change=activated,
        on_broken=broke,
    )


def issuer_config(section: Issuer) -> IssuerConfig:
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


def _identity(section: Issuer) -> Identity:
    config = issuer_config(section)
    return config, KeyRing(config, fetch=HttpsFetch(), now=time.time)


def _event(operation: str) -> dict[str, Any]:
    """An entry of the gateway itself, not of a request."""
    return {"v": 1, "time": rfc3339(time.time()), "operation": operation, "outcome": "completed"}


def file_of(reference: SecretRef) -> Path:
    if reference.file is None:
        raise StartRefused(["audit.key: the signing key must be a file: {file: PATH}"])
    path: Path = reference.file
    return path


def _approval_keys(settings: Settings) -> ApprovalKeys:
    """Derived, where no key is given, from a key that every worker has: so that what one holds another can release."""
    given = settings.approvals.key
    if given is None:
        root = load_key(file_of(settings.audit.key)).private_bytes_raw()
    else:
        root = parse_master_key(given.read())
    return ApprovalKeys(
        held=_derived(root, b"douane/held"),
        answers=_derived(root, b"douane/answers"),
        links=_derived(root, b"douane/links"),
        tags=_derived(root, b"douane/tags"),
        handles=_derived(root, b"douane/handles"),
    )


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, purpose, "sha256")
