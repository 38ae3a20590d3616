"""The locks of prometheus_client's registries and instruments, after a fork."""

from __future__ import annotations

from collections.abc import Iterable
from threading import RLock
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

__all__ = ["renew_client_locks"]


def renew_client_locks(registries: Iterable[CollectorRegistry]) -> None:
    """Replace prometheus_client's locks in a forked child: a thread that exists only in the parent may hold one.

    Args:
        registries: those whose instruments are recorded.
    """
    for registry in registries:
        registry._lock = RLock()  # type: ignore[assignment]  # noqa: SLF001
        for instrument in list(registry._collector_to_names):  # noqa: SLF001
            if isinstance(instrument, MetricWrapperBase):
                instrument._lock = RLock()  # type: ignore[assignment]  # noqa: SLF001
                for child in _children(instrument):
                    if hasattr(child, "_lock"):  # those of an info and an enum have one of their own
                        child._lock = RLock()  # noqa: SLF001


def _children(instrument: Any) -> list[Any]:
    return list(instrument._metrics.values()) if instrument._is_parent() else [instrument]  # noqa: SLF001
