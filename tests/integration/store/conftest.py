"""Stores of both kinds: a file, or a database of one PostgreSQL server, of its own for each test."""

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from memory_approvals import MemoryApprovals

from app.ports import Approvals
from app.store.approvals import ApprovalStore
from tests.servers import PostgresServer, postgres_server

_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


def _url(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if kind == "sqlite":
        return f"sqlite:///{folder}/state/douane.db"
    server = request.getfixturevalue("postgres")
    name = f"douane_{next(_NUMBERS)}"
    server.create_database(name)
    return str(server.dsn(database=name))


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a store that nobody opened yet."""
    return _url(request.param, request, tmp_path)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Approvals]:
    if request.param == "memory":
        yield MemoryApprovals()
    else:
        async with ApprovalStore.open(_url(request.param, request, tmp_path)) as opened:
            yield opened


@pytest.fixture
async def opened(url: str) -> AsyncIterator[ApprovalStore]:
    """Both real ones."""
    async with ApprovalStore.open(url) as store:
        yield store
