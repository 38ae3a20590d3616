"""AWS Lambda: an ASGI app as a handler for a Function URL, an HTTP or REST API, a load balancer, or CloudFront.

Mangum is imported when a handler is built.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ..errors import EventError
from .interfaces import interface_of
from .lambda_event import is_http_request, kind_of
from .lambda_instance import LambdaInstance
from .lifespan import Lifespan

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["lambda_handler"]

Handler = Callable[[Any, Any], dict[str, Any]]

_MODES = ("auto", "on", "off")
# Installed from the wheel the package is `kairo_metrics`.
_PACKAGE = __name__.partition(".entrypoints")[0]


def lambda_handler(  # noqa: PLR0913  these are Mangum's options
    app: ASGIApp,
    *,
    lifespan: Literal["auto", "on", "off"] = "auto",
    api_gateway_base_path: str | None = None,
    custom_handlers: Sequence[type[Any]] | None = None,
    text_mime_types: Sequence[str] | None = None,
    exclude_headers: Sequence[str] | None = None,
) -> Handler:
    """Build the handler that AWS Lambda calls; the options are Mangum's.

    Lambda sends the response when the handler returns, so a flush delays it, by `METRICS_FLUSH_BUDGET_MS` at most.

    Args:
        app: the ASGI app, instrumented or not.
        lifespan: whether the app's startup is run, once for an instance: "auto" if it has one, "on" if it must have
            one, "off" never.
        api_gateway_base_path: the beginning of the path that is no part of the app's routes, such as `/v1` of a custom
            domain's mapping; it becomes the app's root path. The stage of an HTTP API does so without this.
        custom_handlers: classes of your own for events that Mangum does not know, asked first.
        text_mime_types: the content types that are sent as text, in place of Mangum's; others are sent as base64.
        exclude_headers: names of headers that are left out of the response.

    Raises:
        TypeError: `app` is no ASGI app, or an option has the wrong type.
        ValueError: an option has a wrong value.

    Example:
        handler = lambda_handler(app, api_gateway_base_path="/v1")
    """
    _check_app(app)
    if lifespan not in _MODES:
        raise ValueError(f"lifespan must be 'auto', 'on' or 'off', not {lifespan!r}")
    for name, values in (
        ("custom_handlers", custom_handlers),
        ("text_mime_types", text_mime_types),
        ("exclude_headers", exclude_headers),
    ):
        _check_list(name, values)
    runner = None if lifespan == "off" else Lifespan(app, {})
    from mangum import Mangum
    from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

    mangum = Mangum(
        _Prepared(app, _base_path(api_gateway_base_path), runner),
        # Mangum would run startup and shutdown at every invocation.
        lifespan="off",
        custom_handlers=list(custom_handlers or ()),
        # Other types are sent as base64, which can't be read in the log of a load balancer or an API.
        text_mime_types=[*(text_mime_types or DEFAULT_TEXT_MIME_TYPES), "application/openmetrics-text"],
    )
    return _Handler(mangum, LambdaInstance(runner, is_required=lifespan == "on"), exclude_headers or ())


class _Handler:
    """What Lambda calls: the app's startup if it is due, then Mangum.

    Args:
        mangum: answers an event that is an HTTP request.
        instance: runs the startup.
        excluded: the names of headers that are left out of answers.
    """

    def __init__(self, mangum: Any, instance: LambdaInstance, excluded: Sequence[str]) -> None:
        self._mangum = mangum
        self._instance = instance
        self._excluded = frozenset(name.lower() for name in excluded)

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Answer one event.

        Raises:
            EventError: it is no HTTP request.
            LifespanError: the app's startup failed; the next event tries it again.
        """
        mangum = self._mangum
        if not is_http_request(event) and not any(
            custom.infer(event, context, mangum.config) for custom in mangum.custom_handlers
        ):
            raise EventError(
                f"lambda_handler answers HTTP requests, and this event is {kind_of(event)}. For other events write a "
                f"plain function, and measure it: `from {_PACKAGE} import measured`, then `@measured` above "
                "`def handler(event, context)`"
            )
        self._instance.start()
        return self._finished(mangum(event, context))

    def _finished(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Do to an answer what Mangum leaves out.

        It excludes no headers for an HTTP API, nor repeated ones, and has no base64 for CloudFront.
        """
        for place in ("headers", "multiValueHeaders"):
            if headers := answer.get(place):
                answer[place] = {name: value for name, value in headers.items() if name.lower() not in self._excluded}
        if "set-cookie" in self._excluded:
            answer.pop("cookies", None)
        if "status" in answer and answer.pop("isBase64Encoded", False):
            answer["bodyEncoding"] = "base64"
        return answer


class _Prepared:
    """The app with what a server adds to a request: the root path, and a copy of the lifespan's state.

    The path keeps the root path, as ASGI has it, so that the app's links are right.

    Args:
        app: the app.
        base_path: the root path that the user has given, or "".
        lifespan: the app's, or None if it is not run.
    """

    def __init__(self, app: ASGIApp, base_path: str, lifespan: Lifespan | None) -> None:
        self._app = app
        self._base_path = base_path
        self._lifespan = lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope.get("root_path"):
            scope["root_path"] = self._root_path(scope.get("aws.event"), f"{scope['path']}/")
        if self._lifespan is not None:
            scope["state"] = self._lifespan.state.copy()
        await self._app(scope, receive, send)

    def _root_path(self, event: Any, path: str) -> str:
        """Return the beginning of the path that is no part of the routes.

        In the event's payload format 2.0 the path begins with the stage, unless that is `$default`; in 1.0 it does not.
        """
        base, stage = self._base_path, ""
        match event:
            case {"version": "2.0", "requestContext": {"stage": str(name)}}:
                stage = f"/{name}"
        # Users of Mangum name the stage as the base path.
        roots = (base, stage) if base == stage else (stage + base, base, stage)
        return next((root for root in roots if path.startswith(f"{root}/")), "")


def _check_app(app: Any) -> None:
    """Raise a TypeError that says what to do if it is no ASGI app."""
    if isinstance(app, type) and not hasattr(app, "__await__"):  # such as Starlette's HTTPEndpoint
        if any(name.startswith("do_") for name in dir(app)):
            raise TypeError(
                f"lambda_handler takes an ASGI app, and {app.__name__} is a handler class of http.server, which has no "
                "adapter; write its methods as routes of an ASGI app, such as Starlette"
            )
        raise TypeError(f"lambda_handler takes an ASGI app, and {app.__name__} is a class; give an instance of it")
    if not callable(app):
        raise TypeError(f"lambda_handler takes an ASGI app, not {type(app).__name__}")
    if _parameters(app)[:2] == ["event", "context"]:
        raise TypeError(
            "lambda_handler takes an ASGI app, and this is a Lambda function already: it takes event and context"
        )
    if interface_of(app) == "wsgi":
        raise TypeError(
            "lambda_handler takes an ASGI app, and this is a WSGI app; make it ASGI with asgiref's WsgiToAsgi or "
            "a2wsgi's WSGIMiddleware"
        )


def _parameters(app: Any) -> list[str]:
    try:
        return list(inspect.signature(app).parameters)
    except (TypeError, ValueError):  # some callables have no signature
        return []


def _check_list(name: str, values: Any) -> None:
    if values is None:
        return
    is_list = isinstance(values, Sequence | frozenset | set) and not isinstance(values, str | bytes)
    if name == "custom_handlers":
        if not is_list or not all(isinstance(value, type) and hasattr(value, "infer") for value in values):
            raise TypeError("custom_handlers must be a list of classes with a class method `infer`, as Mangum has them")
    elif not is_list or not all(isinstance(value, str) for value in values):
        raise TypeError(f"{name} must be a list of strings")


def _base_path(given: Any) -> str:
    """Return the base path with a slash before it and none behind, or "" if there is none."""
    if given is not None and not isinstance(given, str):
        raise TypeError(f"api_gateway_base_path must be a path such as '/v1', not {type(given).__name__}")
    base = (given or "").strip("/")
    if any(mark in base for mark in "?#{ ") or "//" in base:
        raise ValueError(f"api_gateway_base_path must be a path such as '/v1', not {given!r}")
    return f"/{base}" if base else ""
