"""The one task of each event loop that does a certain work."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any

__all__ = ["forget_closed", "running", "start"]

Tasks = dict[asyncio.AbstractEventLoop, asyncio.Task[None]]


def running(tasks: Tasks) -> asyncio.Task[None] | None:
    """Return the task of this event loop that is running."""
    task = tasks.get(asyncio.get_running_loop())
    return None if task is None or task.done() else task


def start(tasks: Tasks, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Start a task in this event loop.

    Its context is empty: it works for many requests, so it has not the trace of the one that started it. Nobody need
    wait for it, so asyncio does not log its exception.
    """
    loop = asyncio.get_running_loop()
    forget_closed(tasks)
    task = tasks[loop] = loop.create_task(work, context=Context())
    task.add_done_callback(_retrieve_exception)
    return task


def forget_closed(by_loop: dict[asyncio.AbstractEventLoop, Any]) -> None:
    """Remove what belongs to event loops that are closed."""
    for loop in list(by_loop):
        if loop.is_closed():
            by_loop.pop(loop, None)


def _retrieve_exception(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
