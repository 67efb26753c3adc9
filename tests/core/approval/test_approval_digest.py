from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from app.approval.approval import Approval, Happening, Outcome, State
from app.approval.digest import NotBindable, check_digest, digest_of, pending
from app.approval.terms import Grant, GrantKind, Requirement, Terms


def approval(**changes: Any) -> Approval:
    caller = SimpleNamespace(
        issuer="https://idp.example/", principal="ana", actor="bot", actor_chain=("bot", "hub"), client="bot"
    )
    facts: dict[str, Any] = {
        "random": bytes(16),
        "created_at": "2026-11-23T10:00:00.000000Z",
        "expires_at": "2026-11-24T10:00:00.000000Z",
        "caller": caller,
        "connection": "shop",
        "action": "delete",
        "resources": ("shop/public/orders",),
        "reasons": ("policy.csv:7",),
        "statement": "DELETE FROM orders WHERE id = $1",
        "params": {"1": 7},
        "unmask": (),
        "purpose": "cleanup",
        "policy_version": "f" * 64,
        "terms": Terms(),
        "outcome": Outcome(kind="write", rows=3, salt="ab"),
        "max_rows": 100,
    }
    for name, value in changes.items():
        if name in vars(caller):
            setattr(caller, name, value)
        else:
            facts[name] = value
    return pending(**facts)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("issuer", "https://other.example/"),
        ("principal", "eve"),
        ("actor", "bot2"),
        ("actor_chain", ("hub", "bot")),
        ("client", "bot2"),
        ("connection", "shop2"),
        ("action", "update"),
        ("resources", ("shop/public/orders", "shop/public/customers")),
        ("statement", "DELETE FROM orders WHERE id = $1 "),
        ("params", {"1": "7"}),
        ("unmask", ("pii.email",)),
        ("purpose", None),
        ("policy_version", "e" * 64),
        ("terms", Terms(requirements=(Requirement(quorum=2),))),
        ("terms", Terms(requirements=(Requirement(approvers=("role:dba",)),))),
        ("terms", Terms(lifetime_s=60)),
        ("terms", Terms(grant=Grant(kind=GrantKind.WINDOW))),
        ("terms", Terms(grant=Grant(max_rows=1))),
        ("terms", Terms(preview=False)),
        ("outcome", Outcome(kind="write", rows=4, salt="ab")),
        ("outcome", Outcome(kind="write", rows=3, salt="cd")),
        ("outcome", Outcome(kind="read", rows=3, salt="ab")),
        ("outcome", Outcome(kind="write", rows=3, salt="ab", held_sha256="0" * 64)),
        ("outcome", Outcome(kind="write", rows=3, salt="ab", content_sha256="0" * 64)),
        ("outcome", Outcome(kind="write", rows=3, salt="ab", masks=("hash",))),
        ("max_rows", None),
    ],
)
def test_everything_that_was_asked_is_bound(name: str, value: Any) -> None:
    assert approval(**{name: value}).digest != approval().digest


def test_the_order_of_resources_binds_nothing() -> None:
    assert approval(resources=("b", "a", "b")).digest == approval(resources=("a", "b")).digest


def test_id_and_times_are_not_part_of_what_was_asked() -> None:
    other = approval(random=b"\x01" * 16, created_at="2026-11-23T11:00:00.000000Z")
    assert other.digest == approval().digest
    assert other.approval_id == "apr_" + "01" * 16


def test_a_new_approval_is_pending_and_carries_its_own_digest() -> None:
    made = approval()
    assert made.state is State.PENDING
    assert digest_of(made.request) == made.digest
    assert check_digest(made)
    assert len(made.digest) == 64
    (step,) = made.history
    assert (step.happening, step.at, step.by, step.client) == (Happening.REQUESTED, made.created_at, "ana", "bot")
    assert made.version == 0


def test_the_terms_come_back_as_they_were_bound() -> None:
    terms = Terms(
        requirements=(
            Requirement(approvers=("role:dba",), quorum=2, escalate_after_s=9, escalate_to=("role:b",), source="a:1"),
            Requirement(),
        ),
        lifetime_s=77,
        grant=Grant(kind=GrantKind.WINDOW, duration_s=5, max_uses=3, max_rows=9),
        preview=False,
    )
    assert approval(terms=terms).terms == terms


def test_a_request_that_binds_nothing_exact_does_not_pass_for_its_digest() -> None:
    made = approval()
    assert not check_digest(replace(made, request={**made.request, "params": {"1": float("nan")}}))
    assert not check_digest(replace(made, request={}))


def test_the_digest_is_that_of_the_canonical_bytes() -> None:
    # sha256 of {"a":1,"b":"\\u0000i9007199254740993"}
    assert digest_of({"b": 2**53 + 1, "a": 1.0}) == "db0c0e220be684a62832c6b1109a4ec70cb12fc220e371e88b895afd8738d2dd"


@pytest.mark.parametrize("value", ["\ud800", float("nan"), {"\udfff": 1}, {1: 2}, b"x"])
def test_what_json_cannot_carry_exactly_cannot_be_approved(value: Any) -> None:
    with pytest.raises(NotBindable):
        approval(params={"1": value})


def test_bottomless_nesting_cannot_be_approved() -> None:
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(NotBindable):
        approval(params={"1": deep})


def test_a_guessable_id_is_refused() -> None:
    with pytest.raises(ValueError, match="random"):
        approval(random=b"short")


def test_an_integer_beyond_two_to_the_53_is_not_its_own_text() -> None:
    number = 2**60
    spellings = [number, str(number), f"\x00i{number}", f"\x00s{number}", {"i": str(number)}]
    assert len({digest_of({"params": {"n": spelling}}) for spelling in spellings}) == len(spellings)
