"""Falcon, for WSGI and ASGI: its app finds the responder and the template together."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from falcon import HTTPError, HTTPStatus

from .facts import REQUEST_KEY, UNMATCHED
from .hooks import hook_in_class, unfailing

__all__ = ["match", "watch"]

_REST = "{path}"


def watch(app: Any) -> None:
    """Hook a Falcon app. It has `__slots__`, so the methods can't be set on it."""
    own_class = type(app)
    get_responder, handle_exception = own_class._get_responder, own_class._handle_exception  # noqa: SLF001  no public way

    def _get_responder(self: Any, req: Any) -> Any:
        found = get_responder(self, req)
        _tell_route(self, req, found)
        return found

    def _handle_exception(self: Any, req: Any, resp: Any, ex: Exception, *more: Any, **named: Any) -> Any:
        _tell_error(req, ex)
        return handle_exception(self, req, resp, ex, *more, **named)

    hook_in_class(app, _get_responder=_get_responder, _handle_exception=_handle_exception)


@unfailing
def _tell_route(app: Any, req: Any, found: Any) -> None:
    facts = _scope_of(req).get(REQUEST_KEY)
    if facts is not None:
        facts.learn(_scope_of(req), _template(app, *found) or UNMATCHED)


@unfailing
def _tell_error(req: Any, error: Exception) -> None:
    facts = _scope_of(req).get(REQUEST_KEY)
    if facts is not None and not isinstance(error, HTTPError | HTTPStatus):
        facts.error = error


def match(app: Any, scope: Mapping[str, Any]) -> str | None:
    """Return the template that Falcon would choose."""
    if "REQUEST_METHOD" in scope:
        path = scope.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
    else:
        path = scope["path"]  # Falcon leaves `root_path` in it

    asked = SimpleNamespace(path=path or "/", method="GET", is_websocket=False, scope={})
    return _template(app, *app._get_responder(asked))  # noqa: SLF001  no public way


def _template(app: Any, responder: Any, _params: Any, resource: Any, template: str | None) -> str | None:
    """Return the template of a route; of static files their prefix, of a sink its pattern."""
    if resource is not None:
        return template
    for matcher, found, is_sink in app._sink_and_static_routes:  # noqa: SLF001  the responder alone has no prefix
        if found is responder:
            return str(matcher.pattern) if is_sink else f"{matcher._prefix}{_REST}"  # noqa: SLF001  the same
    return None


def _scope_of(req: Any) -> Mapping[str, Any]:
    scope: Mapping[str, Any] = req.env if hasattr(req, "env") else req.scope
    return scope
