"""What may stand in douane.yaml: sections, defaults and bounds. Secrets are references, never values."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from app.settings.base import FilePath, HttpUrl, Name, Network, Section, Text, below
from app.settings.base import SecretRef as SecretRef
from app.settings.base import loopback as loopback
from app.settings.connections import BUILT_IN_KINDS as BUILT_IN_KINDS
from app.settings.connections import Connection as Connection
from app.settings.connections import FilesystemConnection as FilesystemConnection
from app.settings.connections import MemoryConnection as MemoryConnection
from app.settings.connections import PluginConnection as PluginConnection
from app.settings.connections import PostgresConnection as PostgresConnection
from app.settings.connections import SqliteConnection as SqliteConnection
from app.settings.detectors import Detecting as Detecting
from app.settings.notifications import Notifications as Notifications

MIB = 1_048_576
DEFAULT_POLICIES = Path("policies")
DEFAULT_STORE = "sqlite:///state/douane.db"


class Server(Section):
    host: Text = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65_535)
    public_url: HttpUrl = "http://127.0.0.1:8080"
    """What clients reach, and the absolute server address in the OpenAPI document; absent: host and port."""
    workers: int = Field(default=1, ge=1, le=64)
    allowed_hosts: tuple[Text, ...] = ()
    """Further Host headers to answer, besides the host of public_url."""
    metrics_from: tuple[Network, ...] = ()
    """Networks (CIDR) that may read /metrics, besides loopback."""

    @model_validator(mode="before")
    @classmethod
    def _reached_where_it_listens(cls, value: Any) -> Any:
        """Without a public_url, clients are told the address that is bound."""
        if not isinstance(value, dict) or value.get("public_url") is not None:
            return value
        host, port = value.get("host", "127.0.0.1"), value.get("port", 8080)
        if not isinstance(host, str) or not isinstance(port, int):
            return value
        return {**value, "public_url": f"http://{f'[{host}]' if ':' in host else host}:{port}"}


def _store_url(value: str, info: ValidationInfo) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"sqlite", "postgresql"}:
        raise ValueError("expected sqlite:///FILE or postgresql://…")
    if parts.password:
        raise ValueError("the address holds a password: keep the whole address elsewhere and refer to it, {env: NAME}")
    if parts.scheme == "sqlite":
        return f"sqlite:///{below(Path(value.removeprefix('sqlite:///')), info)}"
    return value


class Store(Section):
    url: Annotated[
        Annotated[Text, AfterValidator(_store_url), Tag("text")] | Annotated[SecretRef, Tag("reference")],
        Discriminator(lambda value: "reference" if isinstance(value, dict | SecretRef) else "text"),
    ] = DEFAULT_STORE

    def read_url(self) -> str:
        return self.url.read() if isinstance(self.url, SecretRef) else self.url


class Issuer(Section):
    issuer: HttpUrl
    audience: Text
    jwks_url: HttpUrl | None = None
    """Absent: found by discovery."""
    algorithms: tuple[Literal["RS256", "PS256", "ES256", "EdDSA", "Ed25519"], ...] = ("RS256", "ES256")
    clients: tuple[Text, ...] | None = None
    """Allowed client_id / azp; absent: any."""
    roles_claim: Text = "roles"
    """Dotted path."""
    groups_claim: Text = "groups"
    accept_typ_jwt: bool = False
    """For issuers that send typ JWT instead of at+jwt."""
    namespace: Name | None = None
    """Put before every subject, user:NAMESPACE/ana, so that two issuers cannot speak for the same name; without one,
    issuers share their names, and `check` warns of it."""
    leeway_s: int = Field(default=30, ge=0, le=30)

    @field_validator("algorithms", mode="after")
    @classmethod
    def _some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("name at least one algorithm")
        return value


class Audit(Section):
    dir: FilePath
    key: SecretRef
    """Signs checkpoints: an Ed25519 private key as PEM, in a file of its own."""
    origin: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")]

    @field_validator("key", mode="after")
    @classmethod
    def _in_a_file(cls, value: SecretRef) -> SecretRef:
        if value.file is None:
            raise ValueError("the signing key must be a file: {file: PATH}; `douane keys DIR` makes one")
        return value


class Masking(Section):
    key: SecretRef
    """32 random bytes as 64 hex digits or base64; every pseudonym domain has a key derived from it."""


class Approvals(Section):
    key: SecretRef | None = None
    """32 random bytes as 64 hex digits or base64: encrypts held results and stored answers, signs one-time links. All
    processes on one store need the same one. Absent: derived from audit.key."""
    max_held_bytes: int = Field(default=16 * MIB, ge=1_024, le=256 * MIB)
    """A previewed answer larger than this cannot wait for a human."""


class Limits(Section):
    max_body_bytes: int = Field(default=262_144, ge=1_024, le=16 * MIB)
    max_header_bytes: int = Field(default=16_384, ge=4_096, le=65_536)
    max_url_bytes: int = Field(default=8_192, ge=1_024, le=65_536)
    max_concurrent_requests: int = Field(default=1_000, ge=1, le=100_000)
    drain_timeout_s: float = Field(default=20.0, ge=0, le=600)


class Settings(Section):
    server: Server = Server()
    store: Store = Store()
    policies: FilePath = DEFAULT_POLICIES
    issuers: tuple[Issuer, ...] = ()
    connections: dict[Name, Connection] = Field(default_factory=dict)
    audit: Audit
    masking: Masking | None = None
    """Needed as soon as a policy uses a pseudonym mask."""
    approvals: Approvals = Approvals()
    detectors: Detecting = Detecting()
    notifications: Notifications = Notifications()
    limits: Limits = Limits()
    acknowledge: tuple[Name, ...] = ()
    """Codes of unsafe findings that are meant so."""

    @model_validator(mode="after")
    def _issuers_are_distinct(self) -> Self:
        if len({issuer.issuer for issuer in self.issuers}) < len(self.issuers):
            raise ValueError("two entries of issuers have the same issuer")
        return self

    def secrets(self) -> Iterator[tuple[tuple[str | int, ...], SecretRef]]:
        """Every secret that the file refers to, with its path."""
        yield from _secrets(self, ())


def _secrets(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], SecretRef]]:
    match value:
        case SecretRef():
            yield path, value
        case BaseModel():
            for name in type(value).model_fields:
                yield from _secrets(getattr(value, name), (*path, name))
        case dict():
            for key, child in value.items():
                yield from _secrets(child, (*path, key))
        case tuple():
            for n, child in enumerate(value):
                yield from _secrets(child, (*path, n))
