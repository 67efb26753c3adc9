"""What binds an approval: SHA-256 over the RFC 8785 form of everything that was asked."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Protocol

import rfc8785

from app.approval.approval import Approval, Happening, Outcome, State, Step
from app.approval.terms import Terms

ID_BYTES = 16
MAX_DEPTH = 100
_MAX_EXACT_INT = 2**53 - 1
_ESCAPE = "\x00"


class NotBindable(ValueError):  # noqa: N818 - a refusal of a value
    """The request holds something that has no exact JSON form (a lone surrogate, NaN, too deep a nesting)."""


class Asker(Protocol):
    """Whose request it is; a policy Caller is one."""

    @property
    def issuer(self) -> str: ...
    @property
    def principal(self) -> str: ...
    @property
    def actor(self) -> str: ...
    @property
    def actor_chain(self) -> tuple[str, ...]: ...
    @property
    def client(self) -> str: ...


def digest_of(request: Mapping[str, Any]) -> str:
    """Hex digest of the bound document. Raises NotBindable."""
    try:
        return sha256(rfc8785.dumps(_exact(request, MAX_DEPTH))).hexdigest()
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        raise NotBindable("text with lone surrogates, or a number that JSON has not") from None


def pending(
    *,
    random: bytes,
    created_at: str,
    expires_at: str,
    caller: Asker,
    connection: str,
    action: str,
    resources: Sequence[str],
    reasons: Sequence[str],
    statement: str | None,
    params: Mapping[str, Any],
    unmask: Sequence[str],
    purpose: str | None,
    policy_version: str,
    terms: Terms,
    outcome: Outcome,
    max_rows: int | None = None,
) -> Approval:
    """A new approval request. Its id is unguessable: `random` are 16 bytes that nobody else knows. `max_rows`: what the
    request itself asked for at most."""
    if len(random) != ID_BYTES:
        raise ValueError(f"an approval's id is made of {ID_BYTES} random bytes")
    # Sets are sorted, so that the order in which a parser meets tables binds nothing
    touched = sorted(set(resources))
    request = {
        "issuer": caller.issuer,
        "principal": caller.principal,
        "actor": caller.actor,
        "actor_chain": list(caller.actor_chain),
        "client": caller.client,
        "connection": connection,
        "action": action,
        "resources": touched,
        "statement": statement,
        "params": dict(params),
        "unmask": sorted(set(unmask)),
        "purpose": purpose,
        "max_rows": max_rows,
        "policy_version": policy_version,
        "terms": terms.document(),
        "outcome": outcome.document(),
    }
    return Approval(
        approval_id=f"apr_{random.hex()}",
        state=State.PENDING,
        created_at=created_at,
        expires_at=expires_at,
        issuer=caller.issuer,
        principal=caller.principal,
        actor=caller.actor,
        connection=connection,
        action=action,
        resources=tuple(touched),
        reasons=tuple(reasons),
        request=request,
        digest=digest_of(request),
        history=(
            Step(
                happening=Happening.REQUESTED,
                at=created_at,
                state=State.PENDING,
                by=caller.principal,
                client=caller.client,
            ),
        ),
    )


def check_digest(approval: Approval) -> bool:
    """Whether the stored request is what was bound, and what the approval says beside it agrees."""
    request = approval.request
    beside = {
        "issuer": approval.issuer,
        "principal": approval.principal,
        "actor": approval.actor,
        "connection": approval.connection,
        "action": approval.action,
        "resources": list(approval.resources),
    }
    try:
        bound = digest_of(request) == approval.digest
    except (NotBindable, TypeError):
        return False
    return bound and beside == {name: request.get(name) for name in beside}


def _exact(value: Any, depth: int) -> Any:
    match value:
        case str():
            return f"{_ESCAPE}s{value}" if value.startswith(_ESCAPE) else value
        case None | bool() | float():
            return value
        case int():
            # RFC 8785 numbers end at 2^53; beyond, a text that no string of the request can equal
            return value if -_MAX_EXACT_INT <= value <= _MAX_EXACT_INT else f"{_ESCAPE}i{value:d}"
    if depth == 0:
        raise NotBindable(f"nested deeper than {MAX_DEPTH} levels")
    match value:
        case Mapping():
            return {key: _exact(item, depth - 1) for key, item in value.items()}
        case list() | tuple():
            return [_exact(item, depth - 1) for item in value]
        case _:
            raise NotBindable(f"{type(value).__name__} has no JSON form")
