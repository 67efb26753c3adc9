"""list_deliveries and replay_delivery through the door, on a real store, and the page behind a one-time link."""

import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from app.api.delivery_operations import DELIVERY_ENDPOINTS
from app.api.door import Door, Entrance
from app.approval.approval import Approval, Outcome
from app.approval.digest import pending
from app.approval.terms import Terms
from app.console.links import link_routes
from app.gateway.cursor import Cursors
from app.gateway.deliveries import DeliveryDesk
from app.gateway.links import Links, Ticket, Tickets
from app.gateway.record import rfc3339
from app.policy.caller import Caller
from app.policy.decision import Action, Allow, Decision, Deny
from app.ports import Delivery, DeliveryState, StoreUnavailable
from app.store.approvals import ApprovalStore
from app.store.deliveries import DeliveryStore
from tests.gateway.fakes import FakeTokens, FakeTrail, Told, caller, customs

NOW = time.time()
KEY = bytes(range(32))
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)> </code></td> \u202e'


@dataclass
class Snapshot:
    allowed: frozenset[Action]
    version: str = "v" * 64

    def decide(self, _caller: Caller, resource: str, action: Action, _context: Mapping[str, Any]) -> Decision:
        if resource == "douane/notifications" and action in self.allowed:
            return Allow(rules=())
        return Deny(rules=(), reason="no rule allows it")


@dataclass
class Policies:
    allowed: frozenset[Action]
    broken: tuple[str, ...] = ()

    @property
    def current(self) -> Any:
        return Snapshot(self.allowed)


def asked(number: int = 1) -> Approval:
    return pending(
        random=number.to_bytes(16, "big"),
        created_at=rfc3339(NOW),
        expires_at=rfc3339(NOW + 86_400),
        caller=caller(),
        connection="shop",
        action="delete",
        resources=("shop/main.orders",),
        reasons=("policy.csv:21",),
        statement="DELETE FROM orders WHERE x = 'hunter2'",
        params={"1": "hunter3"},
        unmask=(),
        purpose=HOSTILE,
        policy_version="f" * 64,
        terms=Terms(),
        outcome=Outcome(kind="write", rows=3),
        max_rows=None,
    )


def delivery(number: int, **changed: Any) -> Delivery:
    given: dict[str, Any] = {
        "delivery_id": f"dlv_{number}", "target": "ops", "seq": number, "approval_id": "apr_1", "event": "requested",
        "created_at": rfc3339(NOW + number), "notice": {"at": "x", "statement": "hunter2"}, "nonce": "ab" * 16,
        "link_expires_at": rfc3339(NOW + 60), "due_at": rfc3339(NOW),
    }  # fmt: skip
    return Delivery(**{**given, **changed})


@dataclass
class Site:
    client: httpx2.AsyncClient
    store: DeliveryStore
    trail: FakeTrail
    policies: Policies
    clock: list[float] = field(default_factory=lambda: [NOW])

    def link(self, *, nonce: str = "ab" * 16, approval_id: str = asked().approval_id, lives_s: float = 60) -> str:
        ticket = Ticket(nonce=nonce, approval_id=approval_id, target="ops", expires_at=rfc3339(self.clock[0] + lives_s))
        return "/a/" + Tickets(KEY).issue(ticket)

    async def get(self, path: str, **params: str) -> httpx2.Response:
        return await self.client.get(path, params=params, headers={"authorization": "Bearer good"})

    async def replay(self, delivery_id: str) -> httpx2.Response:
        return await self.client.post(
            f"/v1/deliveries/{delivery_id}/replay",
            json={"reason": "it was down"},
            headers={"authorization": "Bearer good"},
        )


class Away:
    """A store that nobody reaches."""

    def __getattr__(self, _name: str) -> Any:
        async def unreachable(*_: Any, **__: Any) -> Any:
            raise StoreUnavailable("gone")

        return unreachable


