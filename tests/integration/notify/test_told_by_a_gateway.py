"""A whole gateway: an agent asks, a webhook is told, its link opens once, an operator looks at the log and replays."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from office import SECRET
from receivers import Receiver, receiver, status
from standardwebhooks import Webhook

from tests.running import Running
from tests.servers import free_port

SCRIPT = Path(__file__).with_name("notified_demo.py")
PATIENCE_S = 120.0


@asynccontextmanager
async def gateway(folder: Path, hook_port: int) -> AsyncIterator[Running]:
    secret, port = folder / "secret", free_port()
    secret.write_text(SECRET)
    secret.chmod(0o600)
    log = folder / "gateway.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(folder / "state"), str(port), str(hook_port), str(secret)],
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    found = Running(process=process, url=f"http://127.0.0.1:{port}", state=folder / "state", log=log)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not await asyncio.to_thread(found.ready):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            await asyncio.sleep(0.1)
        yield found
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 40)


async def arrived(hook: Receiver, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(hook.got) < count:
            await asyncio.sleep(0.05)


async def test_an_agent_asks_and_a_webhook_its_link_and_the_log_tell_of_it(tmp_path: Path) -> None:
    async with receiver(status(200)) as hook, gateway(tmp_path, hook.port) as there:
        async with httpx2.AsyncClient(base_url=there.url, timeout=60) as client:
            sql = "DELETE FROM orders WHERE id = 42"
            asked = await client.post(
                "/v1/connections/shop/query",
                json={"sql": sql, "purpose": "The customer withdrew <order> 42."},
                headers=there.auth("sales-agent", on_behalf_of="ana"),
            )
            assert asked.status_code == 202, asked.text
            approval_id = asked.json()["approval_id"]
            await arrived(hook, 1)
            told = Webhook(SECRET).verify(hook.got[0].body, hook.got[0].headers)
            assert (told["type"], told["data"]["approval_id"]) == ("approval.requested", approval_id)
            assert told["data"]["purpose"] == "The customer withdrew <order> 42."
            assert "DELETE" not in hook.got[0].body.decode()

            link = urlsplit(told["data"]["link"]).path
            assert (await client.get(link)).status_code == 200
            opened = await client.post(link, headers={"origin": "null"})
            assert opened.status_code == 200
            assert "The customer withdrew &lt;order&gt; 42." in opened.text
            assert (await client.post(link)).status_code == 404
            assert (await client.get("/a/link.css")).status_code == 200

            rejected = await client.post(
                f"/v1/approvals/{approval_id}/decision",
                json={"decision": "reject", "reason": "not today"},
                headers=there.auth("max"),
            )
            assert rejected.status_code == 200, rejected.text
            await arrived(hook, 2)
            second = Webhook(SECRET).verify(hook.got[1].body, hook.got[1].headers)
            assert (second["type"], second["data"]["reason"]) == ("approval.rejected", "not today")

            listed = await client.get("/v1/deliveries", params={"target": "ops"}, headers=there.auth("ada"))
            assert listed.status_code == 200, listed.text
            (first, *_), delivery_id = listed.json()["deliveries"], hook.got[0].headers["webhook-id"]
            assert first["event"] == "rejected"
            replayed = await client.post(f"/v1/deliveries/{delivery_id}/replay", json={}, headers=there.auth("ada"))
            assert replayed.status_code == 200, replayed.text
            await arrived(hook, 3)
            assert hook.got[2].headers["webhook-id"] == delivery_id
            for name in ("ana", "max"):
                denied = await client.get("/v1/deliveries", headers=there.auth(name))
                assert denied.json()["code"] == "access_denied"
        journal = (there.state / "audit" / "0" / "journal").read_bytes()
    assert journal.count(b'"open_approval_link"') == 2
    assert link.removeprefix("/a/").encode() not in journal
    assert '"event":"delivered"' in there.log.read_text().replace(" ", "")
