"""The collectors of a program that are no instruments: what they say can't be sent, so they run for a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from ..instruments.adoption import is_of_one_process

__all__ = ["custom_collectors"]


def custom_collectors(registries: Iterable[CollectorRegistry]) -> Iterator[tuple[CollectorRegistry, Any]]:
    """Return the collectors of these registries that are no instruments, and None for a target info.

    The three collectors that prometheus_client registers by itself in its default registry are left out.

    Args:
        registries: those of the program whose instruments are sent.
    """
    for registry in registries:
        if registry.get_target_info():
            yield registry, None
        for collector in list(registry._collector_to_names):  # noqa: SLF001  the registry has no public listing
            is_default = registry is REGISTRY and is_of_one_process(collector)
            if not (is_default or isinstance(collector, MetricWrapperBase)):
                yield registry, collector
