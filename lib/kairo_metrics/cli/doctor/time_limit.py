"""A time limit for work that blocks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["within"]

T = TypeVar("T")


def within(limit_s: float, work: Callable[..., T], *arguments: Any) -> T:
    """Return what `work` returns, or raise what it raises, within a time limit.

    The work runs in a thread. If a name server or a peer never answers, that thread is left waiting.

    Args:
        limit_s: seconds that it may take.
        work: the function to call.
        arguments: its arguments.

    Raises:
        TimeoutError: it took longer. The work may still go on.

    Example:
        >>> within(5, sum, [1, 2])
        3
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work(*arguments))
        except BaseException as err:  # noqa: BLE001  `future.result` raises it again
            future.set_exception(err)

    threading.Thread(target=run, daemon=True).start()
    return future.result(limit_s)
