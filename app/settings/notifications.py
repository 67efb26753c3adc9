"""The section `notifications`: who is told of what happens to approvals, and which private networks may be reached."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from app.settings.base import Name, Network, SecretRef, Section, Text, loopback

Event = Literal[
    "requested",
    "approved",
    "rejected",
    "cancelled",
    "revoked",
    "expired",
    "escalated",
    "executed",
    "failed",
    "reopened",
]
EVERY_EVENT: tuple[Event, ...] = get_args(Event)
MailAddress = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._%+=/-]+@[A-Za-z0-9.-]+$", max_length=254)]
SecretOrText = Annotated[
    Annotated[Text, Tag("text")] | Annotated[SecretRef, Tag("reference")],
    Discriminator(lambda value: "reference" if isinstance(value, dict | SecretRef) else "text"),
]


class _Target(Section):
    events: tuple[Event, ...] = Field(default=EVERY_EVENT, min_length=1)
    """What it is told of; absent: of everything."""


class _HookTarget(_Target):
    url: SecretOrText
    """Often a secret in itself: then a reference, read at each use."""

    def read_url(self) -> str:
        return self.url.read() if isinstance(self.url, SecretRef) else self.url


class WebhookTarget(_HookTarget):
    kind: Literal["webhook"]
    secrets: tuple[SecretRef, ...] = Field(min_length=1, max_length=5)
    """`whsec_` and base64 each; every message has a signature by each, so that they can be rotated."""


class SlackTarget(_HookTarget):
    kind: Literal["slack"]


class TeamsTarget(_HookTarget):
    kind: Literal["teams"]


class EmailTarget(_Target):
    kind: Literal["email"]
    host: Text
    port: int | None = Field(default=None, ge=1, le=65_535)
    """Absent: 587 for starttls, 465 for implicit, 25 for none."""
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    user: Text | None = None
    password: SecretRef | None = None
    sender: MailAddress
    recipients: tuple[MailAddress, ...] = Field(min_length=1, max_length=50)

    @model_validator(mode="after")
    def _password_and_its_user(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password come together")
        if self.password is not None and self.tls == "none" and not loopback(self.host):
            raise ValueError("tls: none would send the password in the clear: use starttls or implicit")
        return self

    @property
    def read_password(self) -> Callable[[], str] | None:
        return None if self.password is None else self.password.read

    @property
    def port_or_default(self) -> int:
        return self.port or {"starttls": 587, "implicit": 465, "none": 25}[self.tls]


TARGET_KINDS: dict[str, type[_Target]] = {
    "webhook": WebhookTarget,
    "slack": SlackTarget,
    "teams": TeamsTarget,
    "email": EmailTarget,
}
AnyTarget = WebhookTarget | SlackTarget | TeamsTarget | EmailTarget


def _kind(value: Any) -> str | None:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return kind if isinstance(kind, str) else None


Target = Annotated[
    Annotated[WebhookTarget, Tag("webhook")]
    | Annotated[SlackTarget, Tag("slack")]
    | Annotated[TeamsTarget, Tag("teams")]
    | Annotated[EmailTarget, Tag("email")],
    Discriminator(
        _kind,
        custom_error_type="unknown_target_kind",
        custom_error_message="kind is one of webhook, slack, teams and email",
    ),
]


class Notifications(Section):
    allow_private: tuple[Network, ...] = ()
    """Networks (CIDR) that are not public and may be sent to all the same; only there, http and `tls: none` may do."""
    link_lifetime_s: int = Field(default=86_400, ge=60, le=604_800)
    """How long a one-time link in a message opens."""
    targets: dict[Name, Target] = Field(default_factory=dict)
