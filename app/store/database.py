"""The engine behind the store: SQLite or PostgreSQL by URL, durable commits, migrated when it opens."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.ports import StoreUnavailable

_MIGRATIONS = Path(__file__).with_name("migrations")
_MIGRATION_LOCK = 0x446F75616E65  # any constant of ours; one per database
_BUSY_TIMEOUT_MS = 10_000
_CONNECT_TIMEOUT_S = 5
_COMMAND_TIMEOUT_S = 10
_QUEUE_TIMEOUT_S = 30
"""For one of the pool's connections. A thousand callers who start to wait at once queue for longer than a connection
takes to make; that a server is gone or hangs is for the two above to tell."""


@asynccontextmanager
async def open_engine(url: str) -> AsyncIterator[AsyncEngine]:
    """`sqlite:///path` or `postgresql://…`. Raises StoreUnavailable, ValueError for any other URL."""
    engine = _engine(url)
    try:
        try:
            async with engine.execution_options(writes=True).begin() as connection:
                await connection.run_sync(_migrate)
        except (SQLAlchemyError, OSError) as error:
            raise StoreUnavailable(
                "the store cannot be opened: check `store.url`, the server and its rights"
            ) from error
        yield engine
    finally:
        await engine.dispose()


@contextmanager
def translated() -> Iterator[None]:
    """Every failure of the database is StoreUnavailable, except IntegrityError: that one is an answer."""
    try:
        yield
    except IntegrityError:
        raise
    except (SQLAlchemyError, OSError) as error:  # TimeoutError is an OSError
        raise StoreUnavailable("the store of approvals cannot be reached") from error


def _engine(url: str) -> AsyncEngine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise _unknown() from None
    match parsed.get_backend_name():
        case "sqlite":
            return _sqlite(parsed)
        case "postgresql":
            return _postgres(parsed)
        case _:
            raise _unknown()


def _unknown() -> ValueError:
    return ValueError("store.url is sqlite:///path or postgresql://user@host/database")


def _sqlite(url: URL) -> AsyncEngine:
    if not url.database or url.database == ":memory:":
        raise _unknown()
    _private_file(Path(url.database))
    engine = create_async_engine(url.set(drivername="sqlite+aiosqlite"))

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN comes too late to isolate a read before a write
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA secure_delete = ON")  # a held result that was destroyed is gone from the file as well
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _private_file(path: Path) -> None:
    """Statements with their literals are in it: nobody else's to read."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreUnavailable(f"{path}: the store's file cannot be written; check the directory") from error


def _postgres(url: URL) -> AsyncEngine:
    if (sslmode := url.query.get("sslmode")) is not None:  # libpq's name for what asyncpg calls ssl
        url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": sslmode})
    return create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        pool_size=5,
        max_overflow=5,
        pool_timeout=_QUEUE_TIMEOUT_S,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"timeout": _CONNECT_TIMEOUT_S, "command_timeout": _COMMAND_TIMEOUT_S},
    )


def _migrate(connection: Connection) -> None:
    # Several workers start at once: SQLite's BEGIN IMMEDIATE lets one through at a time, PostgreSQL needs to be told
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
    if _revisions(connection) == [_newest_revision()]:
        return
    # Alembic takes ten megabytes, which a gateway whose store is of today would hold for nothing.
    import alembic.command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        alembic.command.upgrade(config, "head")
    except CommandError as error:
        raise StoreUnavailable(
            "the store is of another version of Douane: use that one, or a store of its own"
        ) from error


def _revisions(connection: Connection) -> list[str]:
    """Alembic's own note of what was done to this database."""
    if not inspect(connection).has_table("alembic_version"):
        return []
    return list(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars())


def _newest_revision() -> str:
    """By the names of the files, `NNNN_what.py`."""
    return max(path.name for path in _MIGRATIONS.glob("versions/[0-9]*.py")).partition("_")[0]
