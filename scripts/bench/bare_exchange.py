"""What people write themselves for objects and messages: FastAPI, a boto3 client, a NATS connection, and no control.

GET /object?key= streams an object in pieces of a megabyte; POST /publish waits for the broker's confirm.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import boto3
import nats
import orjson
from botocore.config import Config
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

PIECE_BYTES = 1024 * 1024


@asynccontextmanager
async def connected(app: FastAPI) -> AsyncIterator[None]:
    app.state.s3 = boto3.client(
        "s3",
        endpoint_url=os.environ["BENCH_S3"],
        region_name="us-east-1",
        aws_access_key_id=os.environ["BENCH_S3_KEY"],
        aws_secret_access_key=os.environ["BENCH_S3_SECRET"],
        config=Config(s3={"addressing_style": "path"}),
    )
    app.state.nats = await nats.connect(os.environ["BENCH_NATS"])
    app.state.stream = app.state.nats.jetstream()
    yield
    await app.state.nats.close()


app = FastAPI(lifespan=connected)


@app.get("/object")
def fetch(key: str) -> StreamingResponse:
    body: Any = app.state.s3.get_object(Bucket=os.environ["BENCH_BUCKET"], Key=key)["Body"]
    return StreamingResponse(body.iter_chunks(PIECE_BYTES), media_type="application/octet-stream")


@app.post("/publish")
async def publish(request: Request) -> Response:
    message = orjson.loads(await request.body())
    confirmed = await app.state.stream.publish(message["topic"], orjson.dumps(message["payload"]))
    return Response(orjson.dumps({"sequence": confirmed.seq}), media_type="application/json")
