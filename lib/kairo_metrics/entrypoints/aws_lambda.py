"""AWS Lambda: an ASGI app as a handler for a Function URL, an HTTP or REST API, a load balancer, or CloudFront.

On Lambda Mangum is imported when a handler is built, elsewhere with the first event: on Vercel, which imports the same
file, nobody calls the handler.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ..config.environment import environment
from .interfaces import interface_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from .lambda_adapter import LambdaAdapter

__all__ = ["lambda_handler"]

Handler = Callable[[Any, Any], dict[str, Any]]

_MODES = ("auto", "on", "off")


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
    base_path = _base_path(api_gateway_base_path)

    @functools.cache
    def adapter() -> LambdaAdapter:
        from .lambda_adapter import LambdaAdapter

        return LambdaAdapter(
            app,
            lifespan=lifespan,
            base_path=base_path,
            custom_handlers=custom_handlers or (),
            text_mime_types=text_mime_types or (),
            exclude_headers=exclude_headers or (),
        )

    if "AWS_LAMBDA_RUNTIME_API" in environment():
        adapter()  # in the init phase

    def handler(event: Any, context: Any) -> dict[str, Any]:
        return adapter()(event, context)

    return handler


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
