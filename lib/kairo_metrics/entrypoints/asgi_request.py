"""The begin of a request of an ASGI app that has chosen something."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from ..frameworks.request_path import path_below
from .exchange import MeasuredRequest
from .http_record import HTTPRecord

__all__ = ["begin_asgi", "paths_of"]

Scope = MutableMapping[str, Any]


def begin_asgi(record: HTTPRecord, scope: Scope) -> None:
    """Begin the record of a request.

    Args:
        record: that of the request.
        scope: the ASGI scope.
    """
    request = MeasuredRequest(scope["method"], scope["path"], scope.get("headers", ()), scope)
    record.begin(request, *paths_of(scope))


def paths_of(scope: Scope) -> tuple[str, str]:
    """Return the path, and the path below the prefix under which the server has the app."""
    return scope["path"], path_below(scope)
