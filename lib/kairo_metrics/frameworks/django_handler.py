"""Django: its handler resolves the URL, for WSGI and ASGI in the same method."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from django.core.signals import got_request_exception
from django.urls import Resolver404, resolve
from django.utils.translation import get_language_from_path, override

from .django_patterns import readable
from .django_views import scope_of, tell_exception, tell_responses, tell_view
from .facts import REQUEST_KEY, UNMATCHED
from .hooks import hook, unfailing
from .request_path import path_below

__all__ = ["match", "watch"]


def watch(handler: Any) -> None:
    """Hook the handler that `get_wsgi_application` or `get_asgi_application` has made."""
    hook(handler, "resolve_request", _resolving)
    hook(handler, "process_exception_by_middleware", _failing)
    tell_responses(handler)
    got_request_exception.connect(_failed, dispatch_uid="kairo_metrics")


def match(_handler: Any, scope: Mapping[str, Any]) -> str | None:
    """Return the template that the URL configuration has for this path."""
    path = path_below(scope)
    with override(get_language_from_path(path)):  # the middleware that activates it may not have been reached
        try:
            return readable(resolve(path).route)
        except Resolver404:
            return None


def _resolving(resolve_request: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def tell(request: Any) -> Any:
        _tell_route(request, None)
        found = resolve_request(request)
        _tell_route(request, found)
        return found

    return tell


@unfailing
def _tell_route(request: Any, found: Any) -> None:
    scope = scope_of(request)
    facts = scope.get(REQUEST_KEY)
    if facts is not None:
        facts.learn(scope, UNMATCHED if found is None else readable(found.route))
        tell_view(request, found)


def _failing(process: Callable[[Exception, Any], Any]) -> Callable[[Exception, Any], Any]:
    """Tell an exception of a view, which middleware may answer before anybody else sees it."""

    def tell(error: Exception, request: Any) -> Any:
        _tell(error, request)
        _tell_view_error(error, request)
        return process(error, request)

    return tell


def _failed(request: Any = None, **_named: Any) -> None:
    """Tell an exception that Django is about to answer with 500; it calls this inside of its `except`."""
    error = sys.exc_info()[1]
    if isinstance(error, Exception) and request is not None:
        _tell(error, request)


@unfailing
def _tell_view_error(error: Exception, request: Any) -> None:
    tell_exception(request, error)


@unfailing
def _tell(error: Exception, request: Any) -> None:
    facts = scope_of(request).get(REQUEST_KEY)
    if facts is not None:
        facts.error = error
