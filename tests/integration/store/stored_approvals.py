"""Approvals and people for tests of the store, and the steps that lead an approval to where a test wants it."""

from dataclasses import replace
from types import SimpleNamespace

from app.approval.approval import Approval, Outcome
from app.approval.digest import pending
from app.approval.machine import Person, approve, begin
from app.approval.terms import Grant, GrantKind, Requirement, Terms

IDP = "https://idp.example/"
ANA = SimpleNamespace(issuer=IDP, principal="ana", actor="bot", actor_chain=("bot",), client="bot")
TERMS = Terms(requirements=(Requirement(approvers=("role:dba",), source="approvals.yaml:3"),))
WINDOW = Terms(
    requirements=TERMS.requirements, grant=Grant(kind=GrantKind.WINDOW, duration_s=86_400, max_uses=3, max_rows=1000)
)


def at(minute: int, second: int = 0) -> str:
    return f"2026-11-23T{10 + minute // 60:02d}:{minute % 60:02d}:{second:02d}.000000Z"


def approval(
    number: int,
    *,
    principal: str = "ana",
    minute: int | None = None,
    params: object = None,
    terms: Terms = TERMS,
    expires_minute: int | None = None,
) -> Approval:
    minute = number if minute is None else minute
    made = pending(
        random=number.to_bytes(16, "big"),
        created_at=at(minute),
        expires_at=f"2026-11-24T10:{minute:02d}:00.000000Z",
        caller=SimpleNamespace(**{**vars(ANA), "principal": principal}),
        connection="shop",
        action="delete",
        resources=("shop/public/orders", "shop/public/customers"),
        reasons=("policy.csv:7",),
        statement="DELETE FROM orders WHERE note = 'naïve \u0000 \U0001f600'",
        params={"1": params},
        unmask=(),
        purpose=None,
        policy_version="f" * 64,
        terms=terms,
        outcome=Outcome(kind="write", rows=3),
        max_rows=None,
    )
    return made if expires_minute is None else replace(made, expires_at=at(expires_minute))


def requester(approval: Approval) -> Person:
    return Person.of(SimpleNamespace(**{**vars(ANA), "principal": approval.principal}), frozenset({"user:ana"}))


def approver(name: str = "max") -> Person:
    caller = SimpleNamespace(issuer=IDP, principal=name, actor="console", actor_chain=(), client="console")
    return Person.of(caller, frozenset({f"user:{name}", "role:dba"}))


def approved(made: Approval, minute: int = 30) -> Approval:
    return approve(made, approver(), at=at(minute), reason="fine")


def begun(made: Approval, minute: int = 31) -> Approval:
    return begin(made, requester(made), at=at(minute))
