"""A user's app on Lambda, whose lifespan opens what its requests need."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client import Counter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lib.kairo_metrics import instrument, lambda_handler

STARTS = Counter("starts", "Startups.")
STOPS = Counter("stops", "Shutdowns.")
DATABASE = Path(os.environ.get("DATABASE", "/"))


@asynccontextmanager
async def lifespan(started: Starlette) -> AsyncIterator[dict[str, Any]]:
    """Open a pool, if the database is there: a file that the test names."""
    STARTS.inc()
    print("startup", flush=True)  # noqa: T201  the test reads the function's log
    if not DATABASE.exists():  # noqa: ASYNC240  a test has time
        raise ConnectionError("no database")
    started.state.loop = asyncio.get_running_loop()
    task = asyncio.create_task(asyncio.Event().wait())  # as a pool has one that looks after its connections
    yield {"cart": [], "visits": 0}
    task.cancel()
    STOPS.inc()


async def state(request: Request) -> Response:
    """Tell what the startup has set up."""
    request.state.visits += 1
    same_loop = request.app.state.loop is asyncio.get_running_loop()
    return JSONResponse({"same_loop": same_loop, "visits": request.state.visits})


async def item(request: Request) -> Response:
    """Tell under which address the client knows this."""
    return JSONResponse({"path": str(request.url.path), "link": request.url_for("state").path})


app = instrument(Starlette(routes=[Route("/state", state), Route("/items/{name}", item)], lifespan=lifespan))
handler = lambda_handler(app, api_gateway_base_path=os.environ.get("BASE_PATH"))
