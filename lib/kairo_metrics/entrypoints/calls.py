"""The call that is being served: a request or an invocation. Only the outermost one waits for its flush."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from typing import cast

from ..instruments.current_call import CURRENT_CALL

__all__ = ["CURRENT", "Call"]


class Call(AbstractContextManager["Token[Call | None]"]):
    """One call of an entry point; while a block runs that it opens, it is the current one.

    The parts of a call may run in several threads, also at once: so no block keeps a token of what was current before.
    A call may have others inside it: an app that sends a request to itself, a step of a function. Those are measured
    as well, and what they count is sent at the end of the outermost call.

    Args:
        target: the method and the path of a request; an adapter hands the same request to another app.
        exemplar: the exemplar labels of what is counted in the call; by default those of the call around it.

    Attributes:
        is_over: whether what is counted from now on is not sent with this call any more.
    """

    __slots__ = ("_outer", "exemplar", "is_over", "target")

    def __init__(self, target: tuple[str, str] | None = None, exemplar: Mapping[str, str] | None = None) -> None:
        self.target = target
        outer = CURRENT.get()
        self._outer = None if outer is None else _served(outer)
        self.exemplar: Mapping[str, str] | None = exemplar or (None if self._outer is None else self._outer.exemplar)
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

    def __enter__(self) -> Token[Call | None]:
        return CURRENT.set(self)

    def __exit__(self, *_error: object) -> None:
        CURRENT.set(None if self._outer is None else _served(self._outer))

    def is_serving(self, method: str, *paths: str) -> bool:
        """Return whether this is a request with this method and one of these paths, and not over."""
        return self.target is not None and self.target[0] == method and self.target[1] in paths and not self.is_over


# Nothing else makes calls, so each is one of these.
CURRENT = cast("ContextVar[Call | None]", CURRENT_CALL)


def _served(call: Call | None) -> Call | None:
    """Return the call, or the innermost one around it, that is not over."""
    while call is not None and call.is_over:
        call = call._outer  # noqa: SLF001
    return call