@asynccontextmanager
async def site(folder: Path, *, away: bool = False) -> AsyncIterator[Site]:
    async with ApprovalStore.open(f"sqlite:///{folder}/douane.db") as approvals:
        store, trail, told = DeliveryStore(approvals.engine), FakeTrail(), Told()
        policies, clock = Policies(frozenset({Action.READ, Action.WRITE})), [NOW]
        await approvals.create(asked())
        known: Any = {"good": caller()}
        tokens = FakeTokens(known={"good": _with_scope(known["good"])})
        pipeline = customs(trail, told, tokens)
        used: Any = Away() if away else store
        desk = DeliveryDesk(
            deliveries=used,
            policies=policies,
            cursors=Cursors(KEY),
            public_url="https://gate.test",
            link_lifetime_s=60,
            now=lambda: clock[0],
            random=lambda size: b"\xcd" * size,
            intend=pipeline.intend,
        )
        links = Links(tickets=Tickets(KEY), used=used, approvals=approvals, trail=trail, now=lambda: clock[0])
        app = FastAPI(openapi_url=None)
        app.router.routes.extend(
            link_routes(links, public_url="https://gate.test", trace=lambda _header: "0" * 31 + "1")
        )
        door = Door(
            customs=pipeline,
            endpoints=DELIVERY_ENDPOINTS,
            use_cases={"list_deliveries": desk.list_deliveries, "replay_delivery": desk.replay_delivery},
            entrance=Entrance(
                hosts=frozenset({"gate.test"}),
                origins=frozenset(),
                max_body_bytes=1_000,
                max_url_bytes=4_000,
                max_headers_bytes=4_000,
                max_in_flight=100,
            ),
            trace=lambda _header: "0" * 31 + "1",
            rest=app,
            elsewhere=lambda path: path.startswith("/a/"),
        )
        transport = httpx2.ASGITransport(app=door)  # type: ignore[arg-type]
        async with httpx2.AsyncClient(transport=transport, base_url="https://gate.test") as client:
            yield Site(client, store, trail, policies, clock)


def _with_scope(who: Caller) -> Caller:
    return dataclasses.replace(who, scopes=frozenset({"douane:approvals"}))


