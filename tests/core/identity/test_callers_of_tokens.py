"""Who a verified token speaks for, and which tokens policy may treat as the same caller."""

import asyncio
from typing import Any

import pytest
from identity_tokens import ISSUER, NOW, Clock, claims, config, jwks, signing_key, token, verifier

from app.identity.issuers import IssuerConfig, check_together
from app.identity.jwks import KeyRing
from app.identity.keys import usable_keys
from app.identity.revocations import Revoked
from app.identity.verifier import Verifier
from app.policy.caller import Caller
from app.ports import TokenRefused


def caller(body: dict[str, Any] | None = None, **changes: Any) -> Caller:
    return asyncio.run(verifier(**changes).verify(token(body=body)))


def test_without_act_the_client_is_the_actor() -> None:
    found = caller()
    assert (found.principal, found.actor, found.actor_chain, found.client) == ("ana", "sales-agent", (), "sales-agent")
    assert found.principal_subjects == {"user:ana", "role:analyst", "group:data-eng"}
    assert found.actor_subjects == {"client:sales-agent"}


def test_the_outermost_act_is_the_actor_and_the_chain_is_kept() -> None:
    found = caller(claims(client_id="front", act={"sub": "ops-agent", "act": {"sub": "sales-agent"}}))
    assert found.actor_subjects == {"client:ops-agent"}
    assert (found.actor, found.actor_chain, found.client) == ("ops-agent", ("ops-agent", "sales-agent"), "front")


def test_a_service_for_itself_has_the_same_subjects_on_both_sides() -> None:
    found = caller(claims(sub="etl", client_id="etl", groups=None))
    assert found.principal_subjects == found.actor_subjects == {"user:etl", "client:etl", "role:analyst"}


def test_a_service_that_somebody_acts_for_has_not() -> None:
    found = caller(claims(sub="etl", client_id="etl", act={"sub": "ops-agent"}))
    assert found.actor_subjects == {"client:ops-agent"}
    assert "client:ops-agent" not in found.principal_subjects
    assert "role:analyst" not in found.actor_subjects


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["a", "b"]}}),
        ("https://douane.example/roles", {"https://douane.example/roles": ["a", "b"]}),
        ("roles", {"roles": "a b"}),
    ],
)
def test_roles_are_read_where_the_issuer_puts_them(path: str, body: dict[str, Any]) -> None:
    found = caller({**claims(roles=None), **body}, roles_claim=path)
    assert {"role:a", "role:b"} <= found.principal_subjects


def test_a_path_through_something_that_is_no_object_is_refused() -> None:
    with pytest.raises(TokenRefused) as caught:
        caller(claims(realm_access="roles"), roles_claim="realm_access.roles")
    assert caught.value.reason == "bad_roles"


def test_an_issuer_without_role_claim_gives_no_roles() -> None:
    assert caller(roles_claim=None, groups_claim=None).principal_subjects == {"user:ana"}


def test_every_name_of_an_issuer_with_a_namespace_carries_it() -> None:
    found = caller(claims(act={"sub": "ops-agent"}), namespace="partner")
    assert found.principal == "partner/ana"
    assert found.principal_subjects == {"user:partner/ana", "role:partner/analyst", "group:partner/data-eng"}
    assert found.actor_subjects == {"client:partner/ops-agent"}
    assert (found.client, found.actor_chain) == ("partner/sales-agent", ("partner/ops-agent",))


@pytest.mark.parametrize(
    "body",
    [
        claims(sub="partner/ana"),
        claims(roles=["partner/admin"]),
        claims(groups=["partner/eng"]),
        claims(client_id="partner/x"),
        claims(act={"sub": "partner/x"}),
    ],
)
def test_no_issuer_may_speak_in_the_namespace_of_another(body: dict[str, Any]) -> None:
    clock = Clock()
    own, partner = config(), config(issuer="https://partner.example/", namespace="partner")
    rings = [(issuer, KeyRing.of(issuer, usable_keys(jwks()), now=clock)) for issuer in (own, partner)]
    with pytest.raises(TokenRefused) as caught:
        asyncio.run(Verifier(rings, now=clock).verify(token(body=body)))
    assert caught.value.reason == "foreign_namespace"


def test_one_issuer_has_one_entry_and_issuers_may_share_their_names() -> None:
    check_together([config(), config(issuer="https://other.example/")])
    with pytest.raises(ValueError, match="configured twice"):
        check_together([config(), config(namespace="b")])
    check_together([config(), config(issuer="https://other.example/", namespace="b")])


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "http://idp.example/"},
        {"issuer": "http://127.0.0.1.evil.example/"},
        {"issuer": "idp.example"},
        {"issuer": "https://user:pw@idp.example/"},
        {"issuer": "https://idp.example/?a=b"},
        {"issuer": "https://idp.example/#f"},
        {"issuer": "file:///etc/passwd"},
        {"jwks_url": "http://idp.example/jwks"},
        {"audience": ""},
        {"audience": []},
        {"algorithms": ("HS256",)},
        {"algorithms": ("none",)},
        {"algorithms": ()},
        {"algorithms": "RS256"},
        {"clients": "console"},
        {"leeway_s": 31},
        {"leeway_s": -1},
        {"max_lifetime_s": 0},
        {"namespace": "a/b"},
        {"namespace": "A"},
    ],
)
def test_an_issuer_that_could_not_be_trusted_as_written_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        config(**changes)


