"""The lifespan of one ASGI app: its startup before the first request, its shutdown after the last one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ..errors import LifespanError

__all__ = ["Lifespan"]

Message = MutableMapping[str, Any]

_log = logging.getLogger("kairo_metrics")


class Lifespan:
    """Runs an app's startup and shutdown in one task, as servers do.

    Args:
        app: the ASGI app.
        state: what the startup hands to the requests, such as Starlette's `yield {...}`; each gets a copy.

    Source: https://asgi.readthedocs.io/en/latest/specs/lifespan.html
    """

    def __init__(self, app: Callable[..., Awaitable[None]], state: dict[str, Any]) -> None:
        self.state = state
        self._app = app
        self._task: asyncio.Task[None] | None = None
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()

    async def startup(self) -> bool:
        """Run the startup, and return whether the app has one; it may be run again after an error.

        Raises:
            LifespanError: the startup failed.
        """
        # An earlier attempt may have filled the state, and queues belong to the event loop that they were used in.
        self.state.clear()
        self._events, self._answers = asyncio.Queue(), asyncio.Queue()
        self._events.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.create_task(self._run(self._events, self._answers))
        answer: Message = {"type": "cancelled"}
        try:
            answer = await self._answers.get()
        finally:
            if answer["type"] != "lifespan.startup.complete":
                await self._end()
        if answer["type"] == "lifespan.startup.failed":
            raise LifespanError(f"the app's startup failed\n{answer.get('message', '')}".rstrip())
        return self._task is not None

    async def shutdown(self, timeout_s: float) -> None:
        """Run the shutdown, if there was a startup.

        Raises:
            LifespanError: the shutdown failed, or gave no answer within `timeout_s` seconds.
        """
        if self._task is None:
            return
        self._events.put_nowait({"type": "lifespan.shutdown"})
        try:
            answer = await asyncio.wait_for(self._answers.get(), timeout_s)
        except TimeoutError:
            answer = {"type": "timeout", "message": f"no answer within {timeout_s} s"}
        finally:
            await self._end()
        if answer["type"] != "lifespan.shutdown.complete":
            raise LifespanError(f"the app's shutdown failed: {answer.get('message', answer['type'])}")

    async def _run(self, events: asyncio.Queue[Message], answers: asyncio.Queue[Message]) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, events.get, answers.put)
        except Exception:  # noqa: BLE001 (an app without lifespan may raise anything; only its messages count)
            _log.debug("the lifespan ended with an error", exc_info=True)
        finally:
            answers.put_nowait({"type": "ended"})

    async def _end(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
