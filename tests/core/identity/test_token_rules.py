"""Every rule, broken alone: the baseline passes, the token that breaks one rule is refused for that reason."""

import asyncio
import hashlib
import hmac
import json
from typing import Any

import pytest
from identity_tokens import (
    NOW,
    RESOURCE,
    b64,
    claims,
    header,
    jwks,
    public_jwk,
    signing_key,
    token,
    verifier,
    without_none,
)

from app.identity.compact import MAX_TOKEN_CHARS
from app.identity.keys import usable_keys
from app.ports import TokenRefused


def refusal(presented: str, **changes: Any) -> TokenRefused:
    with pytest.raises(TokenRefused) as caught:
        asyncio.run(verifier(**changes).verify(presented))
    return caught.value


def nested_act(depth: int) -> dict[str, Any]:
    act: dict[str, Any] = {"sub": "a"}
    for _ in range(depth - 1):
        act = {"sub": "a", "act": act}
    return act


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (header(), "EC"),
        (header(alg="RS256", kid="rsa"), "RSA"),
        (header(alg="PS256", kid="rsa"), "RSA"),
        (header(alg="EdDSA", kid="okp"), "OKP"),
        (header(alg="Ed25519", kid="okp"), "OKP"),
        (header(typ="application/at+jwt"), "EC"),
        (header(typ="AT+JWT"), "EC"),
        (header(x5t="abc"), "EC"),
    ],
)
def test_a_good_token_passes_under_every_allowed_algorithm(head: dict[str, Any], kind: str) -> None:
    assert asyncio.run(verifier().verify(token(head, kind=kind))).principal == "ana"


@pytest.mark.parametrize(
    "body",
    [
        claims(aud=[RESOURCE, "https://other.example"]),
        claims(exp=NOW + 60.5, iat=NOW - 0.5),
        claims(iat=int(NOW) - 600, exp=int(NOW) - 29),
        claims(iat=int(NOW) + 29),
        claims(nbf=int(NOW) + 29),
        claims(client_id=None, azp="sales-agent"),
        claims(azp="sales-agent"),
        claims(jti=None),
        claims(scope=None, scp=["douane:query"]),
        claims(act=nested_act(8)),
        claims(act={"sub": "a", "iss": "https://idp.example/"}),
        claims(aud=[RESOURCE, "sales-agent"]),
        claims(roles=None, groups=None),
        claims(roles="analyst  viewer"),
        claims(token_use="access", typ="Bearer"),
    ],
)
def test_honest_variations_pass(body: dict[str, Any]) -> None:
    assert asyncio.run(verifier().verify(token(body=body))).principal == "ana"


HEADERS: list[tuple[str, dict[str, Any]]] = [
    ("key_in_header", header(jku="https://evil.example/jwks")),
    ("key_in_header", header(x5u="https://evil.example/cert")),
    ("key_in_header", header(jwk={"kty": "EC"})),
    ("key_in_header", header(x5c=["MII"])),
    ("header_extension", header(crit=["exp"])),
    ("header_extension", header(crit=[])),
    ("header_extension", header(b64=False)),
    ("header_extension", header(zip="DEF")),
    ("header_extension", header(enc="A128GCM")),
    ("algorithm", header(alg="none")),
    ("algorithm", header(alg="None")),
    ("algorithm", header(alg="HS256")),
    ("algorithm", header(alg="ES384")),
    ("algorithm", header(alg="ES256K")),
    ("algorithm", header(alg="RS1")),
    ("algorithm", header(alg=None)),
    ("algorithm", header(alg=["ES256"])),
    ("algorithm", header(alg="es256")),
    ("type", header(typ="JWT")),
    ("type", header(typ=None)),
    ("type", header(typ="logout+jwt")),
    ("type", header(typ="dpop+jwt")),
    ("type", header(typ="at+jwt ")),
    ("type", header(typ=7)),
    ("no_kid", header(kid=None)),
    ("no_kid", header(kid="")),
    ("no_kid", header(kid=1)),
    ("no_kid", header(kid="k" * 257)),
    ("unknown_key", header(kid="other")),
    ("unknown_key", header(kid="rsa")),
    ("unknown_key", header(alg="RS256", kid="ec")),
]


@pytest.mark.parametrize(("reason", "head"), HEADERS)
def test_a_header_that_breaks_one_rule_is_refused(reason: str, head: dict[str, Any]) -> None:
    kind = "RSA" if head.get("alg") == "RS256" else "EC"
    assert refusal(token(head, kind=kind)).reason == reason


