"""Flask: its request has the URL rule, and the app has one method for each kind of failure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from flask import request

from .facts import REQUEST_KEY
from .hooks import hook, unfailing
from .watch import watch as watch_behind
from .werkzeug_rules import match_wrapped, tell_error, tell_rule, template_of

__all__ = ["match", "watch"]


def watch(app: Any) -> None:
    """Hook a Flask app. Middleware around its `wsgi_app` may copy the environ."""
    if hook(app, "full_dispatch_request", functools.partial(_dispatching, app)):
        hook(app, "handle_user_exception", _failing)
        hook(app, "handle_exception", _unhandled)
        watch_behind(vars(app).get("wsgi_app"))


def match(app: Any, environ: Mapping[str, Any]) -> str | None:
    """Return the rule that Flask would choose."""
    return match_wrapped(vars(app).get("wsgi_app"), environ, functools.partial(_chosen, app))


def _chosen(app: Any, environ: Mapping[str, Any]) -> str | None:
    return template_of(app.create_url_adapter(app.request_class(dict(environ), populate_request=False)))


@unfailing
def _tell_rule(app: Any) -> None:
    current = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001  as Flask's documentation says
    tell_rule(app, current, current.environ)


@unfailing
def _tell_error(error: Exception) -> None:
    tell_error(error, request.environ)


@unfailing
def _tell_unhandled() -> None:
    facts = request.environ.get(REQUEST_KEY)
    if facts is not None and facts.told is not None:
        facts.told["unhandled"] = ""


# Flask 3.2 hands its context over as the first argument.
def _dispatching(app: Any, dispatch: Callable[..., Any]) -> Callable[..., Any]:
    def tell(*arguments: Any) -> Any:
        _tell_rule(app)
        return dispatch(*arguments)

    return tell


def _failing(handle: Callable[..., Any]) -> Callable[..., Any]:
    def tell(*arguments: Any) -> Any:
        _tell_error(arguments[-1])
        return handle(*arguments)

    return tell


def _unhandled(handle: Callable[..., Any]) -> Callable[..., Any]:
    """Tell an exception for which the app has no handler, so that Flask answers 500 or raises it."""
    tell_failed = _failing(handle)

    def tell(*arguments: Any) -> Any:
        _tell_unhandled()
        return tell_failed(*arguments)

    return tell
