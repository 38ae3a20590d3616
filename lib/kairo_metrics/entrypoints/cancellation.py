"""A request whose task is cancelled: has the client left, or did it get an error?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .http_record import HTTPRecord

__all__ = ["end_cancelled", "is_own_mistake"]

_GATEWAY_TIMEOUT = 504
_SERVER_ERROR = 500
# Code around the app has answered by then. Its task may go on for as long as the program does.
_LONGEST_WAIT_S = 1.0


def is_own_mistake() -> bool:
    """Return whether nobody has cancelled this task: the app has cancelled another one, and has awaited it."""
    task = asyncio.current_task()
    return task is not None and not task.cancelling()


def end_cancelled(record: HTTPRecord, err: asyncio.CancelledError, flush: Callable[[], None]) -> None:
    """End the record of a request that got a `CancelledError`, at once or when it is known what the client got.

    If the cancellation ends the task, the server gave the request up because the client had left: 499. If the task
    goes on, code around the app has answered: after a time limit, which takes its cancellation back, with 504; else it
    is the server, with 500.

    Args:
        record: the request's record.
        err: the exception that left the app.
        flush: starts a flush, called after the record has ended later.
    """
    task = asyncio.current_task()
    if task is None or is_own_mistake():
        record.end(err)
    elif record.status is not None or record.client_left:
        record.end()
    else:
        _EndLater(record, task, flush)


class _EndLater:
    def __init__(self, record: HTTPRecord, task: asyncio.Task[object], flush: Callable[[], None]) -> None:
        self._record = record
        self._task = task
        self._flush = flush
        self._timer = task.get_loop().call_later(_LONGEST_WAIT_S, self._end)
        task.add_done_callback(self._end)

    def _end(self, _task: object = None) -> None:
        self._timer.cancel()
        self._task.remove_done_callback(self._end)
        if self._task.cancelled():
            self._record.client_left = True
        else:
            self._record.begin_response(_SERVER_ERROR if self._task.cancelling() else _GATEWAY_TIMEOUT)
        self._record.end()
        self._flush()
