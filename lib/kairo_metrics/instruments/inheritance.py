"""What a process had not sent when it was forked: one of its processes takes it, and sends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .pending_series import INSTANCE_PLACE, PendingSeries

if TYPE_CHECKING:
    from ..model.schema import Schema

__all__ = ["Inheritance", "new_claim"]


@dataclass(frozen=True, slots=True)
class Inheritance:
    """The unsent part of a process at the moment of a fork; each process of the family has a copy.

    Args:
        take: takes the inheritance; returns true in one process only, and there once.
        series: what was recorded.
        removed: the series that are removed first, each with its family.
        cleared: the label pairs whose series are removed first, each with its family.
    """

    take: Callable[[], bool]
    series: list[PendingSeries]
    removed: dict[tuple[Schema, str], None]
    cleared: dict[tuple[Schema, str], None]

    def name_instance(self, instance: str) -> None:
        """Keep what only one instance writes that instance's: a child may have other values, and the parent may flush.

        Args:
            instance: the id of the parent.
        """
        for series in self.series:
            series.text = series.text.replace(INSTANCE_PLACE, instance)


def new_claim() -> Callable[[], bool] | None:
    """Return a function that returns true once: in the first to call it of this process and all forked from now on.

    It is a semaphore: it needs no file, and no file descriptor, which a daemon would close.

    Returns:
        None where the system has no semaphores; AWS Lambda has none.
    """
    try:
        from multiprocessing import get_context  # few programs fork

        free = get_context("fork").Semaphore(1)
    except (ImportError, OSError, ValueError):
        return None
    return lambda: free.acquire(block=False)
