"""Keys from a real HTTP server: discovery, rotation, outage, and everything a server must not get away with."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from joserfc.jwk import ECKey
from local_issuer import Answer, LocalIssuer, local_issuer

from app.identity.demo_issuer import DemoKey, sign
from app.identity.issuers import IssuerConfig
from app.identity.jwks import KeyRing, Timing, discovery_urls
from app.identity.transport import HttpsFetch
from app.identity.verifier import Verifier
from app.ports import IdentityUnavailable, TokenRefused

NOW = 1_800_000_000.0
KEYS = {kid: DemoKey(key=ECKey.generate_key("P-256"), kid=kid) for kid in ("k1", "k2")}
DISCOVERY = "/.well-known/openid-configuration"


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def key_set(*kids: str) -> dict[str, Any]:
    return {"keys": [KEYS[kid].public_jwks()["keys"][0] for kid in kids]}


def publish(idp: LocalIssuer, *kids: str, **headers: str) -> None:
    idp.document(DISCOVERY, {"issuer": idp.url, "jwks_uri": f"{idp.url}/jwks"})
    idp.document("/jwks", key_set(*kids), **headers)


@pytest.fixture
async def idp() -> AsyncIterator[LocalIssuer]:
    async with local_issuer() as issuer:
        publish(issuer, "k1")
        yield issuer


class Setup:
    def __init__(self, idp: LocalIssuer, *, deadline_s: float = 5.0, max_bytes: int = 262_144, **changes: Any) -> None:
        self.clock = Clock()
        self.config = IssuerConfig(**{"issuer": idp.url, "audience": "douane", "algorithms": ("ES256",), **changes})
        fetch = HttpsFetch(deadline_s=deadline_s, max_bytes=max_bytes)
        self.ring = KeyRing(self.config, fetch=fetch, now=self.clock, timing=Timing())
        self.verifier = Verifier([(self.config, self.ring)], now=self.clock)

    def token(self, kid: str = "k1") -> str:
        now = int(self.clock.now)
        claims = {
            "iss": self.config.issuer,
            "aud": "douane",
            "sub": "ana",
            "client_id": "c",
            "iat": now,
            "exp": now + 86_000,
        }
        return sign(KEYS[kid], claims)

    async def refused(self, kid: str = "k1") -> str:
        with pytest.raises(TokenRefused) as caught:
            await self.verifier.verify(self.token(kid))
        return caught.value.reason

    async def settle(self) -> None:
        """Lets a refresh that was started in the background end."""
        while self.ring._flight is not None and not self.ring._flight.done():
            await asyncio.sleep(0.01)


async def test_keys_are_found_by_discovery_and_fetched_once(idp: LocalIssuer) -> None:
    setup = Setup(idp)
    assert setup.verifier.ready() == {idp.url: False}
    callers = await asyncio.gather(*(setup.verifier.verify(setup.token()) for _ in range(20)))
    assert {caller.principal for caller in callers} == {"ana"}
    assert setup.verifier.ready() == {idp.url: True}
    assert idp.asked == [DISCOVERY, "/jwks"]


async def test_the_oauth_form_of_discovery_is_the_second_choice() -> None:
    async with local_issuer() as idp:
        issuer = f"{idp.url}/tenant"
        idp.document(
            "/.well-known/oauth-authorization-server/tenant", {"issuer": issuer, "jwks_uri": f"{idp.url}/jwks"}
        )
        idp.document("/jwks", key_set("k1"))
        setup = Setup(idp, issuer=issuer)
        assert (await setup.verifier.verify(setup.token())).principal == "ana"


def test_discovery_addresses_follow_both_standards() -> None:
    assert discovery_urls("https://idp.example/t/") == (
        "https://idp.example/t/.well-known/openid-configuration",
        "https://idp.example/.well-known/oauth-authorization-server/t",
    )


async def test_a_configured_key_address_needs_no_discovery(idp: LocalIssuer) -> None:
    setup = Setup(idp, jwks_url=f"{idp.url}/jwks")
    await setup.verifier.verify(setup.token())
    assert idp.asked == ["/jwks"]


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://other.example", "jwks_uri": "SELF/jwks"},
        {"issuer": "SELF/", "jwks_uri": "SELF/jwks"},
        {"jwks_uri": "SELF/jwks"},
        {"issuer": "SELF"},
        {"issuer": "SELF", "jwks_uri": 7},
        {"issuer": "SELF", "jwks_uri": "http://idp.example/jwks"},
        {"issuer": "SELF", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "SELF", "jwks_uri": "jwks"},
    ],
)
async def test_a_discovery_document_that_does_not_fit_gives_no_keys(idp: LocalIssuer, document: dict[str, Any]) -> None:
    filled = {n: v.replace("SELF", idp.url) if isinstance(v, str) else v for n, v in document.items()}
    idp.document(DISCOVERY, filled)
    setup = Setup(idp)
    with pytest.raises(IdentityUnavailable):
        await setup.verifier.verify(setup.token())
    assert "/jwks" not in idp.asked


GOOD_BODY = b'{"keys": []}'


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=302, headers={"location": "/real"}),
        Answer(status=307, headers={"location": "/real"}),
        Answer(status=500),
        Answer(status=204, body=b""),
        Answer(body=b"not json"),
        Answer(body=b"[]"),
        Answer(body=b'{"keys": {}}'),
        Answer(body=b'{"keys": [], "keys": []}'),
        Answer(body=b'{"keys": [' + b"[]," * 100 + b"[]]}"),
        Answer(body=b'{"keys": [], "x": "' + b"a" * 300_000 + b'"}'),
        Answer(body=GOOD_BODY, headers={"content-encoding": "gzip"}),
        Answer(body=GOOD_BODY, headers={"content-length": "400"}),
        Answer(body=GOOD_BODY, delay_s=2.0),
    ],
)
async def test_an_answer_that_is_no_key_set_gives_503_and_never_opens(idp: LocalIssuer, answer: Answer) -> None:
    idp.answers["/jwks"] = answer
    idp.document("/real", key_set("k1"))
    setup = Setup(idp, deadline_s=0.5)
    with pytest.raises(IdentityUnavailable) as caught:
        await setup.verifier.verify(setup.token())
    assert caught.value.retry_after_s >= 1
    assert "/real" not in idp.asked
    assert setup.verifier.ready() == {idp.url: False}


async def test_a_cold_start_without_issuer_is_503_until_it_answers(idp: LocalIssuer) -> None:
    working = idp.answers.pop(DISCOVERY)
    setup = Setup(idp)
    for _ in range(5):
        with pytest.raises(IdentityUnavailable):
            await setup.verifier.verify(setup.token())
    assert idp.count(DISCOVERY) == 1, "no more than one attempt per cool-down"
    idp.answers[DISCOVERY] = working
    setup.clock.now += 10
    assert (await setup.verifier.verify(setup.token())).principal == "ana"


async def test_an_unknown_kid_starts_one_fetch_per_cool_down_whatever_the_storm(idp: LocalIssuer) -> None:
    setup = Setup(idp)
    await setup.verifier.verify(setup.token())
    setup.clock.now += 10
    for _ in range(3):
        outcomes = await asyncio.gather(*(setup.refused("k2") for _ in range(50)))
        assert set(outcomes) == {"unknown_key"}
    assert idp.count("/jwks") == 2
    setup.clock.now += 10
    assert await setup.refused("k2") == "unknown_key"
    assert idp.count("/jwks") == 3


async def test_rotation_overlaps_while_both_keys_are_published(idp: LocalIssuer) -> None:
    setup = Setup(idp)
    old = setup.token("k1")
    await setup.verifier.verify(old)
    publish(idp, "k1", "k2")
    setup.clock.now += 10
    assert (await setup.verifier.verify(setup.token("k2"))).principal == "ana"
    assert setup.verifier.cached(old) is not None, "a key that came does not drop what the others signed"
    assert (await setup.verifier.verify(setup.token("k1"))).principal == "ana"


async def test_a_retired_key_takes_its_cached_tokens_along(idp: LocalIssuer) -> None:
    setup = Setup(idp)
    old = setup.token("k1")
    await setup.verifier.verify(old)
    publish(idp, "k2")
    setup.clock.now += 20
    assert setup.verifier.cached(old) is not None
    kept = setup.token("k2")
    await setup.verifier.verify(kept)
    assert setup.verifier.cached(old) is None
    assert await setup.refused("k1") == "unknown_key"
    assert (await setup.verifier.verify(kept)).principal == "ana"


async def test_keys_are_fetched_again_when_due_without_making_anyone_wait(idp: LocalIssuer) -> None:
    setup = Setup(idp)
    await setup.verifier.verify(setup.token())
    publish(idp, "k2")
    setup.clock.now += 299
    await setup.verifier.verify(setup.token())
    assert idp.count("/jwks") == 1
    setup.clock.now += 1
    await setup.verifier.verify(setup.token())
    await setup.settle()
    assert idp.count("/jwks") == 2
    assert await setup.refused("k1") == "unknown_key"


@pytest.mark.parametrize(("header", "due_s"), [("max-age=60", 60), ("max-age=1", 30), ("max-age=86400", 300)])
async def test_the_max_age_of_the_issuer_counts_within_bounds(idp: LocalIssuer, header: str, due_s: int) -> None:
    publish(idp, "k1", **{"cache-control": f"public, {header}"})
    setup = Setup(idp)
    await setup.verifier.verify(setup.token())
    setup.clock.now += due_s - 1
    await setup.verifier.verify(setup.token())
    await setup.settle()
    assert idp.count("/jwks") == 1
    setup.clock.now += 1
    await setup.verifier.verify(setup.token())
    await setup.settle()
    assert idp.count("/jwks") == 2


async def test_during_an_outage_known_keys_last_for_a_bounded_time_and_unknown_ones_never(idp: LocalIssuer) -> None:
    setup = Setup(idp)
    await setup.verifier.verify(setup.token())
    idp.answers.clear()
    setup.clock.now += 3_600
    assert (await setup.verifier.verify(setup.token())).principal == "ana"
    await setup.settle()
    assert await setup.refused("k2") == "unknown_key"
    assert setup.verifier.ready() == {idp.url: True}
    setup.clock.now += 20
    with pytest.raises(IdentityUnavailable):
        await setup.verifier.verify(setup.token())
    assert setup.verifier.ready() == {idp.url: False}


async def test_a_clock_that_was_set_back_makes_no_old_key_young(idp: LocalIssuer) -> None:
    setup = Setup(idp)
    await setup.verifier.verify(setup.token())
    setup.clock.now -= 86_400
    publish(idp, "k2")
    assert await setup.refused("k1") == "unknown_key"


async def test_a_client_that_goes_away_does_not_end_the_fetch_of_the_others(idp: LocalIssuer) -> None:
    idp.answers["/jwks"].delay_s = 0.2
    setup = Setup(idp)
    first = asyncio.create_task(setup.verifier.verify(setup.token()))
    second = asyncio.create_task(setup.verifier.verify(setup.token()))
    await asyncio.sleep(0.05)
    first.cancel()
    assert (await second).principal == "ana"
    assert idp.count("/jwks") == 1


async def test_an_open_verifier_has_its_keys_before_the_first_token(idp: LocalIssuer) -> None:
    setup = Setup(idp)
    async with setup.verifier:
        async with asyncio.timeout(5):
            while not setup.ring.ready():
                await asyncio.sleep(0.01)
    assert idp.count("/jwks") == 1


async def test_http_that_leaves_this_host_is_not_read(idp: LocalIssuer) -> None:
    setup = Setup(idp, jwks_url=idp.url.replace("127.0.0.1", "localhost") + "/jwks")
    assert (await setup.verifier.verify(setup.token())).principal == "ana"
    with pytest.raises(ValueError):
        IssuerConfig(issuer="http://10.0.0.1/", audience="douane")


async def test_a_symmetric_or_private_key_in_the_set_verifies_nothing(idp: LocalIssuer) -> None:
    private = {**KEYS["k2"].key.as_dict(private=True), "kid": "k2"}
    secret = {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "k3"}
    idp.document("/jwks", {"keys": [*key_set("k1")["keys"], private, secret]})
    setup = Setup(idp)
    assert (await setup.verifier.verify(setup.token())).principal == "ana"
    assert await setup.refused("k2") == "unknown_key"
