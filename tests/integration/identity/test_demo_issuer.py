"""The demo issuer: keys on disk, tokens for its people, and a login that Swagger UI can use and nobody can abuse."""

import base64
import hashlib
import json
import os
import re
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc.jwk import ECKey

from app.identity.demo_issuer import (
    KEY_FILE,
    DemoProfile,
    DemoRefused,
    demo_identity,
    ensure_key,
    mint,
    refuse_unless_alone_on_loopback,
    token_for,
)
from app.identity.demo_login import DemoLogin
from app.identity.demo_people import AGENTS, PEOPLE
from app.identity.verifier import Verifier

PUBLIC = "http://127.0.0.1:8080"
PROFILE = DemoProfile(issuer=f"{PUBLIC}/idp", audience=PUBLIC)
REDIRECT = f"{PUBLIC}/docs/oauth2-redirect"
SECRET = "v" * 43
PUBLIC_KEY = json.dumps(ECKey.generate_key("P-256").as_dict(private=False)).encode()
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(SECRET.encode()).digest()).rstrip(b"=").decode()
ASKED = {
    "response_type": "code",
    "client_id": "swagger-ui",
    "redirect_uri": REDIRECT,
    "state": "s t&te",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Browser:
    def __init__(self, state_dir: Path) -> None:
        self.clock = Clock()
        self.key = ensure_key(state_dir)
        self.verifier = Verifier([demo_identity(self.key, PROFILE, now=self.clock)], now=self.clock)
        self.login = DemoLogin(
            key=self.key, profile=PROFILE, public_url=PUBLIC, bind_host="127.0.0.1", other_issuers=(), now=self.clock
        )
        self.client = self.fresh_client()

    def fresh_client(self) -> httpx2.AsyncClient:
        async def mounted(scope: Any, receive: Any, send: Any) -> None:
            await self.login.app({**scope, "root_path": "/idp"}, receive, send)

        return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=mounted), base_url=PUBLIC)

    async def ask(self, **changes: str) -> httpx2.Response:
        return await self.client.get("/idp/authorize", params={**ASKED, **changes})

    async def choose(self, page: httpx2.Response, person: str = "ana", **headers: str) -> httpx2.Response:
        found = re.search(r'name="request" value="([^"]+)"', page.text)
        assert found is not None
        form = {"request": found.group(1), "person": person}
        return await self.client.post("/idp/authorize", data=form, headers=headers)

    async def code(self, person: str = "ana") -> str:
        answer = await self.choose(await self.ask(), person)
        return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]

    async def redeem(self, code: str, headers: dict[str, str] | None = None, **changes: str) -> httpx2.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": "swagger-ui",
            "redirect_uri": REDIRECT,
            "code_verifier": SECRET,
            **changes,
        }
        return await self.client.post("/idp/token", data=form, headers=headers)


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    return Browser(tmp_path)


async def test_swagger_ui_gets_a_token_for_the_chosen_person(browser: Browser) -> None:
    page = await browser.ask()
    assert page.status_code == 200
    answer = await browser.choose(page, origin=PUBLIC)
    assert answer.status_code == 303
    location = urlsplit(answer.headers["location"])
    assert location._replace(query="").geturl() == REDIRECT
    query = parse_qs(location.query)
    assert (query["state"], query["iss"]) == (["s t&te"], [PROFILE.issuer])
    redeemed = await browser.redeem(query["code"][0])
    assert redeemed.status_code == 200
    assert redeemed.headers["cache-control"] == "no-store"
    caller = await browser.verifier.verify(redeemed.json()["access_token"])
    assert (caller.principal, caller.client) == ("ana", "swagger-ui")
    assert caller.principal_subjects == {"user:ana", "role:analyst"}


async def test_the_client_may_name_itself_by_basic_authentication(browser: Browser) -> None:
    basic = {"authorization": "Basic " + base64.b64encode(b"swagger-ui:").decode()}
    assert (await browser.redeem(await browser.code(), headers=basic, client_id="")).status_code == 200


