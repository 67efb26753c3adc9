"""Authentication at the door: 401 before everything else, and never a word that helps to forge."""

import base64
import json
import time

import pytest

from tests.running import Running


def test_without_a_token_the_challenge_points_at_the_metadata(shop: Running) -> None:
    with shop.client() as client:
        answer = client.get("/v1/me")
        assert answer.status_code == 401
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith("Bearer ")
        assert "error=" not in challenge
        url = challenge.split('resource_metadata="')[1].split('"')[0]
        metadata = client.get(url.removeprefix(shop.url)).json()
    assert metadata["resource"] == shop.url
    assert metadata["bearer_methods_supported"] == ["header"]


@pytest.mark.parametrize("path", ["/v1/connections/shop/query", "/v1/connections/nope/query"])
def test_401_comes_before_everything_about_the_content(shop: Running, path: str) -> None:
    with shop.client() as client:
        answer = client.post(path, content=b"garbage", headers={"authorization": "Bearer x.y.z"})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def broken_tokens(shop: Running) -> dict[str, str]:
    good = shop.token("ana")
    head, body, signature = good.split(".")
    forged = json.loads(base64.urlsafe_b64decode(body + "=="))
    forged["sub"] = "dee"
    other_body = base64.urlsafe_b64encode(json.dumps(forged).encode()).rstrip(b"=").decode()
    none_head = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt","kid":"x"}').rstrip(b"=").decode()
    return {
        "garbage": "x",
        "two parts": f"{head}.{body}",
        "changed claims": f"{head}.{other_body}.{signature}",
        "no signature": f"{head}.{body}.",
        "alg none": f"{none_head}.{body}.",
        "expired": shop.mint(sub="ana", client_id="demo-cli", now=time.time() - 90_000, ttl_s=60),
        "not yet": shop.mint(sub="ana", client_id="demo-cli", now=time.time() + 3_600),
        "other audience": shop.mint(sub="ana", client_id="demo-cli", audience="https://other.example"),
        "other issuer": shop.mint(sub="ana", client_id="demo-cli", issuer="https://other.example"),
        "unknown client": shop.mint(sub="ana", client_id="somebody"),
        "huge": good + "A" * 20_000,
    }


def test_tokens_of_every_broken_kind_are_401_and_recorded(shop: Running) -> None:
    for name, token in broken_tokens(shop).items():
        with shop.client() as client:
            answer = client.get("/v1/me", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 401 or (name == "huge" and answer.status_code == 400), (name, answer.text)
        assert answer.json()["receipt"]["index"] > 0
    assert shop.query("ana", "SELECT 1").status_code == 200


def test_a_token_without_the_scope_is_403_and_names_it(shop: Running) -> None:
    token = shop.mint(sub="ana", client_id="demo-cli", roles=["analyst"], scopes=["openid"])
    with shop.client() as client:
        answer = client.post(
            "/v1/connections/shop/query", json={"sql": "SELECT 1"}, headers={"authorization": f"Bearer {token}"}
        )
        me = client.get("/v1/me", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert "douane:query" in answer.headers["www-authenticate"]
    assert me.status_code == 200


def test_several_authorization_headers_are_refused(shop: Running) -> None:
    token = shop.token("ana")
    with shop.client() as client:
        answer = client.get(
            "/v1/me", headers=[("authorization", f"Bearer {token}"), ("authorization", f"Bearer {token}")]
        )
    assert answer.status_code == 401


def test_a_person_through_an_agent_is_named_with_both(shop: Running) -> None:
    with shop.client() as client:
        me = client.get("/v1/me", headers=shop.auth("sales-agent", on_behalf_of="ana")).json()
    assert (me["principal"], me["actor"], me["actor_chain"]) == ("ana", "sales-agent", ["sales-agent"])
