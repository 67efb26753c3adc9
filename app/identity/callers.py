"""From the claims of a verified token to the Caller: who is the principal, who the actor, and what policy sees."""

import hashlib
import json
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from app.identity.issuers import IssuerConfig
from app.identity.names import MAX_NAME_CHARS, listed, scopes_of
from app.identity.token_rules import client_of
from app.policy.caller import Caller
from app.ports import TokenRefused

VOLATILE = frozenset({"jti", "iat", "exp", "nbf", "auth_time", "sid", "session_state", "uti", "aio", "rh"})
"""Claims that differ from token to token of the same person. Policy never sees them: a decision that is cached by
`policy_key` would otherwise be reused where they differ."""


def caller_of(
    claims: Mapping[str, Any], *, issuer: IssuerConfig, token_digest: bytes, foreign_namespaces: Collection[str]
) -> Caller:
    """Claims have passed every rule; raises TokenRefused for roles, groups or scopes that cannot be read."""
    names = _Names(issuer.namespace, foreign_namespaces)
    principal = names.of(claims["sub"])
    client = names.of(client_of(claims))
    chain = tuple(names.of(actor) for actor in actors_of(claims))
    actor = chain[0] if chain else client
    held = frozenset(f"role:{names.of(role)}" for role in listed(claims, issuer.roles_claim, "roles")) | frozenset(
        f"group:{names.of(group)}" for group in listed(claims, issuer.groups_claim, "groups")
    )
    principal_subjects = held | {f"user:{principal}"}
    actor_subjects = frozenset({f"client:{actor}"})
    if not chain and principal == client:
        principal_subjects = actor_subjects = principal_subjects | actor_subjects
    stable = {name: value for name, value in claims.items() if name not in VOLATILE}
    scopes = scopes_of(claims)
    return Caller(
        issuer=issuer.issuer,
        principal=principal,
        actor=actor,
        actor_chain=chain,
        client=client,
        principal_subjects=principal_subjects,
        actor_subjects=actor_subjects,
        scopes=scopes,
        claims=MappingProxyType(stable),
        token_id=str(claims["jti"]) if "jti" in claims else f"sha256:{token_digest.hex()[:32]}",
        expires_at=int(claims["exp"]),
        policy_key=policy_key(issuer.issuer, principal_subjects, actor_subjects, client, scopes, stable),
    )


def actors_of(claims: Mapping[str, Any]) -> list[str]:
    """Outermost first."""
    actors = []
    act = claims.get("act")
    while act is not None:
        actors.append(act["sub"])
        act = act.get("act")
    return actors


def policy_key(
    issuer: str,
    principal_subjects: Collection[str],
    actor_subjects: Collection[str],
    client: str,
    scopes: Collection[str],
    claims: Mapping[str, Any],
) -> str:
    """SHA-256 over everything policy can read of a caller, in an order that does not depend on the token's."""
    seen = [issuer, sorted(principal_subjects), sorted(actor_subjects), client, sorted(scopes), claims]
    text = json.dumps(seen, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


class _Names:
    """Puts the issuer's namespace before its names, so that no two issuers can name the same subject."""

    def __init__(self, namespace: str, foreign_namespaces: Collection[str]) -> None:
        self._prefix = f"{namespace}/" if namespace else ""
        self._foreign = tuple(f"{foreign}/" for foreign in foreign_namespaces if foreign)

    def of(self, name: str) -> str:
        if not self._prefix and self._foreign and name.startswith(self._foreign):
            raise TokenRefused(
                "foreign_namespace",
                "A name in the token starts with the namespace of another issuer: rename it, or give this issuer a "
                "namespace of its own.",
            )
        full = self._prefix + name
        if len(full) > MAX_NAME_CHARS + 64:
            raise TokenRefused("bad_subject", f"A name in the token is longer than {MAX_NAME_CHARS} characters.")
        return full
