"""What of a registry is not sent: its collectors that are no instruments, and its target info.

They run where the page is made. A process that makes no page can only say so.
"""

from __future__ import annotations

import logging

__all__ = ["name_of", "tell_collector", "tell_target_info"]

_log = logging.getLogger("kairo_metrics")
_told: set[str] = set()


def tell_collector(collector: object) -> None:
    """Log, once for each class, that a collector is not sent."""
    _tell(name_of(collector), f"the collector {name_of(collector)}")


def tell_target_info() -> None:
    """Log once that target infos are not sent."""
    _tell("target_info", "the target_info of a registry")


def name_of(collector: object) -> str:
    """Return the name of a collector for people: its class.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> name_of(CollectorRegistry())
        'prometheus_client.registry.CollectorRegistry'
    """
    kind = type(collector)
    return f"{kind.__module__}.{kind.__qualname__}"


def _tell(name: str, subject: str) -> None:
    if name not in _told:
        _told.add(name)
        _log.warning(
            "%s is not sent by this process, which serves no metrics page. Register it in the function that serves the "
            "page, and only there",
            subject,
        )
