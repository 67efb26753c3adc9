"""Buckets of S3 and of stores that speak its protocol, through boto3.

Options: `bucket`, `region`, `endpoint_url`, `path_style`, `server_side_encryption`, `kms_key_id`.
Secrets: `access_key`, `secret_key`, `session_token`; without any, what boto3 finds in the environment of the machine.
"""

from typing import TYPE_CHECKING

from connectors.contract import ConnectorConfig, Family

if TYPE_CHECKING:
    from connectors.s3.connector import S3Connector

__all__ = ["connector"]


class _Factory:
    kind = "s3"
    family = Family.OBJECTS

    def __call__(self, config: ConnectorConfig) -> "S3Connector":
        # boto3 takes tens of megabytes: whoever only looks up the kind does not pay for it.
        from connectors.s3.connector import S3Connector

        return S3Connector(config)


connector = _Factory()
