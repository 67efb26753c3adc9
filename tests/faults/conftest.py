from collections.abc import Iterator

import pytest
from fault_site import Issuer, populate, running_issuer

from tests.servers import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def pg() -> Iterator[PostgresServer]:
    """A PostgreSQL with people in it. A test that stops it starts it again."""
    with postgres_server() as server:
        populate(server)
        yield server


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as running:
        yield running
