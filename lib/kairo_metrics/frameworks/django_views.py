"""Django: what is told of a request besides its route, if anybody wants it: its view, its template, its response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.core.handlers.asgi import ASGIHandler

from .facts import REQUEST_KEY
from .hooks import hook, unfailing

__all__ = ["scope_of", "tell_exception", "tell_responses", "tell_view"]

_UNNAMED = "<unnamed view>"


def scope_of(request: Any) -> Mapping[str, Any]:
    """Return the scope or the environ of a request."""
    scope: Mapping[str, Any] = getattr(request, "scope", None) or getattr(request, "environ", {})
    return scope


def tell_responses(handler: Any) -> None:
    """Let a handler tell of its responses and their templates."""
    templates = getattr(handler, "_template_response_middleware", None)
    if isinstance(handler, ASGIHandler):
        hook(handler, "get_response_async", _responding_async)
        tell: Any = _TEMPLATES.tell_async
    else:
        hook(handler, "get_response", _responding)
        tell = _TEMPLATES.tell
    if templates is not None and tell not in templates:
        templates.insert(0, tell)


def tell_view(request: Any, found: Any) -> None:
    """Tell the view that was found, before Django calls it; with None that it looks for one."""
    told = _told_of(request)
    if told is None:
        return
    told["view"] = _UNNAMED
    told["transport"] = "https" if request.is_secure() else "http"
    if found is not None:
        told["view"] = told["called_view"] = found.view_name or _UNNAMED


def tell_exception(request: Any, error: Exception) -> None:
    """Tell an exception of a view."""
    told = _told_of(request)
    if told is not None:
        told["exception"] = type(error).__name__


def _told_of(request: Any) -> dict[str, str] | None:
    facts = scope_of(request).get(REQUEST_KEY)
    told: dict[str, str] | None = None if facts is None else facts.told
    return told


@unfailing
def _tell_response(request: Any, response: Any) -> None:
    told = _told_of(request)
    if told is None:
        return
    if hasattr(response, "charset"):
        told["charset"] = str(response.charset)
    if getattr(response, "streaming", False):
        told["streaming"] = ""
    elif hasattr(response, "content"):
        told["body_length"] = str(len(response.content))


@unfailing
def _tell_template(request: Any, response: Any) -> None:
    told = _told_of(request)
    if told is not None and hasattr(response, "template_name"):
        told["template"] = str(response.template_name)


def _responding(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def tell(request: Any) -> Any:
        response = get_response(request)
        _tell_response(request, response)
        return response

    return tell


def _responding_async(get_response: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
    async def tell(request: Any) -> Any:
        response = await get_response(request)
        _tell_response(request, response)
        return response

    return tell


class _Templates:
    """Takes a place among the middlewares for templates. Django asks such a method for its object."""

    def tell(self, request: Any, response: Any) -> Any:
        _tell_template(request, response)
        return response

    async def tell_async(self, request: Any, response: Any) -> Any:
        _tell_template(request, response)
        return response


_TEMPLATES = _Templates()
