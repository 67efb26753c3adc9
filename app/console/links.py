"""The door of one-time links: GET shows a button and uses nothing up, POST opens. No cookie, no script, no login."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from app.console.link_html import CSS_PATH, page_of
from app.gateway.links import PREFIX, Links

_STYLE = (Path(__file__).parent / "static" / "link.css").read_bytes()
_COMMON = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
HEADERS: Mapping[str, str] = {
    **_COMMON,
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex, nofollow",
}


def link_routes(links: Links, *, public_url: str, trace: Callable[[bytes | None], str]) -> list[BaseRoute]:
    """`trace` makes a trace id from the traceparent header (None: a new one)."""
    page = partial(page_of, public_url=public_url)

    async def look(request: Request) -> Response:
        return _html(*page(await links.look(request.path_params["ticket"])))

    async def open_once(request: Request) -> Response:
        header = request.headers.get("traceparent")
        trace_id = trace(None if header is None else header.encode("latin-1"))
        answer = _html(*await links.open(request.path_params["ticket"], trace_id=trace_id, page=page))
        answer.headers["x-trace-id"] = trace_id
        return answer

    async def style(_: Request) -> Response:
        return Response(_STYLE, headers={**_COMMON, "cache-control": "public, max-age=3600"}, media_type="text/css")

    path = PREFIX + "{ticket}"
    return [
        Route(CSS_PATH, style, methods=["GET"]),
        Route(path, look, methods=["GET"]),
        Route(path, open_once, methods=["POST"]),
    ]


def _html(status: int, body: bytes) -> Response:
    return Response(body, status, HEADERS, media_type="text/html")
