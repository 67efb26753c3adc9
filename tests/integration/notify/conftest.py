from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.store.database import open_engine
from tests.servers import postgres_server


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres_server() as server:
        yield server.dsn()


@pytest.fixture(params=["sqlite", "postgres"])
async def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """An empty store of either kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/state/douane.db"
        return
    url = request.getfixturevalue("postgres_url")
    yield url
    tables = "delivery_attempts, deliveries, feed_positions, used_links, approvals, approval_changes"
    async with open_engine(url) as engine, engine.begin() as connection:
        await connection.exec_driver_sql(f"TRUNCATE {tables}")
