"""The demo issuer's pages: discovery, keys, and authorization code with PKCE where a person is chosen from a list."""

import base64
import hashlib
import hmac
import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from app.identity.demo_issuer import (
    ALGORITHM,
    TOKEN_S,
    DemoKey,
    DemoProfile,
    person_token,
    refuse_unless_alone_on_loopback,
)
from app.identity.demo_people import BROWSER_CLIENT, PEOPLE, SCOPES
from app.identity.one_time import OneTime, unguessable

CODE_S = 60
CHOICE_S = 600
_MAX_FORM_BYTES = 8_192
_MAX_STATE_CHARS = 2_048
_COOKIE = "douane-demo-choice"
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:3rem auto;padding:0 1rem}"
    "button{display:block;width:100%;margin:.5rem 0;padding:.75rem;font:inherit;text-align:left;cursor:pointer}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """An authorization request that passed every check; nothing of it comes back through the form."""

    client_id: str
    redirect_uri: str
    challenge: str
    state: str | None
    cookie: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    asked: _Asked
    person: str


class DemoLogin:
    """`app` is mounted at the path of `profile.issuer`. Raises DemoRefused off loopback or beside another issuer."""

    def __init__(
        self,
        *,
        key: DemoKey,
        profile: DemoProfile,
        public_url: str,
        bind_host: str,
        other_issuers: Sequence[str],
        now: Callable[[], float],
    ) -> None:
        for url in (public_url, profile.issuer):
            refuse_unless_alone_on_loopback(bind_host=bind_host, public_url=url, other_issuers=other_issuers)
        self._key = key
        self._profile = profile
        self._now = now
        self._docs_url = f"{public_url.rstrip('/')}/docs"
        self._redirect_uris = {BROWSER_CLIENT: f"{self._docs_url}/oauth2-redirect"}
        self._origins = {_origin(public_url), _origin(profile.issuer)}
        self._path = urlsplit(profile.issuer).path.rstrip("/")
        self._asked: OneTime[_Asked] = OneTime(now=now, ttl_s=CHOICE_S)
        self._codes: OneTime[_Chosen] = OneTime(now=now, ttl_s=CODE_S)
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/.well-known/oauth-authorization-server", self._discovery),
                Route("/jwks", self._jwks),
                Route("/authorize", self._ask, methods=["GET"]),
                Route("/authorize", self._choose, methods=["POST"]),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    def discovery(self) -> dict[str, Any]:
        """Serves Swagger UI's openIdConnect scheme; main may serve it at the RFC 8414 place too."""
        issuer = self._profile.issuer
        return {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/jwks",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "scopes_supported": list(SCOPES),
            "authorization_response_iss_parameter_supported": True,
        }

    async def _discovery(self, _: Request) -> Response:
        return JSONResponse(self.discovery())

    async def _jwks(self, _: Request) -> Response:
        return JSONResponse(self._key.public_jwks(), headers={"cache-control": "max-age=300"})

    async def _ask(self, request: Request) -> Response:
        asked = _single(request.scope["query_string"])
        if asked is None:
            return self._page_of_refusal("The authorization request has a parameter twice, or is not readable.")
        client_id, redirect_uri = asked.get("client_id", ""), asked.get("redirect_uri", "")
        # Checked before anything is sent there: an open redirect would hand the code to a stranger.
        if self._redirect_uris.get(client_id) != redirect_uri:
            return self._page_of_refusal(
                f"This client or its redirect address is not known here. Open {self._docs_url} and use Authorize with "
                f"client {BROWSER_CLIENT}."
            )
        state = asked.get("state")
        if state is not None and len(state) > _MAX_STATE_CHARS:
            return self._page_of_refusal("The state of the authorization request is too long.")
        if (error := _unsupported(asked)) is not None:
            return self._back(redirect_uri, {"error": error[0], "error_description": error[1]}, state)
        cookie = request.cookies.get(_COOKIE, "")
        if _CHALLENGE.fullmatch(cookie) is None:
            cookie = unguessable()
        name = self._asked.put(
            _Asked(
                client_id=client_id,
                redirect_uri=redirect_uri,
                challenge=asked["code_challenge"],
                state=state,
                cookie=cookie,
            )
        )
        page = self._page(_choice(name))
        page.set_cookie(
            _COOKIE, cookie, max_age=CHOICE_S, path=f"{self._path}/authorize", httponly=True, samesite="lax"
        )
        return page

    async def _choose(self, request: Request) -> Response:
        form = await _form(request)
        # Another site may send a form here, but neither with our origin nor with this browser's cookie and choice.
        if form is None or ("origin" in request.headers and request.headers["origin"] not in self._origins):
            return self._page_of_refusal("The choice did not come from this page.")
        asked = self._asked.take(form.get("request", ""))
        cookie = request.cookies.get(_COOKIE, "")
        if asked is None or not hmac.compare_digest(asked.cookie.encode(), cookie.encode()):
            return self._page_of_refusal(f"This choice was made before, or is too old. Open {self._docs_url} again.")
        person = form.get("person", "")
        if person not in PEOPLE:
            refused = {"error": "access_denied", "error_description": "no person was chosen"}
            return self._back(asked.redirect_uri, refused, asked.state)
        code = self._codes.put(_Chosen(asked=asked, person=person))
        return self._back(asked.redirect_uri, {"code": code}, asked.state)

    async def _token(self, request: Request) -> Response:
        form = await _form(request)
        if form is None:
            return _token_error("invalid_request", "send the form once, with each parameter once")
        if form.get("grant_type") != "authorization_code":
            return _token_error("unsupported_grant_type", "only authorization_code; agents: use `douane token`")
        chosen = self._codes.take(form.get("code", ""))
        if chosen is None or not self._answers(chosen.asked, form, request.headers.get("authorization")):
            return _token_error("invalid_grant", "the code is used, old, or of another request: authorize again")
        token = person_token(self._key, self._profile, chosen.person, client_id=chosen.asked.client_id, now=self._now())
        body = {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_S, "scope": " ".join(SCOPES)}
        return JSONResponse(body, headers={"cache-control": "no-store"})

    @staticmethod
    def _answers(asked: _Asked, form: Mapping[str, str], authorization: str | None) -> bool:
        verifier = form.get("code_verifier", "")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        return (
            _VERIFIER.fullmatch(verifier) is not None
            and hmac.compare_digest(challenge, asked.challenge)
            and form.get("redirect_uri") == asked.redirect_uri
            and (form.get("client_id") or _basic_client(authorization)) == asked.client_id
        )

    def _back(self, redirect_uri: str, answer: Mapping[str, str], state: str | None) -> Response:
        echoed = {} if state is None else {"state": state}
        query = urlencode({**answer, **echoed, "iss": self._profile.issuer})
        # 303: the browser must not send the form on.
        return RedirectResponse(f"{redirect_uri}?{query}", status_code=303, headers={"cache-control": "no-store"})

    def _page_of_refusal(self, sentence: str) -> Response:
        return self._page(f"<h1>Not authorized</h1><p>{html.escape(sentence)}</p>", status_code=400)

    def _page(self, body: str, *, status_code: int = 200) -> Response:
        document = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Douane demo: who are you?</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<style>{_STYLE}</style></head><body><main>{body}</main></body></html>"
        )
        targets = " ".join(sorted(self._origins))
        policy = (
            f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self' {targets}; "
            "frame-ancestors 'none'; base-uri 'none'"
        )
        headers = {
            "content-security-policy": policy,
            "cache-control": "no-store",
            # Not no-referrer: browsers then send `Origin: null` with the form, and the origin check would refuse it.
            "referrer-policy": "same-origin",
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
        }
        return HTMLResponse(document, status_code=status_code, headers=headers)


