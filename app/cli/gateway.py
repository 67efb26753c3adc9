"""The running gateway as commands see it: its REST API with one person's token, and refusals as sentences."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx2

from app.cli.plain import visible

URL_VARIABLE = "DOUANE_URL"
TOKEN_VARIABLE = "DOUANE_TOKEN"  # noqa: S105 - the name of a variable
TIMEOUT_S = 90.0
"""Longer than the longest wait that the gateway offers."""


class NotUsable(Exception):  # noqa: N818 - an answer to the user
    """Where or as whom to ask is not clear; the message says what to give."""


class Refused(Exception):  # noqa: N818 - an answer to the user
    """The gateway said no, or nothing. The message is visible text."""

    def __init__(self, detail: str, *, code: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """`url` without a slash at its end. `repr` shows no token."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"Access({self.url})"


def access(
    *, url: str | None, token_file: Path | None, demo_name: str | None, on_behalf_of: str | None, state: Path
) -> Access:
    """From options, then the environment, then the demo in `state`. Raises NotUsable."""
    if demo_name is not None:
        if token_file is not None:
            raise NotUsable("give --as or --token-file, not both")
        address, token = _of_demo(state, demo_name, on_behalf_of)
        return Access(url=_checked(url or address), token=token)
    if on_behalf_of is not None:
        raise NotUsable("--for goes with --as AGENT")
    token = _token(token_file)
    found = url or os.environ.get(URL_VARIABLE) or _demo_address(state)
    if found is None:
        raise NotUsable(f"where is the gateway? Give --url, set {URL_VARIABLE}, or start `douane demo`")
    return Access(url=_checked(found), token=token)


def _of_demo(state: Path, name: str, on_behalf_of: str | None) -> tuple[str, str]:
    from app.identity.demo_issuer import DemoProfile, DemoRefused, ensure_key, token_for

    try:
        profile = DemoProfile.load(state)
        token = token_for(ensure_key(state), profile, name, now=time.time(), on_behalf_of=on_behalf_of)
    except (DemoRefused, OSError) as error:
        raise NotUsable(str(error)) from error
    return profile.audience, token


def _demo_address(state: Path) -> str | None:
    from app.identity.demo_issuer import DemoProfile, DemoRefused

    try:
        return DemoProfile.load(state).audience
    except DemoRefused:
        return None


def _token(file: Path | None) -> str:
    if file is None:
        found = os.environ.get(TOKEN_VARIABLE, "").strip()
        if not found:
            raise NotUsable(f"who are you? Give --token-file, set {TOKEN_VARIABLE}, or for the demo --as NAME")
    else:
        try:
            found = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise NotUsable(f"{file}: the token cannot be read") from error
    if not found or not found.isascii() or not found.isprintable() or " " in found:
        raise NotUsable("that is not a token: one line of letters, digits, '.', '-' and '_'")
    return found


def _checked(url: str) -> str:
    from app.identity.transport import is_loopback

    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise NotUsable(f"{visible(url)} is not the address of a gateway: https://HOST")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise NotUsable(f"a token goes to {visible(url)} over https only")
    return url.rstrip("/")


class Gateway:
    """Raises Refused, whatever happens on the way."""

    def __init__(self, access: Access) -> None:
        local = urlsplit(access.url).scheme == "http"
        self._client = httpx2.Client(
            base_url=access.url,
            timeout=TIMEOUT_S,
            headers={"authorization": f"Bearer {access.token}", "accept": "application/json"},
            # A proxy of the environment has no business between this command and loopback.
            trust_env=not local,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        return self._asked("GET", path, params=query)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._asked("POST", path, json=body)

    def _asked(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        try:
            answer = self._client.request(method, path, **more)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise _silence(self._client) from error
        document = _object(answer.content)
        if answer.status_code >= 300 or document is None:
            raise _refusal(answer.status_code, document)
        return document

    def events(self, path: str, last_seen: str | None) -> Iterator[tuple[str | None, dict[str, Any] | None]]:
        """Server-sent events as (id, data) until the stream ends; None: only the position, or a sign of life."""
        headers = {"accept": "text/event-stream"} | ({} if last_seen is None else {"last-event-id": last_seen})
        try:
            with self._client.stream("GET", path, headers=headers) as answer:
                if answer.status_code >= 300:
                    raise _refusal(answer.status_code, _object(answer.read()))
                yield from _events(answer.iter_lines())
        except httpx2.HTTPError as error:
            raise _silence(self._client) from error


def _events(lines: Iterator[str]) -> Iterator[tuple[str | None, dict[str, Any] | None]]:
    identity: str | None = None
    data: list[str] = []
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            yield identity, _object("\n".join(data).encode())
            data = []
        elif name == "id":
            identity = value
        elif name == "data":
            data.append(value)


def approval_path(approval_id: str, step: str = "") -> str:
    return f"/v1/approvals/{quote(approval_id, safe='')}" + (f"/{step}" if step else "")


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _refusal(status: int, problem: dict[str, Any] | None) -> Refused:
    if problem is None or "detail" not in problem:
        return Refused(f"this is no gateway, or something stands before it: HTTP {status}", code="no_gateway")
    code = visible(str(problem.get("code", status)))
    return Refused(f"{visible(str(problem['detail']))} ({code})", code=code)


def _silence(client: httpx2.Client) -> Refused:
    return Refused(f"{client.base_url} does not answer: is the gateway running?", code="unreachable")
