"""Measuring functions: crons, consumers of queues, Lambda functions and scripts."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, overload

from ..delivery.flusher import Flusher
from ..delivery.pipeline import current_pipeline
from .calls import CURRENT, Call
from .invocation_record import InvocationRecord

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
        run = _Run(self._block_name())
        if run.flusher and run.is_outermost:
            run.flusher.thread_ticker.begin()
        return run

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        run = _Run.finish(error)
        if run.flusher and run.is_outermost:
            run.flusher.thread_ticker.end()
            if _loop_is_running():  # it can't wait here
                run.flusher.flush_beside()
            else:
                run.flusher.after_call()

    async def __aenter__(self) -> _Run:
        run = _Run(self._block_name())
        if run.flusher and run.is_outermost:
            run.flusher.loop_ticker.begin()
        return run

    async def __aexit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        run = _Run.finish(error)
        if run.flusher and run.is_outermost:
            run.flusher.loop_ticker.end()
            if not isinstance(error, GeneratorExit):  # its event loop is gone
                await run.flusher.after_response()

    def _block_name(self) -> str:
        if self._name is None:
            raise ValueError('give the block a name: with measured("step")')
        return self._name


class _Run(Call):
    """One invocation, or one run of a block, from its begin to its end."""

    __slots__ = ("_record", "_token", "flusher", "result")

    def __init__(self, name: str) -> None:
        super().__init__()
        pipeline = current_pipeline()
        self.flusher: Flusher | None = pipeline.flusher if pipeline else None
        self._record = InvocationRecord(name, is_outermost=self.is_outermost) if pipeline else None
        self.result: Any = None
        self._token = CURRENT.set(self)

    @classmethod
    def finish(cls, error: BaseException | None) -> _Run:
        """End the run that was begun last in this context."""
        run = CURRENT.get()
        if not isinstance(run, cls):
            raise RuntimeError(  # noqa: TRY004
                "a block of measured must be left in the task or thread in which it was entered"
            )
        run.finish_as(error)
        return run

    def finish_as(self, error: BaseException | None) -> None:
        CURRENT.reset(self._token)
        self.is_over = True
        if self._record is not None:
            self._record.succeed(self.result) if error is None else self._record.fail(error)


def _check(function: Any) -> None:
    if isinstance(function, type | staticmethod | classmethod) or not callable(function):
        raise TypeError(f"measured takes a function or a name, not {type(function).__name__}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f'{_name_of(function)} is a generator: put `with measured("name"):` into it')


def _name_of(function: Any) -> str:
    name: str = getattr(function, "__qualname__", type(function).__qualname__)
    return name.rpartition("<locals>.")[2]


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
