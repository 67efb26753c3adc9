"""Connections in douane.yaml: one section per kind. Secrets are references, never values."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from app.settings.base import FilePath, HttpUrl, Name, SecretRef, Section, Text

MIB = 1_048_576

Secrets = Mapping[str, Callable[[], str]]
TopicName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$", max_length=200)]


class _Sql(Section):
    pool_max: int = Field(default=10, ge=1, le=500)
    statement_timeout_s: float = Field(default=30.0, gt=0, le=3_600)
    max_rows: int = Field(default=10_000, ge=1, le=10_000_000)
    max_bytes: int = Field(default=16 * MIB, ge=1_024, le=1_024 * MIB)
    max_value_bytes: int = Field(default=MIB, ge=64, le=256 * MIB)


class PostgresConnection(_Sql):
    kind: Literal["postgres"]
    dsn: SecretRef

    @property
    def secret(self) -> Callable[[], str] | None:
        return self.dsn.read

    @property
    def options(self) -> Mapping[str, Any]:
        return {}


class SqliteConnection(_Sql):
    kind: Literal["sqlite"]
    path: FilePath

    @property
    def secret(self) -> Callable[[], str] | None:
        return None

    @property
    def options(self) -> Mapping[str, Any]:
        return {"path": str(self.path)}


class OtherSection(Section):
    """What connections of objects and messages have in common: options are all fields that are no secret of theirs."""

    pool_max: int = Field(default=10, ge=1, le=500)
    timeout_s: float = Field(default=30.0, gt=0, le=3_600)
    """Of one call to the store or broker, not of a whole stream."""

    @property
    def options(self) -> Mapping[str, Any]:
        return {name: value for name, value in self._own() if not isinstance(value, SecretRef) and value is not None}

    @property
    def secrets(self) -> Secrets:
        return {name: value.read for name, value in self._own() if isinstance(value, SecretRef)}

    def _own(self) -> list[tuple[str, Any]]:
        shared = {"kind", "pool_max", "timeout_s", "max_bytes", "max_object_bytes"}
        return [(name, getattr(self, name)) for name in type(self).model_fields if name not in shared]


class _Objects(OtherSection):
    max_bytes: int = Field(default=MIB, ge=1_024, le=64 * MIB)
    """Of content in a JSON answer; fetch_content has no such bound."""
    max_object_bytes: int = Field(default=4_096 * MIB, ge=1_024, le=1_048_576 * MIB)
    """Of an object that is put, or whose content is masked on its way out."""


class FilesystemConnection(_Objects):
    kind: Literal["filesystem"]
    root: FilePath

    @property
    def options(self) -> Mapping[str, Any]:
        return {"root": str(self.root)}


class S3Connection(_Objects):
    kind: Literal["s3"]
    bucket: Text
    region: Text = "us-east-1"
    endpoint_url: HttpUrl | None = None
    """Absent: AWS."""
    path_style: bool = False
    access_key: SecretRef | None = None
    """Absent, with secret_key: the machine's own credentials (instance role, environment)."""
    secret_key: SecretRef | None = None
    session_token: SecretRef | None = None
    server_side_encryption: Literal["AES256", "aws:kms"] | None = None
    kms_key_id: Text | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key belong together")
        if self.kms_key_id is not None and self.server_side_encryption != "aws:kms":
            raise ValueError("kms_key_id needs server_side_encryption: aws:kms")
        return self


class _Messages(OtherSection):
    max_bytes: int = Field(default=256 * 1_024, ge=64, le=16 * MIB)
    """Of one message's payload; the broker's own limit counts as well."""


class MemoryConnection(_Messages):
    kind: Literal["memory"]
    topics: tuple[TopicName, ...] = ()
    max_messages: int = Field(default=10_000, ge=1, le=10_000_000)
    """Of one topic."""
    dedup_window_s: float = Field(default=300.0, gt=0, le=86_400)


class SqsConnection(_Messages):
    kind: Literal["sqs"]
    region: Text = "us-east-1"
    endpoint_url: HttpUrl | None = None
    prefix: str = Field(default="", max_length=60)
    """Of queue names; topics are named without it."""
    fifo: bool = False
    """All queues of the connection are FIFO queues: their names end in .fifo, and SQS drops duplicates itself."""
    access_key: SecretRef | None = None
    secret_key: SecretRef | None = None
    session_token: SecretRef | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key belong together")
        return self


class NatsConnection(_Messages):
    kind: Literal["nats"]
    url: Text
    stream: Text
    durable: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,60}$")] = "douane"
    """Prefix of the names of the consumers that are made."""
    max_deliver: int | None = Field(default=None, ge=1, le=1_000_000)
    """How often a message is handed out before the stream gives it up; absent: until it is acked."""
    user: SecretRef | None = None
    password: SecretRef | None = None
    token: SecretRef | None = None


class RabbitConnection(_Messages):
    kind: Literal["rabbitmq"]
    url: SecretRef
    exchange: str = Field(default="", max_length=255)
    max_unacked: int = Field(default=1_000, ge=1, le=100_000)
    """Messages of one topic that are out with receivers of this process at once."""


class KafkaConnection(_Messages):
    kind: Literal["kafka"]
    bootstrap: Text
    group: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,200}$")] = "douane"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    idempotent: bool = True
    max_unacked: int = Field(default=1_000, ge=1, le=100_000)
    """Messages of one partition that are out with receivers of this process at once."""
    session_timeout_s: int = Field(default=10, ge=6, le=300)
    """After so long without a sign of life the group takes a process for dead."""
    user: SecretRef | None = None
    password: SecretRef | None = None


class PluginConnection(_Sql):
    """A kind that a third party registered; its factory checks `settings`. Objects and messages have their bounds from
    max_bytes and max_object_bytes."""

    kind: Name
    credentials: SecretRef | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    max_object_bytes: int = Field(default=4_096 * MIB, ge=1_024, le=1_048_576 * MIB)

    @property
    def secret(self) -> Callable[[], str] | None:
        return self.credentials.read if self.credentials else None

    @property
    def secrets(self) -> Secrets:
        return {} if self.credentials is None else {"credentials": self.credentials.read}

    @property
    def options(self) -> Mapping[str, Any]:
        return self.settings

    @property
    def timeout_s(self) -> float:
        return self.statement_timeout_s


KINDS: Mapping[str, type[Section]] = {
    "postgres": PostgresConnection,
    "sqlite": SqliteConnection,
    "filesystem": FilesystemConnection,
    "s3": S3Connection,
    "memory": MemoryConnection,
    "sqs": SqsConnection,
    "nats": NatsConnection,
    "rabbitmq": RabbitConnection,
    "kafka": KafkaConnection,
}
BUILT_IN_KINDS = frozenset(KINDS)
MODELS: Mapping[str, type[Section]] = {**KINDS, "plugin": PluginConnection}


def _kind_tag(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return kind if isinstance(kind, str) and kind in BUILT_IN_KINDS else "plugin"


Connection = Annotated[
    Annotated[PostgresConnection, Tag("postgres")]
    | Annotated[SqliteConnection, Tag("sqlite")]
    | Annotated[FilesystemConnection, Tag("filesystem")]
    | Annotated[S3Connection, Tag("s3")]
    | Annotated[MemoryConnection, Tag("memory")]
    | Annotated[SqsConnection, Tag("sqs")]
    | Annotated[NatsConnection, Tag("nats")]
    | Annotated[RabbitConnection, Tag("rabbitmq")]
    | Annotated[KafkaConnection, Tag("kafka")]
    | Annotated[PluginConnection, Tag("plugin")],
    Discriminator(_kind_tag),
]
