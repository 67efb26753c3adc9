"""A value through the expression that stands for its column, on a real server."""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg

from app.masking.masks import Mask
from app.policy.decision import ColumnView
from app.sql.postgres.masking import masked
from app.sql.statement import Bind, KeyBind
from tests.servers import PostgresServer


def inner_and_outer(key: bytes) -> dict[str, bytes]:
    """RFC 2104: the key in a block of 64 bytes, mixed with either pad."""
    block = key.ljust(64, b"\0")
    return {"inner": bytes(b ^ 0x36 for b in block), "outer": bytes(b ^ 0x5C for b in block)}


class Asking:
    """One connection and an event loop for it."""

    def __init__(self, server: PostgresServer, database: str = "postgres") -> None:
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(asyncpg.connect(server.dsn(database=database)))
        self._runner.run(self._connection.execute("SET TimeZone = 'UTC'"))

    def close(self) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()

    def masked(self, masks: Sequence[Mask], kind: str, value: Any, key: bytes = b"") -> list[Any]:
        """What each mask shows of one value of a column of `kind`."""
        binds: list[Bind] = []

        def bind(one: Bind) -> int:
            binds.append(one)
            return len(binds) + 1

        shown = ", ".join(masked(ColumnView(name="c", type=kind, mask=mask), bind) for mask in masks)
        sql = f"SELECT {shown} FROM (SELECT $1::{kind} AS c) AS t"
        pads = inner_and_outer(key)
        args = [pads[one.part] if isinstance(one, KeyBind) else None for one in binds]
        row = self._runner.run(self._connection.fetchrow(sql, value, *args))
        assert row is not None
        return list(row)

    def column(self, mask: Mask, rows: str, where: str) -> list[Any]:
        """What a mask without keys shows of the text column c of the rows for which `where` holds."""
        shown = masked(ColumnView(name="c", type="text", mask=mask), _no_bind)
        sql = f"SELECT t.c FROM (SELECT {shown} AS c, other FROM ({rows}) AS r) AS t WHERE {where}"
        return [row[0] for row in self._runner.run(self._connection.fetch(sql))]


def _no_bind(_: Bind) -> int:
    raise AssertionError("this mask has no key")
