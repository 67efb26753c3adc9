"""Settings that load but endanger: each is a finding, and stays one until it is acknowledged by name."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.settings import Audit, Issuer, Masking, SecretRef, Server, Settings, findings, unacknowledged
from app.settings.model import loopback


def settings(tmp_path: Path, **changes: object) -> Settings:
    key = tmp_path / "audit.key"
    key.write_text("x")
    key.chmod(0o600)
    plain = {
        "audit": Audit(dir=tmp_path / "audit", key=SecretRef(file=key), origin="o"),
        "issuers": (Issuer(issuer="https://idp.example/", audience="a", clients=("c",)),),
    }
    return Settings.model_validate(plain | changes)


def codes(found: Settings) -> set[str]:
    return {f.code for f in unacknowledged(findings(found), found)}


def test_the_plain_settings_are_safe(tmp_path: Path) -> None:
    assert codes(settings(tmp_path)) == set()


@pytest.mark.parametrize("url", ["http://idp.example/", "http://10.0.0.1/", "http://127.0.0.1.example/"])
def test_an_http_issuer_off_loopback_is_unsafe(tmp_path: Path, url: str) -> None:
    assert codes(settings(tmp_path, issuers=(Issuer(issuer=url, audience="a"),))) == {"http_issuer"}
    keys = Issuer(issuer="https://idp.example/", audience="a", jwks_url=url)
    assert codes(settings(tmp_path, issuers=(keys,))) == {"http_issuer"}


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://localhost/", "http://[::1]:80/"])
def test_an_http_issuer_on_loopback_is_fine(tmp_path: Path, url: str) -> None:
    assert codes(settings(tmp_path, issuers=(Issuer(issuer=url, audience="a"),))) == set()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_that_others_can_read_is_unsafe(tmp_path: Path, mode: int) -> None:
    key = tmp_path / "mask.key"
    key.write_text("x")
    key.chmod(mode)
    assert codes(settings(tmp_path, masking=Masking(key=SecretRef(file=key)))) == {"secret_file_permissions"}


def test_plain_http_off_loopback_is_unsafe(tmp_path: Path) -> None:
    assert codes(settings(tmp_path, server=Server(public_url="http://douane.example"))) == {"plain_http"}
    assert codes(settings(tmp_path, server=Server(host="0.0.0.0"))) == {"plain_http"}
    behind_tls = Server(host="0.0.0.0", public_url="https://douane.example")
    assert codes(settings(tmp_path, server=behind_tls)) == set()


def test_what_is_acknowledged_by_name_no_longer_counts_and_nothing_else(tmp_path: Path) -> None:
    both = {
        "server": Server(host="0.0.0.0"),
        "issuers": (Issuer(issuer="http://idp.example/", audience="a"),),
    }
    assert codes(settings(tmp_path, **both, acknowledge=("plain_http",))) == {"http_issuer"}


@given(st.ip_addresses())
def test_only_loopback_addresses_are_loopback(address: object) -> None:
    assert loopback(str(address)) == address.is_loopback  # type: ignore[attr-defined]
