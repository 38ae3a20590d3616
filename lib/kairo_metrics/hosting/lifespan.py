"""The lifespan of every function: startup before the first request, shutdown after the last one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable

from starlette.types import Message, Receive, Send

from ..errors import HostingError
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
    events: asyncio.Queue[Message] = asyncio.Queue()
    answers: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": function.state}

    async def run() -> None:
        try:
            await function.app(scope, events.get, answers.put)
        except Exception:  # noqa: BLE001 (an app without lifespan may raise anything; only its messages count)
            _log.debug("%s: the lifespan ended with an error", function.file, exc_info=True)
        await answers.put({"type": "ended"})

    task = asyncio.create_task(run())
    try:
        await events.put({"type": "lifespan.startup"})
        started = await answers.get()
        if started["type"] == "lifespan.startup.failed":
            raise HostingError(f"{function.file}: its startup failed\n{started.get('message', '')}")
        try:
            yield
        finally:
            if started["type"] == "lifespan.startup.complete":
                await _shut_down(function, events, answers)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _shut_down(function: Function, events: asyncio.Queue[Message], answers: asyncio.Queue[Message]) -> None:
    await events.put({"type": "lifespan.shutdown"})
    try:
        ended = await asyncio.wait_for(answers.get(), _SHUTDOWN_TIMEOUT_S)
    except TimeoutError:
        ended = {"type": "timeout", "message": f"no answer within {_SHUTDOWN_TIMEOUT_S} s"}
    if ended["type"] != "lifespan.shutdown.complete":
        _log.error("%s: its shutdown failed: %s", function.file, ended.get("message", ended["type"]))
