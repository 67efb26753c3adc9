"""Deliveries of notifications on the wire."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.api.wire import Body, Receipt

DeliveryStateOut = Literal["pending", "delivered", "dead"]


class ReplayBody(Body):
    """Omitted and null mean the same."""

    reason: Annotated[str | None, Field(max_length=1_000, description="Why: auditors read it.")] = None


class AttemptOut(BaseModel):
    number: int
    at: str
    status: Annotated[int | None, Field(description="Of HTTP or SMTP; null: none came.")] = None
    error: Annotated[
        str | None,
        Field(description="A stable word; null: delivered. What the other side wrote is not kept."),
    ] = None
    duration_ms: int | None = None


class DeliveryOut(BaseModel):
    delivery_id: Annotated[str, Field(description="Also the webhook-id, the same for every attempt.")]
    target: str
    event: Annotated[str, Field(description="What happened to the approval.")]
    approval_id: str
    state: DeliveryStateOut
    created_at: str
    next_attempt_at: Annotated[str | None, Field(description="While it is pending.")] = None
    attempts: list[AttemptOut]


class DeliveryAnswer(DeliveryOut):
    receipt: Receipt


class DeliveriesAnswer(BaseModel):
    deliveries: list[DeliveryOut]
    next_cursor: str | None = None
    receipt: Receipt