CLAIMS: list[tuple[str, dict[str, Any]]] = [
    ("unknown_issuer", claims(iss="https://idp.example")),
    ("unknown_issuer", claims(iss="https://IDP.example/")),
    ("unknown_issuer", claims(iss=None)),
    ("unknown_issuer", claims(iss=["https://idp.example/"])),
    ("bad_exp", claims(exp=None)),
    ("bad_exp", claims(exp=True)),
    ("bad_exp", claims(exp=str(int(NOW) + 60))),
    ("bad_exp", claims(exp=-1)),
    ("bad_exp", claims(exp=2**60)),
    ("bad_exp", claims(exp=[1])),
    ("bad_iat", claims(iat=None)),
    ("bad_iat", claims(iat=True)),
    ("bad_iat", claims(iat="1")),
    ("bad_nbf", claims(nbf="1")),
    ("bad_nbf", claims(nbf=False)),
    ("expired", claims(exp=int(NOW) - 30)),
    ("not_yet_valid", claims(nbf=int(NOW) + 31)),
    ("issued_in_future", claims(iat=int(NOW) + 31)),
    ("lifetime", claims(exp=int(NOW) + 86_400)),
    ("lifetime", claims(iat=int(NOW) + 20, exp=int(NOW) + 20)),
    ("audience", claims(aud="https://douane.example/")),
    ("audience", claims(aud=[])),
    ("bad_audience", claims(aud=None)),
    ("bad_audience", claims(aud={RESOURCE: 1})),
    ("bad_audience", claims(aud=[RESOURCE, 1])),
    ("bad_subject", claims(sub=None)),
    ("bad_subject", claims(sub="")),
    ("bad_subject", claims(sub=1)),
    ("bad_subject", claims(sub="*")),
    ("bad_subject", claims(sub="an*")),
    ("bad_subject", claims(sub="ana\n")),
    ("bad_subject", claims(sub=" ana")),
    ("bad_subject", claims(sub="a\u202ena")),
    ("bad_subject", claims(sub="a\u0301na")),
    ("bad_subject", claims(sub="a" * 257)),
    ("bad_client", claims(client_id=None)),
    ("bad_client", claims(client_id=1)),
    ("bad_client", claims(client_id="*")),
    ("bad_client", claims(azp="ops-agent")),
    ("bad_client", claims(azp=7)),
    ("id_token", claims(nonce="n")),
    ("id_token", claims(at_hash="h")),
    ("id_token", claims(c_hash="h")),
    ("id_token", claims(token_use="id")),
    ("id_token", claims(typ="ID")),
    ("id_token", claims(typ="Refresh")),
    ("id_token", claims(events={"http://schemas.openid.net/event/backchannel-logout": {}})),
    ("sender_constrained", claims(cnf={"jkt": "x"})),
    ("sender_constrained", claims(cnf={"x5t#S256": "x"})),
    ("sender_constrained", claims(cnf={})),
    ("bad_jti", claims(jti=7)),
    ("bad_jti", claims(jti="")),
    ("bad_act", claims(act="sales-agent")),
    ("bad_act", claims(act={})),
    ("bad_act", claims(act={"sub": 1})),
    ("bad_act", claims(act={"sub": "a*"})),
    ("bad_act", claims(act={"sub": "a", "act": {"client_id": "b"}})),
    ("bad_act", claims(act={"sub": "a", "iss": "https://other.example/"})),
    ("bad_act", claims(act=nested_act(9))),
    ("bad_scope", claims(scope=7)),
    ("bad_scope", claims(scope=["douane:query", 1])),
    ("bad_scope", claims(scope='a"b')),
    ("bad_scope", claims(scope={"a": 1})),
    ("bad_roles", claims(roles={"analyst": True})),
    ("bad_roles", claims(roles=["*"])),
    ("bad_roles", claims(roles=["analyst", 1])),
    ("bad_roles", claims(roles=[""])),
    ("bad_roles", claims(roles=True)),
    ("bad_groups", claims(groups=[["a"]])),
    ("bad_groups", claims(groups=["a"] * 501)),
]


@pytest.mark.parametrize(("reason", "body"), CLAIMS)
def test_claims_that_break_one_rule_are_refused(reason: str, body: dict[str, Any]) -> None:
    assert refusal(token(body=body)).reason == reason


