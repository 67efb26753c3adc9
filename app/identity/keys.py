"""Which published keys may verify a signature, and for which algorithm. Anything else in a key set is passed over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from app.identity.strict_json import NotBase64Url, decode_base64url

MAX_KEYS = 100
MAX_KID_CHARS = 256
RSA_BITS = range(2048, 8193)
PublicKey = RSAKey | ECKey | OKPKey

_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_FITS: Mapping[tuple[str, str | None], frozenset[str]] = {
    ("RSA", None): frozenset({"RS256", "PS256"}),
    ("EC", "P-256"): frozenset({"ES256"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA", "Ed25519"}),
}
_EQUIVALENT: Mapping[str, frozenset[str]] = {
    "EdDSA": frozenset({"EdDSA", "Ed25519"}),
    "Ed25519": frozenset({"EdDSA", "Ed25519"}),
}
_MODELS: Mapping[str, JWSAlgModel] = {
    name: JWSRegistry.algorithms[name] for name in ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    kid: str
    algorithms: frozenset[str]
    thumbprint: str
    key: PublicKey

    def verifies(self, alg: str, signed: bytes, signature: bytes) -> bool:
        if alg not in self.algorithms:
            return False
        try:
            return _MODELS[alg].verify(signed, signature, self.key)
        except (JoseError, ValueError):
            return False


def usable_keys(document: Mapping[str, Any]) -> tuple[VerificationKey, ...]:
    """The keys of a JWKS that can verify; raises ValueError when it is no key set, or an absurdly large one."""
    published = document.get("keys")
    if not isinstance(published, list):
        raise ValueError("no key set")  # noqa: TRY004
    if len(published) > MAX_KEYS:
        raise ValueError("too many keys")
    return unambiguous([key for jwk in published if isinstance(jwk, dict) and (key := usable_key(jwk)) is not None])


def unambiguous(keys: Sequence[VerificationKey]) -> tuple[VerificationKey, ...]:
    """Without those that share kid and algorithm with a different key: nobody could say which one signed."""
    return tuple(
        key
        for key in keys
        if not any(
            other.kid == key.kid and other.thumbprint != key.thumbprint and other.algorithms & key.algorithms
            for other in keys
        )
    )


def usable_key(jwk: Mapping[str, Any]) -> VerificationKey | None:
    """None for symmetric and private keys, keys for encryption, small keys, other curves, keys without kid."""
    kid = jwk.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_CHARS or _PRIVATE_MEMBERS & jwk.keys():
        return None
    algorithms = _algorithms(jwk)
    if not algorithms or not _made_for_verifying(jwk):
        return None
    key = _import(jwk)
    if key is None:
        return None
    return VerificationKey(kid=kid, algorithms=algorithms, thumbprint=key.thumbprint(), key=key)


def _algorithms(jwk: Mapping[str, Any]) -> frozenset[str]:
    kty, crv = jwk.get("kty"), jwk.get("crv")
    if not isinstance(kty, str) or not (crv is None or isinstance(crv, str)):
        return frozenset()
    fits = _FITS.get((kty, crv), frozenset())
    alg = jwk.get("alg")
    if alg is None:
        return fits
    return fits & _EQUIVALENT.get(alg, frozenset({alg})) if isinstance(alg, str) else frozenset()


def _made_for_verifying(jwk: Mapping[str, Any]) -> bool:
    key_ops = jwk.get("key_ops", ["verify"])
    return jwk.get("use", "sig") == "sig" and isinstance(key_ops, list) and "verify" in key_ops


def _import(jwk: Mapping[str, Any]) -> PublicKey | None:
    try:
        match jwk["kty"]:
            case "RSA":
                return _rsa(jwk)
            case "EC":
                return ECKey.import_key({"kty": "EC", "crv": "P-256", "x": _b64(jwk, "x", 32), "y": _b64(jwk, "y", 32)})
            case _:
                return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": _b64(jwk, "x", 32)})
    except (JoseError, NotBase64Url, ValueError):
        return None


def _rsa(jwk: Mapping[str, Any]) -> RSAKey | None:
    n, e = _b64(jwk, "n"), _b64(jwk, "e")
    # Sizes are read before the import: a giant modulus costs time, a small one a warning.
    exponent = int.from_bytes(decode_base64url(e))
    if int.from_bytes(decode_base64url(n)).bit_length() not in RSA_BITS or not (3 <= exponent < 2**32 and exponent & 1):
        return None
    return RSAKey.import_key({"kty": "RSA", "n": n, "e": e})


def _b64(jwk: Mapping[str, Any], member: str, length: int | None = None) -> str:
    text = jwk.get(member)
    if not isinstance(text, str):
        raise NotBase64Url
    if length is not None and len(decode_base64url(text)) != length:
        raise NotBase64Url
    return text
