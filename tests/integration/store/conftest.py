"""Stores of both kinds, empty at the start of each test."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from memory_approvals import MemoryApprovals

from app.ports import Approvals
from app.store.approvals import ApprovalStore
from app.store.schema import approval_changes, approvals, held_results, write_keys
from tests.servers import PostgresServer, postgres_server

_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def shared_url(postgres: PostgresServer) -> str:
    """A database that tests hand to each other empty: to make one takes as long as several tests."""
    return _new_database(postgres)


def _new_database(server: PostgresServer) -> str:
    name = f"douane_{next(_NUMBERS)}"
    server.create_database(name)
    return server.dsn(database=name)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a store that nobody opened yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/douane.db"
    return _new_database(request.getfixturevalue("postgres"))


@asynccontextmanager
async def _opened(kind: str, request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[ApprovalStore]:
    if kind == "sqlite":
        async with ApprovalStore.open(f"sqlite:///{folder}/state/douane.db") as store:
            yield store
        return
    async with ApprovalStore.open(request.getfixturevalue("shared_url")) as store:
        yield store
        tables = ", ".join(table.name for table in (approvals, approval_changes, held_results, write_keys))
        async with store.engine.begin() as connection:
            await connection.exec_driver_sql(f"TRUNCATE {tables} RESTART IDENTITY")


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Approvals]:
    if request.param == "memory":
        yield MemoryApprovals()
    else:
        async with _opened(request.param, request, tmp_path) as store:
            yield store


@pytest.fixture(params=["sqlite", "postgres"])
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ApprovalStore]:
    """Both real ones."""
    async with _opened(request.param, request, tmp_path) as store:
        yield store
