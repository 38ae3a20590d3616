"""The call that is being served: a request or an invocation. Only the outermost one waits for its flush."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token

from ..instruments.values.exemplar import REQUEST_EXEMPLAR

__all__ = ["CURRENT", "Call"]


class Call(AbstractContextManager[None]):
    """One call of an entry point; while a block runs that it opens, it is the current one.

    The parts of a call may run in several threads, but one after the other: so it has one token for all its blocks.
    A call may have others inside it: an app that sends a request to itself, a step of a function. Those are measured
    as well, and what they count is sent at the end of the outermost call.

    Args:
        target: the method and the path of a request; an adapter hands the same request to another app.
        exemplar: the exemplar labels of what is counted in the call.

    Attributes:
        is_over: whether what is counted from now on is not sent with this call any more.
    """

    __slots__ = ("_exemplar", "_outer", "_replaced", "_token", "is_over", "target")

    def __init__(self, target: tuple[str, str] | None = None, exemplar: Mapping[str, str] | None = None) -> None:
        self.target = target
        self._exemplar = exemplar
        outer = CURRENT.get()
        self._outer = None if outer is None else _served(outer)
        self.is_over = False

    @property
    def is_outermost(self) -> bool:
        """Whether no call around this one is still being served: a task may outlive the call that started it."""
        outer = self._outer
        return outer is None or (outer.is_over and outer.is_outermost)

    def leave(self) -> None:
        """Make the call around this one current again; nothing, in a context in which this one is not current.

        A generator may be resumed in another context than that in which it was started. So there is no token to reset.
        """
        if CURRENT.get() is self:
            CURRENT.set(_served(self._outer))

    def __enter__(self) -> None:
        self._token: Token[Call | None] = CURRENT.set(self)
        if self._exemplar:
            self._replaced = REQUEST_EXEMPLAR.set(self._exemplar)

    def __exit__(self, *_error: object) -> None:
        if self._exemplar:
            REQUEST_EXEMPLAR.reset(self._replaced)
        CURRENT.reset(self._token)

    def is_serving(self, method: str, *paths: str) -> bool:
        """Return whether this is a request with this method and one of these paths, and not over."""
        return self.target is not None and self.target[0] == method and self.target[1] in paths and not self.is_over


CURRENT: ContextVar[Call | None] = ContextVar("kairo_metrics.call", default=None)


def _served(call: Call | None) -> Call | None:
    """Return the call, or the innermost one around it, that is not over."""
    while call is not None and call.is_over:
        call = call._outer  # noqa: SLF001
    return call
