"""The keys of one issuer: fetched, cached, rotated; stale for a bounded time when the issuer is down, never open."""

import asyncio
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import structlog

from app.identity.issuers import IssuerConfig
from app.identity.keys import VerificationKey, unambiguous, usable_keys
from app.identity.transport import Fetch, Fetched, FetchFailed
from app.ports import IdentityUnavailable

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    refresh_s: float = 300
    """After so long the keys are fetched again; a shorter max-age of the issuer counts, down to `min_refresh_s`."""
    min_refresh_s: float = 30
    cool_down_s: float = 10
    """Between two fetches, whatever asks for them."""
    max_stale_s: float = 3_600
    """So long after the last good fetch known keys still verify while the issuer is down."""
    rediscover_s: float = 3_600


class KeyRing:
    """`generation` changes when a key goes away or changes, so that tokens verified with it are looked at again."""

    def __init__(
        self, config: IssuerConfig, *, fetch: Fetch, now: Callable[[], float], timing: Timing | None = None
    ) -> None:
        self.issuer = config.issuer
        self.generation = 0
        self._configured_url = config.jwks_url
        self._fetch: Fetch | None = fetch
        self._now = now
        self._timing = timing or Timing()
        self._keys: dict[str, tuple[VerificationKey, ...]] = {}
        self._fetched_at: float | None = None
        self._attempted_at: float | None = None
        self._refresh_after_s = self._timing.refresh_s
        self._discovered: tuple[str, float] | None = None
        self._flight: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, config: IssuerConfig, keys: Iterable[VerificationKey], *, now: Callable[[], float]) -> Self:
        """Keys at hand that never change: an issuer in this process."""
        ring = cls(config, fetch=_unreachable, now=now)
        ring._fetch = None
        ring._install(unambiguous(tuple(keys)))
        ring._fetched_at = now()
        return ring

    def ready(self) -> bool:
        return bool(self._keys) and not self._too_stale()

    async def key(self, kid: str, alg: str) -> VerificationKey | None:
        """The key that may verify `alg`; None: the issuer does not publish it. Raises IdentityUnavailable."""
        if self._too_stale():
            await self._refetch()
            if self._too_stale():
                raise IdentityUnavailable(retry_after_s=self._retry_after_s())
        elif self._due():
            self._start_flight()
        found = self._find(kid, alg)
        if found is None and self._fetch is not None:
            await self._refetch()
            found = self._find(kid, alg)
        return found

    async def keep_fresh(self) -> None:
        """Runs until cancelled, so that a retired key goes even when nobody asks."""
        while self._fetch is not None:
            if self._too_stale() or self._due():
                await self._refetch()
            await asyncio.sleep(max(1.0, min(self._refresh_after_s, self._timing.cool_down_s)))

    async def aclose(self) -> None:
        if self._flight is not None and not self._flight.done():
            self._flight.cancel()
            await asyncio.wait([self._flight])

    def _find(self, kid: str, alg: str) -> VerificationKey | None:
        return next((key for key in self._keys.get(kid, ()) if alg in key.algorithms), None)

    def _too_stale(self) -> bool:
        return self._fetch is not None and self._age_s() > self._timing.max_stale_s

    def _due(self) -> bool:
        return self._fetch is not None and self._age_s() >= self._refresh_after_s

    def _age_s(self) -> float:
        if self._fetched_at is None:
            return math.inf
        age_s = self._now() - self._fetched_at
        # A clock that was set back says nothing about age: old keys must not become young by it.
        return age_s if age_s >= 0 else math.inf

    def _cooling_s(self) -> float:
        if self._attempted_at is None:
            return 0.0
        passed_s = self._now() - self._attempted_at
        return max(0.0, self._timing.cool_down_s - passed_s) if passed_s >= 0 else 0.0

    def _retry_after_s(self) -> int:
        return max(1, int(self._cooling_s()) + 1)

    async def _refetch(self) -> None:
        flight = self._start_flight()
        if flight is not None:
            # Shielded: a client that goes away must not end the fetch that others wait for.
            await asyncio.shield(flight)

    def _start_flight(self) -> asyncio.Task[None] | None:
        if self._flight is not None and not self._flight.done():
            return self._flight
        if self._fetch is None or self._cooling_s() > 0:
            return None
        self._attempted_at = self._now()
        self._flight = asyncio.create_task(self._refresh(self._fetch), name=f"keys of {self.issuer}")
        return self._flight

    async def _refresh(self, fetch: Fetch) -> None:
        try:
            url = self._configured_url or await self._jwks_url(fetch)
            answer = await fetch(url)
            keys = _keys_of(answer.document)
        except FetchFailed as e:
            self._discovered = None
            _log.warning("issuer keys not refreshed", issuer=self.issuer, reason=e.reason, status=e.status)
            return
        self._install(keys)
        self._fetched_at = self._now()
        self._refresh_after_s = self._pace(answer)
        _log.info("issuer keys refreshed", issuer=self.issuer, keys=len(keys))

    def _pace(self, answer: Fetched) -> float:
        if answer.max_age_s is None:
            return self._timing.refresh_s
        return min(self._timing.refresh_s, max(self._timing.min_refresh_s, answer.max_age_s))

    def _install(self, keys: tuple[VerificationKey, ...]) -> None:
        by_kid: dict[str, tuple[VerificationKey, ...]] = {}
        for key in keys:
            by_kid[key.kid] = (*by_kid.get(key.kid, ()), key)
        if any(key not in by_kid.get(kid, ()) for kid, held in self._keys.items() for key in held):
            self.generation += 1
        self._keys = by_kid

    async def _jwks_url(self, fetch: Fetch) -> str:
        if self._discovered is not None and self._now() - self._discovered[1] < self._timing.rediscover_s:
            return self._discovered[0]
        document = await _discovery_document(self.issuer, fetch)
        if document.get("issuer") != self.issuer:
            raise FetchFailed("discovery document of a different issuer")
        url = document.get("jwks_uri")
        if not isinstance(url, str):
            raise FetchFailed("discovery document without jwks_uri")
        if self.issuer.startswith("https:") and not url.startswith("https:"):
            raise FetchFailed("jwks_uri leaves https")
        self._discovered = (url, self._now())
        return url


def discovery_urls(issuer: str) -> tuple[str, ...]:
    """OpenID Connect Discovery appends to the issuer, RFC 8414 inserts before its path."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    return (
        f"{issuer.rstrip('/')}/.well-known/openid-configuration",
        urlunsplit((parts.scheme, parts.netloc, f"/.well-known/oauth-authorization-server{path}", "", "")),
    )


async def _discovery_document(issuer: str, fetch: Fetch) -> dict[str, Any]:
    openid, oauth = discovery_urls(issuer)
    try:
        return (await fetch(openid)).document
    except FetchFailed as e:
        if e.status not in (404, 405, 410):
            raise
    return (await fetch(oauth)).document


def _keys_of(document: dict[str, Any]) -> tuple[VerificationKey, ...]:
    try:
        return usable_keys(document)
    except ValueError as e:
        raise FetchFailed("answered with something that is not a key set") from e


async def _unreachable(url: str) -> Fetched:
    raise FetchFailed("keys at hand are never fetched")
