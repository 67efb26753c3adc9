"""Where keys may be fetched from, and how much of an answer is believed: https, or http that stays on this host."""

import asyncio
import ipaddress
import re
import ssl
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx2

from app.identity.strict_json import NotStrictJson, parse_object

MAX_BYTES = 262_144
DEADLINE_S = 5.0
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})(?:$|[,\s])")


class FetchFailed(Exception):  # noqa: N818
    """`reason` is a stable phrase for our own log; it quotes nothing that the other side sent."""

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    document: dict[str, Any]
    max_age_s: int | None


class Fetch(Protocol):
    async def __call__(self, url: str) -> Fetched:
        """Raises FetchFailed."""


def is_loopback(host: str) -> bool:
    """True for the loopback addresses and `localhost`; every other name could point anywhere."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url_fault(url: str) -> str | None:
    """Why keys must not be fetched from there; None when they may."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "not a URL"
    if not host or parts.username is not None or parts.password is not None or parts.fragment:
        return "an absolute URL without user name and fragment is needed"
    match parts.scheme:
        case "https":
            return None
        case "http" if is_loopback(host):
            return None
        case "http":
            return "plain http is accepted on loopback hosts only: use https"
        case _:
            return "an https URL is needed"


class HttpsFetch:
    """One GET: no redirects, no proxy from the environment, no compression, a deadline over all of it, a size cap."""

    def __init__(self, *, deadline_s: float = DEADLINE_S, max_bytes: int = MAX_BYTES) -> None:
        # Loading the trust store takes milliseconds: once at start, not on the loop at each refresh.
        self._tls = ssl.create_default_context()
        self._deadline_s = deadline_s
        self._max_bytes = max_bytes

    async def __call__(self, url: str) -> Fetched:
        if (fault := url_fault(url)) is not None:
            raise FetchFailed(fault)
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._get(url)
        except TimeoutError as e:
            raise FetchFailed("no complete answer in time") from e
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as e:
            raise FetchFailed("no usable connection") from e

    async def _get(self, url: str) -> Fetched:
        client = httpx2.AsyncClient(
            verify=self._tls, trust_env=False, follow_redirects=False, timeout=self._deadline_s, max_redirects=0
        )
        headers = {"accept": "application/json, application/jwk-set+json", "accept-encoding": "identity"}
        async with client, client.stream("GET", url, headers=headers) as response:
            if url.startswith("http:"):
                _refuse_a_socket_off_loopback(response)
            if response.status_code != 200:
                raise FetchFailed("answered with a status other than 200", status=response.status_code)
            if response.headers.get("content-encoding", "identity") != "identity":
                raise FetchFailed("answered compressed though asked not to")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > self._max_bytes:
                    raise FetchFailed("answered with more bytes than a key set has")
            cache_control = response.headers.get("cache-control", "")
        try:
            document = parse_object(bytes(body))
        except NotStrictJson as e:
            raise FetchFailed("answered with something that is not a strict JSON object") from e
        return Fetched(document=document, max_age_s=_max_age_s(cache_control))


def _refuse_a_socket_off_loopback(response: httpx2.Response) -> None:
    stream = response.extensions.get("network_stream")
    peer = stream.get_extra_info("server_addr") if stream is not None else None
    if not isinstance(peer, tuple) or not is_loopback(str(peer[0])):
        raise FetchFailed("plain http led off this host")


def _max_age_s(cache_control: str) -> int | None:
    if "no-store" in cache_control or "no-cache" in cache_control:
        return 0
    found = _MAX_AGE.search(cache_control.lower())
    return int(found.group(1)) if found else None
