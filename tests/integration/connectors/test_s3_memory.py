"""However large the object: what is held in memory stays small. Each measurement is a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.object_servers import SeaweedServer, seaweed_server

_SCRIPT = """
import asyncio, resource, sys
from connectors.conformance.object_harness import MIB, LargeBody
from connectors.contract import ConnectorConfig
from connectors.s3 import connector

def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

async def main(url, size_mib):
    options = {"bucket": "goods", "endpoint_url": url, "path_style": True}
    secrets = {"access_key": lambda: "admin-key", "secret_key": lambda: "admin-secret"}
    made = connector(ConnectorConfig(name="goods", options=options, secrets=secrets))
    await made.open()
    await LargeBody(MIB).put_into(made, "warm")
    before = peak_mib()
    await LargeBody(size_mib * MIB).put_into(made, "large")
    put = peak_mib()
    seen = 0
    async with made.read("large") as read:
        async for chunk in read.chunks:
            seen += len(chunk)
            # A consumer that is slower than the store.
            await asyncio.sleep(0.001)
    assert seen == size_mib * MIB
    await made.delete("large")
    await made.close()
    print(put - before, peak_mib() - put)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[SeaweedServer]:
    with seaweed_server() as running:
        yield running


def test_a_large_object_passes_through_a_few_megabytes(server: SeaweedServer) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, server.url, "256"],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True,
    )  # fmt: skip
    put, read = map(int, done.stdout.split())
    assert put < 60
    assert read < 20
