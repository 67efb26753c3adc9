"""Builds tokens as an issuer would, and as no issuer should."""

import base64
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from app.identity.issuers import IssuerConfig
from app.identity.jwks import KeyRing
from app.identity.keys import usable_keys
from app.identity.verifier import Verifier

NOW = 1_800_000_000.0
ISSUER = "https://idp.example/"
RESOURCE = "https://douane.example/api"
ALL = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
Jwk = RSAKey | ECKey | OKPKey | OctKey


@cache
def signing_key(kind: str) -> Jwk:
    match kind:
        case "RSA":
            return RSAKey.generate_key(2048)
        case "EC":
            return ECKey.generate_key("P-256")
        case "OTHER-EC":
            return ECKey.generate_key("P-256")
        case "P-384":
            return ECKey.generate_key("P-384")
        case _:
            return OKPKey.generate_key("Ed25519")


def public_jwk(kind: str, kid: str, **members: Any) -> dict[str, Any]:
    return {**signing_key(kind).as_dict(private=False), "kid": kid, **members}


def jwks() -> dict[str, Any]:
    return {"keys": [public_jwk("RSA", "rsa"), public_jwk("EC", "ec"), public_jwk("OKP", "okp")]}


def claims(**changes: Any) -> dict[str, Any]:
    """A valid baseline; `None` removes a claim."""
    base = {
        "iss": ISSUER,
        "aud": RESOURCE,
        "sub": "ana",
        "client_id": "sales-agent",
        "iat": int(NOW) - 10,
        "exp": int(NOW) + 600,
        "jti": "t-1",
        "scope": "douane:query",
        "roles": ["analyst"],
        "groups": ["data-eng"],
    }
    return without_none({**base, **changes})


def header(**changes: Any) -> dict[str, Any]:
    return without_none({"alg": "ES256", "kid": "ec", "typ": "at+jwt", **changes})


def without_none(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if value is not None}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(head: Any = None, body: Any = None, *, kind: str = "EC") -> str:
    """`head` and `body` are objects, or bytes to be taken as they are."""
    head, body = header() if head is None else head, claims() if body is None else body
    raw = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (head, body)]
    signed = ".".join(map(b64, raw))
    alg = head.get("alg") if isinstance(head, dict) else "ES256"
    if alg == "Ed25519":
        alg = "EdDSA"
    model = JWSRegistry.algorithms[alg if alg in ALL else "ES256"]
    return f"{signed}.{b64(model.sign(signed.encode(), signing_key(kind)))}"


def config(**changes: Any) -> IssuerConfig:
    return IssuerConfig(**{"issuer": ISSUER, "audience": RESOURCE, "algorithms": ALL, **changes})


class Clock:
    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def verifier(*, clock: Clock | None = None, published: Mapping[str, Any] | None = None, **changes: Any) -> Verifier:
    clock = clock or Clock()
    issuer = config(**changes)
    ring = KeyRing.of(issuer, usable_keys(published or jwks()), now=clock)
    return Verifier([(issuer, ring)], now=clock)
