"""What of a configuration the S3 connector understands."""

from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import urlsplit

from connectors.contract import ConnectorConfig

Encryption = Literal["AES256", "aws:kms"]
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    bucket: str
    region: str
    endpoint_url: str | None
    path_style: bool
    server_side_encryption: Encryption | None
    kms_key_id: str | None

    @classmethod
    def of(cls, config: ConnectorConfig) -> Self:
        """The composition root has validated them."""
        options = config.options
        return cls(
            bucket=options["bucket"],
            region=options.get("region", "us-east-1"),
            endpoint_url=options.get("endpoint_url"),
            path_style=options.get("path_style", False),
            server_side_encryption=options.get("server_side_encryption"),
            kms_key_id=options.get("kms_key_id"),
        )

    @property
    def plain_http(self) -> bool:
        """Whether bytes and signatures travel where others can read them."""
        if self.endpoint_url is None:
            return False
        parts = urlsplit(self.endpoint_url)
        return parts.scheme == "http" and parts.hostname not in _LOOPBACK
