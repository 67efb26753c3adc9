"""How a Kafka cluster is reached."""

from dataclasses import dataclass
from typing import Any

from aiokafka.helpers import create_ssl_context

from connectors.contract import ConnectorConfig, SecretSource

_MAX_UNACKED = 1_000
_SESSION_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """`group` begins the names of consumer groups, one for each topic. `max_unacked`: messages of one partition that
    are fetched and not committed, at most. `session_timeout_s`: how long a process that died keeps its partitions."""

    bootstrap: str
    group: str
    security_protocol: str
    sasl_mechanism: str
    idempotent: bool
    max_unacked: int
    session_timeout_s: float
    timeout_s: float
    user: SecretSource | None
    password: SecretSource | None

    @property
    def encrypted(self) -> bool:
        return self.security_protocol in ("SSL", "SASL_SSL")

    @property
    def authenticated(self) -> bool:
        return self.security_protocol in ("SASL_PLAINTEXT", "SASL_SSL")

    def client(self) -> dict[str, Any]:
        """Arguments of a driver's client; secrets are read now."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": self.security_protocol,
            "request_timeout_ms": int(self.timeout_s * 1_000),
            "client_id": "douane",
        }
        if self.encrypted:
            options["ssl_context"] = create_ssl_context()
        if self.authenticated and self.user is not None and self.password is not None:
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.user(),
                "sasl_plain_password": self.password(),
            }
        return options


def reach_of(config: ConnectorConfig) -> Reach:
    """Raises ValueError for what is missing."""
    options = config.options
    reach = Reach(
        bootstrap=str(options.get("bootstrap", "")),
        group=str(options.get("group", "douane")),
        security_protocol=str(options.get("security_protocol", "PLAINTEXT")),
        sasl_mechanism=str(options.get("sasl_mechanism", "PLAIN")),
        idempotent=bool(options.get("idempotent", True)),
        max_unacked=int(options.get("max_unacked", _MAX_UNACKED)),
        session_timeout_s=float(options.get("session_timeout_s", _SESSION_TIMEOUT_S)),
        timeout_s=config.timeout_s,
        user=config.secrets.get("user"),
        password=config.secrets.get("password"),
    )
    if not reach.bootstrap:
        raise ValueError(f"connection {config.name}: kind kafka needs bootstrap")
    if reach.authenticated and (reach.user is None or reach.password is None):
        raise ValueError(f"connection {config.name}: {reach.security_protocol} needs user and password")
    return reach
