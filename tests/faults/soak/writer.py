"""One instance as a process: `python -m tests.faults.soak.writer` serves requests until its input ends.

Then it delivers what is pending, and prints what it has recorded by family, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from collections import Counter as Tally
from contextlib import suppress
from typing import Any

from prometheus_client import Counter, Gauge, Histogram
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from lib.kairo_metrics import NativeHistogram, StoreError, instrument
from lib.kairo_metrics.delivery.process_pipeline import open_pipeline

_PAUSE_S = 0.01
PIECES = Counter("soak_pieces_total", "Pieces of work.", ["kind"])
SIZE = Histogram("piece_size", "Their sizes.", buckets=(1, 2, 32))
EXACT_SIZE = NativeHistogram("exact_size", "Size of pieces in native buckets.")
OPEN = Gauge("open_pieces", "Pieces begun.", multiprocess_mode="sum")
_sent: Tally[str] = Tally()


async def work(request: Request) -> Response:
    """Count one piece of work."""
    number = int(request.path_params["number"])
    PIECES.labels(f"{number % 7}").inc(number % 3 + 1)
    SIZE.observe(number % 50)
    EXACT_SIZE.observe(number % 50)
    OPEN.inc()
    _sent.update(
        {"soak_pieces": number % 3 + 1, "piece_size": 1, "exact_size": 1, "open_pieces": 1, "http_requests": 1}
    )
    return PlainTextResponse("done")


async def serve(ended: threading.Event) -> None:
    """Call the instrumented app as a server does, until the input ends."""
    app = instrument(Starlette(routes=[Route("/pieces/{number}", work)]))

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Any) -> None:
        pass

    number = 0
    while not ended.is_set():
        scope = {"type": "http", "method": "GET", "path": f"/pieces/{number}", "headers": [], "query_string": b""}
        await app(scope, receive, send)
        number += 1
        await asyncio.sleep(_PAUSE_S)
    pipeline = open_pipeline()
    assert pipeline is not None
    # One more flush, to notice a store that has just gone back.
    for last in range(2):
        PIECES.labels(f"last {last}").inc()
        _sent["soak_pieces"] += 1
        while pipeline.flusher.pending:
            with suppress(StoreError):
                await pipeline.flusher.aflush()
    await pipeline.store.aclose()  # type: ignore[attr-defined]


def main() -> None:
    """Serve, and print what was recorded."""
    ended = threading.Event()
    # Failed flushes are expected in a soak; unexpected errors are logged.
    logging.getLogger("kairo_metrics").setLevel(logging.ERROR)

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    asyncio.run(serve(ended))
    sys.stdout.write(json.dumps(_sent))


if __name__ == "__main__":
    main()
