"""The surface beside the data: health, readiness, metrics, the documents, Swagger UI and the RFC 9728 metadata."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from app.api.problems import Problems
from app.gateway.errors import MethodNotAllowed, NotFound

STATIC = Path(__file__).parent / "static"
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
DOCS_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """`policy` False: the newest files did not load, and the policy before them is in force."""

    audit: bool
    policy: bool
    issuers: Sequence[bool]
    connections: Sequence[bool]
    policy_problems: Sequence[str] = ()
    """file:line:column and what is wrong there; for operators' networks only."""

    @property
    def ready(self) -> bool:
        """Requests can be answered at all: they can be recorded, and somebody can sign in."""
        return self.audit and any(self.issuers)

    def document(self, *, operator: bool) -> dict[str, Any]:
        """Counts, not names, for who asks here showed no token; an operator also reads what is wrong."""
        notes = []
        if not self.policy:
            notes.append("The newest policy files did not load, the ones before are in force: see the log.")
        if operator:
            notes += self.policy_problems
        if not self.audit:
            notes.append("The audit log cannot be written: nothing is released.")
        return {
            "status": "ready" if self.ready else "not_ready",
            "audit": self.audit,
            "policy": self.policy,
            "issuers": {"ready": sum(self.issuers), "configured": len(self.issuers)},
            "connections": {"ready": sum(self.connections), "configured": len(self.connections)},
            "notes": notes,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """What the system routes show. `metadata` is served below `metadata_path`; `login` (the demo's issuer) is mounted
    at `login_path`; metrics and policy problems go to loopback and to the networks of `metrics_from` only."""

    document: Callable[[], Mapping[str, Any]]
    agents: Callable[[], Mapping[str, Any]]
    health: Callable[[], "Health"]
    metrics: Callable[[], bytes]
    metrics_from: Sequence[str]
    metadata: Mapping[str, Any]
    metadata_path: str
    docs_settings: Mapping[str, Any]
    login_path: str | None = None
    login: Any = None


def system_paths(surface: Surface) -> tuple[str, ...]:
    """In the order of their handlers."""
    return (
        "/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/openapi/agents.json", surface.metadata_path, "/docs",
        "/docs/settings.json", "/docs/oauth2-redirect",
    )  # fmt: skip


def add_system_routes(app: FastAPI, surface: Surface, problems: Problems, trace: Callable[[bytes | None], str]) -> None:
    """Nothing here needs a token, and nothing here tells anything about data, principals or policy."""

    def json(document: Mapping[str, Any], status: int = 200) -> Response:
        return Response(
            orjson.dumps(document), status, {"cache-control": "no-store", **_HEADERS}, media_type="application/json"
        )

    async def healthz(_: Request) -> Response:
        return json({"status": "ok"})

    networks = [ip_network(network) for network in ("127.0.0.0/8", "::1/128", *surface.metrics_from)]

    def from_operator(request: Request) -> bool:
        peer = None if request.client is None else ip_address(request.client.host)
        return peer is not None and any(peer in network for network in networks)

    async def readyz(request: Request) -> Response:
        health = surface.health()
        return json(health.document(operator=from_operator(request)), 200 if health.ready else 503)

    async def metrics(request: Request) -> Response:
        if not from_operator(request):
            raise HTTPException(404)
        return Response(surface.metrics(), headers=_HEADERS, media_type=METRICS_TYPE)

    async def openapi(_: Request) -> Response:
        return json(surface.document())

    async def agents(_: Request) -> Response:
        return json(surface.agents())

    async def metadata(_: Request) -> Response:
        return json(surface.metadata)

    async def docs(_: Request) -> Response:
        return FileResponse(STATIC / "docs.html", headers={"content-security-policy": DOCS_CSP, **_HEADERS})

    async def docs_settings(_: Request) -> Response:
        return json(surface.docs_settings)

    async def oauth2_redirect(_: Request) -> Response:
        return FileResponse(STATIC / "oauth2-redirect.html", headers={"content-security-policy": DOCS_CSP, **_HEADERS})

    async def static(request: Request) -> Response:
        # Only names that exist at start are served: no path of the request ever reaches the file system.
        file = _ASSETS.get(request.path_params["name"])
        if file is None:
            raise HTTPException(404)
        return FileResponse(file, headers={"cache-control": "public, max-age=3600", **_HEADERS})

    async def home(_: Request) -> Response:
        return RedirectResponse("/docs", 307, _HEADERS)

    handlers = (
        home, healthz, readyz, metrics, openapi, agents, metadata, docs, docs_settings, oauth2_redirect
    )  # fmt: skip
    for path, handler in (*zip(system_paths(surface), handlers, strict=True), ("/static/{name:path}", static)):
        app.router.routes.append(Route(path, handler, methods=["GET"]))
    if surface.login is not None and surface.login_path is not None:
        app.router.routes.append(Mount(surface.login_path, app=surface.login))

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        trace_id = trace(None)
        if error.status_code == 405:
            allow = (error.headers or {}).get("Allow", "GET").split(", ")
            problem = problems.render(
                MethodNotAllowed(
                    f"This path takes {' or '.join(allow)}: repeat the request with that method.", allow=allow
                ),
                trace_id,
            )
        else:
            problem = problems.render(
                NotFound("There is nothing at this path: /openapi.json lists every operation."), trace_id
            )
        status, document, headers = problem
        return Response(orjson.dumps(document), status, {**headers, **_HEADERS}, media_type="application/problem+json")

    app.add_exception_handler(HTTPException, refused)


_ASSETS = {
    path.relative_to(STATIC).as_posix(): path
    for path in STATIC.rglob("*")
    if path.is_file() and path.suffix in {".js", ".css", ".png", ".svg", ".html"}
}
