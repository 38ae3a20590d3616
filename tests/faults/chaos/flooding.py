"""Instances whose label values are chosen by a client: `python -m tests.faults.chaos.flooding WRITERS ATTEMPTS SEED`.

WRITERS processes are forked, and each serves ATTEMPTS requests of a hostile client. Most label values occur only once.
A line such as {"served": n} reports served requests. At its end each process prints what it has recorded, and how much
memory it used when it was full and at the end.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter as Tally
from random import Random
from typing import Any

from prometheus_client import Counter, Gauge, Histogram
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lib.kairo_metrics import flush, install, instrument
from lib.kairo_metrics.delivery.process_pipeline import current_pipeline
from lib.kairo_metrics.errors import StoreError
from tests.faults.chaos.instance_memory import memory_kb
from tests.support.hostile import Hostile

STEADY = [f"steady {number}" for number in range(5)]
_TOGETHER = 25
_JOBS = Counter("flood_jobs", "Jobs by client.", ["client"])
_WAIT = Histogram("flood_wait", "Their waiting.", ["client"], buckets=(1, 4, 16))
_OPEN = Gauge("flood_open", "Those begun.", ["client"], multiprocess_mode="sum")
_INSTRUMENTS: tuple[Any, ...] = (_JOBS, _WAIT, _OPEN)


def record(client: str, amount: int) -> None:
    """Record under a label value that a client has chosen."""
    _JOBS.labels(client).inc(amount)
    _WAIT.labels(client).observe(amount)
    _OPEN.labels(client).inc(amount)


class _Clients:
    """An app with a mistake: it takes a label's value from a header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record(dict(scope["headers"])[b"x-client"].decode("latin-1"), scope["extensions"]["amount"])
        await self._app(scope, receive, send)


async def _page(_request: Request) -> Response:
    return PlainTextResponse("found")


async def _serve(writer: int, attempts: int, seed: int) -> dict[str, Any]:
    client, chance = Hostile(seed, ["/pages"]), Random(seed)
    app = instrument(_Clients(Starlette(routes=[Route("/pages/{page:path}", _page)])))
    sent: Tally[str] = Tally()
    full_kb = 0

    async def ask(number: int) -> None:
        amount = chance.randint(1, 20)
        flooded = number % 10 > 0
        name = f"{writer}.{number}.{client.word()}" if flooded else chance.choice(STEADY)
        if number % 500 == 1:
            name += "x" * 10_000
        header = b"x-client", name.encode(errors="replace")
        sent.update({"flood" if flooded else name: amount, "updates": flooded, "served": 1})
        await client.call(app, headers=[*client.scope()["headers"], header], extensions={"amount": amount})

    for first in range(0, attempts, _TOGETHER):
        await asyncio.gather(*[ask(number) for number in range(first, min(first + _TOGETHER, attempts))])
        if not full_kb and first > attempts / 5:
            full_kb = memory_kb()
        _print(served=min(_TOGETHER, attempts - first))
    pipeline = current_pipeline()
    assert pipeline is not None
    while pipeline.flusher.pending:
        try:
            await pipeline.flusher.aflush()
        except StoreError:
            await asyncio.sleep(0.05)
    await pipeline.store.aclose()  # type: ignore[attr-defined]
    children = max(len(instrument._metrics) for instrument in _INSTRUMENTS)
    return {"sent": sent, "children": children, "full_kb": full_kb, "end_kb": memory_kb()}


def _print(**message: Any) -> None:
    # One write per line, so that the lines of several processes don't mix.
    os.write(1, (json.dumps(message) + "\n").encode())


def main() -> None:
    """Record the earlier series, fork the instances, and wait for them."""
    writers, attempts, seed = map(int, sys.argv[1:])
    install()
    for name in STEADY:
        record(name, 1)
    flush()
    children = []
    for writer in range(writers):
        child = os.fork()
        if child == 0:
            _print(ended=asyncio.run(_serve(writer, attempts, seed + writer)))
            os._exit(0)
        children.append(child)
    sys.exit(any(os.waitpid(child, 0)[1] for child in children))


if __name__ == "__main__":
    main()
