"""What crosses the wire: request bodies are strict, answers are documented here and built by the gateway."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MAX_SQL_CHARS = 65_536


def whole(value: object) -> object:
    """Integers refuse booleans and numeric strings but take 33.0, which some clients send for 33."""
    if isinstance(value, bool | str):
        raise ValueError("must be an integer")  # noqa: TRY004 - pydantic wants ValueError
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class QueryBody(Body):
    """One statement for one connection. Omitted and null mean the same."""

    # Without it, a form filled in by Swagger UI asks for label "string" from cursor "string".
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "sql": "SELECT id, name, email FROM customers WHERE region = :region ORDER BY id LIMIT 5",
                    "params": {"region": "north"},
                },
                {"sql": "DELETE FROM orders WHERE id = 42", "purpose": "The customer withdrew order 42."},
            ]
        }
    )

    sql: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_SQL_CHARS,
            description="One statement in the connection's own dialect. Prefer parameters to literals.",
            examples=["SELECT region, count(*) AS customers FROM customers GROUP BY region"],
            json_schema_extra={"format": "sql"},
        ),
    ]
    params: Annotated[
        dict[str, Any] | None,
        Field(
            max_length=1000,
            description='Values by name: {"n": 42} binds :n; {"1": 42} binds $1 or the first ?. Always bound, '
            "never spliced into the text.",
        ),
    ] = None
    max_rows: Annotated[
        Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(whole)] | None,
        Field(description="At most this many rows; the connection's own limit still counts."),
    ] = None
    unmask: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=200)]] | None,
        Field(
            max_length=50,
            description="Labels that you need unmasked, for example pii.email. Usually waits for a human.",
        ),
    ] = None
    purpose: Annotated[
        str | None,
        Field(
            max_length=500,
            description="Why you need the data: approvers and auditors read it.",
        ),
    ] = None
    cursor: Annotated[
        str | None,
        Field(max_length=2000, description="next_cursor of the answer before, with the same sql and params."),
    ] = None
    idempotency_key: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=255,
            description="Same as the Idempotency-Key header: a repeated request that waits for approval gets the "
            "approval it already has.",
        ),
    ] = None
    dry_run: Annotated[
        bool | None,
        Field(
            description="Of a write: run it in a transaction that is rolled back, and say how many rows it would touch."
        ),
    ] = None
    wait_seconds: Annotated[
        Annotated[int, Field(ge=0, le=60), BeforeValidator(whole)] | None,
        Field(
            description="If a human has to approve first, wait so long for it: approved in time, the answer is the "
            "result. Same as `Prefer: wait=N`.",
        ),
    ] = None


class ColumnOut(BaseModel):
    name: str
    type: Annotated[str, Field(description="The engine's own type name.")]
    label: Annotated[str | None, Field(description="Class of the data, for example pii.email.")] = None
    mask: Annotated[str | None, Field(description="How the value was masked; null: raw.")] = None


class Receipt(BaseModel):
    """Where this answer stands on the tamper-evident audit log."""

    log: Annotated[str, Field(description="Origin of the log.")]
    index: Annotated[int, Field(ge=0, description="Index of the entry that commits to this very answer.")]


class QueryAnswer(BaseModel):
    status: Literal["completed", "pending_approval"]
    columns: list[ColumnOut]
    rows: Annotated[
        list[list[Any]],
        Field(
            description="Rows as arrays. int64 beyond 2^53 and numeric come as strings, timestamps as RFC 3339, "
            "bytes as base64, NaN and infinities as strings."
        ),
    ]
    row_count: int
    truncated: Annotated[bool, Field(description="There are more rows than a limit lets through.")]
    next_cursor: Annotated[str | None, Field(description="Send it as `cursor` to go on.")] = None
    approval_id: Annotated[str | None, Field(description="Set when a human has to approve first.")] = None
    approval_url: str | None = None
    session_id: str | None = None
    policy_version: str
    retry_after_seconds: Annotated[int | None, Field(description="When to look again, while pending.")] = None
    affected_rows: Annotated[
        int | None, Field(description="Of a write: rows that it touched, or would have touched in a dry run.")
    ] = None
    dry_run: Annotated[bool, Field(description="It ran in a transaction that was rolled back: nothing changed.")] = (
        False
    )
    notice: Annotated[str | None, Field(description="What happened and what to do next, in a sentence.")] = None
    state: Annotated[str | None, Field(description="Of the approval, while it is pending.")] = None
    expires_at: Annotated[str | None, Field(description="Until when people can decide.")] = None
    receipt: Receipt


class RuleOut(BaseModel):
    file: str
    line: int
    subject: str
    resource: str
    action: str
    effect: Literal["allow", "deny", "approve"]
    when: str | None = None
    side: Annotated[str, Field(description="Whom the rule matched: principal or actor.")]


class AskedRequirement(BaseModel):
    approvers: Annotated[list[str], Field(description="Policy subjects; empty: whoever policy lets decide.")]
    quorum: int
    escalate_after_seconds: int | None = None
    escalate_to: list[str]


class AskedGrant(BaseModel):
    kind: Literal["once", "window"]
    duration_seconds: int | None = None
    max_uses: int | None = None
    max_rows: int | None = None


class AskedTerms(BaseModel):
    """On which terms people may say yes."""

    requirements: list[AskedRequirement]
    expires_in_seconds: int
    grant: AskedGrant
    preview: Annotated[bool, Field(description="The outcome is worked out before people are asked.")]


class ExplainAnswer(BaseModel):
    effect: Literal["allow", "approve", "deny"]
    action: str | None = None
    rules: list[RuleOut]
    resources: list[str]
    rewritten_sql: Annotated[str | None, Field(description="What would run instead of your text.")] = None
    masked_labels: list[str]
    masks: list[str]
    row_filtered: bool
    estimated_rows: Annotated[
        int | None,
        Field(description="The planner's estimate; null where it would tell of rows or values hidden from you."),
    ] = None
    approval: Annotated[AskedTerms | None, Field(description="Set when a human has to approve first.")] = None
    code: str | None = None
    detail: str | None = None
    suggestion: Annotated[str | None, Field(description="What to change to be allowed.")] = None
    policy_version: str
    receipt: Receipt


class IdentityAnswer(BaseModel):
    principal: str
    actor: str
    actor_chain: list[str]
    client: str
    issuer: str
    roles: list[str]
    subjects: list[str]
    actor_subjects: list[str]
    scopes: list[str]
    expires_at: int
    policy_version: str
    receipt: Receipt


class ConnectionOut(BaseModel):
    name: str
    kind: str
    family: Annotated[
        Literal["sql", "objects", "messages"],
        Field(description="sql: query_sql; objects: list_objects, fetch_object; messages: publish, receive_messages."),
    ]
    dialect: Annotated[str | None, Field(description="Of SQL.")] = None
    actions: list[str]
    max_rows: Annotated[int | None, Field(description="Of one answer to a statement.")] = None
    max_bytes: Annotated[int, Field(description="Of one answer, of content in JSON, or of a message's payload.")]


class ConnectionsAnswer(BaseModel):
    connections: list[ConnectionOut]
    next_cursor: str | None = None
    receipt: Receipt


class DescribedColumn(BaseModel):
    name: str
    type: str
    nullable: bool
    label: str | None = None
    mask: str | None = None
    comes: Literal["raw", "masked"]


class DescribedTable(BaseModel):
    schema_: Annotated[str, Field(alias="schema")]
    name: str
    kind: str
    actions: list[str]
    columns: list[DescribedColumn]
    primary_key: list[str]
    row_filtered: Annotated[bool, Field(description="You see some of its rows only.")]
    required_predicates: Annotated[list[str], Field(description="WHERE must compare one of these columns.")]
    max_rows: int | None = None


class DescribedOthers(BaseModel):
    comes: Literal["raw", "masked", "not_at_all"]
    mask: Annotated[str | None, Field(description="Kind of the mask; null: raw.")] = None


class DescribedField(BaseModel):
    name: Annotated[str, Field(description="A column, or a JSON path such as $.customer.email.")]
    kind: Literal["column", "path"]
    label: str | None = None
    comes: Literal["raw", "masked"]
    mask: str | None = None


class DescribedIntake(BaseModel):
    content_types: Annotated[list[str], Field(description="Empty: any.")]
    max_bytes: Annotated[int | None, Field(description="Policy's bound; null: that of the connection.")] = None
    found: Annotated[
        dict[str, Literal["allow", "mask", "approve", "deny"]],
        Field(description="What becomes of labels that are found in it; what no pattern covers is denied."),
    ]


class DescribedPublishing(DescribedIntake):
    payload_schema: Annotated[
        dict[str, Any] | bool | None,
        Field(description="JSON Schema that payloads must fit; null: any payload."),
    ] = None
    headers: Annotated[list[str] | None, Field(description="Names that may be sent; null: any.")] = None
    cloud_events: Annotated[bool, Field(description="Payloads must be CloudEvents.")]


class _Place(BaseModel):
    pattern: Annotated[
        bool, Field(description="It is a pattern: * stands for any characters but a slash, ** for any at all.")
    ]
    actions: Annotated[list[str], Field(description="That policy may let you take there.")]
    comes: Annotated[
        Literal["raw", "masked"] | None, Field(description="How content comes; null: you may not read it.")
    ] = None
    format: str | None = None
    fields: Annotated[list[DescribedField], Field(description="Empty where content comes raw.")]
    other_fields: Annotated[DescribedOthers | None, Field(description="Fields that `fields` does not name.")] = None
    text: Annotated[DescribedOthers | None, Field(description="Text as a whole.")] = None


class DescribedObjects(_Place):
    keys: Annotated[str, Field(description="A key, or a pattern of keys; the narrowest that covers a key counts.")]
    put: DescribedIntake | None = None


class DescribedTopic(_Place):
    topic: Annotated[str, Field(description="A topic, or a pattern of topics.")]
    publish: DescribedPublishing | None = None


class DescribeAnswer(BaseModel):
    connection: str
    family: Literal["sql", "objects", "messages"]
    dialect: Annotated[str | None, Field(description="Of SQL.")] = None
    tables: Annotated[list[DescribedTable], Field(description="Of SQL.")]
    objects: list[DescribedObjects]
    topics: list[DescribedTopic]
    next_cursor: str | None = None
    policy_version: str
    receipt: Receipt


class FieldErrorOut(BaseModel):
    pointer: str
    detail: str


class Problem(BaseModel):
    """RFC 9457. `detail` says the next step; `code` is stable."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    trace_id: str
    errors: list[FieldErrorOut] | None = None
    rules: list[RuleOut] | None = None
    suggestion: str | None = None
    receipt: Receipt | None = None
