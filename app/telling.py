"""What notifications add to a gateway: two operations, the pages of one-time links, and a job."""

import random
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from starlette.routing import BaseRoute

from app.console.links import link_routes
from app.couriers import audiences, courier
from app.gateway.cursor import Cursors
from app.gateway.deliveries import DeliveryDesk
from app.gateway.links import Links, Tickets
from app.gateway.notifying import Postman
from app.gateway.pipeline import UseCase
from app.gateway.record import Record
from app.jobs.deliveries import DeliveryJob
from app.ports import Policies, Trail
from app.settings.model import Notifications
from app.store.approvals import ApprovalStore
from app.store.deliveries import DeliveryStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """`job`: None where nobody is to be told of anything."""

    use_cases: Mapping[str, UseCase]
    routes: Sequence[BaseRoute]
    job: DeliveryJob | None


def telling(
    settings: Notifications,
    *,
    store: ApprovalStore,
    policies: Policies,
    trail: Trail,
    cursors: Cursors,
    link_key: bytes,
    public_url: str,
    intend: Callable[[Record], Awaitable[None]],
    trace: Callable[[bytes | None], str],
) -> Telling:
    deliveries, tickets = DeliveryStore(store.engine), Tickets(link_key)
    desk = DeliveryDesk(
        deliveries=deliveries,
        policies=policies,
        cursors=cursors,
        public_url=public_url,
        link_lifetime_s=settings.link_lifetime_s,
        now=time.time,
        random=secrets.token_bytes,
        intend=intend,
    )
    links = Links(tickets=tickets, used=deliveries, approvals=store, trail=trail, now=time.time)
    return Telling(
        use_cases={"list_deliveries": desk.list_deliveries, "replay_delivery": desk.replay_delivery},
        routes=link_routes(links, public_url=public_url, trace=trace),
        job=_job(settings, store, deliveries, tickets, public_url) if settings.targets else None,
    )


def _job(
    settings: Notifications, store: ApprovalStore, deliveries: DeliveryStore, tickets: Tickets, public_url: str
) -> DeliveryJob:
    return DeliveryJob(
        Postman(
            approvals=store,
            queue=deliveries,
            courier=courier(settings),
            tickets=tickets,
            audiences=audiences(settings),
            public_url=public_url,
            link_lifetime_s=settings.link_lifetime_s,
            now=time.time,
            random=secrets.token_bytes,
            jitter=random.random,
            report=lambda fault: structlog.get_logger().error("delivery_fault", exc_info=fault),
        )
    )
