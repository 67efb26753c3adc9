from collections.abc import Iterator

import pytest

from tests.integration.guard_postgres.twin_shops import Shops, build
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
