"""The demo's own issuer: a key kept in the state directory and tokens for the people of demo_people; loopback only."""

import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from app.identity.demo_people import AGENTS, CLIENTS, PEOPLE, PERSON_CLIENT, SCOPES
from app.identity.issuers import IssuerConfig
from app.identity.jwks import KeyRing
from app.identity.keys import usable_keys
from app.identity.strict_json import encode_base64url, parse_object
from app.identity.transport import is_loopback

ALGORITHM = "ES256"
KEY_FILE = "demo-issuer.key.json"
PROFILE_FILE = "demo-issuer.json"
TOKEN_S = 8 * 3_600


class DemoRefused(Exception):  # noqa: N818
    """The demo issuer may not run, or does not know the name; the message says the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoKey:
    key: ECKey
    kid: str

    def public_jwks(self) -> dict[str, Any]:
        public = self.key.as_dict(private=False)
        return {"keys": [{**public, "kid": self.kid, "use": "sig", "alg": ALGORITHM}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoProfile:
    """What another process has to know to make a token that the running demo accepts."""

    issuer: str
    audience: str

    def save(self, state_dir: Path) -> None:
        _replace(state_dir / PROFILE_FILE, json.dumps({"issuer": self.issuer, "audience": self.audience}).encode())

    @classmethod
    def load(cls, state_dir: Path) -> Self:
        """Raises DemoRefused."""
        try:
            found = json.loads((state_dir / PROFILE_FILE).read_bytes())
            return cls(issuer=str(found["issuer"]), audience=str(found["audience"]))
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise DemoRefused(
                f"No demo has run with the state directory {state_dir}: start `douane demo` first."
            ) from e


def ensure_key(state_dir: Path) -> DemoKey:
    """The key of this state directory, made at the first call; two processes that start together get the same one."""
    path = state_dir / KEY_FILE
    if not path.exists():
        state_dir.mkdir(parents=True, exist_ok=True)
        fresh = ECKey.generate_key("P-256", private=True)
        _create(path, json.dumps(fresh.as_dict(private=True)).encode())
    if path.stat().st_mode & 0o077:
        raise DemoRefused(f"{path} can be read by others: chmod 600 it, or delete it to get a new key.")
    try:
        key = ECKey.import_key(parse_object(path.read_bytes()))
    except (JoseError, ValueError) as e:
        raise DemoRefused(f"{path} is not a key: delete it to get a new one.") from e
    if not key.is_private or key.curve_name != "P-256":
        raise DemoRefused(f"{path} is not a private P-256 key: delete it to get a new one.")
    return DemoKey(key=key, kid=key.thumbprint())


def mint(
    key: DemoKey,
    *,
    issuer: str,
    audience: str,
    sub: str,
    client_id: str,
    now: float,
    act: str | Mapping[str, Any] | None = None,
    roles: Sequence[str] = (),
    claims: Mapping[str, Any] | None = None,
    scopes: Sequence[str] = SCOPES,
    ttl_s: int = TOKEN_S,
) -> str:
    """An RFC 9068 access token. Claims of the issuer win over `claims`."""
    payload: dict[str, Any] = {
        **(claims or {}),
        "iss": issuer,
        "aud": audience,
        "sub": sub,
        "client_id": client_id,
        "iat": int(now),
        "exp": int(now) + ttl_s,
        "jti": secrets.token_urlsafe(12),
        "scope": " ".join(scopes),
    }
    if roles:
        payload["roles"] = list(roles)
    if act is not None:
        payload["act"] = {"sub": act} if isinstance(act, str) else dict(act)
    return sign(key, payload)


def sign(key: DemoKey, payload: Mapping[str, Any]) -> str:
    header = {"alg": ALGORITHM, "kid": key.kid, "typ": "at+jwt"}
    signed = b".".join(encode_base64url(json.dumps(part).encode()).encode() for part in (header, payload))
    signature = JWSRegistry.algorithms[ALGORITHM].sign(signed, key.key)
    return f"{signed.decode()}.{encode_base64url(signature)}"


def token_for(key: DemoKey, profile: DemoProfile, name: str, *, now: float, on_behalf_of: str | None = None) -> str:
    """What `douane token NAME [--for PERSON]` prints; raises DemoRefused for names that are not in the demo."""
    if name in PEOPLE:
        if on_behalf_of is not None:
            raise DemoRefused(f"{name} is a person: --for goes with an agent ({', '.join(AGENTS)}).")
        return person_token(key, profile, name, client_id=PERSON_CLIENT, now=now)
    if name not in AGENTS:
        raise DemoRefused(f"The demo knows {', '.join((*PEOPLE, *AGENTS))}: choose one of them.")
    if on_behalf_of is None:
        return mint(key, issuer=profile.issuer, audience=profile.audience, sub=name, client_id=name, now=now)
    if on_behalf_of not in PEOPLE:
        raise DemoRefused(f"--for takes one of {', '.join(PEOPLE)}.")
    return person_token(key, profile, on_behalf_of, client_id=name, now=now, act=name)


def person_token(
    key: DemoKey, profile: DemoProfile, name: str, *, client_id: str, now: float, act: str | None = None
) -> str:
    person = PEOPLE[name]
    return mint(
        key,
        issuer=profile.issuer,
        audience=profile.audience,
        sub=person.name,
        client_id=client_id,
        act=act,
        roles=person.roles,
        claims=person.claims,
        now=now,
    )


def refuse_unless_alone_on_loopback(*, bind_host: str, public_url: str, other_issuers: Sequence[str]) -> None:
    """Anyone can be anyone at this issuer: nobody but this host may reach it, and nothing real may trust it."""
    from_url = public_url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    host = from_url.partition("]")[0].lstrip("[") if from_url.startswith("[") else from_url.partition(":")[0]
    if not is_loopback(bind_host) or not is_loopback(host):
        raise DemoRefused("The demo issuer runs on loopback only: bind to 127.0.0.1, or use `douane serve`.")
    if other_issuers:
        raise DemoRefused("The demo issuer does not run beside a configured issuer: use `douane serve`.")


def demo_identity(key: DemoKey, profile: DemoProfile, *, now: Callable[[], float]) -> tuple[IssuerConfig, KeyRing]:
    """How the verifier of the same process trusts the demo issuer, without asking itself over HTTP."""
    config = IssuerConfig(
        issuer=profile.issuer, audience=profile.audience, algorithms=(ALGORITHM,), clients=CLIENTS, groups_claim=None
    )
    return config, KeyRing.of(config, usable_keys(key.public_jwks()), now=now)


def _create(path: Path, content: bytes) -> None:
    """Whole and readable by the owner alone, or not at all; an existing file stays."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        _write_private(draft, content)
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    _write_private(draft, content)
    draft.replace(path)


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