@pytest.mark.parametrize("name", ["act", "roles", "groups", "nbf", "jti", "cnf"])
def test_a_null_claim_is_not_an_absent_claim(name: str) -> None:
    assert refusal(token(body={**claims(), name: None})).reason in {
        f"bad_{name}",
        "sender_constrained",
    }


def parts_of_a_good_token() -> list[str]:
    return token().split(".")


def test_a_changed_payload_a_changed_signature_and_a_foreign_key_are_refused_alike() -> None:
    head, _, signature = parts_of_a_good_token()
    other = b64(json.dumps(claims(sub="dee")).encode())
    refusals = [
        refusal(f"{head}.{other}.{signature}"),
        refusal(f"{head}.{parts_of_a_good_token()[1]}.{b64(bytes(64))}"),
        refusal(token(kind="OTHER-EC")),
    ]
    assert {found.reason for found in refusals} == {"bad_signature"}
    unknown = refusal(token(header(kid="nobody")))
    assert unknown.detail == refusals[0].detail, "the answer must not tell which keys exist"


@pytest.mark.parametrize("length", [1, 63, 65, 72])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    head, body, _ = parts_of_a_good_token()
    assert refusal(f"{head}.{body}.{b64(bytes(length))}").reason == "bad_signature"


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused() -> None:
    secret = signing_key("RSA").as_pem(private=False)
    signed = ".".join(b64(json.dumps(part).encode()) for part in (header(alg="HS256", kid="rsa"), claims()))
    forged = f"{signed}.{b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"
    assert refusal(forged).reason == "algorithm"


def test_an_algorithm_that_the_issuer_does_not_list_is_refused() -> None:
    presented = token(header(alg="PS256", kid="rsa"), kind="RSA")
    assert refusal(presented, algorithms=("RS256",)).reason == "algorithm"


def test_a_client_that_is_not_listed_is_refused() -> None:
    assert refusal(token(), clients=("console",)).reason == "client"
    assert asyncio.run(verifier(clients=("sales-agent",)).verify(token())).client == "sales-agent"


@pytest.mark.parametrize("typ", ["JWT", "jwt", None])
def test_the_switch_admits_plain_types_but_no_id_token(typ: str | None) -> None:
    head = header(typ=typ)
    assert asyncio.run(verifier(accept_typ_jwt=True).verify(token(head))).principal == "ana"
    to_the_client = claims(aud=[RESOURCE, "sales-agent"])
    assert refusal(token(head, to_the_client), accept_typ_jwt=True).reason == "id_token"
    assert refusal(token(head, claims(nonce="n")), accept_typ_jwt=True).reason == "id_token"


SHAPES = [
    ("not_a_jwt", ""),
    ("not_a_jwt", "."),
    ("not_a_jwt", ".."),
    ("not_a_jwt", "a.b"),
    ("not_a_jwt", "a.b.c.d"),
    ("not_a_jwt", "a.b.c.d.e"),
    ("not_a_jwt", token().rpartition(".")[0] + "."),
    ("bad_encoding", token() + "="),
    ("bad_encoding", token() + " "),
    ("bad_encoding", " " + token()),
    ("bad_encoding", token().replace(".", "\n.", 1)),
    ("bad_encoding", "+" + token()[1:]),
    ("bad_encoding", "é" + token()),
    ("bad_encoding", "\ud800" + token()),
    ("too_large", "a" * (MAX_TOKEN_CHARS + 1)),
]


@pytest.mark.parametrize(("reason", "presented"), SHAPES)
def test_text_that_is_no_compact_token_is_refused(reason: str, presented: str) -> None:
    assert refusal(presented).reason == reason


def test_a_signature_respelt_with_spare_bits_is_refused() -> None:
    head, body, signature = parts_of_a_good_token()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    respelt = signature[:-1] + alphabet[alphabet.index(signature[-1]) ^ 1]
    assert refusal(f"{head}.{body}.{respelt}").reason == "bad_encoding"


