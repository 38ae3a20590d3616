"""The switch: what is to be observed is observed as soon as metrics are on, and left alone until then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from ..delivery.process_pipeline import current_settings, is_open, on_opening
from ..instruments.catalogue import built, catalogue
from ..model.fork_locks import SETUP_LOCK

__all__ = ["recorded", "while_on"]

Group = TypeVar("Group", bound=Any)

# With metrics off: what waits for a call of `instrument` or `install` that turns them on by its settings.
_waiting: WeakKeyDictionary[Any, set[Callable[[Any], None]]] = WeakKeyDictionary()


def while_on(group: type[Any], target: Any, start: Callable[[Any], None]) -> None:
    """Call `start(target)`, now or when metrics are turned on.

    Args:
        group: the instruments that `start` needs. They are built, so that what happens before the first call of
            `instrument` is counted as well.
        target: what is to be observed.
        start: observes it, and does nothing the second time; it must not fail.
    """
    with SETUP_LOCK:  # one thread at a time starts anything, and no pipeline opens meanwhile
        if is_open() or current_settings()[0].enabled or built(group):
            catalogue(group)
            start(target)
        else:
            _waiting.setdefault(target, set()).add(start)
            on_opening(_start_all)


def _start_all() -> None:
    while _waiting:
        target, starts = _waiting.popitem()
        for start in starts:
            start(target)


def recorded(group: type[Group]) -> Group | None:
    """Return the instruments of a group; None while metrics are off."""
    return built(group) or (catalogue(group) if is_open() else None)
