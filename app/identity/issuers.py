"""Whose tokens count: what one issuer may sign, for whom, and how its claims are read."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.identity.transport import url_fault

ALGORITHMS = frozenset({"RS256", "PS256", "ES256", "EdDSA", "Ed25519"})
"""Asymmetric only: with a shared secret, whoever can check a token can make one."""

MAX_LEEWAY_S = 30
_NAMESPACE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerConfig:
    """One identity provider. Raises ValueError, with the fix in the sentence, when it cannot be trusted as written."""

    issuer: str
    """Compared character by character with `iss` and with the `issuer` of the discovery document."""
    audience: str | Sequence[str]
    """Our resource identifier as this issuer writes it; of several, one has to be in `aud`."""
    jwks_url: str | None = None
    """None: found by discovery."""
    algorithms: Sequence[str] = ("RS256", "ES256")
    clients: Sequence[str] | None = None
    """Allowed `client_id` (or `azp`); None: any client of the issuer."""
    roles_claim: str | None = "roles"
    """Dotted path; a top-level claim that has exactly this name, dots included, goes first."""
    groups_claim: str | None = "groups"
    accept_typ_jwt: bool = False
    """For issuers that mark access tokens `JWT`, or not at all, instead of `at+jwt`."""
    namespace: str = ""
    """Prefix of every name from this issuer: `user:partner/ana`, `role:partner/analyst`."""
    leeway_s: int = MAX_LEEWAY_S
    max_lifetime_s: int = 86_400
    """`exp - iat` of a token that is still believable as an access token."""

    def __post_init__(self) -> None:
        for fault in (_issuer_fault(self), _audience_fault(self), _rules_fault(self)):
            if fault is not None:
                raise ValueError(f"issuer {self.issuer!r}: {fault}")

    @property
    def audiences(self) -> frozenset[str]:
        return frozenset((self.audience,) if isinstance(self.audience, str) else self.audience)


def check_together(configs: Sequence[IssuerConfig]) -> None:
    """Raises ValueError when one issuer is configured twice.

    Issuers without a namespace of their own share one name space: the operator says that their `ana` is the same ana
    (`douane check` warns of it).
    """
    issuers: set[str] = set()
    for config in configs:
        if config.issuer in issuers:
            raise ValueError(f"issuer {config.issuer!r} is configured twice: keep one entry, with both audiences in it")
        issuers.add(config.issuer)


def _issuer_fault(config: IssuerConfig) -> str | None:
    if (fault := url_fault(config.issuer)) is not None:
        return fault
    if "?" in config.issuer:
        return "an issuer has no query: write it exactly as the provider's discovery document does"
    if config.jwks_url is not None and (fault := url_fault(config.jwks_url)) is not None:
        return f"jwks_url: {fault}"
    if config.namespace and _NAMESPACE.fullmatch(config.namespace) is None:
        return "namespace: lower-case letters, digits and hyphens only, at most 63"
    return None


def _audience_fault(config: IssuerConfig) -> str | None:
    audiences = config.audiences
    if not audiences or not all(isinstance(audience, str) and audience for audience in audiences):
        return "audience: name at least one resource identifier, none of them empty"
    return None


def _rules_fault(config: IssuerConfig) -> str | None:
    if isinstance(config.algorithms, str) or isinstance(config.clients, str):
        return "algorithms and clients are lists: write [RS256], not RS256"
    if not config.algorithms or not ALGORITHMS.issuperset(config.algorithms):
        return f"algorithms: choose from {', '.join(sorted(ALGORITHMS))}"
    if not 0 <= config.leeway_s <= MAX_LEEWAY_S:
        return f"leeway_s: between 0 and {MAX_LEEWAY_S}; correct the clocks instead of allowing more"
    if config.max_lifetime_s <= 0:
        return "max_lifetime_s: a positive number of seconds"
    return None
