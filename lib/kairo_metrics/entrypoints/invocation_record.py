"""What is counted of one invocation of a function."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ..instruments.catalogue import catalogue
from ..instruments.function_instruments import FunctionInstruments

__all__ = ["InvocationRecord"]

_started: set[str] = set()


class InvocationRecord:
    """One invocation of a function, or one run of a step.

    Args:
        function: the value of the label.
        is_outermost: whether it is an invocation, and not a part of one.
    """

    __slots__ = ("_function", "_instruments", "_started_s")

    def __init__(self, function: str, *, is_outermost: bool) -> None:
        self._instruments = catalogue(FunctionInstruments)
        self._function = function
        if is_outermost and function not in _started:
            _started.add(function)
            self._instruments.cold_starts.labels(function).inc()
        # It begins at zero, so that an error rate has data before the first error.
        self._instruments.invocations.labels(function, "error")
        self._started_s = time.perf_counter()

    def succeed(self, result: Any = None) -> None:
        """Count an invocation that returned.

        A consumer of a queue reports single messages that failed in its result: AWS Lambda, "Reporting batch item
        failures".
        """
        has_failures = isinstance(result, dict) and bool(result.get("batchItemFailures"))
        self._end("partial" if has_failures else "success")

    def fail(self, error: BaseException) -> None:
        """Count an invocation that raised. `sys.exit()` without an error is a success."""
        if isinstance(error, SystemExit) and (error.code is None or error.code == 0):
            self._end("success")
        elif isinstance(error, asyncio.CancelledError | GeneratorExit):  # whoever used a generator has left
            self._end("cancelled")
        else:
            self._end("error")
            self._instruments.errors.labels(self._function, type(error).__name__).inc()

    def _end(self, outcome: str) -> None:
        self._instruments.duration.labels(self._function).observe(time.perf_counter() - self._started_s)
        self._instruments.invocations.labels(self._function, outcome).inc()
