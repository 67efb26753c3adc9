"""Objects on the wire: what is put, and how objects and their content are shown."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.api.wire import Body, Receipt, whole

MAX_INLINE_CHARS = 16 * 1024 * 1024
Key = Annotated[str, Field(min_length=1, max_length=1_024)]
WaitSeconds = Annotated[
    Annotated[int, Field(ge=0, le=60), BeforeValidator(whole)] | None,
    Field(description="If a human has to approve first, wait so long for it. Same as `Prefer: wait=N`."),
]
Purpose = Annotated[str | None, Field(max_length=500, description="Why: approvers and auditors read it.")]
IdempotencyKey = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=255,
        description="Same as the Idempotency-Key header: the same request with the same key happens once.",
    ),
]


class PutBody(Body):
    """Content in JSON: text as it is, other bytes as base64. Omitted and null mean the same."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"content": "id,total\\n1,9.90\\n".replace("\\n", "\n"), "content_type": "text/csv"},
                {"content": "3q2+7w==", "encoding": "base64", "content_type": "application/octet-stream"},
            ]
        }
    )

    content: Annotated[
        str,
        Field(max_length=MAX_INLINE_CHARS, description="The whole new content.", examples=["id,total\n1,9.90\n"]),
    ]
    encoding: Annotated[
        Literal["utf-8", "base64"] | None, Field(description="How content is written here; utf-8 if absent.")
    ] = None
    content_type: Annotated[
        str | None, Field(max_length=200, description="Media type, for example text/csv.", examples=["text/csv"])
    ] = None
    if_match: Annotated[
        str | None,
        Field(min_length=1, max_length=200, description="Only over the object with this ETag. Same as If-Match."),
    ] = None
    if_none_match: Annotated[
        Literal["*"] | None, Field(description="Only where there is no object yet. Same as If-None-Match: *.")
    ] = None
    purpose: Purpose = None
    idempotency_key: IdempotencyKey = None
    wait_seconds: WaitSeconds = None


class ObjectOut(BaseModel):
    key: str
    comes: Annotated[
        Literal["raw", "masked", "by_type", "closed"],
        Field(
            description="How fetch_object gives its content. by_type: masked if its content type is one that can be "
            "masked, else refused; closed: you may list it and not fetch it."
        ),
    ]
    size: Annotated[int | None, Field(description="Bytes; null where content comes masked.")] = None
    etag: Annotated[str | None, Field(description="Null where content comes masked.")] = None
    last_modified: str


class ObjectsAnswer(BaseModel):
    connection: str
    prefix: str
    objects: list[ObjectOut]
    prefixes: Annotated[list[str], Field(description="Of a shallow listing: folders, each ending with a slash.")]
    next_cursor: str | None = None
    policy_version: str
    receipt: Receipt


class _Told(BaseModel):
    """What answers about objects and messages end with."""

    approval_id: Annotated[str | None, Field(description="Set when a human has to approve first.")] = None
    approval_url: str | None = None
    session_id: str | None = None
    policy_version: str
    retry_after_seconds: Annotated[int | None, Field(description="When to look again, while pending.")] = None
    notice: Annotated[str | None, Field(description="What happened and what to do next, in a sentence.")] = None
    receipt: Receipt


class PendingAnswer(_Told):
    """Nothing was shown or changed: a human decides first."""

    status: Literal["pending_approval"]
    state: Annotated[str | None, Field(description="Of the approval.")] = None
    expires_at: Annotated[str | None, Field(description="Until when people can decide.")] = None


class ObjectAnswer(_Told):
    status: Literal["completed"]
    connection: str
    key: str
    content_type: str
    encoding: Annotated[Literal["utf-8", "base64"], Field(description="How content is written here.")]
    content: str
    size: Annotated[int, Field(description="Bytes of the content as given here.")]
    etag: Annotated[str, Field(description="Of the content as given here: masked content has its own.")]
    last_modified: str
    version: str | None = None
    masked: bool
    labels: Annotated[list[str], Field(description="Classes of data that policy knows in it.")]
    masks: Annotated[list[str], Field(description="Kinds of masks that may have been applied.")]
    row_count: Annotated[int | None, Field(description="Of tables and NDJSON, when masked.")] = None


class PutAnswer(_Told):
    status: Literal["completed"]
    connection: str
    key: str
    etag: str
    version: str | None = None
    size: int
    content_type: str
    replaced: Annotated[bool, Field(description="There was an object with this key.")]
    labels: Annotated[list[str], Field(description="Labels that were found in it.")]
    masked_labels: Annotated[list[str], Field(description="Those of them that were masked before it was stored.")]


class DeleteAnswer(_Told):
    status: Literal["completed"]
    connection: str
    key: str
    deleted: bool
