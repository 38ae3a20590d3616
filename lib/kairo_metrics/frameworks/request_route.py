"""Naming a request's route in code that no framework routes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from .facts import REQUEST_KEY, UNMATCHED, RequestFacts

__all__ = ["request_route"]

_MOST_TEMPLATES = 1000
# Where frameworks keep the scope or the environ on their request; "env" is Falcon's.
_ATTRIBUTES = ("scope", "environ", "env")

_log = logging.getLogger("kairo_metrics")
_templates: set[str] = set()


def request_route(request: Any, template: str) -> None:
    """Count a request under this route, whatever a framework tells; do nothing while the request is not measured.

    At most 1,000 different templates are taken from one process. Further ones count as `__unmatched__`, because then
    paths are given in the place of templates.

    Args:
        request: the ASGI scope, the WSGI environ, a framework's request, or an `http.server` handler.
        template: the route as it is shown, with the mounts; from code, never from what the client has sent.

    Raises:
        TypeError: the template is not a string, or nothing that belongs to a request was given.

    Example:
        >>> request_route({"type": "http", "path": "/items/7"}, "/items/{id}")
    """
    if not isinstance(template, str):
        raise TypeError(f"a route's template is a string, not {type(template).__name__}")
    facts = _facts_of(request)
    if facts is not None:
        facts.name(_bounded(template))


def _facts_of(request: Any) -> RequestFacts | None:
    holder = next((getattr(request, name) for name in _ATTRIBUTES if hasattr(request, name)), request)
    if not isinstance(holder, Mapping):
        holder = getattr(request, "__dict__", None)  # an http.server handler
    if holder is None:
        raise TypeError(f"request_route takes a scope, an environ or a request, not {type(request).__name__}")
    facts: RequestFacts | None = holder.get(REQUEST_KEY)
    return facts


def _bounded(template: str) -> str:
    if template not in _templates:
        if len(_templates) >= _MOST_TEMPLATES:
            return UNMATCHED
        _templates.add(template)
        if len(_templates) == _MOST_TEMPLATES:
            _log.warning("request_route has got %d templates; further ones count as %s", _MOST_TEMPLATES, UNMATCHED)
    return template
