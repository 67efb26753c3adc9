"""Whatever is presented, the verifier answers with a Caller or with TokenRefused."""

import asyncio
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from identity_tokens import b64, claims, header, token, verifier

from app.identity.keys import usable_key, usable_keys
from app.identity.strict_json import NotBase64Url, NotStrictJson, decode_base64url, encode_base64url, parse_object
from app.ports import TokenRefused

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
CLAIM_NAMES = st.sampled_from([*claims(), "act", "nbf", "azp", "scp", "cnf", "nonce", "typ", "token_use", "events"])
HEADER_NAMES = st.sampled_from([*header(), "crit", "b64", "jku", "zip", "x5c"])
CHECKED = verifier()
ACCEPTING = verifier(accept_typ_jwt=True)
SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def answered(presented: str) -> None:
    for checked in (CHECKED, ACCEPTING):
        checked.cached(presented)
        try:
            asyncio.run(checked.verify(presented))
        except TokenRefused as refused:
            assert refused.reason  # noqa: PT017
            assert refused.detail.endswith(".")  # noqa: PT017


@SETTINGS
@given(st.text(max_size=200))
def test_any_text(presented: str) -> None:
    answered(presented)


@SETTINGS
@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=80))
def test_any_bytes_in_three_parts(head: bytes, body: bytes, signature: bytes) -> None:
    answered(f"{b64(head)}.{b64(body)}.{b64(signature)}")


@SETTINGS
@given(st.dictionaries(CLAIM_NAMES, JSON, max_size=4))
def test_any_claims_under_a_good_signature(changes: dict[str, Any]) -> None:
    answered(token(body={**claims(), **changes}))


@SETTINGS
@given(st.dictionaries(HEADER_NAMES, JSON, max_size=3))
def test_any_header(changes: dict[str, Any]) -> None:
    answered(token(head=json.dumps({**header(), **changes}).encode()))


@SETTINGS
@given(st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use", "key_ops"]), JSON))
def test_any_published_key_is_read_or_passed_over(jwk: dict[str, Any]) -> None:
    for kty in ("RSA", "EC", "OKP"):
        usable_key({"kty": kty, "kid": "k", "crv": "P-256", **jwk})
    usable_keys({"keys": [jwk]})


@given(st.binary(max_size=64))
def test_base64url_has_one_spelling(data: bytes) -> None:
    assert decode_base64url(encode_base64url(data)) == data


@given(st.text(alphabet="ABab01-_=+/ \n", max_size=12))
def test_what_decodes_encodes_to_the_same_text(text: str) -> None:
    try:
        decoded = decode_base64url(text)
    except NotBase64Url:
        return
    assert encode_base64url(decoded) == text


@given(st.binary(max_size=40))
def test_any_bytes_are_an_object_or_refused(data: bytes) -> None:
    try:
        assert isinstance(parse_object(data), dict)
    except NotStrictJson:
        return