def _choice(name: str) -> str:
    buttons = "".join(
        f'<button name="person" value="{html.escape(person.name)}"><strong>{html.escape(person.name)}</strong> · '
        f"{html.escape(person.title)}</button>"
        for person in PEOPLE.values()
    )
    return (
        "<h1>Who are you?</h1><p>The demo has no passwords: choose whose token Swagger UI gets.</p>"
        f'<form method="post"><input type="hidden" name="request" value="{html.escape(name)}">{buttons}</form>'
    )


def _unsupported(asked: Mapping[str, str]) -> tuple[str, str] | None:
    if asked.get("response_type") != "code":
        return "unsupported_response_type", "response_type has to be code"
    if asked.get("code_challenge_method") != "S256" or _CHALLENGE.fullmatch(asked.get("code_challenge", "")) is None:
        return "invalid_request", "PKCE with S256 is required"
    return None


def _single(encoded: bytes) -> dict[str, str] | None:
    """Each parameter once, or None."""
    try:
        pairs = parse_qsl(encoded.decode("ascii"), keep_blank_values=True, max_num_fields=30, errors="strict")
    except ValueError:
        return None
    found = dict(pairs)
    return found if len(found) == len(pairs) else None


async def _form(request: Request) -> dict[str, str] | None:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM_BYTES:
            return None
    return _single(bytes(body))


def _basic_client(authorization: str | None) -> str | None:
    """Swagger UI may send the public client's id as user name of Basic, with an empty password."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded, validate=True).decode("ascii").partition(":")[0]
    except ValueError:
        return None


def _token_error(error: str, description: str) -> Response:
    body = {"error": error, "error_description": description}
    return JSONResponse(body, status_code=400, headers={"cache-control": "no-store"})


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
