"""Messages on the wire: what is published, what is received, what is acked."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from app.api.wire import Body, Receipt, whole
from app.messages.cloudevents import MAX_ATTRIBUTE_CHARS
from app.messages.payload import MAX_HEADERS, MAX_KEY_CHARS
from app.messages.topics import MAX_TOPIC_CHARACTERS

MAX_MESSAGES = 100
MAX_VISIBILITY_S = 12 * 3600
MAX_RECEIVE_WAIT_S = 20
MAX_HANDLE_CHARS = 8_192
_ANY_JSON = {
    "anyOf": [
        {"type": "object", "additionalProperties": True},
        {"type": "array", "items": {}},
        {"type": "string"},
        {"type": "number"},
        {"type": "boolean"},
        {"type": "null"},
    ]
}

_ATTRIBUTE = {"type": "string", "minLength": 1, "maxLength": MAX_ATTRIBUTE_CHARS}
# Spelled out in place: some importers follow no reference out of a union.
_CLOUD_EVENT = {
    "anyOf": [
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["type", "source"],
            "properties": {
                "type": _ATTRIBUTE | {"examples": ["com.example.order.created"]},
                "source": _ATTRIBUTE | {"examples": ["/shop"]},
                **{name: {"anyOf": [_ATTRIBUTE, {"type": "null"}]} for name in ("subject", "id", "dataschema")},
            },
        },
        {"type": "null"},
    ]
}
CLOUD_EVENT_NAMES = frozenset({"type", "source", "subject", "id", "dataschema"})

Topic = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_TOPIC_CHARACTERS,
        description="Name of a topic, queue or subject, see describe_connection.",
        examples=["orders.created"],
    ),
]
Purpose = Annotated[str | None, Field(max_length=500, description="Why: approvers and auditors read it.")]


class PublishBody(Body):
    """One message for one topic: exactly one of payload, text and base64. Omitted and null mean the same."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "topic": "orders.created",
                    "payload": {"order": 42, "status": "paid", "total_cents": 1990, "currency": "EUR"},
                },
                {"topic": "partner.orders", "payload": {"order": 42, "sku": "TEA-1", "quantity": 2}},
            ]
        }
    )

    topic: Topic
    payload: Annotated[dict[str, Any] | None, Field(description="A JSON object: what most messages are.")] = None
    text: Annotated[
        str | None,
        Field(description="Instead of payload: text; with content_type application/json any JSON value, as text."),
    ] = None
    base64: Annotated[
        str | None, Field(description="Instead of payload: bytes. Only where policy lets through what cannot be seen.")
    ] = None
    content_type: Annotated[
        str | None,
        Field(
            min_length=3,
            max_length=129,
            description="Of base64 it must be there. Without one, payload is application/json, text is text/plain.",
        ),
    ] = None
    headers: Annotated[
        dict[str, str] | None,
        Field(max_length=MAX_HEADERS, description="Names in lower case with digits and -, values printable ASCII."),
    ] = None
    key: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_KEY_CHARS,
            description="What orders or partitions, where the broker knows such a thing.",
        ),
    ] = None
    cloud_event: Annotated[
        dict[str, Any] | None,
        WithJsonSchema(
            {"description": "CloudEvents 1.0: attributes of the event of which the payload is the data."} | _CLOUD_EVENT
        ),
    ] = None
    purpose: Purpose = None
    idempotency_key: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=255,
            description="Same as the Idempotency-Key header: sent again with the same key, the message is published "
            "once, and a request that waits for approval gets the approval it already has.",
        ),
    ] = None
    wait_seconds: Annotated[
        Annotated[int, Field(ge=0, le=60), BeforeValidator(whole)] | None,
        Field(
            description="If a human has to approve first, wait so long for it: approved in time, it is published. "
            "Same as `Prefer: wait=N`."
        ),
    ] = None


class ReceiveBody(Body):
    """Omitted and null mean the same."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"topic": "orders.created", "limit": 5}]})

    topic: Topic
    limit: Annotated[
        Annotated[int, Field(ge=1, le=MAX_MESSAGES), BeforeValidator(whole)] | None,
        Field(description="At most so many messages; 10 without it."),
    ] = None
    visibility_seconds: Annotated[
        Annotated[int, Field(ge=1, le=MAX_VISIBILITY_S), BeforeValidator(whole)] | None,
        Field(description="Nobody else gets them for so long; what is not acked by then comes again. 60 without it."),
    ] = None
    wait_seconds: Annotated[
        Annotated[int, Field(ge=0, le=MAX_RECEIVE_WAIT_S), BeforeValidator(whole)] | None,
        Field(description="If nothing is there, wait so long for the first message."),
    ] = None
    unmask: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=200)]] | None,
        Field(max_length=50, description="Labels that you need unmasked and policy lets you see."),
    ] = None
    purpose: Purpose = None


class AckBody(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"topic": "orders.created", "handles": ["kX3v..."]}]})

    topic: Topic
    handles: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=MAX_HANDLE_CHARS)]],
        Field(min_length=1, max_length=MAX_MESSAGES, description="Of messages that you are done with."),
    ]


class _Told(BaseModel):
    """What answers about messages begin and end with."""

    status: Literal["completed"]
    connection: str
    topic: str
    approval_id: Annotated[str | None, Field(description="Of the approval that it happened under.")] = None
    approval_url: str | None = None
    session_id: str | None = None
    policy_version: str
    retry_after_seconds: int | None = None
    notice: Annotated[str | None, Field(description="What happened and what to do next, in a sentence.")] = None
    receipt: Receipt


class PublishAnswer(_Told):
    """The broker has it."""

    message_id: Annotated[str, Field(description="The broker's name for it, where it gives one.")]
    duplicate: Annotated[bool, Field(description="The broker had this message already, and kept that one.")]
    masked_labels: Annotated[list[str], Field(description="What policy masked in what was published.")]
    content_type: str
    size: Annotated[int, Field(description="Bytes of the body that was published.")]


class MessageOut(BaseModel):
    """What it holds is in payload (JSON), text or base64, or it is withheld."""

    handle: Annotated[str, Field(description="For ack_messages; good for you, this topic and visibility_seconds.")]
    message_id: str
    payload: Annotated[Any, WithJsonSchema(_ANY_JSON | {"description": "JSON, masked for you."})] = None
    text: str | None = None
    base64: str | None = None
    content_type: str | None = None
    cloud_event: Annotated[
        dict[str, Any] | None, Field(description="Attributes of a CloudEvent, of which the payload is the data.")
    ] = None
    headers: dict[str, str]
    key: str | None = None
    published_at: str | None = None
    deliveries: Annotated[int | None, Field(description="How often it was handed out, this time included.")] = None
    withheld: Annotated[str | None, Field(description="Why nothing of it is shown; it can be acked all the same.")] = (
        None
    )


class ReceiveAnswer(_Told):
    messages: list[MessageOut]
    message_count: int
    withheld_count: int
    masks: Annotated[list[str], Field(description="Kinds of the masks in force here.")]
    visibility_seconds: int


class AckResult(BaseModel):
    handle: str
    result: Annotated[
        Literal["done", "gone"], Field(description="gone: too late, or no handle of yours; the message comes again.")
    ]


class AckAnswer(_Told):
    results: Annotated[list[AckResult], Field(description="One per handle, in order.")]
    done_count: int
