"""Approvals and people for tests of the life of an approval. Time is a number of seconds since a fixed noon."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from app.approval.approval import Approval, Outcome
from app.approval.digest import pending
from app.approval.machine import Person
from app.approval.terms import Grant, GrantKind, Requirement, Terms

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
IDP = "https://idp.example/"
OTHER_IDP = "https://other.example/"
DBA = Requirement(approvers=("role:dba",), source="approvals.yaml:3")
WINDOW = Grant(kind=GrantKind.WINDOW, duration_s=600, max_uses=3, max_rows=100)


def at(seconds: float) -> str:
    return (NOON + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def person(
    name: str,
    *roles: str,
    client: str = "console",
    chain: Sequence[str] = (),
    issuer: str = IDP,
) -> Person:
    return Person(
        issuer=issuer,
        principal=name,
        actor=chain[0] if chain else client,
        actor_chain=tuple(chain),
        client=client,
        subjects=frozenset({f"user:{name}", *(f"role:{role}" for role in roles)}),
    )


ANA = person("ana", "analyst")
"""Who asks."""
MAX = person("max", "dba")
DEE = person("dee", "dpo", "dba")
SAM = person("sam", "support")


def terms(
    *requirements: Requirement, lifetime_s: int = 3600, grant: Grant | None = None, preview: bool = True
) -> Terms:
    return Terms(requirements=requirements or (DBA,), lifetime_s=lifetime_s, grant=grant or Grant(), preview=preview)


def asked(
    terms: Terms, *, by: Person = ANA, created: float = 0, number: int = 1, statement: str = "DELETE FROM orders"
) -> Approval:
    return pending(
        random=number.to_bytes(16, "big"),
        created_at=at(created),
        expires_at=at(created + terms.lifetime_s),
        caller=by,
        connection="shop",
        action="delete",
        resources=("shop/public/orders",),
        reasons=("policy.csv:7",),
        statement=statement,
        params={"1": 7},
        unmask=(),
        purpose="cleanup",
        policy_version="f" * 64,
        terms=terms,
        outcome=Outcome(kind="write", rows=3),
        max_rows=None,
    )
