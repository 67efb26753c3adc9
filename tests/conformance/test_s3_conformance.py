"""The S3 connector passes the suite of object connectors against a real store, with and without versions."""

import asyncio
from collections.abc import Iterator

import pytest

from connectors.conformance.objects import ObjectConformance
from connectors.contract import ConnectorConfig
from connectors.s3 import connector
from tests.object_servers import SeaweedServer, seaweed_server
from tests.servers import free_port


@pytest.fixture(scope="module")
def server() -> Iterator[SeaweedServer]:
    with seaweed_server() as running:
        yield running


class S3Harness:
    factory = connector
    keeps_content_types = True
    sorts_by_bytes = False

    def __init__(self, server: SeaweedServer, bucket: str) -> None:
        self.server = server
        self.bucket = bucket

    def config(self, pool_max: int = 4) -> ConnectorConfig:
        return self.server.config(self.bucket, pool_max=pool_max)

    def config_of_nothing(self) -> ConnectorConfig:
        options = {"bucket": "goods", "endpoint_url": f"http://127.0.0.1:{free_port()}", "path_style": True}
        secrets = {"access_key": lambda: "a", "secret_key": lambda: "b"}
        return ConnectorConfig(name="goods", options=options, secrets=secrets)

    async def unfinished(self) -> int:
        def uploads() -> int:
            with self.server.client() as client:
                return len(client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", []))

        return await asyncio.to_thread(uploads)


class TestS3(ObjectConformance):
    @pytest.fixture
    def harness(self, server: SeaweedServer) -> Iterator[S3Harness]:
        with server.new_bucket() as bucket:
            yield S3Harness(server, bucket)


class TestS3WithVersions(ObjectConformance):
    @pytest.fixture
    def harness(self, server: SeaweedServer) -> Iterator[S3Harness]:
        with server.new_bucket(versions=True) as bucket:
            yield S3Harness(server, bucket)