async def test_the_page_runs_no_script_and_cannot_be_framed(browser: Browser) -> None:
    page = await browser.ask()
    policy = page.headers["content-security-policy"]
    style = re.search(r"<style>(.*?)</style>", page.text)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'")
    assert "frame-ancestors 'none'" in policy
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["referrer-policy"] == "same-origin"
    assert "<script" not in page.text
    assert {"HttpOnly", "SameSite=lax", "Path=/idp/authorize"} <= set(page.headers["set-cookie"].split("; "))


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": REDIRECT + "/../x"},
        {"redirect_uri": REDIRECT + "?a=b"},
        {"redirect_uri": ""},
        {"client_id": "demo-cli"},
        {"client_id": "sales-agent"},
        {"client_id": "<script>"},
        {"state": "a" * 3_000},
    ],
)
async def test_nothing_is_sent_to_an_address_that_is_not_listed(browser: Browser, changes: dict[str, str]) -> None:
    answer = await browser.ask(**changes)
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
    ],
)
async def test_a_request_without_pkce_goes_back_as_an_error(
    browser: Browser, changes: dict[str, str], error: str
) -> None:
    answer = await browser.ask(**changes)
    assert parse_qs(urlsplit(answer.headers["location"]).query)["error"] == [error]


async def test_a_parameter_given_twice_is_refused(browser: Browser) -> None:
    answer = await browser.client.get("/idp/authorize?client_id=swagger-ui&client_id=x")
    assert answer.status_code == 400


