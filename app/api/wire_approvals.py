"""Approvals on the wire: what people post, and how an approval is shown."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.api.wire import Body, ColumnOut, Receipt

MAX_REASON_CHARS = 1_000

ApprovalState = Literal[
    "pending", "approved", "executing", "executed", "failed", "rejected", "expired", "cancelled", "revoked"
]
Reason = Annotated[
    str | None,
    Field(max_length=MAX_REASON_CHARS, description="Why: whoever asked, other approvers and auditors read it."),
]


class DecisionBody(Body):
    """A decision is final for whoever makes it. Omitted and null mean the same."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"decision": "approve", "reason": "Order 42 was withdrawn, ticket 815."}]}
    )

    decision: Annotated[
        Literal["approve", "reject"],
        Field(description="One rejection ends it; it is approved once every requirement has its quorum."),
    ]
    reason: Reason = None
    digest: Annotated[
        str | None,
        Field(
            pattern="^[0-9a-f]{64}$",
            description="digest of what you looked at: if it changed since, nothing is decided and the answer is 409.",
        ),
    ] = None


class ReasonBody(Body):
    """Omitted and null mean the same."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "No longer needed."}]})

    reason: Reason = None


class ExecuteBody(Body):
    """Nothing of the request can be changed: what was approved is what runs."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"idempotency_key": "withdraw-order-42"}]})

    idempotency_key: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=255,
            description="Same as the Idempotency-Key header: sent again with the same key, a use that ran answers what "
            "it answered.",
        ),
    ] = None


class RequirementOut(BaseModel):
    approvers: Annotated[list[str], Field(description="Policy subjects; empty: whoever policy lets decide.")]
    quorum: Annotated[int, Field(description="So many distinct people have to say yes.")]
    escalate_after_s: Annotated[int | None, Field(description="Then those in escalate_to may decide as well.")] = None
    escalate_to: list[str]
    source: Annotated[str, Field(description="file:line of the policy.")]
    votes: Annotated[int, Field(description="People who said yes since it was opened.")]
    missing: Annotated[int, Field(description="People who still have to say yes.")]


class GrantOut(BaseModel):
    kind: Annotated[Literal["once", "window"], Field(description="One use, or uses until a deadline.")]
    duration_s: int | None = None
    max_uses: int | None = None
    max_rows: Annotated[int | None, Field(description="Rows read or touched by all uses together.")] = None


class TermsOut(BaseModel):
    requirements: list[RequirementOut]
    lifetime_s: int
    grant: GrantOut
    preview: Annotated[bool, Field(description="The outcome is worked out before people are asked.")]


class OutcomeOut(BaseModel):
    """Worked out before anybody was asked. What would tell the requester of data before somebody says yes is null."""

    kind: str
    labels: Annotated[list[str], Field(description="Classes of the data it touches.")]
    masks: list[str]
    row_filtered: bool
    previewed: bool
    rewritten_sql: Annotated[str | None, Field(description="What runs instead of the statement.")] = None
    estimated_rows: int | None = None
    rows: Annotated[
        int | None, Field(description="Rows that are held, or that the write touched in its dry run; approvers only.")
    ] = None
    held_sha256: Annotated[
        str | None, Field(description="Of the held answer that preview_approval shows; approvers only.")
    ] = None
    held_bytes: int | None = None
    preview_failed: Annotated[
        str | None, Field(description="Code of why there is no preview, although there should be; approvers only.")
    ] = None
    content_sha256: str | None = None
    content_bytes: int | None = None


class StepOut(BaseModel):
    happening: Literal[
        "requested", "voted", "approved", "rejected", "cancelled", "revoked", "expired", "escalated", "started",
        "executed", "used", "failed", "reopened",
    ]  # fmt: skip
    at: str
    state: ApprovalState
    by: Annotated[str | None, Field(description="The person; null: the gateway itself.")] = None
    client: str | None = None
    reason: str | None = None
    detail: Annotated[
        dict[str, Any],
        Field(description="Of a reopening: the difference between what was approved and what would run now."),
    ]


class ApprovalOut(BaseModel):
    approval_id: str
    approval_url: str
    state: ApprovalState
    next_step: Annotated[str, Field(description="What you can do now, in a sentence.")]
    created_at: str
    expires_at: str
    issuer: str
    principal: str
    actor: str
    actor_chain: list[str]
    client: str | None = None
    connection: str
    action: str
    resources: list[str]
    reasons: Annotated[list[str], Field(description="The policy rules that ask, as file:line.")]
    statement: str | None = None
    params: dict[str, Any] | None = None
    unmask: list[str]
    purpose: str | None = None
    max_rows: int | None = None
    policy_version: str | None = None
    digest: Annotated[
        str | None,
        Field(description="SHA-256 that binds exactly this request; null where it would give away what is held."),
    ] = None
    may_decide: Annotated[bool, Field(description="You can call decide_approval.")]
    terms: TermsOut
    outcome: OutcomeOut | None = None
    usable_until: Annotated[str | None, Field(description="Of an approved one: no use begins or lasts later.")] = None
    uses: int
    uses_left: Annotated[int | None, Field(description="null: any number.")] = None
    rows_used: int
    rows_left: Annotated[int | None, Field(description="null: any number.")] = None
    history: list[StepOut]


class ApprovalAnswer(ApprovalOut):
    receipt: Receipt


class ApprovalsAnswer(BaseModel):
    approvals: list[ApprovalOut]
    next_cursor: str | None = None
    receipt: Receipt


class ExecutedAnswer(BaseModel):
    """What the operation itself answers when nobody has to be asked: rows of query_sql, content of fetch_object, and so
    on; the members are those of that operation."""

    model_config = ConfigDict(extra="allow")

    status: Literal["completed"]
    policy_version: str
    approval_id: str | None = None
    approval_url: str | None = None
    notice: str | None = None
    columns: Annotated[list[ColumnOut] | None, Field(description="Of statements.")] = None
    rows: Annotated[list[list[Any]] | None, Field(description="Of statements.")] = None
    row_count: int | None = None
    truncated: bool | None = None
    affected_rows: int | None = None
    connection: Annotated[str | None, Field(description="Of objects and messages.")] = None
    key: str | None = None
    topic: str | None = None
    content: Annotated[str | None, Field(description="Of fetch_object.")] = None
    encoding: str | None = None
    message_id: Annotated[str | None, Field(description="Of publish_message.")] = None
    receipt: Receipt


class HeldAnswer(ExecutedAnswer):
    """The answer as it would leave, but for its receipt: that comes when it does."""

    receipt: Receipt | None = None  # type: ignore[assignment]


class HeldContent(BaseModel):
    """What is held to be put or published, byte for byte."""

    encoding: Literal["utf-8", "base64"]
    content: str
    content_type: str | None = None
    size: int


class PreviewAnswer(BaseModel):
    approval_id: str
    digest: str
    sha256: Annotated[str, Field(description="Of the held bytes.")]
    answer: Annotated[HeldAnswer | None, Field(description="What would leave.")] = None
    content: Annotated[HeldContent | None, Field(description="What would be put or published.")] = None
    receipt: Receipt
