"""Who asks: the principal a token speaks for, and the actor that holds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Made by identity from a verified token, and by nothing else.

    Subjects are policy names: `user:ana`, `role:analyst`, `group:data-eng` for the principal; `client:sales-agent` for
    the actor. A service that acts for itself (sub = client_id) has the same subjects on both sides. Names of an issuer
    with a namespace carry it: `user:partner/ana`.
    `policy_key` is equal for two callers exactly when policy cannot tell them apart (subjects and claims equal).
    """

    issuer: str
    principal: str
    actor: str
    actor_chain: tuple[str, ...]
    """Outermost first; empty when the token has no `act`."""
    client: str
    principal_subjects: frozenset[str]
    actor_subjects: frozenset[str]
    scopes: frozenset[str]
    claims: Mapping[str, Any]
    token_id: str
    expires_at: int
    policy_key: str
