"""The operations on deliveries of notifications, for those who run the gateway."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from app.api import wire_deliveries as wire
from app.api.endpoint import APPROVALS_SCOPE, LIMIT, MAX_LIMIT, OPERATORS_TAG, Arrived, Endpoint, to_approval
from app.api.reading import QueryString, body_of
from app.gateway.deliveries import ListDeliveries, ReplayDelivery

_STATES = frozenset({"pending", "delivered", "dead"})
_SCOPES = frozenset({APPROVALS_SCOPE})
_MAX_TARGET_CHARS = 63


def _list(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items per page.", examples=[50])] = LIMIT,
    cursor: Annotated[
        Annotated[str, Field(max_length=2000)] | SkipJsonSchema[None],
        Query(description="next_cursor of the page before."),
    ] = None,
    target: Annotated[
        Annotated[str, Field(max_length=_MAX_TARGET_CHARS)] | SkipJsonSchema[None],
        Query(description="Only to this target, by its name in the configuration.", examples=["ops"]),
    ] = None,
    state: Annotated[
        wire.DeliveryStateOut | SkipJsonSchema[None],
        Query(description="Only deliveries in this state.", examples=["dead"]),
    ] = None,
) -> None: ...


def _replay(
    delivery_id: Annotated[
        str,
        Path(min_length=1, max_length=100, description="delivery_id of list_deliveries.", examples=["dlv_5kq2"]),
    ],
    body: wire.ReplayBody,
) -> None: ...


def _parse_list(arrived: Arrived) -> ListDeliveries:
    query = QueryString(arrived.query, frozenset({"limit", "cursor", "target", "state"}))
    return ListDeliveries(
        limit=query.integer("limit", default=LIMIT, low=1, high=MAX_LIMIT),
        cursor=query.text("cursor", max_chars=2000),
        target=query.text("target", max_chars=_MAX_TARGET_CHARS),
        state=query.word("state", _STATES),
    )


def _parse_replay(arrived: Arrived) -> ReplayDelivery:
    QueryString(arrived.query, frozenset())
    body = body_of(wire.ReplayBody, arrived.body, arrived.headers)
    return ReplayDelivery(delivery_id=arrived.path_args["delivery_id"], reason=body.reason)


DELIVERY_ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        name="list_deliveries",
        method="GET",
        path="/v1/deliveries",
        scopes=_SCOPES,
        parse=_parse_list,
        reads_body=False,
        signature=_list,
        answers={200: wire.DeliveriesAnswer},
        summary="What became of notifications",
        description="Newest first, each with every attempt: when, which status or error, how long. For those whom "
        "policy lets read douane/notifications. Example: GET /v1/deliveries?state=dead",
        problems=(422,),
        links={200: {"approval": to_approval("$response.body#/deliveries/0/approval_id")}},
        tag=OPERATORS_TAG,
    ),
    Endpoint(
        name="replay_delivery",
        method="POST",
        path="/v1/deliveries/{delivery_id}/replay",
        scopes=_SCOPES,
        parse=_parse_replay,
        reads_body=True,
        signature=_replay,
        answers={200: wire.DeliveryAnswer},
        summary="Deliver once more",
        description="Due at once, under the same id and with a new one-time link, whatever became of it before; the "
        "receiver may see it twice. For those whom policy lets write douane/notifications. "
        'Example body: {"reason": "The receiver was down all day."}',
        problems=(408, 413, 415, 422),
        tag=OPERATORS_TAG,
    ),
)
