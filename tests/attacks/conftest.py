from collections.abc import Iterator
from pathlib import Path

import postgres_twins
import pytest
import sqlite_twins
from attack_site import Site, postgres_twin

from connectors.contract import Dialect, SqlConnectorConfig
from connectors.sqlite.connector import SqliteConnector
from tests.servers import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        postgres_twins.build(running)
        yield running


@pytest.fixture(scope="session")
def postgres(server: PostgresServer) -> Iterator[Site]:
    site = Site(Dialect.POSTGRES, postgres_twins.DATA, postgres_twin(server, "twin1"), postgres_twin(server, "twin2"))
    yield site
    site.close()


@pytest.fixture(scope="session")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("twins")
    one, two = (
        SqliteConnector(
            SqlConnectorConfig(
                name="db", secret=None, options={"path": str(sqlite_twins.build(folder / str(n), n))}, pool_max=2
            )
        )
        for n in (1, 2)
    )
    site = Site(Dialect.SQLITE, sqlite_twins.DATA, one, two)
    yield site
    site.close()
