"""The operations on messages: publish, receive, ack."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Path

from app.api import wire_messages as wire
from app.api.endpoint import MESSAGES_SCOPE, Arrived, Endpoint, to_approval
from app.api.reading import QueryString, body_of, idempotency_key, preferred_wait_s
from app.api.wire_objects import PendingAnswer
from app.gateway.errors import FieldError, InvalidRequest
from app.gateway.message_commands import AckMessages, PublishMessage, ReceiveMessages
from app.messages.cloudevents import event_of
from app.messages.guard import Draft
from app.messages.payload import Complaint, Misfit, payload_of, pointer_to

DEFAULT_LIMIT = 10
DEFAULT_VISIBILITY_S = 60
_SCOPES = frozenset({MESSAGES_SCOPE})
_PROBLEMS = (408, 413, 415, 422)

ConnectionName = Annotated[
    str,
    Path(
        min_length=1,
        max_length=100,
        description="Name of a connection with topics, see list_connections.",
        examples=["queue"],
    ),
]


def _publish(connection: ConnectionName, body: wire.PublishBody) -> None: ...


def _receive(connection: ConnectionName, body: wire.ReceiveBody) -> None: ...


def _ack(connection: ConnectionName, body: wire.AckBody) -> None: ...


def _parse_publish(arrived: Arrived) -> PublishMessage:
    QueryString(arrived.query, frozenset())
    body = body_of(wire.PublishBody, arrived.body, arrived.headers)
    preferred = preferred_wait_s(arrived.headers)
    return PublishMessage(
        connection=arrived.path_args["connection"],
        topic=body.topic,
        draft=_draft(body),
        purpose=body.purpose,
        idempotency_key=idempotency_key(body.idempotency_key, arrived.headers),
        wait_seconds=preferred if body.wait_seconds is None else body.wait_seconds,
    )


def _draft(body: wire.PublishBody) -> Draft:
    try:
        event = None
        if body.cloud_event is not None:
            event = event_of(_attributes(body.cloud_event), "cloud_event")
        return Draft(
            payload=payload_of(body.payload, body.text, body.base64, body.content_type),
            headers=body.headers or {},
            key=body.key,
            event=event,
        )
    except Misfit as misfit:
        errors = tuple(FieldError(pointer=each.pointer, detail=each.detail) for each in misfit.complaints)
        raise InvalidRequest("The message is not well formed: `errors` says where.", errors=errors) from misfit


def _attributes(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Raises Misfit for what only events that come whole may have."""
    others = sorted(given.keys() - wire.CLOUD_EVENT_NAMES)
    if others:
        taken = f"is not one of {', '.join(sorted(wire.CLOUD_EVENT_NAMES))}"
        raise Misfit(*(Complaint(pointer=pointer_to("cloud_event", name), detail=taken) for name in others))
    return given


def _parse_receive(arrived: Arrived) -> ReceiveMessages:
    QueryString(arrived.query, frozenset())
    body = body_of(wire.ReceiveBody, arrived.body, arrived.headers)
    preferred = min(preferred_wait_s(arrived.headers), wire.MAX_RECEIVE_WAIT_S)
    return ReceiveMessages(
        connection=arrived.path_args["connection"],
        topic=body.topic,
        limit=DEFAULT_LIMIT if body.limit is None else body.limit,
        visibility_seconds=DEFAULT_VISIBILITY_S if body.visibility_seconds is None else body.visibility_seconds,
        wait_seconds=preferred if body.wait_seconds is None else body.wait_seconds,
        unmask=tuple(sorted(set(body.unmask or ()))),
        purpose=body.purpose,
    )


def _parse_ack(arrived: Arrived) -> AckMessages:
    QueryString(arrived.query, frozenset())
    body = body_of(wire.AckBody, arrived.body, arrived.headers)
    return AckMessages(
        connection=arrived.path_args["connection"], topic=body.topic, handles=tuple(dict.fromkeys(body.handles))
    )


def _agents(name: str, path: str, **given: Any) -> Endpoint:
    return Endpoint(name=name, method="POST", path=path, scopes=_SCOPES, reads_body=True, **given)


MESSAGE_ENDPOINTS: tuple[Endpoint, ...] = (
    _agents(
        "publish_message",
        "/v1/connections/{connection}/messages",
        parse=_parse_publish,
        signature=_publish,
        answers={200: wire.PublishAnswer, 202: PendingAnswer},
        summary="Publish one message",
        description="200 means that the broker confirmed it has the message. What is in it is checked against the "
        "topic's schema and looked through for personal data and secrets: a refusal points at what to leave out. 202 "
        "means that a human has to approve first and nothing was published: call get_approval with the approval_id "
        "and wait_seconds, then execute_approval. Example body: "
        '{"topic": "orders.created", "payload": {"order": 42, "status": "paid", "total_cents": 99, "currency": "EUR"}}',
        problems=(*_PROBLEMS, 409),
        waits=True,
        links={202: {"approval": to_approval("$response.body#/approval_id")}},
    ),
    _agents(
        "receive_messages",
        "/v1/connections/{connection}/messages/receive",
        parse=_parse_receive,
        signature=_receive,
        answers={200: wire.ReceiveAnswer},
        summary="Receive waiting messages",
        description="Messages of one topic as you may see them: masked, or withheld where they cannot be. Nobody else "
        "gets them for visibility_seconds; call ack_messages with the handles of what you are done with, the others "
        "come again. With wait_seconds it waits for the first one. Example body: "
        '{"topic": "orders.created", "limit": 5}',
        problems=_PROBLEMS,
        waits=True,
    ),
    _agents(
        "ack_messages",
        "/v1/connections/{connection}/messages/ack",
        parse=_parse_ack,
        signature=_ack,
        answers={200: wire.AckAnswer},
        summary="Say that messages are done",
        description="They do not come again. One result per handle: done, or gone when it was too late or the handle "
        'is none of yours. Example body: {"topic": "orders.created", "handles": ["kX3v..."]}',
        problems=_PROBLEMS,
    ),
)
