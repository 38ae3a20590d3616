"""A FastAPI app."""

import asyncio
import itertools
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from prometheus_client import Counter

from lib.kairo_metrics import instrument

READ = Counter("items_read_total", "Items read.")
PARTS = ("one ", "two ", "three")

app = instrument(FastAPI())


@app.get("/api/shop/items/{number}")
@app.head("/api/shop/items/{number}")
async def item(number: int) -> Response:
    READ.inc()
    return PlainTextResponse(f"item {number}")


@app.get("/api/shop/broken/{number}")
async def broken(number: int) -> Response:
    raise LookupError(number)


@app.get("/api/shop/answers/{kind}/{status}")
@app.head("/api/shop/answers/{kind}/{status}")
async def answer(kind: str, status: int) -> Response:
    READ.inc()

    async def parts() -> AsyncIterator[str]:
        for part in itertools.repeat("x" * 65_536) if kind == "endless-stream" else PARTS:
            yield part
            await asyncio.sleep(0)  # a server sends nothing to a client that has left, and does not wait

    if kind.endswith("stream"):
        sized = {"Content-Length": str(len("".join(PARTS)))} if kind == "sized-stream" else None
        return StreamingResponse(parts(), status, sized)
    response = PlainTextResponse("".join(PARTS), status)
    if kind == "unsized":
        del response.headers["Content-Length"]
    return response
