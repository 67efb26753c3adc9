"""The issuer is down, comes back, changes its keys: known keys stay good, unknown ones never are."""

from pathlib import Path

import httpx2
from fault_site import Gateway, Issuer, Problem, Site, new_key, until

UNAVAILABLE = Problem(status=503, code="identity_unavailable")
REFUSED = Problem(status=401, code="invalid_token")


def with_token(gateway: Gateway, token: str) -> httpx2.Response:
    with gateway.client() as client:
        return client.get("/v1/me", headers={"authorization": f"Bearer {token}"})


def test_known_keys_outlive_the_issuer_and_unknown_ones_are_refused(tmp_path: Path, issuer: Issuer) -> None:
    stranger = new_key()
    with Site(folder=tmp_path, issuer=issuer).run() as gateway:
        seen = issuer.token("ana")
        assert with_token(gateway, seen).status_code == 200
        issuer.stop()
        assert with_token(gateway, seen).status_code == 200
        assert with_token(gateway, issuer.token("ana")).status_code == 200
        for _ in range(3):
            REFUSED.assert_is(with_token(gateway, issuer.token("ana", stranger)))
        assert with_token(gateway, issuer.token("dee")).status_code == 200
        assert gateway.ready()


def test_a_cold_start_without_the_issuer_recovers_and_follows_a_rotation(tmp_path: Path, issuer: Issuer) -> None:
    issuer.stop()
    with Site(folder=tmp_path, issuer=issuer).run(up="/healthz") as gateway:
        for _ in range(2):
            UNAVAILABLE.assert_is(with_token(gateway, issuer.token("ana")))
        assert not gateway.ready()
        issuer.start()
        first = issuer.token("ana")
        until(lambda: with_token(gateway, first).status_code == 200, what="the keys arrive", pause_s=0.5)
        assert gateway.ready()
        issuer.keys = [new_key()]
        second = issuer.token("ana")
        until(lambda: with_token(gateway, second).status_code == 200, what="the rotation", pause_s=0.5)
        REFUSED.assert_is(with_token(gateway, first))
        codes = {entry.get("code") for entry in gateway.logged() if entry["operation"] == "get_identity"}
        assert codes == {None, UNAVAILABLE.code, REFUSED.code}