GOOD = json.dumps(claims()).encode()
BROKEN_JSON = [
    b"[]",
    b'"text"',
    b"null",
    b"",
    b"{",
    GOOD + b"x",
    b"\xef\xbb\xbf" + GOOD,
    GOOD.replace(b'"sub": "ana"', b'"sub": "ana", "sub": "dee"'),
    GOOD.replace(b'"sub": "ana"', b'"sub": "dee", "s\\u0075b": "ana"'),
    GOOD.replace(b'"jti": "t-1"', b'"x": {"a": 1, "a": 2}'),
    GOOD.replace(b'"jti": "t-1"', b'"x": NaN'),
    GOOD.replace(b'"jti": "t-1"', b'"x": Infinity'),
    GOOD.replace(b'"jti": "t-1"', b'"x": 1e999'),
    GOOD.replace(b'"jti": "t-1"', b'"x": ' + b"9" * 5_000),
    GOOD.replace(b'"jti": "t-1"', b'"x": "\\ud800"'),
    GOOD.replace(b'"jti": "t-1"', b'"x": "\xff"'),
    GOOD.replace(b'"jti": "t-1"', b'"x": ' + b"[" * 17 + b"]" * 17),
    GOOD.replace(b'"jti": "t-1"', b'"x": ' + b"[" * 3_000 + b"]" * 3_000),
]


@pytest.mark.parametrize("body", BROKEN_JSON)
def test_json_that_two_parsers_read_differently_is_refused(body: bytes) -> None:
    if not body:
        assert refusal(token(body=body)).reason == "not_a_jwt"
    else:
        assert refusal(token(body=body)).reason == "bad_json"


def test_a_header_with_a_repeated_name_is_refused() -> None:
    assert refusal(token(b'{"alg":"ES256","kid":"ec","typ":"at+jwt","alg":"none"}')).reason == "bad_json"


def test_no_refusal_quotes_the_token() -> None:
    for _, body in CLAIMS:
        marked = {**body, "marker": "m4rker"}
        assert "m4rker" not in str(refusal(token(body=marked)).detail)
    for reason in (refusal(token(header(kid="s3cret-kid"))), refusal(token(body=claims(iss="https://s3cret.example")))):
        assert "s3cret" not in reason.detail


PASSED_OVER: list[dict[str, Any]] = [
    {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "k"},
    public_jwk("RSA", "k", use="enc"),
    public_jwk("RSA", "k", key_ops=["encrypt"]),
    public_jwk("RSA", "k", key_ops="verify"),
    public_jwk("RSA", "k", alg="RS512"),
    public_jwk("RSA", "k", alg="HS256"),
    public_jwk("RSA", "k", alg=["RS256"]),
    public_jwk("RSA", "k", n=b64(bytes([255]) * 128)),
    public_jwk("RSA", "k", n=b64(bytes([255]) * 1_100)),
    public_jwk("RSA", "k", e="AQ"),
    public_jwk("RSA", "k", n=7),
    public_jwk("P-384", "k"),
    public_jwk("EC", "k", y=b64(bytes(32))),
    public_jwk("EC", "k", x="!"),
    public_jwk("OKP", "k", crv="X25519"),
    public_jwk("OKP", "k", x="AAAA"),
    {**signing_key("EC").as_dict(private=True), "kid": "k"},
    without_none({**public_jwk("EC", "k"), "kid": None}),
    {**public_jwk("EC", "k"), "kid": 7},
    public_jwk("EC", ""),
    {"kty": ["EC"], "kid": "k"},
    {"kid": "k"},
]


@pytest.mark.parametrize("jwk", PASSED_OVER)
def test_a_published_key_that_may_not_verify_is_passed_over(jwk: dict[str, Any]) -> None:
    assert [key.kid for key in usable_keys({"keys": [jwk, public_jwk("OKP", "good")]})] == ["good"]


def test_the_alg_of_a_key_limits_what_it_verifies() -> None:
    published = {"keys": [public_jwk("RSA", "rsa", alg="RS256", use="sig", key_ops=["verify"])]}
    assert asyncio.run(verifier(published=published).verify(token(header(alg="RS256", kid="rsa"), kind="RSA")))
    presented = token(header(alg="PS256", kid="rsa"), kind="RSA")
    assert refusal(presented, published=published).reason == "unknown_key"


def test_two_different_keys_under_one_name_verify_nothing() -> None:
    published = {"keys": [public_jwk("EC", "ec"), public_jwk("OTHER-EC", "ec")]}
    assert usable_keys(published) == ()
    same_name_other_type = {"keys": [public_jwk("EC", "k"), public_jwk("RSA", "k")]}
    assert len(usable_keys(same_name_other_type)) == 2


@pytest.mark.parametrize("document", [{}, {"keys": {}}, {"keys": [public_jwk("EC", f"k{n}") for n in range(101)]}])
def test_what_is_no_key_set_is_not_read_as_an_empty_one(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        usable_keys(document)


def test_the_baseline_key_set_is_usable() -> None:
    assert {key.kid for key in usable_keys(jwks())} == {"rsa", "ec", "okp"}
