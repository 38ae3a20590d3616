"""Attributes that are made when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .fork_locks import SETUP_LOCK

__all__ = ["made_late"]

T = TypeVar("T")


class made_late(Generic[T]):  # noqa: N801  a decorator, like `property`
    """An attribute that its method makes once, also if several threads ask at the same time.

    From then on it costs no more than any other attribute. What is set counts in place of what would be made. It is
    made under `SETUP_LOCK`: the method may import, and no child is forked while a thread imports.
    `functools.cached_property` of Python 3.11 has a lock of its own, for which no fork waits.

    Example:
        >>> class Lazy:
        ...     @made_late
        ...     def answer(self) -> int:
        ...         print("made")
        ...         return 42
        >>> lazy = Lazy()
        >>> lazy.answer, lazy.answer
        made
        (42, 42)
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    def __get__(self, owner: Any, _kind: type | None = None) -> T:
        made = vars(owner)
        with SETUP_LOCK:
            if self._name not in made:
                made[self._name] = self._make(owner)
            found: T = made[self._name]
            return found

    if TYPE_CHECKING:  # it has none, so that Python looks into the object first

        def __set__(self, owner: Any, value: T) -> None: ...