def test_http_is_accepted_on_loopback_only() -> None:
    for host in ("127.0.0.1:8080", "[::1]:8080", "localhost:9"):
        assert IssuerConfig(issuer=f"http://{host}/idp", audience="a").issuer.startswith("http:")


def test_policy_cannot_tell_two_tokens_of_the_same_rights_apart() -> None:
    earlier = caller(claims(jti="a", iat=int(NOW) - 60, auth_time=1, sid="s"))
    later = caller(dict(reversed(claims(jti="b", exp=int(NOW) + 90, auth_time=2, sid="t").items())))
    assert earlier.policy_key == later.policy_key
    assert earlier.claims == later.claims, "what policy reads must be equal when the key is"
    assert (earlier.token_id, later.token_id) == ("a", "b")


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": "dee"},
        {"client_id": "ops-agent"},
        {"roles": ["analyst", "dpo"]},
        {"groups": []},
        {"scope": "douane:objects"},
        {"act": {"sub": "sales-agent"}},
        {"region": "north"},
        {"region": ["north"]},
        {"level": 1},
        {"level": True},
        {"level": "1"},
    ],
)
def test_whatever_policy_can_read_changes_the_policy_key(changes: dict[str, Any]) -> None:
    assert caller(claims(**changes)).policy_key != caller().policy_key
    variants = [caller(claims(level=level)).policy_key for level in (1, True, "1", [1])]
    assert len(set(variants)) == 4


def test_a_token_without_jti_still_has_a_name_to_deny() -> None:
    one = caller(claims(jti=None))
    assert one.token_id.startswith("sha256:")
    assert len(one.token_id) == 39


def test_claims_cannot_be_changed_after_verification() -> None:
    with pytest.raises(TypeError):
        caller().claims["sub"] = "dee"  # type: ignore[index]


async def test_a_verified_token_is_cached_and_forgotten_at_its_end() -> None:
    clock = Clock()
    checked = verifier(clock=clock)
    presented = token(body=claims(exp=int(NOW) + 20))
    assert checked.cached(presented) is None
    verified = await checked.verify(presented)
    assert checked.cached(presented) is verified
    clock.now = NOW + 20
    assert checked.cached(presented) is None


async def test_a_cached_token_is_verified_again_after_a_minute() -> None:
    clock = Clock()
    checked = verifier(clock=clock)
    await checked.verify(token())
    presented = token()
    await checked.verify(presented)
    clock.now = NOW + 59.9
    assert checked.cached(presented) is not None
    clock.now = NOW + 60
    assert checked.cached(presented) is None


async def test_the_cache_is_bounded_and_keeps_what_is_used() -> None:
    clock = Clock()
    issuer = config()
    ring = KeyRing.of(issuer, usable_keys(jwks()), now=clock)
    checked = Verifier([(issuer, ring)], now=clock, cache_size=3)
    tokens = [token(body=claims(jti=f"t{n}")) for n in range(4)]
    for presented in tokens[:3]:
        await checked.verify(presented)
    assert checked.cached(tokens[0]) is not None
    await checked.verify(tokens[3])
    assert [checked.cached(presented) is not None for presented in tokens] == [True, False, True, True]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Revoked.TOKEN, "t-1"),
        (Revoked.PRINCIPAL, "ana"),
        (Revoked.CLIENT, "sales-agent"),
        (Revoked.ACTOR, "ops-agent"),
        (Revoked.ACTOR, "inner-agent"),
    ],
)
async def test_a_revocation_ends_cached_and_fresh_tokens_at_once(kind: Revoked, name: str) -> None:
    checked = verifier()
    presented = token(body=claims(act={"sub": "ops-agent", "act": {"sub": "inner-agent"}}))
    await checked.verify(presented)
    checked.revocations.deny(kind, name)
    assert checked.cached(presented) is None
    with pytest.raises(TokenRefused) as caught:
        await checked.verify(presented)
    assert caught.value.reason == f"revoked_{kind}"
    checked.revocations.lift(kind, name)
    assert (await checked.verify(presented)).principal == "ana"


async def test_a_revocation_of_somebody_else_leaves_the_cache_alone() -> None:
    checked = verifier()
    presented = token()
    verified = await checked.verify(presented)
    checked.revocations.deny(Revoked.PRINCIPAL, "sam")
    assert checked.cached(presented) is verified


def test_cached_takes_any_text() -> None:
    checked = verifier()
    for text in ("", "\ud800", "é", "a" * 1_000_000):
        assert checked.cached(text) is None


def test_the_issuer_of_one_token_cannot_be_answered_by_the_keys_of_another() -> None:
    clock = Clock()
    own, partner = config(), config(issuer="https://partner.example/", namespace="partner")
    partner_keys = {"keys": [{**signing_key("OTHER-EC").as_dict(private=False), "kid": "ec"}]}
    checked = Verifier(
        [
            (own, KeyRing.of(own, usable_keys(jwks()), now=clock)),
            (partner, KeyRing.of(partner, usable_keys(partner_keys), now=clock)),
        ],
        now=clock,
    )
    with pytest.raises(TokenRefused) as caught:
        asyncio.run(checked.verify(token(kind="OTHER-EC")))
    assert caught.value.reason == "bad_signature"
    assert checked.ready() == {ISSUER: True, "https://partner.example/": True}
