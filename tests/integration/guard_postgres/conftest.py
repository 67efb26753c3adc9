from collections.abc import Iterator

import pytest

from tests.integration.guard_postgres.twin_shops import Shops, build
from tests.integration.guard_postgres.write_shops import WriteShops
from tests.servers import postgres_server


@pytest.fixture(scope="session")
def shops() -> Iterator[Shops]:
    with postgres_server() as server:
        build(server)
        opened = Shops(server)
        try:
            yield opened
        finally:
            opened.close()


@pytest.fixture(scope="session")
def write_shops() -> Iterator[WriteShops]:
    with postgres_server() as server:
        opened = WriteShops(server)
        try:
            yield opened
        finally:
            opened.close()
