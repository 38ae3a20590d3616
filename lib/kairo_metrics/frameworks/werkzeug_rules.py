"""The URL rules of Werkzeug, which Flask and Quart share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.exceptions import HTTPException, MethodNotAllowed

from .facts import REQUEST_KEY, UNMATCHED
from .watch import is_known
from .watch import match as match_behind
from .watch import watch as watch_behind

__all__ = ["match_wrapped", "tell_error", "tell_rule", "template_of"]

_INSIDE = "kairo_metrics.inside"


def tell_rule(app: Any, request: Any, scope: Mapping[str, Any]) -> None:
    """Tell the rule that a request has matched.

    Args:
        app: the Flask or Quart app.
        request: its request, after its URL was matched.
        scope: the environ of the request, or the scope.
    """
    facts = scope.get(REQUEST_KEY)
    if facts is None:
        return
    if request.url_rule is not None:
        facts.learn(scope, request.url_rule.rule)
    elif isinstance(request.routing_exception, MethodNotAllowed):
        facts.learn(scope, template_of(app.create_url_adapter(request)) or UNMATCHED)
    else:
        facts.learn(scope, UNMATCHED)


def tell_error(error: Exception, scope: Mapping[str, Any]) -> None:
    """Tell an exception that the app is about to answer."""
    facts = scope.get(REQUEST_KEY)
    if facts is not None and not isinstance(error, HTTPException):
        facts.error = error


def match_wrapped(
    wrapper: Any, scope: Mapping[str, Any], match: Callable[[Mapping[str, Any]], str | None]
) -> str | None:
    """Ask what stands in the place of `app.wsgi_app` or `app.asgi_app`: it may send the request to other apps.

    Args:
        wrapper: what the program has set, or None. It may have been set after the app was instrumented.
        scope: the environ or the scope.
        match: asks the app itself. The wrapper leads back to it.
    """
    if _INSIDE in scope or not is_known(wrapper):
        return match(scope)
    watch_behind(wrapper)
    return match_behind(wrapper, {**scope, _INSIDE: True})


def template_of(adapter: Any, *, websocket: bool | None = None) -> str | None:
    """Return the rule that an adapter's request matches, if need be with another method: a 405 has a route, too."""
    try:
        rule, _ = adapter.match(return_rule=True, websocket=websocket)
    except MethodNotAllowed as err:
        rule, _ = adapter.match(method=next(iter(err.valid_methods or ["GET"])), return_rule=True)
    except HTTPException:  # not found, or a redirect to the path with a slash
        return None
    template: str = rule.rule
    return template
