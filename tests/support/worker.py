"""One function instance as a process: `python -m tests.support.worker REQUESTS AT_ONCE`, both numbers.

Every request increments a counter and observes a histogram; one in ten fails.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Any

from prometheus_client import Counter, Histogram
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from lib.kairo_metrics import StoreError, instrument
from lib.kairo_metrics.delivery.process_pipeline import open_pipeline

# Exact in binary, so that sums can be compared exactly.
SIZES = (0.5, 1.0, 4.0, 64.0)
PIECES = Counter("pieces_total", "Pieces of work.", ["kind"])
SIZE = Histogram("piece_size_bytes", "Their sizes.", buckets=(1, 2, 32))


async def work(request: Request) -> Response:
    """Do a piece of work."""
    number = int(request.path_params["number"])
    PIECES.labels("odd" if number % 2 else "even").inc()
    SIZE.observe(SIZES[number % len(SIZES)])
    return PlainTextResponse("failed" if number % 10 == 0 else "done", 503 if number % 10 == 0 else 200)


async def serve(requests: int, at_once: int) -> None:
    """Call the instrumented app as a server does: requests at the same time share flushes."""
    app = instrument(Starlette(routes=[Route("/pieces/{number}", work)]))

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Any) -> None:
        pass

    async def one(number: int) -> None:
        scope = {"type": "http", "method": "GET", "path": f"/pieces/{number}", "headers": [], "query_string": b""}
        await app(scope, receive, send)

    for first in range(0, requests, at_once):
        await asyncio.gather(*[one(number) for number in range(first, min(first + at_once, requests))])
    pipeline = open_pipeline()
    assert pipeline is not None
    while pipeline.flusher.pending:
        with suppress(StoreError):  # the network under test may lose this flush, too
            await pipeline.flusher.aflush()
    await pipeline.store.aclose()  # type: ignore[attr-defined]


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
