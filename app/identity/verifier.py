"""Bearer token to Caller, or a refusal that says the next step. The only place that makes a Caller."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

from app.identity.callers import caller_of
from app.identity.compact import MAX_TOKEN_CHARS, Compact, parse
from app.identity.issuers import IssuerConfig, check_together
from app.identity.jwks import KeyRing
from app.identity.revocations import Revocations
from app.identity.token_rules import CLAIM_RULES, HEADER_RULES, Presented, broken_rule
from app.policy.caller import Caller
from app.ports import TokenRefused

CACHE_S = 60


class _Verified:
    """A cached verdict, and what has to be unchanged for it to stand."""

    __slots__ = ("caller", "epoch", "generation", "ring", "until")

    def __init__(self, caller: Caller, ring: KeyRing, *, generation: int, until: float, epoch: int) -> None:
        self.caller = caller
        self.ring = ring
        self.generation = generation
        self.until = until
        self.epoch = epoch


class Verifier:
    """Fills ports.TokenVerifier. `async with` keeps the keys of all issuers fresh in the background."""

    def __init__(
        self,
        issuers: Sequence[tuple[IssuerConfig, KeyRing]],
        *,
        now: Callable[[], float],
        revocations: Revocations | None = None,
        cache_size: int = 20_000,
    ) -> None:
        configs = [config for config, _ in issuers]
        check_together(configs)
        self.revocations = revocations or Revocations()
        self._issuers = {config.issuer: (config, ring) for config, ring in issuers}
        self._namespaces = frozenset(config.namespace for config in configs)
        self._now = now
        self._cache: OrderedDict[bytes, _Verified] = OrderedDict()
        self._cache_size = cache_size
        self._lifetime: AsyncExitStack | None = None

    def cached(self, token: str) -> Caller | None:
        if len(token) > MAX_TOKEN_CHARS:
            return None
        digest = _digest(token)
        found = self._cache.get(digest)
        if found is None:
            return None
        if found.until <= self._now() or found.generation != found.ring.generation:
            del self._cache[digest]
            return None
        if found.epoch != self.revocations.epoch:
            if self.revocations.revoked(found.caller) is not None:
                del self._cache[digest]
                return None
            found.epoch = self.revocations.epoch
        self._cache.move_to_end(digest)
        return found.caller

    async def verify(self, token: str) -> Caller:
        compact = parse(token)
        config, ring = self._issuer_of(compact)
        presented = Presented(header=compact.header, claims=compact.claims, issuer=config, now=self._now())
        if (refusal := broken_rule(HEADER_RULES, presented)) is not None:
            raise refusal
        generation = await _check_signature(compact, ring)
        presented = replace(presented, now=self._now())
        if (refusal := broken_rule(CLAIM_RULES, presented)) is not None:
            raise refusal
        digest = _digest(token)
        caller = caller_of(
            compact.claims, issuer=config, token_digest=digest, foreign_namespaces=self._namespaces - {config.namespace}
        )
        if (revoked := self.revocations.revoked(caller)) is not None:
            raise TokenRefused(f"revoked_{revoked}", "This access has been withdrawn: ask an administrator.")
        self._remember(digest, caller, ring, generation)
        return caller

    def ready(self) -> Mapping[str, bool]:
        return {issuer: ring.ready() for issuer, (_, ring) in self._issuers.items()}

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            group = await stack.enter_async_context(asyncio.TaskGroup())
            for _, ring in self._issuers.values():
                stack.push_async_callback(ring.aclose)
                keeper = group.create_task(ring.keep_fresh())
                stack.callback(keeper.cancel)
            self._lifetime = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lifetime is not None:
            await self._lifetime.aclose()
            self._lifetime = None

    def _issuer_of(self, compact: Compact) -> tuple[IssuerConfig, KeyRing]:
        issuer = compact.claims.get("iss")
        known = self._issuers.get(issuer) if isinstance(issuer, str) else None
        if known is None:
            raise TokenRefused("unknown_issuer", "The token's issuer is not one that this service trusts.")
        return known

    def _remember(self, digest: bytes, caller: Caller, ring: KeyRing, generation: int) -> None:
        now = self._now()
        self._cache[digest] = _Verified(
            caller,
            ring,
            generation=generation,
            until=min(caller.expires_at, now + CACHE_S),
            epoch=self.revocations.epoch,
        )
        self._cache.move_to_end(digest)
        while len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)


async def _check_signature(compact: Compact, ring: KeyRing) -> int:
    """The generation of the keys that the signature was checked with. One sentence for an unknown key and for a wrong
    signature: the answer must not tell which keys exist."""
    alg = compact.header["alg"]
    key = await ring.key(compact.header["kid"], alg)
    reason = "unknown_key" if key is None else "bad_signature"
    if key is None or not key.verifies(alg, compact.signed, compact.signature):
        raise TokenRefused(reason, "The signature does not fit the issuer's current keys: get a new token.")
    return ring.generation


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
