"""Tokens of a certified OpenID provider (npm oidc-provider), not of our own making."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.identity.issuers import IssuerConfig
from app.identity.jwks import KeyRing, Timing
from app.identity.transport import HttpsFetch
from app.identity.verifier import Verifier
from app.ports import TokenRefused

IDP = Path(__file__).parents[2] / "idp"
RESOURCE = "https://douane.example/api"


@pytest.fixture(scope="module")
def installed() -> Path:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are needed for the certified provider")
    if not (IDP / "node_modules" / "oidc-provider").is_dir():
        run = subprocess.run(
            [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=IDP, capture_output=True, timeout=180
        )
        if run.returncode != 0:
            pytest.skip("npm ci could not install oidc-provider here")
    return Path(node)


class Provider:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.issuer = ""

    async def line(self, start: str) -> str:
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            while text := (await self._process.stdout.readline()).decode():
                if text.startswith(start):
                    return text.removeprefix(start).strip()
        raise AssertionError("the provider ended")

    async def keys(self, change: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{change}\n".encode())
        await self.line(f"done {change}")

    async def token(self, **form: str) -> dict[str, Any]:
        credentials = {"client_id": "sales-agent", "client_secret": "test-only"}
        async with httpx2.AsyncClient(trust_env=False) as client:
            answer = await client.post(f"{self.issuer}/token", data={**credentials, **form})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def service_token(self) -> str:
        asked = {"grant_type": "client_credentials", "resource": RESOURCE, "scope": "douane:query"}
        return str((await self.token(**asked))["access_token"])

    async def person_tokens(self) -> dict[str, Any]:
        return await self.token(grant_type="urn:douane:test:person", person="ana")


@pytest.fixture
async def provider(installed: Path) -> AsyncIterator[Provider]:
    process = await asyncio.create_subprocess_exec(
        installed,
        "provider.mjs",
        cwd=IDP,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    running = Provider(process)
    try:
        running.issuer = await running.line("issuer ")
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


def verifier_of(issuer: str, **changes: Any) -> Verifier:
    config = IssuerConfig(**{"issuer": issuer, "audience": RESOURCE, "algorithms": ("RS256",), **changes})
    timing = Timing(cool_down_s=0)
    return Verifier([(config, KeyRing(config, fetch=HttpsFetch(), now=time.time, timing=timing))], now=time.time)


async def test_a_service_and_a_person_behind_an_agent_are_told_apart(provider: Provider) -> None:
    verifier = verifier_of(provider.issuer)
    service = await verifier.verify(await provider.service_token())
    assert service.actor_subjects == service.principal_subjects == {"user:sales-agent", "client:sales-agent"}
    assert service.scopes == {"douane:query"}
    person = await verifier.verify((await provider.person_tokens())["access_token"])
    assert person.principal_subjects == {"user:ana", "role:analyst"}
    assert person.actor_chain == ("sales-agent",)


async def test_an_id_token_of_the_same_provider_is_never_accepted(provider: Provider) -> None:
    id_token = (await provider.person_tokens())["id_token"]
    for changes in ({}, {"accept_typ_jwt": True}, {"accept_typ_jwt": True, "audience": "sales-agent"}):
        with pytest.raises(TokenRefused):
            await verifier_of(provider.issuer, **changes).verify(id_token)


async def test_a_token_for_another_resource_is_refused(provider: Provider) -> None:
    with pytest.raises(TokenRefused) as caught:
        await verifier_of(provider.issuer, audience="https://other.example").verify(await provider.service_token())
    assert caught.value.reason == "audience"


async def test_keys_rotate_under_running_tokens(provider: Provider) -> None:
    verifier = verifier_of(provider.issuer)
    old = await provider.service_token()
    await verifier.verify(old)
    await provider.keys("overlap")
    new = await provider.service_token()
    await verifier.verify(new)
    assert verifier.cached(old) is not None
    await provider.keys("retire")
    await provider.keys("overlap")
    newest = await provider.service_token()
    await verifier.verify(newest)
    assert verifier.cached(old) is None
    with pytest.raises(TokenRefused) as caught:
        await verifier.verify(old)
    assert caught.value.reason == "unknown_key"
    assert (await verifier.verify(new)).principal == "sales-agent"
