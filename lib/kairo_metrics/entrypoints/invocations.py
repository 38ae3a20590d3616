"""Measuring functions: crons, consumers of queues, Lambda functions and scripts."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ..delivery.loop_ticker import loop_is_running
from ..delivery.process_pipeline import current_pipeline
from .calls import CURRENT, Call
from .invocation_record import InvocationRecord

if TYPE_CHECKING:
    from ..delivery.loop_ticker import LoopTicker
    from ..delivery.pipeline import Pipeline
    from ..delivery.thread_ticker import ThreadTicker

__all__ = ["Measured", "measured"]

F = TypeVar("F", bound=Callable[..., Any])


@overload
def measured(function: F, /) -> F: ...


@overload
def measured(name: str | None = None, /) -> Measured: ...


def measured(function: Any = None, /) -> Any:
    """Measure a function, or a block of code, and send what was counted at its end.

    The function's result, exceptions and arguments stay as they are, also if the store is away. Inside a request or
    another measured function, what is counted is sent at the end of that.

    Args:
        function: the function, or the name under which it is counted; by default the function's own name.

    Raises:
        TypeError: it is neither a function nor a name, or it is a generator.

    Example:
        >>> @measured
        ... def nightly_sync():
        ...     return 3
        >>> nightly_sync()
        3
        >>> with measured("step"):
        ...     pass
    """
    if function is None or isinstance(function, str):
        return Measured(function)
    return Measured(None)(function)


class Measured:
    """What `measured("name")` returns: a decorator, and a block of code, for `with` and for `async with`."""

    def __init__(self, name: str | None) -> None:
        if name is not None and not name.strip():
            raise ValueError("measured takes a function, or a name that is not empty")
        self._name = name
        self._open: list[_Run] = []

    def __call__(self, function: F) -> F:
        """Return the measured function.

        Raises:
            TypeError: it is not a function, or it is a generator.
        """
        _check(function)
        name = self._name or _name_of(function)
        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):

            @wraps(function)
            async def measured_function(*args: Any, **kwargs: Any) -> Any:
                async with Measured(name) as run:
                    run.result = await function(*args, **kwargs)
                return run.result

        else:

            @wraps(function)
            def measured_function(*args: Any, **kwargs: Any) -> Any:
                with Measured(name) as run:
                    run.result = function(*args, **kwargs)
                return run.result

        return measured_function  # type: ignore[return-value]

    def __enter__(self) -> _Run:
        return self._begin(lambda pipeline: pipeline.thread_ticker)

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        run = self._finish(error)
        if run.pipeline and run.is_outermost:
            if loop_is_running():  # it can't wait here
                run.pipeline.flusher.flush_beside()
            else:
                run.pipeline.flusher.after_call(keeps_awake=False)

    async def __aenter__(self) -> _Run:
        return self._begin(lambda pipeline: pipeline.ticker)

    async def __aexit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        run = self._finish(error)
        if run.pipeline and run.is_outermost and not isinstance(error, GeneratorExit):  # then its event loop is gone
            if loop_is_running():
                await run.pipeline.flusher.after_response(keeps_awake=False)
            else:
                run.pipeline.flusher.after_call(keeps_awake=False)

    def _begin(self, ticker_of: Callable[[Pipeline], LoopTicker | ThreadTicker]) -> _Run:
        if self._name is None:
            raise ValueError('give the block a name: with measured("step")')
        run = _Run(self._name)
        if run.pipeline and run.is_outermost:
            run.ticker = ticker_of(run.pipeline)
            run.ticker.begin()
        self._open.append(run)
        return run

    def _finish(self, error: BaseException | None) -> _Run:
        """End the run that is current; in another context, where none of this block is, the last one begun.

        Frameworks begin and end a generator in different threads: Starlette streams one, FastAPI depends on one.
        """
        run = CURRENT.get()
        if isinstance(run, _Run) and run in self._open:
            self._open.remove(run)
        else:
            run = self._open.pop()
        run.finish(error)
        return run


class _Run(Call):
    """One invocation, or one run of a block, from its begin to its end."""

    __slots__ = ("_record", "pipeline", "result", "ticker")

    def __init__(self, name: str) -> None:
        super().__init__()
        self.pipeline = current_pipeline()
        self._record = InvocationRecord(name, is_outermost=self.is_outermost) if self.pipeline else None
        self.result: Any = None
        self.ticker: LoopTicker | ThreadTicker | None = None
        CURRENT.set(self)

    def finish(self, error: BaseException | None) -> None:
        self.is_over = True
        self.leave()
        if self.ticker is not None:
            self.ticker.end()
        if self._record is not None:
            self._record.succeed(self.result) if error is None else self._record.fail(error)


def _check(function: Any) -> None:
    if isinstance(function, type | staticmethod | classmethod) or not callable(function):
        raise TypeError(f"measured takes a function or a name, not {type(function).__name__}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f'{_name_of(function)} is a generator: put `with measured("name"):` into it')


def _name_of(function: Any) -> str:
    while isinstance(function, partial):
        function = function.func
    name: str = getattr(function, "__qualname__", type(function).__qualname__)
    return name.rpartition("<locals>.")[2]