async def test_a_code_is_good_once(browser: Browser) -> None:
    code = await browser.code()
    assert (await browser.redeem(code)).status_code == 200
    again = await browser.redeem(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


async def test_a_code_is_good_for_a_minute(browser: Browser) -> None:
    code = await browser.code()
    browser.clock.now += 60
    assert (await browser.redeem(code)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": ""},
        {"code_verifier": CHALLENGE},
        {"redirect_uri": PUBLIC},
        {"redirect_uri": ""},
        {"client_id": "demo-cli"},
        {"client_id": ""},
    ],
)
async def test_a_code_is_bound_to_its_request_and_lost_with_a_wrong_try(
    browser: Browser, changes: dict[str, str]
) -> None:
    code = await browser.code()
    assert (await browser.redeem(code, **changes)).json()["error"] == "invalid_grant"
    assert (await browser.redeem(code)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("grant", ["client_credentials", "password", "refresh_token", ""])
async def test_no_other_grant_gives_tokens(browser: Browser, grant: str) -> None:
    assert (await browser.redeem("x", grant_type=grant)).json()["error"] == "unsupported_grant_type"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:8080"])
async def test_a_form_from_another_site_chooses_nobody(browser: Browser, origin: str) -> None:
    assert (await browser.choose(await browser.ask(), origin=origin)).status_code == 400


async def test_a_choice_offered_to_one_browser_cannot_be_made_in_another(browser: Browser) -> None:
    page = await browser.ask()
    browser.client = browser.fresh_client()
    assert (await browser.choose(page)).status_code == 400


async def test_a_choice_is_made_once_and_soon(browser: Browser) -> None:
    page = await browser.ask()
    await browser.choose(page)
    assert (await browser.choose(page)).status_code == 400
    late = await browser.ask()
    browser.clock.now += 600
    assert (await browser.choose(late)).status_code == 400


async def test_choosing_nobody_is_access_denied(browser: Browser) -> None:
    answer = await browser.choose(await browser.ask(), "mallory")
    assert "error=access_denied" in answer.headers["location"]


async def test_an_oversized_or_foreign_body_is_refused(browser: Browser) -> None:
    for body, kind in ((b"a=" + b"b" * 9_000, "application/x-www-form-urlencoded"), (b"{}", "application/json")):
        for path in ("/idp/token", "/idp/authorize"):
            answer = await browser.client.post(path, content=body, headers={"content-type": kind})
            assert answer.status_code == 400


async def test_discovery_and_keys_fit_the_issuer(browser: Browser) -> None:
    document = (await browser.client.get("/idp/.well-known/openid-configuration")).json()
    assert document["issuer"] == PROFILE.issuer
    assert document["code_challenge_methods_supported"] == ["S256"]
    published = (await browser.client.get("/idp/jwks")).json()["keys"]
    assert [key["kid"] for key in published] == [browser.key.kid]
    assert "d" not in published[0]


@pytest.mark.parametrize("name", [*PEOPLE, *AGENTS])
async def test_everybody_of_the_demo_has_a_token_that_verifies(browser: Browser, name: str) -> None:
    token = token_for(browser.key, PROFILE, name, now=browser.clock())
    assert (await browser.verifier.verify(token)).principal == name


async def test_an_agent_for_a_person_is_a_delegation(browser: Browser) -> None:
    token = token_for(browser.key, PROFILE, "sales-agent", now=browser.clock(), on_behalf_of="ana")
    caller = await browser.verifier.verify(token)
    assert (caller.principal, caller.actor_chain) == ("ana", ("sales-agent",))
    assert caller.claims["region"] == "north"


@pytest.mark.parametrize(("name", "person"), [("mallory", None), ("ana", "sam"), ("sales-agent", "mallory")])
def test_names_outside_the_demo_get_no_token(tmp_path: Path, name: str, person: str | None) -> None:
    with pytest.raises(DemoRefused):
        token_for(ensure_key(tmp_path), PROFILE, name, now=time.time(), on_behalf_of=person)


async def test_claims_handed_to_mint_never_replace_those_of_the_issuer(browser: Browser) -> None:
    token = mint(
        browser.key,
        issuer=PROFILE.issuer,
        audience=PROFILE.audience,
        sub="ana",
        client_id="demo-cli",
        claims={"sub": "ada", "iss": "https://evil.example", "region": "north"},
        now=browser.clock(),
    )
    assert (await browser.verifier.verify(token)).principal == "ana"


def test_another_process_finds_the_same_private_key(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with ThreadPoolExecutor(8) as pool:
        kids = set(pool.map(lambda _: ensure_key(state).kid, range(16)))
    assert len(kids) == 1
    assert stat.S_IMODE((state / KEY_FILE).stat().st_mode) == 0o600
    assert os.listdir(state) == [KEY_FILE]


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    ensure_key(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)
    with pytest.raises(DemoRefused, match="chmod 600"):
        ensure_key(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"kty":"oct","k":"AAAA"}', b"\xff", PUBLIC_KEY])
def test_a_broken_key_file_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    ensure_key(tmp_path)
    (tmp_path / KEY_FILE).write_bytes(content)
    with pytest.raises(DemoRefused, match="delete it"):
        ensure_key(tmp_path)


def test_the_profile_tells_another_process_what_the_demo_accepts(tmp_path: Path) -> None:
    with pytest.raises(DemoRefused, match="douane demo"):
        DemoProfile.load(tmp_path)
    PROFILE.save(tmp_path)
    assert DemoProfile.load(tmp_path) == PROFILE


@pytest.mark.parametrize(
    ("bind_host", "public_url", "others"),
    [
        ("0.0.0.0", PUBLIC, ()),
        ("::", PUBLIC, ()),
        ("192.168.1.4", PUBLIC, ()),
        ("", PUBLIC, ()),
        ("127.0.0.1", "http://douane.example", ()),
        ("127.0.0.1", "http://127.0.0.1@douane.example", ()),
        ("127.0.0.1", PUBLIC, ("https://idp.example/",)),
    ],
)
def test_the_demo_issuer_runs_alone_and_on_loopback(bind_host: str, public_url: str, others: tuple[str, ...]) -> None:
    with pytest.raises(DemoRefused):
        refuse_unless_alone_on_loopback(bind_host=bind_host, public_url=public_url, other_issuers=others)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_every_loopback_address_will_do(host: str) -> None:
    shown = f"[{host}]" if ":" in host else host
    refuse_unless_alone_on_loopback(bind_host=host, public_url=f"http://{shown}:8080", other_issuers=())
