"""Several metrics pages of one Redis on one port of this process, each with other settings.

Each request is answered by a function that has served no page yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from lib.kairo_metrics.delivery.pipeline import Pipeline
from lib.kairo_metrics.endpoints.metrics_endpoint import MetricsEndpoint
from tests.support.instance import Instance, redis_instance, settings
from tests.support.ports import free_port

__all__ = ["page_server"]


@contextlib.contextmanager
def page_server(redis_url: str, token: str, pages: Mapping[str, Mapping[str, Any]]) -> Iterator[int]:
    """Serve pages until the block ends, and give the port.

    Args:
        redis_url: where the state is.
        token: the bearer token of all pages.
        pages: by path, the settings that differ.
    """
    instances: list[Instance] = []

    def function(changes: Mapping[str, Any]) -> ASGIApp:
        chosen = settings(redis_url, auth_tokens=(token,), **changes)
        instance = redis_instance(redis_url)
        instances.append(instance)

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            await MetricsEndpoint(Pipeline(chosen, instance.store, instance.flusher), chosen)(scope, receive, send)

        return answer

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> Any:
        yield
        for instance in instances:
            await instance.close()

    app = Starlette(routes=[Mount(path, function(changes)) for path, changes in pages.items()], lifespan=lifespan)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=asyncio.run, args=(server.serve(),))
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive(), "the server ended"
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.01)
        yield port
    finally:
        server.should_exit = True
        thread.join()
