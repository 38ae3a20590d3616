"""A registry of a test's own whose instruments are recorded."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from lib.kairo_metrics.instruments.adoption import adopt

__all__ = ["adopted_registry"]


def adopted_registry() -> CollectorRegistry:
    """Return a new registry, adopted as `install` adopts one."""
    registry = CollectorRegistry()
    adopt(registry)
    return registry
