"""The lifespan of every function: startup before the first request, shutdown after the last one."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Iterable

from starlette.types import Receive, Send

from ..entrypoints.lifespan import Lifespan
from ..errors import HostingError, LifespanError
from .function import Function

__all__ = ["answer_lifespan", "lifespans"]

_SHUTDOWN_TIMEOUT_S = 5.0
_log = logging.getLogger("uvicorn.error")


@contextlib.asynccontextmanager
async def lifespans(functions: Iterable[Function]) -> AsyncIterator[None]:
    """Run the startup of every function before the block and its shutdown after it, as Vercel does in each instance.

    Raises:
        HostingError: a startup failed; on Vercel this function would answer every request with an error.
    """
    async with contextlib.AsyncExitStack() as stack:
        for function in functions:
            await stack.enter_async_context(_lifespan(function))
        yield


async def answer_lifespan(functions: Iterable[Function], receive: Receive, send: Send) -> None:
    """Run the lifespan of every function, and answer the server's lifespan messages."""
    await receive()
    try:
        async with lifespans(functions):
            await send({"type": "lifespan.startup.complete"})
            await receive()
    except HostingError as err:
        await send({"type": "lifespan.startup.failed", "message": str(err)})
    else:
        await send({"type": "lifespan.shutdown.complete"})


@contextlib.asynccontextmanager
async def _lifespan(function: Function) -> AsyncIterator[None]:
    lifespan = Lifespan(function.app, function.state)
    try:
        await lifespan.startup()
    except LifespanError as err:
        raise HostingError(f"{function.file}: {err}") from err
    try:
        yield
    finally:
        try:
            await lifespan.shutdown(_SHUTDOWN_TIMEOUT_S)
        except LifespanError as err:
            _log.error("%s: %s", function.file, err)
