"""Bottle: its router finds the route, and a hook of its own sees what was raised."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from bottle import HTTPError, HTTPResponse, request

from .facts import MOUNT_KEY, REQUEST_KEY, UNMATCHED, RequestFacts
from .hooks import hook, unfailing
from .request_path import path_below
from .watch import is_known
from .watch import match as match_behind
from .watch import watch as watch_behind

__all__ = ["match", "watch"]

_METHOD_NOT_ALLOWED = 405
_REST = "/{path}"


def watch(app: Any) -> None:
    """Hook a Bottle app."""
    if hook(app.router, "match", functools.partial(_matching, app)):
        app.add_hook("after_request", _failed)


def match(app: Any, environ: Mapping[str, Any]) -> str | None:
    """Return the rule that Bottle would choose."""
    asked = {**environ, "PATH_INFO": path_below(environ)}
    try:
        route, _ = type(app.router).match(app.router, asked)
    except HTTPError as err:
        if err.status_code != _METHOD_NOT_ALLOWED:
            return None
        allowed = err.get_header("Allow", "GET").partition(",")[0]
        route, _ = type(app.router).match(app.router, {**asked, "REQUEST_METHOD": allowed})
    prefix, mounted = _mount_of(route)
    if mounted is None:
        return str(route.rule)
    if not is_known(mounted):
        return prefix + _REST
    script_name = environ.get("SCRIPT_NAME", "") + prefix
    inner = match_behind(
        mounted, {**environ, "SCRIPT_NAME": script_name, "PATH_INFO": environ["PATH_INFO"][len(prefix) :]}
    )
    return None if inner is None else prefix + inner


def _matching(app: Any, find: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def tell(environ: MutableMapping[str, Any]) -> Any:
        facts = environ.get(REQUEST_KEY)
        if facts is None:
            return find(environ)
        facts.error = None
        try:
            found = find(environ)
        except HTTPError as err:
            _tell_missing(app, facts, environ, err.status_code)
            raise
        _tell_found(facts, environ, found[0])
        return found

    return tell


@unfailing
def _tell_missing(app: Any, facts: RequestFacts, environ: Mapping[str, Any], status: int) -> None:
    facts.learn(environ, (status == _METHOD_NOT_ALLOWED and match(app, _as_before(environ))) or UNMATCHED)


@unfailing
def _tell_found(facts: RequestFacts, environ: MutableMapping[str, Any], route: Any) -> None:
    prefix, mounted = _mount_of(route)
    if mounted is None:
        facts.learn(environ, route.rule)
    else:
        watch_behind(mounted)
        environ[MOUNT_KEY] = environ.get(MOUNT_KEY, "") + prefix
        facts.learn(environ, _REST)


def _as_before(environ: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the environ as the server made it: Bottle has decoded the path."""
    return {**environ, "PATH_INFO": environ.get("bottle.raw_path", environ["PATH_INFO"])}


def _mount_of(route: Any) -> tuple[str, Any]:
    """Return the prefix and the app of a route that stands for another WSGI app; "" and None for any other."""
    mounted = route.config.get("mountpoint.target")
    return (route.config["mountpoint.prefix"].rstrip("/"), mounted) if mounted is not None else ("", None)


@unfailing
def _failed() -> None:
    """Tell an exception. Bottle calls this hook while the exception is on its way to become a 500."""
    error = sys.exc_info()[1]
    facts = request.environ.get(REQUEST_KEY)
    if facts is not None and isinstance(error, Exception) and not isinstance(error, HTTPResponse):
        facts.error = error
