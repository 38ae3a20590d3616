"""Measuring an app, whichever interface it has. The module of an interface is imported with the first such app."""

from __future__ import annotations

from typing import Any

from ..delivery.flusher import Flusher
from ..instruments.adoption import SETUP_LOCK
from .interfaces import Interface
from .traces import ExemplarSource

__all__ = ["measured_app"]


def measured_app(app: Any, interface: Interface, flusher: Flusher, exemplar: ExemplarSource) -> Any:
    """Return what stands in the place of the app; an app that is measured already stays as it is."""
    with SETUP_LOCK:  # threads may do it for the same app
        if interface == "handler":
            from .http_handler import measured_handler

            return measured_handler(app, flusher, exemplar)
        if interface == "wsgi":
            from .wsgi import measured_wsgi

            return measured_wsgi(app, flusher, exemplar)
        from .asgi import measured_asgi

        return measured_asgi(app, flusher, exemplar)