async def test_the_log_is_paged_and_filtered_and_shows_no_notice_and_no_link(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        await there.store.enqueue([delivery(n, target="ops" if n % 2 else "chat") for n in range(5)], position=5)
        first = (await there.get("/v1/deliveries", limit="3")).json()
        assert [each["delivery_id"] for each in first["deliveries"]] == ["dlv_4", "dlv_3", "dlv_2"]
        rest = (await there.get("/v1/deliveries", limit="3", cursor=first["next_cursor"])).json()
        assert [each["delivery_id"] for each in rest["deliveries"]] == ["dlv_1", "dlv_0"]
        assert rest["next_cursor"] is None
        only = await there.get("/v1/deliveries", target="chat", state="pending")
        assert {each["target"] for each in only.json()["deliveries"]} == {"chat"}
        assert not any(word in only.text for word in ("hunter", "abababab", "notice", "nonce"))
        assert (await there.get("/v1/deliveries", target="chat", cursor=first["next_cursor"])).json()["code"] == (
            "invalid_cursor"
        )
        assert (await there.get("/v1/deliveries", state="lost")).json()["code"] == "invalid_request"


async def test_a_replay_is_recorded_before_it_happens_and_makes_it_due(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        await there.store.enqueue([delivery(1, state=DeliveryState.DEAD, tries=9)], position=1)
        answer = await there.replay("dlv_1")
        assert answer.status_code == 200
        assert (answer.json()["state"], answer.json()["delivery_id"]) == ("pending", "dlv_1")
        assert await there.store.due(rfc3339(NOW + 1)) == {"ops"}
        assert [(e["operation"], e["outcome"]) for e in there.trail.entries] == [
            ("replay_delivery", "intent"), ("replay_delivery", "completed")
        ]  # fmt: skip
        assert there.trail.entries[0]["purpose"] == "it was down"
        assert (await there.replay("dlv_9")).json()["code"] == "unknown_delivery"


async def test_a_replay_that_cannot_be_recorded_does_not_happen(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        await there.store.enqueue([delivery(1, state=DeliveryState.DEAD)], position=1)
        there.trail.down = True
        assert (await there.replay("dlv_1")).json()["code"] == "audit_unavailable"
        assert await there.store.due(rfc3339(NOW + 1)) == frozenset()


async def test_policy_decides_who_reads_and_who_replays(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        await there.store.enqueue([delivery(1, state=DeliveryState.DEAD)], position=1)
        there.policies.allowed = frozenset({Action.READ})
        assert (await there.get("/v1/deliveries")).status_code == 200
        assert (await there.replay("dlv_1")).json()["code"] == "access_denied"
        assert await there.store.due(rfc3339(NOW + 1)) == frozenset()
        there.policies.allowed = frozenset({Action.WRITE})
        assert (await there.get("/v1/deliveries")).json()["code"] == "access_denied"


async def test_a_store_that_is_away_is_said(tmp_path: Path) -> None:
    async with site(tmp_path, away=True) as there:
        assert (await there.get("/v1/deliveries")).json()["code"] == "store_unavailable"
        assert (await there.replay("dlv_1")).json()["code"] == "store_unavailable"
        assert (await there.client.get(there.link())).status_code == 503
        assert (await there.client.post(there.link())).status_code == 503
        assert there.trail.entries[-1]["outcome"] == "failed"


async def test_scanners_of_links_use_nothing_up_and_a_button_opens_once(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        link = there.link()
        for _ in range(3):
            seen = await there.client.get(link)
            assert seen.status_code == 200
            assert "shop" not in seen.text
            assert (await there.client.head(link)).status_code == 200
        assert there.trail.entries == []
        opened = await there.client.post(link)
        assert opened.status_code == 200
        for said in (
            "shop/main.orders",
            "3 would be changed",
            "ana",
            f"douane approvals approve {asked().approval_id}",
        ):
            assert said in opened.text
        assert "hunter" not in opened.text
        (entry,) = there.trail.entries
        assert (entry["operation"], entry["outcome"], entry["approval_id"]) == (
            "open_approval_link", "completed", asked().approval_id
        )  # fmt: skip
        assert entry["answer_sha256"]
        assert link.removeprefix("/a/") not in json.dumps(entry)
        again, look = await there.client.post(link), await there.client.get(link)
        assert (again.status_code, look.status_code) == (404, 404)
        assert there.trail.entries[-1]["outcome"] == "denied"


async def test_forged_expired_and_used_links_show_one_same_page(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        used, expired = there.link(nonce="1" * 32), there.link(nonce="2" * 32, lives_s=-1)
        await there.client.post(used)
        unknown = there.link(nonce="3" * 32, approval_id="apr_unknown")
        forged = "/a/" + Tickets(bytes(32)).issue(
            Ticket(nonce="4", approval_id=asked().approval_id, target="ops", expires_at=rfc3339(NOW + 60))
        )
        pages = {
            ((answer := await there.client.post(path)).status_code, answer.text)
            for path in (used, expired, unknown, forged, "/a/x", "/a/" + "A" * 3_000, "/a/%00", "/a/%C3%A9")
        }
        assert len(pages) == 1
        looks = {(await there.client.get(path)).text for path in (used, expired, forged, "/a/x")}
        assert looks == {text for _, text in pages}


async def test_of_many_who_press_the_button_at_once_one_sees_the_page(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        link = there.link()
        answers = await asyncio.gather(*(there.client.post(link) for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [200] + [404] * 19


async def test_what_cannot_be_recorded_is_not_shown(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        there.trail.down = True
        answer = await there.client.post(there.link())
        assert answer.status_code == 503
        assert "shop" not in answer.text


async def test_a_page_runs_nothing_and_is_kept_nowhere(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        link = there.link()
        for answer in (await there.client.get(link), await there.client.post(link), await there.client.post(link)):
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'")
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert "script-src" not in policy
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "<script" not in answer.text
            assert "<img" not in answer.text
            assert "http" not in answer.text.replace("https://gate.test/v1/approvals/", "")
        style = await there.client.get("/a/link.css")
        assert style.headers["content-type"].startswith("text/css")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_a_link_knows_no_other_method(tmp_path: Path, method: str) -> None:
    async with site(tmp_path) as there:
        assert (await there.client.request(method, there.link())).status_code == 405
