"""The endpoint that people write themselves, done well and without any control: the yardstick of every ratio.

No token, no policy, no mask, no limit, no record. It has every advantage that leaves it a FastAPI application: no body
model, no dependency, no middleware, orjson both ways, a warm asyncpg pool, prepared statements from asyncpg's cache.
BENCH_BARE_ROWS chooses what a row looks like: "objects" (the usual answer) or "arrays" (smaller, and faster to make).
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import asyncpg
import orjson
from fastapi import FastAPI, Request, Response

DSN = os.environ["BENCH_DSN"]
POOL = int(os.environ["BENCH_POOL"])
ROW = {"objects": dict, "arrays": tuple}[os.environ.get("BENCH_BARE_ROWS", "arrays")]


def encoded(value: Any) -> str:
    """What orjson does not know by itself."""
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(type(value).__name__)


async def prepare(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("jsonb", encoder=orjson.dumps, decoder=orjson.loads, schema="pg_catalog")


@asynccontextmanager
async def pooled(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(DSN, min_size=POOL, max_size=POOL, init=prepare) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=pooled)


@app.post("/query")
async def query(request: Request) -> Response:
    body = orjson.loads(await request.body())
    records = await request.app.state.pool.fetch(body["sql"], *body["params"])
    rows = [ROW(record) for record in records]
    return Response(orjson.dumps({"rows": rows}, default=encoded), media_type="application/json")
