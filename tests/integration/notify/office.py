"""A post office for tests: approvals that happen, and a postman on a real store whose letters go to a real receiver."""

import secrets
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from app.approval.approval import Approval, Outcome
from app.approval.digest import pending
from app.approval.machine import Person, approve
from app.approval.terms import Terms
from app.gateway.links import Tickets
from app.gateway.notifying import EVENTS, Postman
from app.gateway.record import rfc3339
from app.notify.addresses import networks
from app.notify.courier import PostalCourier
from app.notify.posting import Posting
from app.notify.smtp import Smtp
from app.notify.targets import HookTarget
from app.ports import Approvals, Courier, DeliveryQueue
from app.secrets.reference import SecretMissing
from app.store.approvals import ApprovalStore
from app.store.deliveries import DeliveryStore

ISSUER = "https://idp.example/"
PUBLIC_URL = "https://douane.example"
SECRET = "whsec_" + b64encode(bytes(32)).decode()
LINK_KEY = bytes(range(32))
LOOPBACK = networks(["127.0.0.0/8"])


def asked(purpose: str = "Close order 42.", *, age_s: float = 0.0) -> Approval:
    now = time.time() - age_s
    return pending(
        random=secrets.token_bytes(16),
        created_at=rfc3339(now),
        expires_at=rfc3339(now + 86_400),
        caller=SimpleNamespace(issuer=ISSUER, principal="user:ana", actor="client:bot", actor_chain=(), client="bot"),
        connection="shop",
        action="delete",
        resources=("shop/main.orders",),
        reasons=("policy.csv:21",),
        statement="DELETE FROM orders WHERE secret = 'hunter2'",
        params={"1": "hunter3"},
        unmask=(),
        purpose=purpose,
        policy_version="f" * 64,
        terms=Terms(),
        outcome=Outcome(kind="write", rows=3, labels=("pii.email",), rewritten_sql="DELETE 'hunter4'"),
        max_rows=None,
    )


def agreed(approval: Approval) -> Approval:
    caller = SimpleNamespace(issuer=ISSUER, principal="user:dee", actor="cli", actor_chain=(), client="cli")
    dee = Person.of(caller, frozenset({"user:dee"}))
    return approve(approval, dee, at=rfc3339(time.time()), reason="looks right")


def courier(ports: Mapping[str, int], **limits: Any) -> PostalCourier:
    targets = {
        name: HookTarget(kind="webhook", url=_url(port), secrets=(lambda: SECRET,)) for name, port in ports.items()
    }
    return PostalCourier(
        targets,
        allowed=LOOPBACK,
        posting=Posting(allowed=LOOPBACK, **limits),
        smtp=Smtp(allowed=LOOPBACK),
        now=time.time,
        unreadable=SecretMissing,
    )


def _url(port: int) -> Callable[[], str]:
    return lambda: f"http://127.0.0.1:{port}/"


@dataclass
class Clock:
    """Wall-clock time that a test can move on."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


def postman(
    approvals: Approvals,
    queue: DeliveryQueue,
    carried_by: Courier,
    audiences: Mapping[str, Collection[str]],
    *,
    now: Callable[[], float] = time.time,
    faults: list[BaseException] | None = None,
    lease_s: float = 120.0,
) -> Postman:
    return Postman(
        approvals=approvals,
        queue=queue,
        courier=carried_by,
        tickets=Tickets(LINK_KEY),
        audiences=audiences,
        public_url=PUBLIC_URL,
        link_lifetime_s=3_600,
        now=now,
        random=secrets.token_bytes,
        jitter=lambda: 0.5,
        report=(faults if faults is not None else []).append,
        lease_s=lease_s,
    )


@dataclass
class Office:
    approvals: ApprovalStore
    deliveries: DeliveryStore
    postman: Postman
    clock: Clock
    faults: list[BaseException]


@asynccontextmanager
async def office(url: str, ports: Mapping[str, int], **events: Collection[str]) -> AsyncIterator[Office]:
    """Open for what happens from now on; `events`: target to what it wants, everything where it is not named."""
    async with ApprovalStore.open(url) as approvals:
        deliveries, clock, faults = DeliveryStore(approvals.engine), Clock(), list[BaseException]()
        wanted = {name: events.get(name, EVENTS) for name in ports}
        made = postman(approvals, deliveries, courier(ports, total_timeout_s=2.0), wanted, now=clock, faults=faults)
        await made.begin()
        yield Office(approvals, deliveries, made, clock, faults)
